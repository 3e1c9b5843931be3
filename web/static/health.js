/** Tells whoever looks at a page that the service is not well: what cannot be done until it is. */

import { say } from "./words.js";

const EVERY_MS = 10_000;
const notice = document.getElementById("health");

/** What is wrong, in words; nothing where all is well. */
function trouble({ status, components }) {
  if (status === "ok") return "";
  if (components.database.status === "down") return say("databaseAway");
  if (components.broker.status === "down") return say("brokerAway");
  return say("behind", { n: Math.round(components.inbox.behind_s) });
}

async function look() {
  const answer = await fetch("/health", { cache: "no-store" }).catch(() => null);
  const health = await answer?.json().catch(() => null);
  if (health) {
    notice.textContent = trouble(health);
    notice.hidden = notice.textContent === "";
  }
  setTimeout(look, EVERY_MS);
}

look();
