/** The wall screen: as many tiles as can be read from afar, page after page where they do not fit. */

import { say } from "./words.js";

const PAGE_MS = 12_000;
const LEAST_EM = { width: 14.5, height: 10.4 };

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
    const most = this.#most();
    const pages = Math.ceil(tiles.length / (most.columns * most.rows));
    const { columns, rows } = this.#fit(Math.ceil(tiles.length / pages), most);
    this.#page %= pages;
    this.#tiles.style.setProperty("--columns", columns);
    this.#tiles.style.setProperty("--rows", rows);
    this.#label.textContent = pages > 1 ? say("page", { n: this.#page + 1, total: pages }) : "";
    return tiles.slice(this.#page * columns * rows, (this.#page + 1) * columns * rows);
  }

  /** As many columns and rows as can still be read. */
  #most() {
    const em = parseFloat(getComputedStyle(this.#tiles).fontSize);
    const { clientWidth, clientHeight } = this.#tiles;
    return {
      columns: Math.max(1, Math.floor(clientWidth / (LEAST_EM.width * em))),
      rows: Math.max(1, Math.floor(clientHeight / (LEAST_EM.height * em))),
    };
  }

  /** The fewest columns and rows that hold so many tiles, so that each is as large as it can be. */
  #fit(count, most) {
    const { clientWidth, clientHeight } = this.#tiles;
    const wide = Math.ceil(Math.sqrt((count * clientWidth) / (clientHeight * 1.9)));
    const rows = Math.min(most.rows, Math.ceil(count / Math.min(most.columns, wide)));
    return { columns: Math.ceil(count / rows), rows };
  }

  #keepTurning() {
    this.#timer = setInterval(() => {
      this.#page += 1;
      this.arrange();
    }, PAGE_MS);
  }
}
