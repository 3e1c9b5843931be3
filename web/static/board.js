/** The live board: one tile an instrument, kept true to the feed. */

import "./page.js";
import "./tile.js";
import { fetchAll, fetchJson } from "./api.js";
import { now } from "./clock.js";
import { Feed } from "./feed.js";
import { Filters } from "./filters.js";
import { listenToKeys } from "./keys.js";
import { showLine } from "./line.js";
import { Wall } from "./wall.js";
import { say } from "./words.js";

const SPARK_MINUTES = 60;
const board = document.getElementById("tiles");
const views = new Map();
const tiles = new Map();
const changed = new Set();
let instruments = new Map();
let platforms = new Map();
let whole = false;
let drawing = 0;

const filters = new Filters();
const wall = new Wall(() => arrange());
const feed = new Feed("/ws/board");

/** For each platform the codes of itself and all below it. */
function families(list) {
  const found = new Map(list.map((platform) => [platform.code, new Set([platform.code])]));
  const parents = new Map(list.map((platform) => [platform.code, platform.parent]));
  for (const { code } of list) {
    for (let above = parents.get(code); above; above = parents.get(above)) found.get(above)?.add(code);
  }
  return found;
}

function takeIn({ detail }) {
  if (detail.whole) {
    views.clear();
    whole = true;
  }
  for (const twin of detail.items) {
    views.set(twin.instrument, twin);
    changed.add(twin.instrument);
  }
  drawing ||= requestAnimationFrame(draw);
}

async function draw() {
  try {
    const isNew = (whole || [...changed].some((code) => !tiles.has(code))) && (await setOut());
    const isMoved = paint();
    if (isNew || isMoved) arrange();
  } catch (error) {
    console.warn(error);
    whole = true;
    setTimeout(() => takeIn({ detail: { items: [] } }), 2000);
  } finally {
    drawing = 0;
  }
}

/** Bring the tiles of changed twins up to date. Says whether any is in another state than before. */
function paint() {
  const time = now();
  let isMoved = false;
  for (const code of changed) isMoved = tiles.get(code)?.show(views.get(code), time) || isMoved;
  changed.clear();
  return isMoved;
}

/** One tile an instrument, by code; tiles that are there already stay. */
async function setOut() {
  if ([...views.keys()].some((code) => !instruments.has(code))) await learn();
  whole = false;
  for (const [code, tile] of tiles) {
    if (views.has(code)) continue;
    tile.remove();
    tiles.delete(code);
  }
  let next = board.firstElementChild;
  for (const code of [...views.keys()].filter((code) => instruments.has(code)).sort()) {
    const tile = tiles.get(code) ?? document.createElement("twin-tile");
    if (tile === next) next = tile.nextElementSibling;
    else board.insertBefore(tile, next);
    if (!tiles.has(code)) tile.describe(instruments.get(code));
    tiles.set(code, tile);
  }
  board.setAttribute("aria-busy", "false");
  drawSparks();
  return true;
}

async function learn() {
  const [listed, all] = await Promise.all([fetchAll("/api/v1/instruments?connected=true"), fetchAll("/api/v1/platforms")]);
  instruments = new Map(listed.map((instrument) => [instrument.code, { ...instrument, text: textOf(instrument) }]));
  platforms = families(all);
}

const textOf = (instrument) =>
  [instrument.code, instrument.name_zh, instrument.name_en, instrument.model, instrument.place].join("\n").toLowerCase();

/** Totals, what is hidden and what is shown. */
function arrange() {
  const counts = {};
  const wanted = [];
  for (const [code, tile] of tiles) {
    const view = views.get(code);
    const isAdmitted = filters.admits(instruments.get(code), platforms);
    if (isAdmitted) counts[view.state] = (counts[view.state] ?? 0) + 1;
    if (isAdmitted && (!filters.state || view.state === filters.state)) wanted.push(tile);
  }
  const shown = new Set(wall.select(wanted));
  for (const tile of tiles.values()) {
    if (tile.hidden === shown.has(tile)) tile.hidden = !shown.has(tile);
  }
  for (const button of document.querySelectorAll("#totals .total")) {
    const count = String(counts[button.dataset.state] ?? 0);
    const figure = button.querySelector("b");
    if (figure.textContent !== count) figure.textContent = count;
    button.toggleAttribute("data-none", count === "0");
  }
  explain(wanted.length);
}

function explain(count) {
  const text = filters.isSet ? say("shown", { n: count, total: tiles.size }) : "";
  const shown = document.getElementById("shown");
  if (shown.textContent !== text) shown.textContent = text;
  const empty = document.getElementById("empty");
  empty.hidden = count > 0 || board.getAttribute("aria-busy") === "true";
  empty.querySelector(".empty-none").hidden = filters.isSet;
  empty.querySelector(".empty-filter").hidden = !filters.isSet;
}

async function drawSparks() {
  const recent = await fetchJson(`/api/v1/power?minutes=${SPARK_MINUTES}`).catch(() => null);
  if (recent === null) return;
  requestAnimationFrame(() => {
    for (const [code, tile] of tiles) tile.spark(recent.mean_w[code] ?? []);
  });
}

setInterval(() => {
  const time = now();
  for (const tile of tiles.values()) tile.tick(time);
}, 20_000);
setInterval(() => document.hidden || drawSparks(), 60_000);
filters.addEventListener("change", arrange);
feed.addEventListener("news", takeIn);
showLine(feed);
listenToKeys(filters, wall);
feed.open();
