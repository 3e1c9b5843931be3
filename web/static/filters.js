/** What is shown on the board; the address says it, so it can be shared. */

const FIELDS = ["q", "platform", "state"];

export class Filters extends EventTarget {
  #form = document.getElementById("filters");
  #buttons = [...document.querySelectorAll("#totals .total")];

  constructor() {
    super();
    this.#read();
    this.#form.addEventListener("submit", (event) => event.preventDefault());
    this.#form.addEventListener("input", () => this.#set({ q: this.#form.q.value, platform: this.#form.platform.value }));
    for (const button of this.#buttons) {
      button.addEventListener("click", () => {
        this.#set({ state: this.state === button.dataset.state ? "" : button.dataset.state });
      });
    }
    document.getElementById("clear").addEventListener("click", () => this.clear());
    addEventListener("popstate", () => {
      this.#read();
      this.dispatchEvent(new Event("change"));
    });
  }

  get isSet() {
    return FIELDS.some((field) => this[field]);
  }

  /** Does an instrument, whose `text` is what can be searched, belong on the board, its state apart? */
  admits(instrument, platforms) {
    if (this.platform && !platforms.get(this.platform)?.has(instrument.platform)) return false;
    return this.words.every((word) => instrument.text.includes(word));
  }

  clear() {
    this.#set({ q: "", platform: "", state: "" });
  }

  #read() {
    const query = new URLSearchParams(location.search);
    for (const field of FIELDS) this[field] = query.get(field) ?? "";
    this.#show();
  }

  #set(changes) {
    Object.assign(this, changes);
    const url = new URL(location);
    for (const field of FIELDS) this[field] ? url.searchParams.set(field, this[field]) : url.searchParams.delete(field);
    history.replaceState(null, "", url);
    this.#show();
    this.dispatchEvent(new Event("change"));
  }

  #show() {
    this.words = this.q.toLowerCase().split(/\s+/).filter(Boolean);
    if (this.#form.q.value !== this.q) this.#form.q.value = this.q;
    this.#form.platform.value = this.platform;
    for (const button of this.#buttons) button.setAttribute("aria-pressed", String(button.dataset.state === this.state));
  }
}
