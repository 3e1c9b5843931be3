/** Power over time: the mean as a line, the highest as a band; read by pointer or arrow keys. */

import { clockOf, powerOf, say, timeOf } from "./words.js";

const NS = "http://www.w3.org/2000/svg";
const EDGE = { left: 56, right: 8, top: 10, bottom: 22 };

function draw(name, attributes = {}, parent = null) {
  const element = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  parent?.append(element);
  return element;
}

/** The round number at or above a value: 1, 2, 2.5 or 5 times a power of ten. */
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 2, 2.5, 5, 10].find((step) => step * power >= value);
}

class PowerChart extends HTMLElement {
  #series = null;
  #at = -1;
  #tip = null;

  connectedCallback() {
    new ResizeObserver(() => this.#series && this.#draw()).observe(this);
    this.addEventListener("pointermove", (event) => this.#point(this.#indexAt(event.offsetX)));
    this.addEventListener("pointerleave", () => this.#point(-1));
    this.addEventListener("blur", () => this.#point(-1));
    this.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!by || !this.#series) return;
      event.preventDefault();
      const last = this.#series.mean_w.length - 1;
      this.#point(this.#at < 0 ? last : Math.min(last, Math.max(0, this.#at + by)));
    });
  }

  /** @param series as the API gives it, or null where it could not be had. */
  show(series) {
    this.#series = series;
    this.#draw();
  }

  #draw() {
    this.replaceChildren();
    const values = this.#series?.max_w.filter((watts) => watts !== null) ?? [];
    if (!values.length) return this.#sayWhy();
    const svg = draw("svg", { "aria-hidden": "true" }, this);
    this.top = roundUp(Math.max(10, ...values) / 4) * 4;
    this.#grid(svg);
    draw("path", { class: "chart-max", d: this.#band() }, svg);
    draw("path", { class: "chart-mean", d: this.#line() }, svg);
    this.cursor = draw("g", { visibility: "hidden" }, svg);
    draw("line", { class: "chart-cursor", y1: EDGE.top, y2: this.#y(0) }, this.cursor);
    draw("circle", { class: "chart-dot", r: 4.5 }, this.cursor);
    this.#tip = document.createElement("div");
    this.#tip.className = "chart-tip";
    this.#tip.setAttribute("role", "status");
    this.#tip.hidden = true;
    this.append(this.#tip);
    this.#point(this.#at);
  }

  #sayWhy() {
    const text = document.createElement("p");
    text.className = "chart-none";
    text.textContent = say(this.#series ? "noPower" : "failed");
    this.append(text);
  }

  #grid(svg) {
    for (let step = 0; step <= 4; step += 1) {
      const watts = (this.top * step) / 4;
      const y = this.#y(watts);
      draw("line", { class: "chart-grid", x1: EDGE.left, x2: this.clientWidth - EDGE.right, y1: y, y2: y }, svg);
      const label = draw("text", { class: "chart-label", x: EDGE.left - 8, y: y + 4, "text-anchor": "end" }, svg);
      label.textContent = powerOf(watts).join(" ");
    }
    const from = new Date(this.#series.from).getTime();
    const hours = this.clientWidth < 600 ? 6 : 3;
    for (let hour = hours; hour <= 24; hour += hours) {
      const moment = Math.floor((from + hour * 3_600_000) / 3_600_000) * 3_600_000;
      const x = this.#x((moment - from) / 1000 / this.#series.step_s - 0.5);
      if (x > this.clientWidth - 20) continue;
      draw("text", { class: "chart-label", x, y: this.clientHeight - 4, "text-anchor": "middle" }, svg).textContent = clockOf(moment);
    }
  }

  #x(index) {
    return EDGE.left + ((index + 0.5) / this.#series.mean_w.length) * (this.clientWidth - EDGE.left - EDGE.right);
  }

  #y(watts) {
    return EDGE.top + (1 - watts / this.top) * (this.clientHeight - EDGE.top - EDGE.bottom);
  }

  #line() {
    const mean = this.#series.mean_w;
    return mean
      .map((watts, n) => (watts === null ? "" : `${n && mean[n - 1] !== null ? "L" : "M"}${this.#x(n).toFixed(1)} ${this.#y(watts).toFixed(1)}`))
      .join("");
  }

  /** From the highest down to the ground, stretch by stretch. */
  #band() {
    const rows = this.#series.max_w;
    let path = "";
    rows.forEach((watts, n) => {
      if (watts === null) return;
      const x = this.#x(n).toFixed(1);
      path += n && rows[n - 1] !== null ? `L${x} ${this.#y(watts).toFixed(1)}` : `M${x} ${this.#y(0)}L${x} ${this.#y(watts).toFixed(1)}`;
      if (n === rows.length - 1 || rows[n + 1] === null) path += `L${x} ${this.#y(0)}Z`;
    });
    return path;
  }

  #indexAt(x) {
    if (!this.#series) return -1;
    const share = (x - EDGE.left) / (this.clientWidth - EDGE.left - EDGE.right);
    return share < 0 || share >= 1 ? -1 : Math.floor(share * this.#series.mean_w.length);
  }

  #point(index) {
    this.#at = index;
    if (!this.#tip?.isConnected) return;
    this.#tip.hidden = index < 0;
    const mean = this.#series.mean_w[index] ?? null;
    this.cursor.setAttribute("visibility", index < 0 || mean === null ? "hidden" : "visible");
    if (index < 0) return;
    const moment = new Date(this.#series.from).getTime() + (index + 0.5) * this.#series.step_s * 1000;
    const figures = mean === null
      ? say("noReading")
      : `${say("mean")} ${powerOf(mean).join(" ")}, ${say("highest")} ${powerOf(this.#series.max_w[index]).join(" ")}`;
    this.#tip.textContent = `${timeOf(moment)} · ${figures}`;
    const x = this.#x(index);
    this.#tip.style.translate = `${Math.min(x + 10, this.clientWidth - this.#tip.offsetWidth)}px 0`;
    if (mean === null) return;
    this.cursor.firstChild.setAttribute("x1", x);
    this.cursor.firstChild.setAttribute("x2", x);
    this.cursor.lastChild.setAttribute("cx", x);
    this.cursor.lastChild.setAttribute("cy", this.#y(mean));
  }
}

customElements.define("power-chart", PowerChart);
