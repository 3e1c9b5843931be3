/** The wall screen: as many tiles as can be read from afar, page after page where they do not fit. */

import { say } from "./words.js";

const PAGE_MS = 12_000;
const LEAST_EM = { width: 14.5, height: 8.6 };

export class Wall {
  #tiles = document.getElementById("tiles");
  #label = document.getElementById("wall-page");
  #page = 0;
  #timer = 0;

  isOn = new URLSearchParams(location.search).get("wall") === "1";

  /** @param {() => void} arrange lays the tiles out anew. */
  constructor(arrange) {
    this.arrange = arrange;
    document.body.classList.toggle("wall", this.isOn);
    addEventListener("resize", () => this.isOn && arrange());
    if (this.isOn) this.#keepTurning();
  }

  /** On becomes off, off becomes on; the address says which. */
  toggle() {
    this.isOn = !this.isOn;
    const url = new URL(location);
    this.isOn ? url.searchParams.set("wall", "1") : url.searchParams.delete("wall");
    history.replaceState(null, "", url);
    document.body.classList.toggle("wall", this.isOn);
    this.isOn ? this.#keepTurning() : clearInterval(this.#timer);
    this.#label.textContent = "";
    this.arrange();
  }

  /** Of the tiles to be shown, those on the present page. */
  select(tiles) {
    if (!this.isOn || tiles.length === 0) return tiles;
    const { columns, rows } = this.#fit(tiles.length);
    const pages = Math.ceil(tiles.length / (columns * rows));
    this.#page %= pages;
    this.#tiles.style.setProperty("--columns", columns);
    this.#tiles.style.setProperty("--rows", rows);
    this.#label.textContent = pages > 1 ? say("page", { n: this.#page + 1, total: pages }) : "";
    return tiles.slice(this.#page * columns * rows, (this.#page + 1) * columns * rows);
  }

  /** The fewest columns and rows that hold all tiles, as far as they can still be read. */
  #fit(count) {
    const em = parseFloat(getComputedStyle(this.#tiles).fontSize);
    const { clientWidth: width, clientHeight: height } = this.#tiles;
    const most = { columns: Math.max(1, Math.floor(width / (LEAST_EM.width * em))), rows: Math.max(1, Math.floor(height / (LEAST_EM.height * em))) };
    if (count >= most.columns * most.rows) return most;
    const columns = Math.min(most.columns, Math.max(1, Math.ceil(Math.sqrt((count * width) / (height * 1.9)))));
    return { columns, rows: Math.min(most.rows, Math.ceil(count / columns)) };
  }

  #keepTurning() {
    this.#timer = setInterval(() => {
      this.#page += 1;
      this.arrange();
    }, PAGE_MS);
  }
}
