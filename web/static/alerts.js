/** The list of alerts, kept true to their feed. */

import "./page.js";
import { Feed } from "./feed.js";
import { showLine } from "./line.js";
import { refreshSoon } from "./refresh.js";

const feed = new Feed("/ws/alerts");
let heard = false;
feed.addEventListener("news", ({ detail }) => {
  if (heard || !detail.whole) refreshSoon("alerts");
  heard = true;
});
feed.addEventListener("refused", () => location.reload());
showLine(feed);
feed.open();
