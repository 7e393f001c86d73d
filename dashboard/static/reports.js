// While a report is being made, looks every second how far it is. Without this script the page says so when loaded anew.
"use strict";

(() => {
  const LOOK_MS = 1000;

  async function look() {
    const shelf = document.getElementById("shelf");
    if (!("working" in shelf.dataset)) return;
    try {
      const answer = await fetch(location.href, { headers: { "X-Refresh": "1" }, credentials: "same-origin", cache: "no-store" });
      if (answer.ok) {
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("shelf");
        if (fresh) shelf.replaceWith(document.importNode(fresh, true));
      }
    } catch {
      // live.js says that the link is lost
    }
    setTimeout(look, LOOK_MS);
  }

  setTimeout(look, LOOK_MS);
})();
