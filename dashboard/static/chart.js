// The charts of a device page: which stretch of time they show, all the same (buttons, dates, drag, wheel, keys, fingers),
// fetched anew for each, so that zooming in shows more and not the same larger. New values are put on at the right.
"use strict";

(() => {
  const { kindOf, options, columns, stamp, shade, stateName, figure, words } = chartDrawing;
  const SPAN_MS = { "1h": 3600e3, "24h": 86400e3, "7d": 7 * 86400e3, "30d": 30 * 86400e3, "90d": 90 * 86400e3, "1y": 365 * 86400e3 };
  const SHORTEST = 10e3;
  const LONGEST = 3660 * 86400e3;
  const SETTLE = 250;
  const WAIT = 10e3;
  const charts = [];
  const bar = document.getElementById("chart-tools");
  if (!bar) return;
  const dates = document.querySelector("#chart-dates .dates");
  const stretch = document.querySelector("#chart-dates .stretch");
  const spans = [...bar.querySelectorAll("[data-span]")];
  const view = { span: spans.find((button) => button.getAttribute("aria-pressed") === "true").dataset.span, window: null, dates: null, edge: null, settle: 0 };

  const shown = (chart) => view.window ?? { since: chart.data.since, until: chart.data.until };
  const first = () => charts.find((chart) => chart.data);

  function query() {
    if (view.window) return `since=${Math.round(view.window.since)}&until=${Math.round(view.window.until)}`;
    return view.dates ?? `range=${view.span}`;
  }

  function loadAll() {
    for (const chart of charts) if (chart.seen) load(chart);
  }

  async function load(chart) {
    const wanted = query();
    const answer = await fetch(`${chart.url}&${wanted}`, { headers: { "X-Refresh": "1" }, credentials: "same-origin", cache: "no-store" }).catch(() => null);
    if (query() !== wanted) return; // something else is wanted by now
    if (!answer?.ok) {
      write(chart.said, words.failed);
      return;
    }
    chart.data = await answer.json();
    if (query() !== wanted) return;
    chart.due = performance.now() + Math.max(WAIT, (chart.data.until - chart.data.since) / 400);
    draw(chart);
  }

  function draw(chart) {
    chart.plot?.destroy();
    chart.plot = null;
    chart.drawing.textContent = "";
    const { data } = chart;
    if (kindOf(data).empty(data)) note(chart, "empty", words.none);
    else {
      chart.plot = new uPlot(options(chart.drawing, data, () => shown(chart)), columns(data), chart.drawing);
      chart.plot.hooks.setSelect = [selected];
      if (data.kind === "gauge") {
        const rows = chart.plot.root.querySelectorAll(".u-legend .u-series");
        rows[3].hidden = true; // the band names both of its edges
        rows[4].hidden = !data.limit.some((value) => value !== null);
      }
      fingers(chart.plot.over, chart.drawing);
      if (data.gaps.length) note(chart, "gap-note quiet", words.gap);
    }
    for (const [since, until] of data.thinned ?? []) note(chart, "gap-note", `${words.thinned} ${stamp(since / 1000)} – ${stamp(until / 1000)}`);
    if (!data.whole) note(chart, "gap-note", words.part);
    keys(chart);
    tell(chart);
  }

  function note(chart, name, text) {
    const made = document.createElement("p");
    made.className = name;
    made.textContent = text;
    chart.drawing.append(made);
  }

  // Read aloud after somebody moved the charts, not each time that they move on by themselves.
  function write(element, text) {
    element.setAttribute("aria-live", view.window || view.dates ? "polite" : "off");
    if (element.textContent !== text) element.textContent = text;
  }

  function keys(chart) {
    chart.key.textContent = "";
    if (chart.data.kind !== "state") return;
    for (const state of new Set(chart.data.stretches.map((each) => each[2]))) {
      const swatch = document.createElement("i");
      swatch.style.setProperty("--shade", shade(chart.data, state));
      const item = document.createElement("li");
      item.append(swatch, ` ${stateName(chart.data, state)}`);
      chart.key.append(item);
    }
  }

  const long = (ms) => {
    const minutes = Math.round(ms / 60e3);
    if (minutes < 60) return words.wordM.replace("{m}", minutes);
    const [hours, days, rest] = [Math.floor(minutes / 60), Math.floor(minutes / 1440), Math.floor((minutes % 1440) / 60)];
    if (minutes < 2880) return (minutes % 60 ? words.wordH : words.wordHours).replace("{h}", hours).replace("{m}", minutes % 60);
    return (rest ? words.wordD : words.wordDays).replace("{d}", days).replace("{h}", rest);
  };

  // From when to when, once for all charts, and which buttons say so.
  function tellStretch() {
    if (!first()) return;
    const { since, until } = shown(first());
    write(stretch, `${stamp(since / 1000)} – ${stamp(until / 1000)}`);
    const moved = Boolean(view.window || view.dates);
    bar.querySelector("[data-move=now]").disabled = !moved;
    for (const button of spans) button.setAttribute("aria-pressed", String(!moved && button.dataset.span === view.span));
    for (const chart of charts) chart.csv.href = `${chart.url}&${query()}&format=csv`;
  }

  // The same in words, for those who cannot see the picture, and for all others.
  function tell(chart) {
    const { data } = chart;
    const parts = [];
    if (data.kind === "gauge") {
      const lows = data.min.filter((value) => value !== null);
      if (lows.length) parts.push(`${words.band}${words.colon}${Math.min(...lows).toFixed(data.decimals)} – ${figure(data, Math.max(...data.max.filter((value) => value !== null)))}`);
    } else if (data.kind === "state") {
      for (const [state, ms] of Object.entries(data.totals)) parts.push(`${stateName(data, state)} ${long(ms)}`);
      if (data.unknown > 60e3) parts.push(`${words.unknown} ${long(data.unknown)}`);
    } else {
      parts.push(`${words.total} ${figure(data, data.total)}`);
      if (data.in_gaps) parts.push(`${words.inGaps} ${figure(data, data.in_gaps)}`);
      for (const name of ["rolled", "resets", "others"]) if (data[name]) parts.push(`${words[name]} ${data[name]}`);
    }
    write(chart.said, parts.join(" · "));
    tellStretch();
  }

  // Shows at once what there is, and asks for the rest when hand or finger rests.
  function move(since, until) {
    const drawn = charts.filter((chart) => chart.data);
    if (!drawn.length) return;
    view.edge ??= Math.max(Date.now(), ...drawn.map((chart) => chart.data.until));
    const length = Math.min(LONGEST, Math.max(SHORTEST, until - since));
    const to = Math.min(until, view.edge);
    view.window = { since: Math.max(0, to - length), until: to };
    view.dates = null;
    for (const chart of drawn) chart.plot?.setScale("x", { min: view.window.since / 1000, max: view.window.until / 1000 });
    tellStretch();
    clearTimeout(view.settle);
    view.settle = setTimeout(loadAll, SETTLE);
  }

  function pan(share) {
    if (!first()) return;
    const { since, until } = shown(first());
    const by = (until - since) * share;
    move(since + by, until + by);
  }

  function zoom(factor, share = 0.5) {
    if (!first()) return;
    const { since, until } = shown(first());
    const length = Math.max(SHORTEST, (until - since) * factor);
    const centre = since + (until - since) * share;
    move(centre - length * share, centre + length * (1 - share));
  }

  function live(span = view.span) {
    Object.assign(view, { span, window: null, dates: null, edge: null });
    loadAll();
  }

  function selected(plot) {
    const { left, width } = plot.select;
    if (width < 8) return;
    const [since, until] = [plot.posToVal(left, "x") * 1000, plot.posToVal(left + width, "x") * 1000];
    plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    move(since, until);
  }

  // One finger moves, two zoom; up and down still scrolls the page. A mouse with shift moves as well.
  function fingers(area, drawing) {
    const down = new Map();
    let before = null;
    const reading = () => {
      const xs = [...down.values()];
      return { centre: xs.reduce((sum, x) => sum + x, 0) / xs.length, apart: xs.length > 1 ? Math.abs(xs[0] - xs[1]) : 0 };
    };
    area.addEventListener("pointerdown", (event) => {
      if (event.pointerType === "mouse") return;
      down.set(event.pointerId, event.clientX);
      before = reading();
    });
    area.addEventListener("pointermove", (event) => {
      if (!down.has(event.pointerId)) return;
      down.set(event.pointerId, event.clientX);
      const now = reading();
      const box = area.getBoundingClientRect();
      if (before.apart > 24 && now.apart > 24) zoom(before.apart / now.apart, (now.centre - box.left) / box.width);
      pan((before.centre - now.centre) / box.width);
      before = now;
    });
    for (const name of ["pointerup", "pointercancel", "pointerleave"]) {
      area.addEventListener(name, (event) => {
        down.delete(event.pointerId);
        before = down.size ? reading() : null;
      });
    }
    area.addEventListener(
      "wheel",
      (event) => {
        if (!event.ctrlKey && !event.metaKey && document.activeElement !== drawing) return; // the page scrolls
        event.preventDefault();
        const box = area.getBoundingClientRect();
        zoom(event.deltaY > 0 ? 1.25 : 0.8, (event.clientX - box.left) / box.width);
      },
      { passive: false },
    );
  }

  const KEYS = {
    ArrowLeft: () => pan(-0.2),
    ArrowRight: () => pan(0.2),
    PageUp: () => pan(-1),
    PageDown: () => pan(1),
    "+": () => zoom(0.5),
    "=": () => zoom(0.5),
    "-": () => zoom(2),
    Home: () => live(),
    Escape: () => live(),
  };
  const BUTTONS = { earlier: KEYS.ArrowLeft, later: KEYS.ArrowRight, closer: KEYS["+"], wider: KEYS["-"], now: KEYS.Home };

  // A new value is a point of its own until the chart is loaded again.
  function add(chart, [ts, value]) {
    const { data } = chart;
    if (!data || view.window || view.dates || data.kind !== "gauge" || typeof value !== "number" || ts <= (data.ts.at(-1) ?? 0)) return;
    const shift = Math.max(0, ts - data.until);
    data.until += shift;
    data.since += shift;
    const row = { ts, min: value, mean: value, max: value, count: 1, limit: data.limit.at(-1) ?? null };
    for (const [name, item] of Object.entries(row)) data[name].push(item);
    const last = data.gaps.at(-1);
    if (last && last[1] >= data.until - shift && last[1] > ts - 1000) data.gaps.pop();
    if (chart.plot) chart.plot.setData(columns(data));
    else draw(chart);
  }

  function begin(section) {
    const find = (name) => section.querySelector(name);
    const chart = { section, data: null, plot: null, due: Infinity, seen: false, url: section.dataset.chart, drawing: find(".drawing"), said: find(".said"), key: find(".key"), csv: find(".csv") };
    chart.drawing.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
      event.preventDefault();
      KEYS[event.key]();
    });
    charts.push(chart);
    return chart;
  }

  for (const button of spans) button.addEventListener("click", () => live(button.dataset.span));
  for (const button of bar.querySelectorAll("[data-move]")) button.addEventListener("click", () => BUTTONS[button.dataset.move]());
  dates.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    Object.assign(view, { window: null, dates: new URLSearchParams(new FormData(event.target)).toString() });
    dates.open = false;
    loadAll();
  });

  const watcher = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        const chart = charts.find((each) => each.section === target);
        if (isIntersecting && !chart.seen) load(chart);
        chart.seen ||= isIntersecting;
      }
    },
    { rootMargin: "400px" },
  );
  for (const section of document.querySelectorAll("[data-chart]")) watcher.observe(begin(section).section);

  document.addEventListener("zhian:values", ({ detail }) => {
    for (const chart of charts) {
      const news = detail[chart.section.dataset.name];
      if (news) add(chart, news);
    }
  });
  setInterval(() => {
    for (const chart of charts) {
      if (document.hidden || !chart.seen || view.window || view.dates || performance.now() < chart.due) continue;
      chart.due = Infinity;
      load(chart);
    }
  }, 1000);
  const redraw = () => charts.forEach((chart) => chart.data && draw(chart));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  addEventListener("resize", () => charts.forEach((chart) => chart.plot?.setSize({ width: chart.drawing.clientWidth, height: kindOf(chart.data).height })));
})();
