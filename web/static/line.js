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
    let left = seconds;
    const count = () => {
      const text = left > 0 ? say("lost", { n: left }) : say("retrying");
      notice.textContent = reason ? `${say("refused")} ${text}` : text;
      left -= 1;
    };
    count();
    ticking = setInterval(count, 1000);
  });
}
