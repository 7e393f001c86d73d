// Makes a server-rendered page live: listens to /stream, and has htmx fetch the page again when something changed and
// morph what differs into place (idiomorph). Without this script every page works as plain HTML with forms.
"use strict";

(() => {
  const body = document.body.dataset;
  const BEAT_MS = 5000;
  const LOST_MS = 2.4 * BEAT_MS; // the stream says something at least every BEAT_MS
  const RUNNING_REFRESH_MS = 1000; // of what says how far it is
  const QUIET_REFRESH_MS = 15000;
  const SHARED_MS = 1000; // a page that was made for many may be so old: the figures that were told since are newer
  const REFRESH_GAP_MS = 150; // a burst of changes is one refresh, and a last one after it

  // --- time: the hub's clock, which a demo may run faster ------------------------------------------------------
  const time = { hub: Number(body.now), here: performance.now(), speed: Number(body.speed) };
  const hubNow = () => time.hub + (performance.now() - time.here) * time.speed;
  const setClock = (now) => Object.assign(time, { hub: now, here: performance.now() });
  const clockFormat = new Intl.DateTimeFormat("en-GB", {
    timeZone: body.tz, hour: "2-digit", minute: "2-digit", second: "2-digit",
  });
  const fill = (pattern, values) => pattern.replace(/\{(\w+)\}/g, (_, name) => values[name]);

  function age(ms) {
    const s = Math.max(0, Math.floor(ms / 1000));
    if (s < 60) return fill(body.wordS, { s });
    const m = Math.floor(s / 60) % 60;
    const h = Math.floor(s / 3600) % 24;
    if (s < 3600) return fill(s % 60 ? body.wordM : body.wordMinutes, { m, s: s % 60 });
    if (s < 86400) return fill(m ? body.wordH : body.wordHours, { h, m });
    return fill(h ? body.wordD : body.wordDays, { d: Math.floor(s / 86400), h });
  }

  function setText(element, text) {
    if (element && element.textContent !== text) element.textContent = text;
  }

  function tick() {
    const now = hubNow();
    for (const element of document.querySelectorAll("time[data-at]")) setText(element, age(now - Number(element.dataset.at)));
    for (const element of document.querySelectorAll("time[data-until]")) setText(element, age(Number(element.dataset.until) - now));
    if (connected) setText(document.getElementById("clock"), clockFormat.format(now));
    if (heard && performance.now() - heard > LOST_MS) lose();
  }

  // --- morph: what a person is doing stays -----------------------------------------------------------------------
  const FIELDS = "input:not([type=hidden]), textarea, select";

  function isDirty(field) {
    if (field === document.activeElement) return true;
    if (field.multiple && field.options) return [...field.options].some((option) => option.selected !== option.defaultSelected);
    if (field.options) return field.selectedIndex !== Math.max(0, [...field.options].findLastIndex((option) => option.defaultSelected));
    if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
    return field.value !== field.defaultValue;
  }

  const isElement = (node) => node.nodeType === Node.ELEMENT_NODE;
  const holdsWork = (node) => isElement(node) && [node, ...node.querySelectorAll(FIELDS)].some((one) => one.matches(FIELDS) && isDirty(one));
  const isSending = (name, element) => name.includes("disabled") && element.hasAttribute("data-disabled-by-htmx");
  const isUnfolded = (name, element) => name === "open" && element.localName === "details" && element.hasChildNodes(); // a new one is empty yet
  const wasTold = (node) => node.parentNode?.id === "flashes";

  Object.assign(Idiomorph.defaults.callbacks, {
    beforeNodeMorphed: (old, fresh) => !old.isEqualNode(fresh) && !(isElement(old) && (old.hasAttribute("data-keep") || (old.matches(FIELDS) && isDirty(old)))),
    beforeNodeRemoved: (old) => !holdsWork(old) && !wasTold(old),
    beforeAttributeUpdated: (name, old) => !isUnfolded(name, old) && !isSending(name, old),
  });

  // --- what htmx fetches: the page itself, anew or with other filters, and the answers to forms --------------------
  const live = document.getElementById("live");
  const here = () => location.pathname + location.search;
  let asked = -Infinity;
  let pending = 0;

  const parts = [...document.querySelectorAll("#strips, #flashes, [data-live]")]; // each has an id: a test sees to it
  document.body.setAttribute("hx-select-oob", parts.map((part) => `#${part.id}:morph`).join());

  function refresh() {
    const wait = asked + REFRESH_GAP_MS - performance.now();
    if (wait <= 0) ask("1");
    else pending ||= setTimeout(ask, wait, "1");
  }

  function ask(why) {
    clearTimeout(pending);
    pending = 0;
    if (ended) return;
    asked = performance.now();
    htmx.ajax("GET", "", { source: live, headers: { "X-Refresh": why } }).catch(() => {}); // while one is under way, htmx lets the last wait
  }

  live.addEventListener("htmx:configRequest", ({ detail }) => {
    detail.path = here(); // as it is when the request leaves, and without the place to scroll to
  });

  // What came from another address is not this page made anew: filters were changed meanwhile, or the server leads elsewhere.
  document.body.addEventListener("htmx:beforeSwap", ({ detail }) => {
    const { elt, verb } = detail.requestConfig;
    const { status } = detail.xhr;
    // A page that says "no such page" is as live as any other: its strips are news, the answer is what it was.
    if (elt === live && body.code && status > 401 && status < 500) Object.assign(detail, { shouldSwap: true, isError: false });
    const came = new URL(detail.xhr.responseURL);
    const isWanted = elt === live ? came.pathname + came.search === here() : came.pathname === location.pathname;
    if (verb === "get" && isWanted) return;
    detail.shouldSwap = false;
    if (verb === "get" && detail.pathInfo.finalRequestPath !== came.pathname + came.search) location.assign(came);
  });

  document.body.addEventListener("htmx:afterSettle", ({ detail }) => {
    const made = Number(/ data-now="(\d+)"/.exec(detail.xhr?.responseText)?.[1]) - SHARED_MS;
    showValues(Object.fromEntries([...told].filter(([, one]) => one.now > made).map(([name, one]) => [name, one.value])));
    tick();
    if (source && seriesHere() !== listening) listen(); // a figure that was not there before: without this it would stand still
  });

  document.body.addEventListener("htmx:afterRequest", ({ detail }) => {
    if (!detail.successful) return;
    const { elt, verb } = detail.requestConfig;
    if (elt === live && connected) show();
    if (verb === "post") {
      elt.reset();
      for (const kept of elt.querySelectorAll("[data-keep]")) kept.removeAttribute("data-keep");
      document.activeElement?.blur();
    }
    if (elt !== live) refresh(); // what changed while this was under way
  });

  function fail({ detail }) {
    const { elt, verb } = detail.requestConfig;
    if (detail.xhr.status === 401) end();
    else if (elt === live) lose();
    else if (verb === "get") location.assign(detail.pathInfo.finalRequestPath); // as it would without script
    if (verb !== "post") return;
    const button = elt.querySelector("button");
    setText(button, body.wordUnsent);
    for (const kept of [button, elt.elements.token]) kept.setAttribute("data-keep", ""); // sent again it is the same order, not a second one
    refresh();
  }

  for (const name of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) document.body.addEventListener(name, fail);

  // --- the stream ------------------------------------------------------------------------------------------------
  let source = null;
  let connected = false;
  let ended = false;
  let heard = 0;
  let noted = -Infinity;
  let retry = 0;
  let retrying = 0;
  let listening = "";
  const told = new Map(); // the newest figures by series, and when

  function seriesHere() {
    const series = new Set([...document.querySelectorAll("[data-series], [data-name]")].map((e) => e.dataset.series || e.dataset.name));
    return [...series].slice(0, 200).join(",");
  }

  function listen() {
    listening = seriesHere();
    connected = false;
    heard = performance.now(); // from now on silence counts
    source?.close();
    source = new EventSource(`/stream?series=${encodeURIComponent(listening)}`);
    source.addEventListener("beat", (event) => {
      const { now, speed } = JSON.parse(event.data);
      time.speed = speed;
      hear(now);
    });
    source.addEventListener("change", (event) => {
      const { now, what } = JSON.parse(event.data);
      hear(now);
      const wanted = ["hub", ...[...document.querySelectorAll("[data-live]")].flatMap((e) => e.dataset.live.split(" "))];
      if (document.getElementById("strips")) wanted.push("alarms", "health", "orders");
      if (what.some((one) => wanted.includes(one))) refresh();
    });
    source.addEventListener("values", (event) => {
      const { now, values } = JSON.parse(event.data);
      hear(now);
      for (const [name, value] of Object.entries(values)) told.set(name, { now, value });
      showValues(values);
    });
    source.addEventListener("ended", (event) => {
      if (JSON.parse(event.data).why === "signed-out") end();
    });
    source.onerror = lose;
  }

  function hear(now) {
    setClock(now);
    heard = performance.now();
    if (heard - noted > 10000) {
      noted = heard;
      localStorage.setItem("zhian-heard", String(Date.now())); // for the page that says "no connection"
    }
    if (connected) return;
    connected = true;
    refresh(); // what changed before the stream began; the page is live with what that brings
  }

  function show() {
    retry = 0;
    document.getElementById("lost").hidden = true;
    setText(document.getElementById("live-word"), body.wordLive);
  }

  function lose() {
    if (ended) return;
    source?.close();
    source = null;
    heard = 0;
    connected = false;
    htmx.trigger(live, "htmx:abort"); // a refresh without an answer would hold up the next one
    const banner = document.getElementById("lost");
    if (banner.hidden) {
      banner.textContent = fill(body.wordLost, { at: clockFormat.format(time.hub) });
      banner.hidden = false;
      setText(document.getElementById("live-word"), "");
    }
    retry += 1;
    clearTimeout(retrying);
    retrying = setTimeout(reconnect, Math.min(10000, 500 * 2 ** Math.min(retry, 5)));
  }

  async function reconnect() {
    try {
      const answer = await fetch("/api/v1/clock", { headers: { "X-Refresh": "1" }, credentials: "same-origin", cache: "no-store" });
      if (answer.status === 401) {
        end();
        return;
      }
    } catch {
      lose();
      return;
    }
    if (!source && !ended) listen();
  }

  function end() {
    ended = true;
    connected = false;
    source?.close();
    const banner = document.getElementById("lost");
    banner.textContent = "";
    const link = document.createElement("a");
    link.href = `${body.login}?next=${encodeURIComponent(location.pathname + location.search)}`;
    link.textContent = body.wordEnded;
    banner.append(link);
    banner.hidden = false;
    setText(document.getElementById("live-word"), "");
  }

  function showValues(values) {
    for (const [name, [, value]] of Object.entries(values)) {
      if (typeof value !== "number") continue;
      for (const element of document.querySelectorAll(`[data-series="${CSS.escape(name)}"]`)) {
        setText(element, value.toFixed(Number(element.dataset.decimals)));
        if (element.dataset.limit) element.closest("div").classList.toggle("over", value > Number(element.dataset.limit));
        const seen = element.parentElement.querySelector("time[data-at]");
        if (seen) seen.dataset.at = values[name][0];
      }
      for (const seen of document.querySelectorAll(`time[data-of="${CSS.escape(name.split("/")[0])}"]`)) seen.dataset.at = values[name][0];
    }
    document.dispatchEvent(new CustomEvent("zhian:values", { detail: values }));
  }

  // --- start ---------------------------------------------------------------------------------------------------------
  for (const fold of document.querySelectorAll("details[data-fold]")) {
    if (matchMedia("(max-width: 800px)").matches) fold.removeAttribute("open");
  }
  addEventListener("pagehide", () => source?.close());
  addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });
  setInterval(tick, 500);
  setInterval(() => connected && !document.hidden && !live.matches(".htmx-request") && ask("quiet"), QUIET_REFRESH_MS); // ages of what has not changed
  setInterval(() => connected && document.querySelector("[data-running]") && refresh(), RUNNING_REFRESH_MS);
  listen();
  window.zhianNow = hubNow;
  if (window.isSecureContext) navigator.serviceWorker?.register("/worker.js").catch(() => {}); // works without it too
})();
