/** Shows whether the page is live. */

import { say } from "./words.js";

/** Keep the sign in the header and the notice true to a feed. */
export function showLine(feed) {
  const sign = document.getElementById("line");
  const notice = document.getElementById("notice");
  let ticking = 0;

  feed.addEventListener("line", ({ detail: { line, seconds, reason } }) => {
    clearInterval(ticking);
    sign.dataset.line = line;
    sign.textContent = { live: say("live"), connecting: say("connecting"), lost: "" }[line];
    notice.hidden = line !== "lost";
    document.body.classList.toggle("lost", line === "lost");
    if (line !== "lost") return;
    notice.firstElementChild.textContent = reason ? say("refused") : say("lost");
    let left = seconds;
    const count = () => {
      notice.lastElementChild.textContent = left > 0 ? say("again", { n: left }) : say("againNow");
      left -= 1;
    };
    count();
    ticking = setInterval(count, 1000);
  });
}
