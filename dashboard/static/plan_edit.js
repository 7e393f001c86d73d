// Drags the zones on the site plan. Each move is written into the form's numbers, which are what is sent.
"use strict";

(() => {
  const plan = document.getElementById("plan-edit");
  const form = document.getElementById("places");
  const { width, height } = plan.viewBox.baseVal;
  const STEP = 0.005;
  const between = (value) => Math.min(1, Math.max(0, value));
  const field = (axis, grip) => form.elements[`${axis}-${grip.dataset.zone}`];

  function put(grip, x, y) {
    field("x", grip).value = between(x).toFixed(3);
    field("y", grip).value = between(y).toFixed(3);
    show(grip);
  }

  function show(grip) {
    const x = Number(field("x", grip).value) * width;
    const y = Number(field("y", grip).value) * height;
    grip.setAttribute("transform", `translate(${x} ${y})`);
  }

  function at(event) {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(plan.getScreenCTM().inverse());
    return [point.x / width, point.y / height];
  }

  for (const grip of plan.querySelectorAll(".grip")) {
    grip.addEventListener("pointerdown", (event) => {
      grip.setPointerCapture(event.pointerId);
      grip.classList.add("held");
    });
    grip.addEventListener("pointermove", (event) => {
      if (grip.hasPointerCapture(event.pointerId)) put(grip, ...at(event));
    });
    grip.addEventListener("lostpointercapture", () => grip.classList.remove("held"));
    grip.addEventListener("keydown", (event) => {
      const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [0, 0];
      if (!dx && !dy) return;
      event.preventDefault();
      put(grip, Number(field("x", grip).value) + dx * STEP, Number(field("y", grip).value) + dy * STEP);
    });
    for (const axis of "xy") field(axis, grip).addEventListener("input", () => show(grip));
  }
})();
