// Keeps the parts marked `data-live` up to date. Without it the page works as it is.
"use strict";
(() => {
  const state = document.getElementById("live-state");
  const words = document.getElementById("live-words");
  const beat = 1000 * Number(state.dataset.beat || 15);
  const least = 1500; // between two looks
  const patience = 8000;
  let source = null;
  let timer = 0;
  let running = false;
  let asked = false;
  let last = 0;
  let failures = 0;
  const say = (kind) => {
    if (words.textContent !== state.dataset[kind]) words.textContent = state.dataset[kind];
    state.classList.toggle("is-lost", kind === "lost" || kind === "ended");
    state.classList.toggle("is-slow", kind === "slow");
  };
  const shown = new WeakMap(); // what the server sent of each part: scripts draw in it
  const stops = (part) => [...part.querySelectorAll("a, summary, button, input, [tabindex]")];
  const isTyped = (part) => [...part.querySelectorAll("textarea")].some((each) => each.value !== each.defaultValue);
  const name = (plot) => `${plot.closest("figure").id} ${plot.getAttribute("aria-label")}`;
  // A drawn chart stays and is drawn anew with its new points: nothing flashes, and lines that were hidden stay so.
  const keep = (drawn, part) => part.querySelectorAll(".chart-plot").forEach((plot) => {
    const old = drawn.find((each) => each.name === name(plot));
    if (!old) return;
    old.plot.dataset.figure = plot.dataset.figure;
    plot.replaceWith(old.plot);
    const figure = old.plot.closest("figure");
    figure.querySelectorAll("[data-save-chart], [data-series]").forEach((each) => { each.disabled = false; }); // to have the focus that it had
    figure.querySelectorAll("[data-series]").forEach((each) => {
      each.setAttribute("aria-pressed", String(!old.off.has(each.title)));
    });
  });
  const drawnIn = (part) => [...part.querySelectorAll(".chart-plot.is-drawn")].map((plot) => ({
    plot, name: name(plot), off: new Set([...plot.closest("figure").querySelectorAll('[aria-pressed="false"]')].map((each) => each.title)),
  }));
  const replace = (part, fresh) => {
    if (isTyped(part)) return false; // what somebody is writing is not thrown away
    const place = stops(part).indexOf(document.activeElement);
    const open = [...part.querySelectorAll("details")].map((each) => each.open);
    const ticked = new Set([...part.querySelectorAll("input:checked")].map((each) => each.value));
    const scrolled = [...part.querySelectorAll("[tabindex]")].map((each) => [each.scrollLeft, each.scrollTop]);
    const drawn = drawnIn(part);
    const after = fresh.innerHTML;
    if (shown.get(part) === after) return false;
    part.innerHTML = after;
    shown.set(part, after);
    keep(drawn, part);
    part.querySelectorAll("details").forEach((each, i) => { each.open = open[i] ?? each.open; });
    part.querySelectorAll("input[type=checkbox]").forEach((each) => { each.checked ||= ticked.has(each.value); });
    part.querySelectorAll("[tabindex]").forEach((each, i) => { [each.scrollLeft, each.scrollTop] = scrolled[i] ?? [0, 0]; });
    if (place >= 0) stops(part)[place]?.focus({ preventScroll: true });
    return true;
  };
  const busy = () => document.activeElement?.closest?.("[data-live] form :is(input:not([type=checkbox]), textarea, select)");
  const refresh = async () => {
    const slow = setTimeout(() => say("slow"), 2000);
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" }, signal: AbortSignal.timeout(patience) });
      if (answer.status === 401 || answer.redirected) throw new Error("ended");
      if (!answer.ok) throw new Error(answer.status);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      const changed = [...document.querySelectorAll("[data-live]")].filter((part) => {
        const other = fresh.getElementById(part.id);
        return other && replace(part, other);
      });
      failures = 0;
      clearTimeout(slow);
      say("found");
      if (changed.length) dispatchEvent(new Event("noria:changed"));
    } catch (error) {
      failures += 1;
      clearTimeout(slow);
      say(error.message === "ended" ? "ended" : "lost");
    }
  };
  const next = () => (failures ? Math.min(least * 2 ** (failures - 1), 30000) : asked ? least : source ? beat : Math.min(beat, 3000));
  const plan = () => {
    clearTimeout(timer);
    timer = setTimeout(look, Math.max(0, last + next() - performance.now()));
  };
  const look = async () => {
    if (document.hidden || running || busy()) return plan();
    running = true;
    asked = false;
    await refresh();
    last = performance.now();
    running = false;
    plan();
  };
  const listen = () => {
    if (!state.dataset.events || source || document.hidden) return;
    source = new EventSource(state.dataset.events);
    const ask = () => { asked = true; if (!running) plan(); };
    source.addEventListener("open", ask); // something may have changed since the page was made
    source.addEventListener("changed", ask);
    source.addEventListener("error", () => { source?.close(); source = null; asked = true; setTimeout(listen, 5000); plan(); });
  };
  // A browser opens few connections to one server: a page that nobody looks at holds none.
  const leave = () => { source?.close(); source = null; };
  document.addEventListener("visibilitychange", () => { document.hidden ? leave() : (asked = true, listen(), plan()); });
  addEventListener("pagehide", leave);
  document.querySelectorAll("[data-live]").forEach((part) => shown.set(part, part.innerHTML));
  say("found");
  // The stream waits until the page is there, whose files come first.
  if (document.readyState === "complete") listen(); else addEventListener("load", listen);
  last = performance.now();
  plan();
})();
