// The page that the phone shows when the hub cannot be reached: says since when, and goes back by itself.
"use strict";

(() => {
  const seen = document.getElementById("seen");
  const at = Number(localStorage.getItem("zhian-heard"));
  const words = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium" }); // 2026-11-22 14:02:07
  const said = (ms) => words.format(ms).replace(`${words.format(Date.now()).slice(0, 11)}`, ""); // of today the time alone
  if (at) seen.textContent = seen.dataset.word.replace("{at}", said(at));
  async function look() {
    try {
      const answer = await fetch("/healthz", { cache: "no-store" });
      if (answer.status < 500) location.reload();
    } catch {
      // not yet
    }
  }
  setInterval(look, 5000);
  document.getElementById("again").addEventListener("click", (event) => {
    event.preventDefault();
    location.reload();
  });
})();
