// Draws a figure that a run kept: Plotly's own JSON, in the colours that it brings, on a light ground as it was made for.
"use strict";
(() => {
  const draw = async (place) => {
    const given = await (await fetch(place.dataset.userFigure)).json();
    const style = getComputedStyle(place);
    const layout = {
      ...given.layout,
      autosize: true, width: undefined,
      height: Math.min(Number(given.layout?.height) || 460, 900),
      font: { family: style.fontFamily, ...given.layout?.font },
    };
    delete layout.images; // from elsewhere, which the policy refuses anyway
    await Plotly.newPlot(place, given.data, layout, { displayModeBar: false, responsive: true });
  };
  if (!globalThis.Plotly) return;
  document.querySelectorAll("[data-user-figure]").forEach((place) => {
    draw(place).catch(() => {
      place.hidden = true;
      const numbers = place.parentElement.querySelector("details");
      if (numbers) numbers.open = true;
    });
  });
})();
