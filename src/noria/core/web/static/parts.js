// What the parts of a page do besides what HTML does by itself: copy an id, tick all rows, close a menu left open.
"use strict";
(() => {
  const copy = async (button) => {
    const words = button.getAttribute("aria-label");
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
    } catch {
      getSelection().selectAllChildren(button.parentElement.querySelector("code")); // no right to the clipboard
      return;
    }
    button.classList.add("is-done");
    button.setAttribute("aria-label", button.dataset.done);
    setTimeout(() => {
      button.classList.remove("is-done");
      button.setAttribute("aria-label", words);
    }, 1600);
  };
  const boxes = (name) => [...document.getElementsByName(name)].filter((each) => each.type === "checkbox");
  const count = () => {
    document.querySelectorAll("[data-tick-all]").forEach((all) => {
      const each = boxes(all.dataset.tickAll);
      const ticked = each.filter((box) => box.checked).length;
      all.checked = ticked > 0 && ticked === each.length;
      all.indeterminate = ticked > 0 && ticked < each.length;
      document.querySelectorAll(`[data-count="${CSS.escape(all.dataset.tickAll)}"]`).forEach((place) => {
        place.textContent = String(ticked);
      });
      document.querySelectorAll(`[data-when-ticked="${CSS.escape(all.dataset.tickAll)}"]`).forEach((place) => {
        place.classList.toggle("is-idle", ticked === 0);
      });
    });
  };
  addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-copy]");
    if (button) copy(button);
    document.querySelectorAll("details.menu[open], details.picker[open]").forEach((menu) => {
      if (!menu.contains(event.target)) menu.open = false;
    });
  });
  addEventListener("change", (event) => {
    const all = event.target.dataset?.tickAll;
    if (all) boxes(all).forEach((box) => { box.checked = event.target.checked; });
    count();
  });
  addEventListener("noria:changed", count);
  addEventListener("htmx:after:swap", count);
  count();
  // With the first frame, which has to be laid out anyway: asked for here, that would hold up the other scripts.
  requestAnimationFrame(() => document.querySelectorAll(":is(.sections, .tabs) [aria-current]").forEach((each) => {
    each.scrollIntoView({ block: "nearest", inline: "center" });
  }));
})();
