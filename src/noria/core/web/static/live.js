// Keeps the parts marked `data-live` up to date. Without it the page works as it is.
"use strict";
(() => {
  const every = 2000;
  const state = document.getElementById("live-state");
  const words = document.getElementById("live-words");
  const say = (kind) => {
    if (words.textContent !== state.dataset[kind]) words.textContent = state.dataset[kind];
    state.classList.toggle("is-lost", kind === "lost");
  };
  const stops = (part) => [...part.querySelectorAll("a, summary, [tabindex]")];
  const replace = (part, fresh) => {
    const place = stops(part).indexOf(document.activeElement);
    const open = [...part.querySelectorAll("details")].map((each) => each.open);
    fresh.querySelectorAll("details").forEach((each, i) => { each.open = open[i] || false; });
    if (part.innerHTML === fresh.innerHTML) return;
    part.innerHTML = fresh.innerHTML;
    if (place >= 0) stops(part)[place]?.focus({ preventScroll: true });
  };
  const look = async () => {
    if (!document.hidden) {
      try {
        const answer = await fetch(location.href, { headers: { accept: "text/html" } });
        if (!answer.ok) throw new Error(answer.status);
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        document.querySelectorAll("[data-live]").forEach((part) => {
          const other = fresh.getElementById(part.id);
          if (other) replace(part, other);
        });
        say("found");
      } catch (error) {
        say("lost");
      }
    }
    setTimeout(look, every);
  };
  say("found");
  setTimeout(look, every);
})();
