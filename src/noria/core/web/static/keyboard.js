// Keys for what is often done. Every one of them has a link or a button that does the same.
"use strict";
(() => {
  const help = document.getElementById("shortcuts");
  let awaiting = 0; // until when a letter after `g` counts
  const inField = (at) => at.closest("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]");
  const rows = () => [...document.querySelectorAll("table[data-rows] > tbody > tr")].filter((row) => row.checkVisibility());
  const current = () => document.activeElement.closest?.("table[data-rows] > tbody > tr") || document.querySelector("tr.is-at");
  const goTo = (row) => {
    document.querySelectorAll("tr.is-at").forEach((each) => each.classList.remove("is-at"));
    row.classList.add("is-at");
    row.tabIndex = -1;
    row.focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
  };
  const move = (by) => {
    const all = rows();
    if (!all.length) return false;
    const at = all.indexOf(current());
    goTo(all[Math.max(0, Math.min(all.length - 1, at < 0 ? 0 : at + by))]);
    return true;
  };
  const tick = () => {
    const box = current()?.querySelector("input[type=checkbox]");
    box?.click();
    return Boolean(box);
  };
  const open = () => {
    const link = current()?.querySelector("a[href]");
    link?.click();
    return Boolean(link);
  };
  const search = () => {
    const field = document.getElementById("search");
    field?.focus();
    field?.select();
    return Boolean(field);
  };
  const leave = (at) => {
    const menu = document.querySelector("details.menu[open], details.picker[open]");
    if (menu) {
      menu.open = false;
      menu.querySelector("summary").focus();
      return true;
    }
    if (inField(at)) at.blur();
    document.querySelectorAll("tr.is-at").forEach((each) => each.classList.remove("is-at"));
    return false;
  };
  const showHelp = () => {
    if (!help.open) help.showModal();
    return true;
  };
  const keys = { "/": search, "?": showHelp, j: () => move(1), k: () => move(-1), x: tick };
  const follow = (letter) => {
    const link = [...document.querySelectorAll("a[data-goto]")].find((each) => each.dataset.goto === letter);
    link?.click();
    return Boolean(link);
  };
  const meant = (event) => {
    const at = document.activeElement;
    if (event.key === "Escape") return leave(at);
    if (inField(at) || help.open) return false;
    if (performance.now() < awaiting) {
      awaiting = 0;
      return follow(event.key);
    }
    if (event.key === "g") {
      awaiting = performance.now() + 1500;
      return true;
    }
    if (event.key === "Enter") return at.matches("tr") && open();
    return keys[event.key]?.() || false;
  };
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (meant(event)) event.preventDefault();
  });
  document.querySelectorAll("[data-help]").forEach((each) => each.addEventListener("click", showHelp));
})();
