// Between the phone and the hub: every page comes from the hub or not at all. Only the sentence that says so is kept.
"use strict";

const KEPT = "zhian-offline-1";
const OFFLINE = "/offline";

async function keep() {
  const cache = await caches.open(KEPT);
  const answer = await fetch(OFFLINE, { cache: "no-store", credentials: "same-origin" });
  if (!answer.ok) return;
  const text = await answer.clone().text();
  const files = [...text.matchAll(/(?:href|src)="(\/static\/[^"]+)"/g)].map((found) => found[1]);
  await cache.addAll(files);
  await cache.put(OFFLINE, answer);
}

self.addEventListener("install", (event) => event.waitUntil(keep().then(() => self.skipWaiting())));
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => {
  const request = event.request;
  if (request.mode === "navigate" && request.method === "GET") {
    event.respondWith(fetch(request).catch(async () => (await caches.match(OFFLINE)) ?? Response.error()));
  } else if (request.destination === "style" || request.destination === "script") {
    event.respondWith(fetch(request).catch(async () => (await caches.match(request)) ?? Response.error()));
  }
});
