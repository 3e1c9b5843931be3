/** The list of alerts, kept true to their feed. */

import "./page.js";
import { Feed } from "./feed.js";
import { showLine } from "./line.js";
import { refreshSoon } from "./refresh.js";

const feed = new Feed("/ws/alerts");
// The first snapshot counts as news too: something may have happened since the page was written.
feed.addEventListener("news", () => refreshSoon("alerts"));
feed.addEventListener("refused", () => location.reload());
showLine(feed);
feed.open();
