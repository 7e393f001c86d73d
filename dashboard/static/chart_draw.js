// How a chart looks, with uPlot: a quiet line with its band and its limit, bars of counts and increases, stretches of
// states; hatched where nothing was measured. Draws what it is given; chart.js decides which stretch of time that is.
"use strict";

const chartDrawing = (() => {
  const words = document.getElementById("chart-words")?.dataset ?? {};
  const tz = document.body.dataset.tz;
  const zh = document.documentElement.lang.startsWith("zh");
  const inZone = (seconds) => uPlot.tzDate(new Date(seconds * 1000), tz);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const two = (number) => String(number).padStart(2, "0");
  const SHADES = [0.14, 0.5, 0.75, 0.95, 0.32, 0.62];
  const FONT = "16px system-ui";

  function stamp(seconds) {
    const there = inZone(seconds);
    return `${there.getFullYear()}-${two(there.getMonth() + 1)}-${two(there.getDate())} ${two(there.getHours())}:${two(there.getMinutes())}:${two(there.getSeconds())}`;
  }

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

  function inside(plot, draw) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    draw(ctx, bbox, (ms) => plot.valToPos(ms / 1000, "x", true));
    ctx.restore();
  }

  function drawGaps(plot, gaps) {
    inside(plot, (pen, box, at) => {
      pen.fillStyle = hatch(pen);
      for (const [from, to] of gaps) pen.fillRect(at(from), box.top, at(to) - at(from), box.height);
    });
  }

  const shade = (data, state) => (state === "*" ? 0.4 : SHADES[Math.max(0, Object.keys(data.states).indexOf(state)) % SHADES.length]);
  const stateName = (data, state) => (state === "*" ? words.several : data.states[state]?.[zh ? "zh" : "en"] ?? state);

  function drawStretches(plot, data) {
    inside(plot, (pen, box, at) => {
      pen.font = `${16 * devicePixelRatio}px system-ui`;
      pen.textBaseline = "middle";
      pen.textAlign = "left";
      for (const [from, to, state] of data.stretches) {
        const left = Math.max(at(from), box.left);
        const width = Math.max(Math.min(at(to), box.left + box.width) - left, devicePixelRatio);
        const alpha = shade(data, state);
        pen.globalAlpha = alpha;
        pen.fillStyle = colour("--chart");
        pen.fillRect(left, box.top, width, box.height);
        pen.globalAlpha = 1;
        const name = stateName(data, state);
        if (pen.measureText(name).width + 16 * devicePixelRatio > width) continue;
        pen.fillStyle = alpha > 0.45 ? colour("--raised") : colour("--ink");
        pen.fillText(name, left + 8 * devicePixelRatio, box.top + box.height / 2);
      }
    });
  }

  function gaugeRange(data) {
    return (_, low, high) => {
      const limits = data.limit.filter((value) => value !== null);
      const bottom = Math.min(low ?? Infinity, ...limits);
      const top = Math.max(high ?? -Infinity, ...limits);
      if (!Number.isFinite(bottom)) return [0, 1];
      const room = Math.max((top - bottom) * 0.08, 0.5 * 10 ** -data.decimals * 4);
      return [bottom - room, top + room];
    };
  }

  const figure = (data, value) => (value == null ? "–" : `${value.toFixed(data.kind === "event" ? 0 : data.decimals)} ${data.unit ?? ""}`.trim());
  const band = (data, index) => (index == null || data.min[index] == null ? "–" : `${data.min[index].toFixed(data.decimals)} – ${figure(data, data.max[index])}`);
  const clear = { stroke: "transparent", points: { show: false } };

  const kinds = {
    gauge: {
      height: 280,
      columns: (data) => [data.ts.map((ms) => ms / 1000), data.mean, data.max, data.min, data.limit],
      range: gaugeRange,
      series: (data) => [
        { label: words.mean, stroke: colour("--chart"), width: 2, points: { show: false }, value: (_, value) => figure(data, value) },
        { ...clear, label: words.band, value: (_, value, __, index) => band(data, index) },
        { ...clear, label: "min" },
        { label: words.limit, stroke: colour("--p1"), width: 1.5, points: { show: false }, spanGaps: true, paths: uPlot.paths.stepped({ align: 1 }), value: (_, value) => figure(data, value) },
      ],
      more: () => ({ bands: [{ series: [2, 3], fill: colour("--chart-band") }] }),
      empty: (data) => !data.mean.some((value) => value !== null),
    },
    bars: {
      height: 220,
      columns: (data) => [data.ts.map((ms) => ms / 1000), data.value],
      range: () => (_, __, high) => [0, Math.max(high ?? 1, 1e-9) * 1.08],
      series: (data) => [
        { label: data.kind === "event" ? words.count : words.increase, stroke: colour("--chart"), fill: colour("--chart"), width: 0, points: { show: false }, paths: uPlot.paths.bars({ size: [0.86], align: 1 }), value: (_, value) => figure(data, value) },
      ],
      more: () => ({}),
      empty: (data) => !data.value.some((value) => value !== null),
    },
    state: {
      height: 110,
      columns: (data) => [[data.since / 1000, data.until / 1000], [null, null]],
      range: () => () => [0, 1],
      series: () => [{ ...clear, label: "", show: true }],
      more: () => ({ legend: { show: false } }),
      empty: (data) => !data.stretches.length,
    },
  };
  const kindOf = (data) => kinds[data.kind] ?? kinds.bars;

  function xLabels(window) {
    const length = window.until - window.since;
    return (_, splits) =>
      splits.map((seconds) => {
        const text = stamp(seconds);
        if (length > 400 * 86400e3) return text.slice(0, 7);
        if (length > 2 * 86400e3) return text.slice(5, 10);
        return length < 300e3 ? text.slice(11) : text.slice(11, 16);
      });
  }

  const isPointing = (what) => what === "mousemove" || what === "mouseleave"; // shown in all charts; what is dragged is of one

  // `window` is asked each time: it moves under the finger before its data has come.
  function options(element, data, window) {
    const kind = kindOf(data);
    const axis = { stroke: colour("--ink"), font: FONT, grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") } };
    return {
      width: element.clientWidth,
      height: kind.height,
      tzDate: inZone,
      cursor: { drag: { x: true, y: false, setScale: false }, bind: { dblclick: () => () => null }, y: false, sync: { key: "charts", filters: { pub: isPointing } } },
      scales: { x: { time: true, range: () => [window().since / 1000, window().until / 1000] }, y: { range: kind.range(data) } },
      axes: [
        { ...axis, space: 90, values: (plot, splits) => xLabels(window())(plot, splits) },
        { ...axis, size: 64, show: data.kind !== "state", incrs: data.kind === "event" ? [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 100000, 1000000] : undefined },
      ],
      series: [{ label: words.time, value: (_, seconds) => (seconds == null ? "–" : stamp(seconds)) }, ...kind.series(data)],
      ...kind.more(),
      hooks: {
        setCursor: [(plot) => plot.root.classList.toggle("pointed", plot.cursor.idx != null)],
        drawClear: [(plot) => drawGaps(plot, data.gaps)],
        draw: data.kind === "state" ? [(plot) => drawStretches(plot, data)] : [],
      },
    };
  }

  return { kindOf, options, stamp, shade, stateName, figure, words, columns: (data) => kindOf(data).columns(data) };
})();
