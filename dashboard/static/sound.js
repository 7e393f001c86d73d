// Sounds while a P1 alarm is not acknowledged, and when the page has lost the hub. Browsers allow it only after one
// press; until then the button says so. What is heard is the same everywhere: two tones, every two seconds.
"use strict";

(() => {
  const button = document.getElementById("sound");
  const Context = window.AudioContext;
  if (!button || !Context) return;
  const REPEAT_MS = 2000;
  const LOST_REPEAT_MS = 30000;
  let context = null;
  let lastLost = 0;

  function tone(frequency, begin, seconds) {
    const wave = context.createOscillator();
    const loud = context.createGain();
    wave.type = "square";
    wave.frequency.value = frequency;
    loud.gain.setValueAtTime(0.0001, begin);
    loud.gain.exponentialRampToValueAtTime(0.25, begin + 0.02);
    loud.gain.setValueAtTime(0.25, begin + seconds - 0.03);
    loud.gain.exponentialRampToValueAtTime(0.0001, begin + seconds);
    wave.connect(loud).connect(context.destination);
    wave.start(begin);
    wave.stop(begin + seconds);
  }

  function alarm() {
    tone(960, context.currentTime, 0.35);
    tone(770, context.currentTime + 0.4, 0.35);
  }

  const isOn = () => context !== null && context.state === "running";

  function show() {
    button.hidden = false;
    button.textContent = isOn() ? button.dataset.on : button.dataset.off;
    button.setAttribute("aria-pressed", String(isOn()));
    document.documentElement.dataset.sound = isOn() ? "on" : "off";
  }

  function begin() {
    if (!context) {
      context = new Context();
      context.addEventListener("statechange", show);
    }
    return context.resume();
  }

  button.addEventListener("click", async () => {
    if (isOn()) {
      localStorage.removeItem("zhian-sound");
      await context.suspend();
    } else {
      localStorage.setItem("zhian-sound", "on");
      await begin();
      tone(770, context.currentTime, 0.2); // so that a person knows how loud it will be
    }
    show();
  });

  setInterval(() => {
    if (!isOn()) return;
    const urgent = Number(document.getElementById("strips")?.dataset.urgent ?? 0);
    const lost = !document.getElementById("lost").hidden;
    if (urgent) {
      alarm();
      document.documentElement.dataset.sounded = String(Number(document.documentElement.dataset.sounded ?? 0) + 1);
    } else if (lost && performance.now() - lastLost > LOST_REPEAT_MS) {
      lastLost = performance.now();
      tone(520, context.currentTime, 0.6);
    }
  }, REPEAT_MS);

  if (localStorage.getItem("zhian-sound") === "on") begin().catch(() => {});
  show();
})();
