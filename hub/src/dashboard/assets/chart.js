// Values under the pointer, or under the arrow keys. They are read from the table below each chart.

const SVG = "http://www.w3.org/2000/svg";
const GAP = 12; // px between the cursor and its tip

let shown = null; // { plot, index } whose tip is open

function make(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

function place(plot) {
  const { left, right, top, bottom, intervals } = plot.dataset;
  const [l, r, n] = [Number(left), Number(right), Number(intervals)];
  return { left: l, right: r, top, bottom, intervals: n, x: (index) => l + ((index + 0.5) * (r - l)) / n };
}

/** The interval under a point of the screen. */
function indexAt(plot, clientX) {
  const svg = plot.querySelector("svg");
  const box = svg.getBoundingClientRect();
  const { left, right, intervals } = place(plot);
  const x = ((clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
  const index = Math.floor(((x - left) / (right - left)) * intervals);
  return Math.min(intervals - 1, Math.max(0, index));
}

function rowOf(plot, index) {
  return plot.closest("figure").querySelectorAll("details tbody tr")[index];
}

function hide() {
  if (!shown) return;
  shown.plot.querySelector(".cursor")?.replaceChildren();
  const tip = shown.plot.querySelector(".tip");
  if (tip) tip.hidden = true;
  shown = null;
}

function show(plot, index, spoken) {
  const row = rowOf(plot, index);
  if (!row) return hide();
  if (shown && shown.plot !== plot) hide();
  shown = { plot, index };

  const { top, bottom, x } = place(plot);
  const cursor = plot.querySelector(".cursor");
  const marks = [make("line", { x1: x(index), x2: x(index), y1: top, y2: bottom })];
  const series = [...plot.querySelectorAll("svg .series")];
  for (const line of series) {
    const y = line.dataset.y?.split(" ")[index];
    if (!y || y === "-") continue;
    const tone = [...line.classList].find((name) => /^c\d+$/.test(name)) ?? "";
    marks.push(make("circle", { cx: x(index), cy: y, r: 3, class: tone }));
  }
  cursor.replaceChildren(...marks);
  fillTip(plot, row, series);
  placeTip(plot, x(index));
  plot.querySelector(".spoken").textContent = spoken ? plot.querySelector(".tip").innerText : "";
}

function fillTip(plot, row, series) {
  const names = [...row.closest("table").querySelectorAll("thead th")].slice(1);
  const when = document.createElement("div");
  when.className = "when";
  when.textContent = row.querySelector("th").textContent;
  const values = [...row.querySelectorAll("td")].map((cell, index) => {
    const line = document.createElement("div");
    line.className = "value";
    const swatch = document.createElement("span");
    swatch.className = `swatch ${[...(series[index]?.classList ?? [])].filter((c) => c !== "series").join(" ")}`;
    const name = document.createElement("span");
    name.textContent = names[index]?.textContent ?? "";
    const value = document.createElement("b");
    value.textContent = cell.firstChild?.textContent ?? "";
    line.append(swatch, name, value);
    const more = cell.querySelector("small");
    if (more) {
      const small = document.createElement("small");
      small.textContent = more.textContent.trim();
      line.append(small);
    }
    return line;
  });
  // In a stack the topmost layer comes first, as in the drawing.
  if (series[0]?.classList.contains("layer")) values.reverse();
  const tip = plot.querySelector(".tip");
  tip.replaceChildren(when, ...values);
  tip.hidden = false;
}

function placeTip(plot, x) {
  const tip = plot.querySelector(".tip");
  const svg = plot.querySelector("svg");
  const at = (x / svg.viewBox.baseVal.width) * svg.clientWidth;
  const right = at + GAP + tip.offsetWidth <= plot.clientWidth;
  const left = right ? at + GAP : Math.max(0, at - GAP - tip.offsetWidth);
  tip.style.transform = `translate(${Math.round(left)}px, 0)`;
}

function onKey(event) {
  const plot = event.target.closest?.(".plot[data-intervals]");
  if (!plot || event.target !== plot) return;
  const last = Number(plot.dataset.intervals) - 1;
  const now = shown?.plot === plot ? shown.index : last + 1;
  const moves = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: last };
  if (event.key === "Escape") hide();
  else if (event.key in moves) {
    event.preventDefault();
    show(plot, Math.min(last, Math.max(0, moves[event.key])), true);
  }
}

/** Listens on the whole page, so that charts may come and go. */
export function watchCharts() {
  document.addEventListener("pointermove", (event) => {
    const plot = event.target.closest?.(".plot[data-intervals]");
    if (plot) show(plot, indexAt(plot, event.clientX), false);
    else if (shown && document.activeElement !== shown.plot) hide();
  });
  document.addEventListener("pointerdown", (event) => {
    if (!event.target.closest?.(".plot[data-intervals]")) hide();
  });
  document.addEventListener("pointerleave", hide);
  document.addEventListener("focusout", hide);
  document.addEventListener("keydown", onKey);
  document.addEventListener("tern:updated", () => {
    if (!shown) return;
    if (document.contains(shown.plot)) show(shown.plot, shown.index, false);
    else shown = null;
  });
}
