// Draw with pointer or keys, ask what it is, and tell what it was.
(() => {
  "use strict";
  const main = document.getElementById("digits");
  const words = main.dataset;
  const at = (id) => document.getElementById(id);
  const board = at("board");
  const ink = board.getContext("2d");
  const language = document.documentElement.lang;
  const percent = new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 1 });
  const PAUSE_MS = 900;
  const STEP = 1 / 24;
  const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  let strokes = [];
  let line = null;      // the stroke under way
  let pen = [0.5, 0.2]; // where the keys hold the pen
  let usesKeys = false;
  let waiting = 0;
  let asked = 0;        // counts questions, so that a late answer to an old one is not shown
  let seen = null;

  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);

  function paint() {
    const style = getComputedStyle(board);
    const side = board.width;
    ink.clearRect(0, 0, side, side);
    ink.strokeStyle = ink.fillStyle = style.color;
    ink.lineWidth = side / 14;
    ink.lineCap = ink.lineJoin = "round";
    for (const stroke of strokes) {
      ink.beginPath();
      ink.moveTo(stroke[0][0] * side, stroke[0][1] * side);
      for (const [x, y] of stroke) ink.lineTo(x * side, y * side);
      ink.stroke();
    }
    if (!usesKeys || document.activeElement !== board) return;
    ink.strokeStyle = style.accentColor;
    ink.lineWidth = side / 140;
    ink.beginPath();
    ink.arc(pen[0] * side, pen[1] * side, side / (line ? 24 : 16), 0, 2 * Math.PI);
    ink.stroke();
  }

  function begin(point) {
    clearTimeout(waiting);
    line = [point];
    strokes.push(line);
    paint();
  }

  function go(point) {
    const last = line[line.length - 1];
    if (Math.hypot(point[0] - last[0], point[1] - last[1]) < 0.004) return;
    line.push(point);
    paint();
  }

  function lift() {
    line = null;
    clearTimeout(waiting);
    waiting = setTimeout(ask, PAUSE_MS);
  }

  const place = (event) => {
    const box = board.getBoundingClientRect();
    const part = (value) => Math.min(1, Math.max(0, value));
    return [part((event.clientX - box.left) / box.width), part((event.clientY - box.top) / box.height)];
  };

  board.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    usesKeys = false;
    board.setPointerCapture(event.pointerId);
    begin(place(event));
  });
  board.addEventListener("pointermove", (event) => {
    if (line && !usesKeys) for (const each of event.getCoalescedEvents?.() ?? [event]) go(place(each));
  });
  for (const name of ["pointerup", "pointercancel"]) {
    board.addEventListener(name, () => { if (line && !usesKeys) lift(); });
  }

  board.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const way = KEYS[event.key];
    if (way) {
      const far = event.shiftKey ? 3 * STEP : STEP;
      usesKeys = true;
      pen = pen.map((value, axis) => Math.min(0.96, Math.max(0.04, value + way[axis] * far)));
      if (line) go(pen); else paint();
    } else if (event.key === " ") {
      usesKeys = true;
      if (line) lift(); else begin(pen);
      at("pen").textContent = line ? words.penDown : words.penUp;
      paint();
    } else if (event.key === "Enter") {
      line = null;
      ask();
    } else if (event.key === "Delete" || event.key === "Backspace") {
      clear();
    } else {
      return;
    }
    event.preventDefault();
  });
  board.addEventListener("focus", () => { usesKeys = board.matches(":focus-visible"); paint(); });
  board.addEventListener("blur", () => { if (line) lift(); paint(); });

  function clear() {
    clearTimeout(waiting);
    strokes = [];
    line = null;
    asked += 1;
    at("pen").textContent = words.cleared;
    say(words.nothing, "");
    at("details").hidden = true;
    paint();
  }

  function undo() {
    strokes.pop();
    line = null;
    if (strokes.length) { lift(); paint(); } else clear();
  }

  function say(text, kind, sure = "") {
    at("says").textContent = text;
    at("sure").textContent = sure;
    at("verdict").className = kind;
  }

  async function send(address, body) {
    const answer = await fetch(address, {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
    });
    const told = await answer.json();
    if (!answer.ok) throw new Error(told.message);
    return told;
  }

  async function ask() {
    clearTimeout(waiting);
    if (!strokes.length) return;
    const number = ++asked;
    if (at("details").hidden) say(words.asking, "");
    try {
      const told = await send("/predict", { strokes });
      if (number === asked) show(told);
    } catch (error) {
      if (number !== asked) return;
      at("details").hidden = true;
      say(fill(words.failed, { message: error.message }), "is-problem");
    }
  }

  function show(told) {
    seen = told;
    const sure = told.confidence === null ? "" : fill(words.sure, { share: percent.format(told.confidence) });
    say(fill(words.says, { digit: told.digit }), "is-answer", sure);
    for (const row of main.querySelectorAll("[data-row]")) {
      const share = told.probabilities[row.dataset.row];
      row.querySelector(".share").setAttribute("width", 100 * (share ?? 0));
      row.querySelector(".figure").textContent = share === undefined ? "–" : percent.format(share);
      row.classList.toggle("is-chosen", Number(row.dataset.row) === told.digit);
    }
    at("version").textContent = fill(words.version, { version: told.version });
    at("about").textContent = told.about;
    at("prediction").textContent = told.prediction_id;
    at("kept").textContent = "";
    for (const button of at("right").querySelectorAll("button")) button.disabled = false;
    picture(told);
    at("details").hidden = false;
    shares();
  }

  function picture({ side, pixels }) {
    const got = at("got");
    got.width = got.height = side;
    const image = new ImageData(side, side);
    pixels.forEach((value, i) => image.data.set([255 - value, 255 - value, 255 - value, 255], 4 * i));
    got.getContext("2d").putImageData(image, 0, 0);
    got.setAttribute("aria-label", fill(words.gotImage, { side }));
  }

  async function tell(digit) {
    const told = seen;
    for (const button of at("right").querySelectorAll("button")) button.disabled = true;
    try {
      await send("/feedback", { prediction_id: told.prediction_id, digit });
      if (seen === told) at("kept").textContent = fill(words.kept, { digit });
    } catch (error) {
      if (seen === told) at("kept").textContent = fill(words.failed, { message: error.message });
    }
  }

  async function shares() {
    try {
      const found = await (await fetch("/shares")).json();
      at("shares").textContent = found.shares
        .map((each) => `${fill(words.version, { version: each.version })}: ${percent.format(each.weight)}`)
        .join(" · ");
    } catch {
      at("shares").textContent = "";
    }
  }

  at("ask").addEventListener("click", ask);
  at("undo").addEventListener("click", undo);
  at("clear").addEventListener("click", () => { clear(); board.focus(); });
  at("yes").addEventListener("click", () => tell(seen.digit));
  for (const button of at("right").querySelectorAll("[data-digit]")) {
    button.addEventListener("click", () => tell(Number(button.dataset.digit)));
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
  paint();
  shares();
})();
