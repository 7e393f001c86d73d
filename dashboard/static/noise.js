// Keeps a live level's words and its place on the scale with the figure that live.js writes.
"use strict";

(() => {
  const fill = (pattern, n) => pattern.replace("{n}", n.toFixed(1));

  function follow(level) {
    const figure = level.querySelector("[data-limit]");
    if (!figure) return;
    const { low, high, above, below } = level.dataset;
    const value = Number(figure.textContent);
    const limit = Number(figure.dataset.limit);
    const share = (100 * (Math.min(Math.max(value, low), high) - low)) / (high - low);
    level.querySelector(".scale .now").setAttribute("width", share.toFixed(1));
    level.querySelector(".verdict").textContent = value - limit > 0.04 ? fill(above, value - limit) : fill(below, limit - value);
    level.classList.toggle("over", value > limit);
  }

  document.addEventListener("zhian:values", () => document.querySelectorAll(".noise .level").forEach(follow));
})();
