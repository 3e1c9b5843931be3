/** One instrument on the board. */

import { powerOf, say, spanOf, stateWord, timeOf } from "./words.js";

const template = document.getElementById("tile");
const ZH = document.documentElement.lang.startsWith("zh");
const PARTS = ["state", "since", "name", "place", "session", "watts", "unit", "stale", "alerts"];
const SEVERITIES = ["critical", "warning", "info"];

/** Who has it until when, without whose it is. */
function sessionOf({ session, booking }, now) {
  if (session === null) return booking ? say("bookedUntil", { time: timeOf(booking.to, now) }) : "";
  const until = session.due && timeOf(session.due, now);
  if (session.state === "cooldown") return until ? say("coolingUntil", { time: until }) : "";
  if (session.state === "opening") return say("starting");
  return [say("inSession", { time: timeOf(session.since, now) }), until && say("until", { time: until })].filter(Boolean).join(" · ");
}

class TwinTile extends HTMLElement {
  #parts = {};
  #view = null;

  connectedCallback() {
    if (this.firstChild) return;
    this.append(template.content.cloneNode(true));
    this.link = this.querySelector("a");
    for (const part of PARTS) this.#parts[part] = this.querySelector(`.tile-${part}`);
    this.#parts.use = this.querySelector(".sign use");
    this.#parts.bell = this.querySelector(".bell");
    this.#parts.alert = this.querySelector(".bell use");
    this.#parts.line = this.querySelector(".spark-line");
    this.#parts.area = this.querySelector(".spark-area");
  }

  /** What does not change by the minute. */
  describe(instrument) {
    const name = ZH ? instrument.name_zh || instrument.name_en : instrument.name_en || instrument.name_zh;
    this.link.href = `/instruments/${encodeURIComponent(instrument.code)}`;
    this.link.title = `${name} · ${instrument.model}`;
    this.#write("name", name);
    this.#write("place", [instrument.code, instrument.place].filter(Boolean).join(" · "));
  }

  /** The twin as it is now; touches only what differs. Says whether its state is another than before. */
  show(view, now) {
    const isOther = this.#view?.state !== view.state;
    this.#view = view;
    if (isOther) {
      this.link.dataset.state = view.state;
      this.#parts.use.setAttribute("href", `#sign-${view.state}`);
      this.#write("state", stateWord(view.state));
    }
    const [figure, unit] = powerOf(view.power.watts);
    this.#write("watts", figure);
    this.#write("unit", unit);
    this.link.toggleAttribute("data-stale", view.stale);
    this.#warn(view.alerts);
    this.tick(now);
    return isOther;
  }

  /** What the passing of time changes. */
  tick(now) {
    const view = this.#view;
    if (view === null) return;
    this.#write("since", spanOf(view.since, now));
    this.#parts.since.title = say("since", { time: timeOf(view.since, now) });
    this.#write("session", sessionOf(view, now));
    this.#write("stale", !view.stale ? "" : view.seen ? say("heard", { time: timeOf(view.seen, now) }) : say("neverHeard"));
  }

  /** How many alerts fire, by the sign of the worst. */
  #warn(alerts) {
    const worst = SEVERITIES.find((severity) => alerts.some((alert) => alert.severity === severity));
    this.#write("alerts", alerts.length ? String(alerts.length) : "");
    this.#parts.bell.toggleAttribute("data-none", !worst);
    if (!worst) return;
    this.#parts.bell.dataset.severity = worst;
    this.#parts.bell.title = say("alerts", { n: alerts.length });
    this.#parts.alert.setAttribute("href", `#alert-${worst}`);
  }

  /** The last hour's power, a value a minute; gaps stay gaps. */
  spark(row) {
    const top = Math.max(10, ...row.map((watts) => watts ?? 0)) * 1.05;
    const step = 60 / Math.max(1, row.length - 1);
    let line = "";
    let area = "";
    row.forEach((watts, index) => {
      if (watts === null) return;
      const x = (index * step).toFixed(1);
      const y = (20 - (20 * watts) / top).toFixed(1);
      const begins = index === 0 || row[index - 1] === null;
      line += `${begins ? "M" : "L"}${x} ${y}`;
      area += `${begins ? `M${x} 20L` : "L"}${x} ${y}`;
      if (index === row.length - 1 || row[index + 1] === null) area += `L${x} 20Z`;
    });
    this.#parts.line.setAttribute("d", line);
    this.#parts.area.setAttribute("d", area);
  }

  #write(part, text) {
    const element = this.#parts[part];
    if (element.textContent !== text) element.textContent = text;
  }
}

customElements.define("twin-tile", TwinTile);
