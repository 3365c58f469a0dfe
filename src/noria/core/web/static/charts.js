// Draws the figures that the server made, in the colours of the theme. The library is loaded when the page is there and
// a chart is in sight; until then, and without it, the server's own pictures stay.
"use strict";
(() => {
  const library = document.currentScript.dataset.library;
  const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "solid", "dash"];
  const MARKERS = ["circle", "square", "diamond", "triangle-up", "x", "star-diamond", "pentagon", "cross"];
  const N = 8;
  const probe = document.createElement("span");
  const colour = (token) => {
    probe.style.color = `var(--${token})`; // resolves what depends on the theme, which a custom property does not
    return getComputedStyle(probe).color;
  };
  const faint = (rgb, share) => rgb.replace(/^rgba?\(([^)]+)\)$/, (_, parts) => `rgba(${parts.split(",").slice(0, 3)},${share})`);
  const colours = () => {
    document.body.append(probe);
    const found = {
      ink: colour("ink"), soft: colour("ink-soft"), line: colour("line"), panel: colour("panel"), strong: colour("line-strong"),
      series: Array.from({ length: N }, (_, i) => colour(`series-${i + 1}`)),
      font: getComputedStyle(document.body).fontFamily,
    };
    probe.remove();
    return found;
  };
  const styled = (trace, { series, panel }) => {
    const at = trace.meta % N;
    const own = series[at];
    if (trace.fill) return { ...trace, line: { width: 0 }, fillcolor: faint(own, 0.18) };
    if (trace.type === "bar") return { ...trace, marker: { color: own, line: { color: panel, width: 1 } } };
    return {
      ...trace,
      line: { color: own, width: 1.8, dash: DASHES[at] },
      marker: { color: own, size: 6, symbol: MARKERS[at], line: { color: panel, width: 1 } },
    };
  };
  const axis = (given, { soft, line, strong }) => ({
    gridcolor: line, linecolor: strong, zerolinecolor: strong, tickcolor: strong, automargin: true, ...given,
    title: { ...given.title, font: { size: 12, color: soft }, standoff: 8 },
  });
  const layout = (given, theme, height) => ({
    ...given,
    height,
    margin: { l: 48, r: 12, t: given.annotations.length ? 24 : 8, b: 36 },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: theme.font, size: 12, color: theme.ink },
    xaxis: axis(given.xaxis, theme),
    yaxis: axis(given.yaxis, theme),
    legend: { orientation: "h", y: -0.22, font: { size: 12 } },
    hovermode: "x unified",
    hoverlabel: { bgcolor: theme.panel, bordercolor: theme.strong, font: { family: theme.font, color: theme.ink } },
    shapes: given.shapes.map((shape) => ({ ...shape, line: { color: theme.strong, width: 1.5, dash: "dot" } })),
    annotations: given.annotations.map((each) => ({ ...each, font: { color: theme.soft, size: 11 }, yanchor: "bottom" })),
  });
  // Without the library's own buttons and hints, which know no language but English; zooming is by pointer.
  const options = { displaylogo: false, responsive: true, displayModeBar: false, showTips: false };
  const made = (place, theme) => {
    const given = JSON.parse(place.dataset.figure);
    const height = place.closest(".is-wide") ? 384 : 248;
    const off = new Set([...place.closest("figure").querySelectorAll('[data-series][aria-pressed="false"]')].map((each) => Number(each.dataset.series)));
    const data = given.data.map((trace) => ({ ...styled(trace, theme), visible: !off.has(trace.meta) }));
    return { data, layout: layout(given.layout, theme, height) };
  };
  const draw = async (place, theme) => {
    const figure = made(place, theme);
    figure.layout.showlegend = false; // the names stand below, where keys and screen readers reach them
    place.classList.add("is-drawn");
    try {
      await Plotly.react(place, figure.data, figure.layout, options);
      const whole = place.closest("figure");
      whole.querySelectorAll("[data-save-chart]").forEach((button) => { button.disabled = false; });
      whole.querySelectorAll("[data-series]").forEach((button) => { button.disabled = false; });
    } catch {
      place.classList.remove("is-drawn"); // then the server's picture is there again
    }
  };
  const idle = globalThis.requestIdleCallback ?? ((then) => setTimeout(then, 100));
  let loading = null;
  const load = () => {
    loading ??= new Promise((done) => {
      if (globalThis.Plotly || !library) return done();
      const fetch = () => idle(() => {
        const script = document.createElement("script");
        script.src = library;
        script.onload = script.onerror = done;
        document.head.append(script);
      }, { timeout: 1000 });
      if (document.readyState === "complete") fetch(); else addEventListener("load", fetch);
    });
    return loading;
  };
  const seen = new IntersectionObserver(async (entries) => {
    const figures = entries.filter((entry) => entry.isIntersecting).map((entry) => entry.target);
    if (!figures.length) return;
    figures.forEach((figure) => seen.unobserve(figure));
    await load();
    if (!globalThis.Plotly) return;
    const theme = colours();
    figures.forEach((figure) => draw(figure.querySelector("[data-figure]"), theme));
  }, { rootMargin: "300px" });
  const begin = () => document.querySelectorAll("figure.chart:has([data-figure])").forEach((figure) => {
    seen.unobserve(figure); // one that was observed before is told of again
    seen.observe(figure);
  });
  // As SVG, made by the library as text: a PNG would have to be loaded as an image first, which the policy refuses.
  const save = async (button) => {
    const place = button.closest("figure").querySelector("[data-figure]");
    const theme = colours();
    const figure = made(place, theme);
    const { width, height } = place.getBoundingClientRect();
    const title = { text: button.dataset.saveChart, font: { size: 15, color: theme.ink }, x: 0.02, xanchor: "left" };
    const whole = { ...figure.layout, title, paper_bgcolor: theme.panel, margin: { ...figure.layout.margin, t: 48 } };
    const svg = await Plotly.toImage({ data: figure.data, layout: whole }, { format: "svg", width, height: height + 40, imageDataOnly: true });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
    link.download = `${button.dataset.saveChart.replace(/[^\p{L}\p{N}]+/gu, "-").slice(0, 80) || "chart"}.svg`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };
  addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-save-chart]");
    if (button) save(button);
    const name = event.target.closest?.("[data-series]");
    if (!name) return;
    name.setAttribute("aria-pressed", String(name.getAttribute("aria-pressed") !== "true"));
    draw(name.closest("figure").querySelector("[data-figure]"), colours());
  });
  ["noria:changed", "htmx:after:swap"].forEach((name) => addEventListener(name, begin));
  ["(prefers-color-scheme: dark)", "(prefers-contrast: more)"].forEach((query) => matchMedia(query).addEventListener("change", begin));
  begin();
})();
