/** The JSON API as the pages use it. */

import { setBy } from "./clock.js";

export async function fetchJson(path) {
  const answer = await fetch(path, { headers: { accept: "application/json" } });
  setBy(answer);
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

/** All items of a paged list. */
export async function fetchAll(path) {
  const items = [];
  for (let next = path; next; ) {
    const page = await fetchJson(next);
    items.push(...page.items);
    next = page.links.next;
  }
  return items;
}
