/** Words, times and figures as the reader wants them. */

import { now as present } from "./clock.js";

const root = document.documentElement;
const words = JSON.parse(document.getElementById("words").textContent);
const language = root.lang;
const timeZone = root.dataset.timezone;

const clock = new Intl.DateTimeFormat(language, { timeZone, hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const dayAndClock = new Intl.DateTimeFormat(language, {
  timeZone, month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", hourCycle: "h23",
});
const dayOnly = new Intl.DateTimeFormat("en-CA", { timeZone });
const whole = new Intl.NumberFormat(language, { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat(language, { minimumFractionDigits: 1, maximumFractionDigits: 1 });

/** A word or sentence with its `{blanks}` filled in. */
export function say(key, blanks = {}) {
  return words[key].replace(/\{(\w+)\}/g, (_, name) => blanks[name]);
}

export const stateWord = (state) => words.states[state];

/** Hours and minutes in the site's zone; with the day where it is not today. */
export function timeOf(moment, now = present()) {
  const then = new Date(moment);
  return (dayOnly.format(then) === dayOnly.format(now) ? clock : dayAndClock).format(then);
}

export const clockOf = (moment) => clock.format(new Date(moment));

/** How long ago, in one or two units. */
export function spanOf(moment, now = present()) {
  const minutes = Math.floor((now - new Date(moment)) / 60_000);
  if (minutes < 1) return say("justNow");
  const hours = Math.floor(minutes / 60);
  if (hours < 1) return say("minutes", { n: minutes });
  const days = Math.floor(hours / 24);
  if (days < 1) return `${say("hours", { n: hours })} ${say("minutes", { n: minutes % 60 })}`;
  return `${say("days", { n: days })} ${say("hours", { n: hours % 24 })}`;
}

/** Power as figure and unit. */
export function powerOf(watts) {
  if (watts === null || watts === undefined) return ["–", ""];
  if (watts >= 10_000) return [tenths.format(watts / 1000), "kW"];
  return [(watts > 0 && watts < 10 ? tenths : whole).format(watts), "W"];
}
