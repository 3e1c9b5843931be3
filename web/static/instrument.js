/** One instrument: live state, power of the last 24 hours, and the ledger of today as it grows. */

import "./page.js";
import "./chart.js";
import { fetchJson } from "./api.js";
import { Feed } from "./feed.js";
import { showLine } from "./line.js";
import { powerOf, say, spanOf, stateWord, timeOf } from "./words.js";

const REFRESH_MS = 60_000;
const main = document.getElementById("main");
const code = main.dataset.code;
const now = document.getElementById("now");
let view = null;

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

/** Today's ledger, as the service writes it into the page. */
async function showLedger() {
  const ledger = document.getElementById("ledger");
  if (!("today" in ledger.dataset) || document.hidden) return;
  const answer = await fetch(location.href).catch(() => null);
  if (!answer?.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("ledger");
  if (fresh && !ledger.contains(document.activeElement)) ledger.replaceWith(document.adoptNode(fresh));
}

if (main.dataset.connected === "true") {
  const feed = new Feed({ instrument: code });
  feed.addEventListener("twins", ({ detail }) => {
    view = detail.twins.find((twin) => twin.instrument === code) ?? view;
    requestAnimationFrame(show);
  });
  showLine(feed);
  feed.open();
  showPower();
  setInterval(show, 20_000);
  setInterval(() => document.hidden || showPower(), REFRESH_MS);
  setInterval(showLedger, REFRESH_MS);
}
