// What may follow in a filter, as a list under its field: htmx brings the options, the keys and the mouse choose one.
"use strict";
(() => {
  const field = document.getElementById("filter");
  const list = document.getElementById("filter-options");
  if (!field || !list) return;
  // The library comes with the first use of the field: to start it takes longer than all other scripts of the page.
  const { library } = document.currentScript.dataset;
  const bring = () => {
    const script = document.createElement("script");
    script.src = library;
    // The library looks at the page by a timer of its own, which was set before this one.
    script.addEventListener("load", () => setTimeout(() => {
      if (document.activeElement === field) field.dispatchEvent(new FocusEvent("focus"));
    }));
    document.head.append(script);
  };
  if (library && document.activeElement === field) bring();
  else if (library) field.addEventListener("focus", bring, { once: true });
  let at = -1;
  const options = () => [...list.children];
  const point = (to) => {
    const all = options();
    at = all.length ? (to + all.length + 1) % (all.length + 1) : -1;
    if (at === all.length) at = -1;
    all.forEach((each, i) => each.setAttribute("aria-selected", String(i === at)));
    if (at >= 0) {
      field.setAttribute("aria-activedescendant", all[at].id);
      all[at].scrollIntoView({ block: "nearest" });
    } else field.removeAttribute("aria-activedescendant");
  };
  const show = (on) => {
    const open = on && options().length > 0 && document.activeElement === field;
    list.hidden = !open;
    field.setAttribute("aria-expanded", String(open));
    at = -1;
    field.removeAttribute("aria-activedescendant");
  };
  const take = (option) => {
    field.value = option.dataset.filter;
    field.focus();
    field.setSelectionRange(field.value.length, field.value.length);
    field.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const isAtEnd = () => field.selectionStart === field.value.length;
  new MutationObserver(() => show(isAtEnd())).observe(list, { childList: true });
  field.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (list.hidden) show(true);
      point(event.key === "ArrowDown" ? at + 1 : at < 0 ? options().length - 1 : at - 1);
      event.preventDefault();
    } else if (event.key === "Escape" && !list.hidden) {
      show(false);
      event.stopPropagation();
      event.preventDefault();
    } else if ((event.key === "Enter" || event.key === "Tab") && at >= 0 && !list.hidden) {
      take(options()[at]);
      event.preventDefault();
    }
  });
  field.addEventListener("focus", () => show(isAtEnd()));
  field.addEventListener("blur", () => setTimeout(() => show(false), 120));
  list.addEventListener("mousedown", (event) => {
    const option = event.target.closest("[data-filter]");
    if (option) {
      take(option);
      event.preventDefault();
    }
  });
})();
