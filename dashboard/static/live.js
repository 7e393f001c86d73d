// Makes a server-rendered page live: listens to /stream, fetches the page again when something changed, and morphs
// what differs into place. Without this script every page works as plain HTML with forms.
"use strict";

(() => {
  const body = document.body.dataset;
  const BEAT_MS = 5000;
  const LOST_MS = 2.4 * BEAT_MS; // the stream says something at least every BEAT_MS
  const QUIET_REFRESH_MS = 15000;
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
    if (s < 3600) return fill(body.wordM, { m: Math.floor(s / 60), s: s % 60 });
    if (s < 86400) return fill(body.wordH, { h: Math.floor(s / 3600), m: Math.floor((s % 3600) / 60) });
    return fill(body.wordD, { d: Math.floor(s / 86400), h: Math.floor((s % 86400) / 3600) });
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

  // --- morph: make `old` like `fresh` without touching what a person is doing ----------------------------------
  const isDirty = (field) =>
    field.matches("input:not([type=hidden]), textarea, select") &&
    (field === document.activeElement || (field.tagName === "SELECT"
      ? [...field.options].some((option) => option.selected !== option.defaultSelected)
      : field.value !== field.defaultValue));
  const holdsWork = (element) =>
    element.nodeType === Node.ELEMENT_NODE && (isDirty(element) || [...element.querySelectorAll("input, textarea, select")].some(isDirty));
  const keyOf = (node) => (node.nodeType === Node.ELEMENT_NODE ? node.id : "");
  const alike = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && keyOf(a) === keyOf(b);

  function morphAttributes(old, fresh) {
    for (const { name } of [...old.attributes]) {
      const personal = (name === "open" && old.tagName === "DETAILS") || (name === "disabled" && old.dataset.sending);
      if (!personal && !fresh.hasAttribute(name)) old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) {
      const personal = name === "open" && old.tagName === "DETAILS";
      if (!personal && old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
  }

  function morph(old, fresh) {
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
      return;
    }
    if (old.hasAttribute("data-keep") || isDirty(old)) return;
    morphAttributes(old, fresh);
    morphChildren(old, fresh);
  }

  function morphChildren(old, fresh) {
    const keyed = new Map([...old.children].filter(keyOf).map((child) => [keyOf(child), child]));
    let place = old.firstChild;
    for (const wanted of [...fresh.childNodes]) {
      const same = keyOf(wanted) ? keyed.get(keyOf(wanted)) : place && alike(place, wanted) ? place : null;
      if (same && same.nodeName === wanted.nodeName) {
        if (same === place) place = place.nextSibling;
        else old.insertBefore(same, place);
        morph(same, wanted);
      } else {
        old.insertBefore(document.importNode(wanted, true), place);
      }
    }
    while (place) {
      const next = place.nextSibling;
      if (!holdsWork(place)) place.remove();
      place = next;
    }
  }

  // --- refresh --------------------------------------------------------------------------------------------------
  let refreshing = false;
  let again = false;

  async function refresh(why = "1") {
    if (refreshing) {
      again ||= why !== "quiet";
      return;
    }
    refreshing = true;
    try {
      const answer = await fetch(location.href, { headers: { "X-Refresh": why }, credentials: "same-origin", cache: "no-store" });
      if (answer.status === 401) {
        end();
        return;
      }
      if (answer.ok) take(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch {
      lose();
    } finally {
      refreshing = false;
    }
    if (again) {
      again = false;
      setTimeout(() => refresh(), REFRESH_GAP_MS);
    }
  }

  const told = new Map(); // the newest figures: a page that was made for many may be a second older than they

  function take(page) {
    document.title = page.title;
    for (const old of document.querySelectorAll("#strips, [data-live]")) {
      const fresh = page.getElementById(old.id); // each has one: a test sees to it
      if (fresh) morph(old, fresh);
    }
    const made = Number(page.body.dataset.now) - 1000;
    showValues(Object.fromEntries([...told].filter(([, one]) => one.now > made).map(([name, one]) => [name, one.value])));
    tick();
    if (source && seriesHere() !== listening) listen(); // a figure that was not there before: without this it would stand still
    document.dispatchEvent(new CustomEvent("zhian:refreshed"));
  }

  // --- the stream ------------------------------------------------------------------------------------------------
  let source = null;
  let connected = false;
  let ended = false;
  let heard = 0;
  let noted = -Infinity;
  let retry = 0;

  let listening = "";

  function seriesHere() {
    const series = new Set([...document.querySelectorAll("[data-series], [data-name]")].map((e) => e.dataset.series || e.dataset.name));
    return [...series].slice(0, 200).join(",");
  }

  function listen() {
    listening = seriesHere();
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
    const first = retry === 0;
    retry = 0;
    document.getElementById("lost").hidden = true;
    setText(document.getElementById("live-word"), body.wordLive);
    if (!first) refresh();
  }

  function lose() {
    if (ended) return;
    source?.close();
    source = null;
    heard = 0;
    if (connected || retry === 0) {
      const banner = document.getElementById("lost");
      banner.textContent = fill(body.wordLost, { at: clockFormat.format(time.hub) });
      banner.hidden = false;
      setText(document.getElementById("live-word"), "");
    }
    connected = false;
    retry += 1;
    setTimeout(reconnect, Math.min(10000, 500 * 2 ** Math.min(retry, 5)));
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

  // --- forms that need no new page ---------------------------------------------------------------------------------
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.matches("form[data-send]")) return;
    event.preventDefault();
    const button = form.querySelector("button");
    if (button.dataset.sending) return;
    button.dataset.sending = "1";
    button.disabled = true;
    let sent = false;
    try {
      const answer = await fetch(form.action, {
        method: "POST", body: new URLSearchParams(new FormData(form)), credentials: "same-origin", redirect: "manual",
      });
      sent = answer.type === "opaqueredirect";
    } catch {
      sent = false;
    }
    delete button.dataset.sending;
    button.disabled = false;
    if (sent) {
      form.reset();
      document.activeElement?.blur();
      refresh();
    } else {
      setText(button, body.wordUnsent);
    }
  });

  // --- start ---------------------------------------------------------------------------------------------------------
  for (const fold of document.querySelectorAll("details[data-fold]")) {
    if (matchMedia("(max-width: 800px)").matches) fold.removeAttribute("open");
  }
  addEventListener("pagehide", () => source?.close());
  addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });
  setInterval(tick, 500);
  setInterval(() => connected && !document.hidden && refresh("quiet"), QUIET_REFRESH_MS); // ages of what has not changed
  listen();
  window.zhianNow = hubNow;
  if (window.isSecureContext) navigator.serviceWorker?.register("/worker.js").catch(() => {}); // works without it too
})();
