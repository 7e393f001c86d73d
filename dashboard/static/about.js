// While a backup is under way, its part of the page is fetched again each second. Without this, loading it anew does.
"use strict";

(() => {
  const SLOW_MS = 1000;
  async function look() {
    const here = document.getElementById("backup-work");
    if (!here?.dataset.running) return;
    try {
      const answer = await fetch(location.href, { headers: { "X-Refresh": "1" }, credentials: "same-origin", cache: "no-store" });
      if (answer.ok) {
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("backup-work");
        if (fresh) here.replaceWith(document.importNode(fresh, true));
      }
    } finally {
      setTimeout(look, SLOW_MS);
    }
  }
  setTimeout(look, SLOW_MS);
})();
