/** One instrument: live state, power of the last 24 hours, its session and alerts, and the ledger of today as it grows. */

import "./page.js";
import "./chart.js";
import { fetchJson } from "./api.js";
import { Feed } from "./feed.js";
import { showLine } from "./line.js";
import { refreshSoon } from "./refresh.js";
import { powerOf, say, spanOf, stateWord, timeOf } from "./words.js";

const REFRESH_MS = 60_000;
const COST_MS = 20_000;
const main = document.getElementById("main");
const code = main.dataset.code;
const now = document.getElementById("now");
let view = null;
let shown = "";

function write(part, text) {
  const element = now.querySelector(`[data-show="${part}"]`);
  if (element.textContent !== text) element.textContent = text;
}

function show() {
  if (view === null) return;
  const { state, power, relay } = view;
  now.dataset.state = state;
  now.toggleAttribute("data-stale", view.stale);
  now.setAttribute("aria-busy", "false");
  now.querySelector(".sign use").setAttribute("href", `#sign-${state}`);
  write("state", stateWord(state));
  write("since", `${say("since", { time: timeOf(view.since) })} · ${spanOf(view.since)}`);
  const [figure, unit] = powerOf(power.watts);
  write("watts", figure);
  write("unit", unit);
  write("class", power.class === null ? "" : `· ${say(power.class)}`);
  write("link", say(view.link));
  write("relay", relay.reported === "unknown" ? say("notReported") : say(relay.reported));
  write("occupancy", view.occupancy === "unknown" ? say("notReported") : say(view.occupancy));
  write("door", view.door === "unknown" ? say("notReported") : say(view.door));
  write("seen", view.seen ? `${timeOf(view.seen)} · ${spanOf(view.seen)}` : say("neverHeard"));
}

async function showPower() {
  const series = await fetchJson(`/api/v1/twins/${encodeURIComponent(code)}/power?points=480`).catch(() => null);
  document.getElementById("power").show(series);
}

/** The ledger grows only where it is today's. */
function refreshLedger() {
  if ("today" in document.getElementById("ledger").dataset && !document.hidden) refreshSoon("ledger");
}

/** Session, alerts and latest sessions follow the twin, and may have changed since the page was written. */
function refreshBench() {
  if (view === null) return;
  const told = JSON.stringify([view.session, view.booking, view.alerts, view.link]);
  if (told !== shown) refreshSoon("session", "alerts", "latest");
  shown = told;
}

/** What came of a form is said once: the address forgets it, and so does the page when it is next brought up to date. */
function forgetOutcome() {
  const here = new URL(location);
  if (!here.searchParams.has("outcome")) return;
  here.searchParams.delete("outcome");
  history.replaceState(null, "", here);
}

if (main.dataset.connected === "true") {
  const feed = new Feed("/ws/board", { instrument: code });
  feed.addEventListener("news", ({ detail }) => {
    view = detail.items.find((twin) => twin.instrument === code) ?? view;
    requestAnimationFrame(show);
    refreshBench();
  });
  showLine(feed);
  feed.open();
  showPower();
  forgetOutcome();
  setInterval(show, 20_000);
  setInterval(() => document.hidden || showPower(), REFRESH_MS);
  setInterval(refreshLedger, REFRESH_MS);
  setInterval(() => view?.session && !document.hidden && refreshSoon("session"), COST_MS);
}
