// Draws the charts of a device page with uPlot: a quiet line, its band from lowest to highest, the limit as a thin red
// line, and hatching where nothing was measured. New values come from live.js and are put on at the right.
"use strict";

(() => {
  const SPAN_MS = { "1h": 3600e3, "24h": 86400e3, "7d": 7 * 86400e3, "30d": 30 * 86400e3 };
  const HEIGHT = 280;
  const tz = document.body.dataset.tz;
  const inZone = (seconds) => uPlot.tzDate(new Date(seconds * 1000), tz);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const charts = [];

  function hatch(context) {
    const tile = document.createElement("canvas");
    tile.width = tile.height = 8;
    const pen = tile.getContext("2d");
    pen.strokeStyle = colour("--hatch");
    pen.globalAlpha = 0.45;
    pen.lineWidth = 2;
    pen.beginPath();
    for (const x of [-8, 0, 8]) {
      pen.moveTo(x, 8);
      pen.lineTo(x + 8, 0);
    }
    pen.stroke();
    return context.createPattern(tile, "repeat");
  }

  function drawGaps(plot, gaps) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.fillStyle = hatch(ctx);
    for (const [from, to] of gaps) {
      const left = plot.valToPos(from / 1000, "x", true);
      ctx.fillRect(left, bbox.top, plot.valToPos(to / 1000, "x", true) - left, bbox.height);
    }
    ctx.restore();
  }

  function range(data) {
    return (plot, low, high) => {
      const limits = data.limit.filter((value) => value !== null);
      const bottom = Math.min(low ?? Infinity, ...limits);
      const top = Math.max(high ?? -Infinity, ...limits);
      if (!Number.isFinite(bottom)) return [0, 1];
      const room = Math.max((top - bottom) * 0.08, 0.5 * 10 ** -data.decimals * 4);
      return [bottom - room, top + room];
    };
  }

  function options(element, data) {
    const label = element.dataset;
    const shown = (_, value) => (value == null ? "–" : `${value.toFixed(data.decimals)} ${data.unit}`.trim());
    const axis = { stroke: colour("--ink"), font: "16px system-ui", grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") } };
    return {
      width: element.clientWidth,
      height: HEIGHT,
      tzDate: inZone,
      cursor: { drag: { x: false, y: false } },
      scales: { x: { time: true, range: () => [data.since / 1000, data.until / 1000] }, y: { range: range(data) } },
      axes: [
        { ...axis, space: 90, values: xLabels(data) },
        { ...axis, size: 64 },
      ],
      series: [
        { label: label.labelTime, value: (_, seconds) => (seconds == null ? "–" : stamp(seconds)) },
        { label: label.labelMean, stroke: colour("--chart"), width: 2, points: { show: false }, value: shown },
        { label: label.labelBand, stroke: "transparent", points: { show: false }, value: (plot, value, _, index) => bandText(data, index, shown) },
        { label: "min", stroke: "transparent", points: { show: false }, value: shown },
        { label: label.labelLimit, stroke: colour("--p1"), width: 1.5, points: { show: false }, spanGaps: true, paths: uPlot.paths.stepped({ align: 1 }), value: shown },
      ],
      bands: [{ series: [2, 3], fill: colour("--chart-band") }],
      hooks: { drawClear: [(plot) => drawGaps(plot, data.gaps)] },
    };
  }

  function bandText(data, index, shown) {
    return index == null || data.min[index] == null ? "–" : `${data.min[index].toFixed(data.decimals)} – ${shown(null, data.max[index])}`;
  }

  function stamp(seconds) {
    const there = inZone(seconds);
    const two = (number) => String(number).padStart(2, "0");
    return `${two(there.getMonth() + 1)}-${two(there.getDate())} ${two(there.getHours())}:${two(there.getMinutes())}:${two(there.getSeconds())}`;
  }

  function xLabels(data) {
    const days = data.until - data.since > 2 * 86400e3;
    return (_, splits) => splits.map((seconds) => (days ? stamp(seconds).slice(0, 5) : stamp(seconds).slice(6, 11)));
  }

  const columns = (data) => [data.ts.map((ms) => ms / 1000), data.mean, data.max, data.min, data.limit];

  function draw(chart) {
    chart.plot?.destroy();
    chart.plot = null;
    chart.element.textContent = "";
    if (!chart.data.mean.some((value) => value !== null)) {
      const empty = document.createElement("p");
      empty.className = "empty";
      empty.textContent = chart.element.dataset.labelNone;
      chart.element.append(empty);
      return;
    }
    chart.plot = new uPlot(options(chart.element, chart.data), columns(chart.data), chart.element);
    const rows = chart.plot.root.querySelectorAll(".u-legend .u-series");
    if (chart.data.gaps.length) {
      const note = document.createElement("p");
      note.className = "gap-note quiet";
      note.textContent = chart.element.dataset.labelGap;
      chart.element.append(note);
    }
    rows[3].hidden = true; // the band names both of its edges
    rows[4].hidden = !chart.data.limit.some((value) => value !== null);
  }

  async function load(chart) {
    const wanted = chart.span;
    const url = `${chart.element.dataset.chart}&range=${wanted}`;
    const answer = await fetch(url, { headers: { "X-Refresh": "1" }, credentials: "same-origin", cache: "no-store" }).catch(() => null);
    if (!answer?.ok || chart.span !== wanted) return;
    chart.data = await answer.json();
    chart.due = performance.now() + Math.max(10000, SPAN_MS[wanted] / 400);
    draw(chart);
  }

  // A new value is a point of its own until the chart is loaded again.
  function add(chart, [ts, value]) {
    const { data } = chart;
    if (!data || typeof value !== "number" || ts <= (data.ts.at(-1) ?? 0)) return;
    if (performance.now() > chart.due) {
      chart.due = Infinity;
      load(chart);
      return;
    }
    const shift = ts - data.until;
    if (shift > 0) {
      data.until += shift;
      data.since += shift;
    }
    const row = { ts, min: value, mean: value, max: value, limit: data.limit.at(-1) ?? null };
    for (const [name, item] of Object.entries(row)) data[name].push(item);
    const last = data.gaps.at(-1);
    if (last && last[1] >= data.until - shift && last[1] > ts - 1000) data.gaps.pop();
    if (chart.plot) chart.plot.setData(columns(data));
    else draw(chart);
  }

  for (const element of document.querySelectorAll("[data-chart]")) {
    const buttons = [...element.closest(".chart").querySelectorAll("[data-span]")];
    const chart = { element, span: "1h", data: null, plot: null, due: Infinity };
    charts.push(chart);
    for (const button of buttons) {
      button.addEventListener("click", () => {
        for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
        chart.span = button.dataset.span;
        load(chart);
      });
    }
    load(chart);
  }

  document.addEventListener("zhian:values", ({ detail }) => {
    for (const chart of charts) {
      const news = detail[chart.element.dataset.name];
      if (news) add(chart, news);
    }
  });
  const redraw = () => charts.forEach((chart) => chart.data && draw(chart));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  addEventListener("resize", () => charts.forEach((chart) => chart.plot?.setSize({ width: chart.element.clientWidth, height: HEIGHT })));
})();
