/** Parts of the page as the service writes them anew: its words, rights and figures stay in one place. */

const BETWEEN_MS = 500;
const waiting = new Set();
let timer = 0;
let lastMs = 0;

/** Bring parts of the page, by id, up to date soon; many wishes become one request. */
export function refreshSoon(...ids) {
  for (const id of ids) waiting.add(id);
  if (timer === 0) timer = setTimeout(refresh, Math.max(0, lastMs + BETWEEN_MS - Date.now()));
}

async function refresh() {
  const ids = [...waiting];
  waiting.clear();
  const answer = await fetch(location.href, { headers: { accept: "text/html" } }).catch(() => null);
  lastMs = Date.now();
  timer = 0;
  if (answer?.redirected) location.reload(); // to signing in
  else if (!answer?.ok) ids.forEach((id) => waiting.add(id));
  else replace(new DOMParser().parseFromString(await answer.text(), "text/html"), ids);
  if (waiting.size > 0 && timer === 0) timer = setTimeout(refresh, 10 * BETWEEN_MS);
}

function replace(fresh, ids) {
  for (const id of ids) {
    const [old, next] = [document.getElementById(id), fresh.getElementById(id)];
    if (!old || !next || old.outerHTML === next.outerHTML) continue;
    if (isBusy(old)) waiting.add(id);
    else swap(old, next);
  }
}

/** Is somebody filling something in there? */
const isBusy = (part) => part.querySelector("details[open]") !== null || part.querySelector("input:focus") !== null;

function swap(old, next) {
  const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
  old.replaceWith(document.adoptNode(next));
  if (focused) document.getElementById(focused)?.focus();
}
