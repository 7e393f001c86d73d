// Parts of a page that are under way (data-running) are fetched again each second. Without this, loading it anew does.
"use strict";

(() => {
  const GAP_MS = 1000;
  async function look() {
    const parts = [...document.querySelectorAll("[data-running][id]")];
    if (!parts.length) return;
    try {
      const answer = await fetch(location.href, { headers: { "X-Refresh": "1" }, credentials: "same-origin", cache: "no-store" });
      const page = answer.ok ? new DOMParser().parseFromString(await answer.text(), "text/html") : null;
      for (const part of parts) {
        const fresh = page?.getElementById(part.id);
        if (fresh) part.replaceWith(document.importNode(fresh, true));
      }
    } finally {
      setTimeout(look, GAP_MS);
    }
  }
  setTimeout(look, GAP_MS);
})();
