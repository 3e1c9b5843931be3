/** What every page has: the clock, light or dark, the language link, and how the service is. */

import "./health.js";
import { now } from "./clock.js";
import { clockOf } from "./words.js";

const root = document.documentElement;

function tellTime() {
  const shown = document.getElementById("clock");
  shown.textContent = clockOf(now());
  setTimeout(tellTime, Math.min(5_000, 60_000 - (now() % 60_000)));
}

/** Light becomes dark, dark becomes light, and stays so. */
export function switchTheme() {
  const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = isDark ? "light" : "dark";
  document.cookie = `theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=lax`;
}

/** The language link keeps what is being looked at; a choice once made need not stay in the address. */
function keepPlace() {
  const here = new URL(location);
  if (here.searchParams.has("lang")) {
    here.searchParams.delete("lang");
    history.replaceState(null, "", here);
  }
  const link = document.querySelector("[data-language]");
  link.addEventListener("click", () => {
    const target = new URL(location);
    target.searchParams.set("lang", link.hreflang);
    link.href = target.search;
  });
}

tellTime();
keepPlace();
document.getElementById("theme").addEventListener("click", switchTheme);
