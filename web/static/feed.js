/**
 * The live feed: a snapshot, then changes, over a socket that comes back by itself.
 *
 * Events: "news" {items, whole} with what is new, "line" {line: "connecting" | "live" | "lost", seconds, reason}, and
 * "refused" where one is not, or not any more, allowed to watch: the feed does not come back by itself then.
 * Every frame names the revision it follows; one that does not follow what was last heard means a gap, and a gap means a
 * new connection with a new snapshot. So does silence: the service sends an empty frame at least every ten seconds.
 */

const SILENCE_MS = 30_000;
const LONGEST_WAIT_S = 30;

const REFUSED = [4401, 4403];

export class Feed extends EventTarget {
  #address;
  #socket = null;
  #rev = null;
  #failures = 0;
  #timer = 0;

  /**
   * @param {string} path the socket: that of the board, or of the alerts.
   * @param {Object<string, string>} query what to watch: `platform` or `instrument`.
   */
  constructor(path, query = {}) {
    super();
    this.#address = `${location.origin.replace(/^http/, "ws")}${path}?${new URLSearchParams(query)}`;
    addEventListener("online", () => this.#retryNow());
    addEventListener("pagehide", () => this.#drop());
    addEventListener("pageshow", (event) => event.persisted && this.#retryNow());
    document.addEventListener("visibilitychange", () => document.hidden || this.#retryNow());
  }

  open() {
    this.#drop();
    this.#tell("line", { line: this.#failures ? "lost" : "connecting", seconds: 0 });
    const socket = new WebSocket(this.#address);
    this.#socket = socket;
    this.#listenFor(SILENCE_MS);
    socket.onmessage = (event) => this.#hear(JSON.parse(event.data));
    socket.onclose = (event) => {
      if (REFUSED.includes(event.code)) this.#tell("refused", {});
      else this.#lose(event.code === 1013 ? event.reason : "");
    };
  }

  #hear(frame) {
    this.#listenFor(SILENCE_MS);
    if (frame.snapshot) {
      this.#failures = 0;
      this.#tell("line", { line: "live" });
    } else if (frame.since !== this.#rev) {
      this.#drop();
      this.open();
      return;
    }
    this.#rev = frame.rev;
    const items = frame.snapshot ?? frame.changes;
    if (frame.snapshot || items.length) this.#tell("news", { items, whole: Boolean(frame.snapshot) });
  }

  #lose(reason) {
    this.#drop();
    this.#failures += 1;
    const seconds = Math.min(LONGEST_WAIT_S, 2 ** Math.min(this.#failures - 1, 5)) * (0.75 + Math.random() / 2);
    this.#tell("line", { line: "lost", seconds: Math.max(1, Math.round(seconds)), reason });
    this.#timer = setTimeout(() => this.open(), seconds * 1000);
  }

  #listenFor(ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#lose(""), ms);
  }

  #retryNow() {
    if (this.#socket === null) this.open();
  }

  #drop() {
    clearTimeout(this.#timer);
    if (this.#socket === null) return;
    this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close();
    this.#socket = null;
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
