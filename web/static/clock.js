/** The time by the service's clock: a wall screen's own may be wrong for years. */

let ahead = 0;

/** Milliseconds since the epoch. */
export const now = () => Date.now() + ahead;

/** Set the clock by an answer of the service, where it is off by more than such an answer can tell. */
export function setBy(answer) {
  const told = Date.parse(answer.headers.get("date"));
  if (Number.isNaN(told)) return;
  const off = told - Date.now();
  ahead = Math.abs(off) > 3000 ? off : 0;
}
