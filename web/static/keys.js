/** The board by keyboard. */

import { switchTheme } from "./page.js";

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export function listenToKeys(filters, wall) {
  const search = document.querySelector("#filters [name=q]");
  const dialog = document.getElementById("keys");
  const deeds = {
    "/": () => search.focus(),
    "?": () => dialog.showModal(),
    w: () => wall.toggle(),
    d: switchTheme,
    Escape: () => (wall.isOn ? wall.toggle() : filters.clear()),
  };
  document.getElementById("help").addEventListener("click", deeds["?"]);
  document.getElementById("wall").addEventListener("click", (event) => {
    event.preventDefault();
    wall.toggle();
  });
  document.addEventListener("keydown", (event) => {
    if (dialog.open || event.ctrlKey || event.metaKey || event.altKey) return;
    const inField = event.target.matches("input, select");
    if (inField && event.key === "Escape") event.target.blur();
    if (inField && !(event.target === search && ["ArrowDown", "Escape"].includes(event.key))) return;
    const deed = event.key in ARROWS ? () => step(...ARROWS[event.key]) : deeds[event.key];
    if (!deed) return;
    event.preventDefault();
    deed();
  });
}

/** Move the focus to the nearest tile in a direction; the first tile where none has it. */
function step(right, down) {
  const links = [...document.querySelectorAll("twin-tile:not([hidden]) a")];
  const from = links.indexOf(document.activeElement);
  const columns = links.findIndex((link) => link.getBoundingClientRect().top > links[0].getBoundingClientRect().top + 1);
  const to = from < 0 ? 0 : from + right + down * (columns < 0 ? links.length : columns);
  links[to]?.focus();
}
