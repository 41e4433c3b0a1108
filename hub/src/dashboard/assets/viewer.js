// How a captured input is shown: a picture, lines, or a table.

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT] = [440, 180];

const finite = (values) => values.filter((value) => Number.isFinite(value));

/** The smallest and the largest number; 0 and 1 of none. */
function ends(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of finite(values)) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return low <= high ? [low, high] : [0, 1];
}

/** From a number to a shade. Colours that lie in 0 to 1 or 0 to 255 are shown as they are; all else is stretched. */
function shades(values, channels) {
  const [low, high] = ends(values);
  if (channels >= 3 && low >= 0 && high <= 1) return (value) => value * 255;
  if (channels >= 3 && low >= 0 && high <= 255) return (value) => value;
  const span = high > low ? high - low : 1;
  return (value) => ((value - low) / span) * 255;
}

function image(values, { height, width, channels, order }) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `Picture of ${width} by ${height}`);
  const context = canvas.getContext("2d");
  const picture = context.createImageData(width, height);
  const shade = shades(values, channels);
  const pixels = width * height;
  const at = (pixel, channel) => values[order === "first" ? channel * pixels + pixel : pixel * channels + channel];
  for (let pixel = 0; pixel < pixels; pixel += 1) {
    for (let channel = 0; channel < 3; channel += 1) {
      const value = at(pixel, channels >= 3 ? channel : 0);
      picture.data[4 * pixel + channel] = Number.isFinite(value) ? shade(value) : 0;
    }
    picture.data[4 * pixel + 3] = 255;
  }
  context.putImageData(picture, 0, 0);
  return canvas;
}

function node(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function series(values, { channels, length, order }) {
  const svg = node("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", class: "lines" });
  svg.setAttribute("aria-label", `${channels} lines of ${length} values`);
  const [low, high] = ends(values);
  const span = high > low ? high - low : 1;
  const [left, right, top, bottom] = [44, WIDTH - 4, 8, HEIGHT - 8];
  for (const [value, y] of [[high, top], [low, bottom]]) {
    svg.append(node("line", { x1: left, x2: right, y1: y, y2: y, class: "rule" }));
    const text = node("text", { x: left - 4, y: y + 4 });
    text.textContent = Number(value.toPrecision(3));
    svg.append(text);
  }
  for (let channel = 0; channel < channels; channel += 1) {
    let path = "";
    let drawing = false;
    for (let moment = 0; moment < length; moment += 1) {
      const value = values[order === "first" ? channel * length + moment : moment * channels + channel];
      if (!Number.isFinite(value)) {
        drawing = false; // a gap is a gap
        continue;
      }
      const x = left + (moment / Math.max(1, length - 1)) * (right - left);
      const y = bottom - ((value - low) / span) * (bottom - top);
      path += `${drawing ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
      drawing = true;
    }
    svg.append(node("path", { d: path, class: `c${(channel % 8) + 1}` }));
  }
  return svg;
}

function cell(row, kind, text, name) {
  const made = document.createElement(kind);
  made.textContent = text;
  if (name) made.className = name;
  row.append(made);
}

function table({ rows, values }) {
  const made = document.createElement("table");
  const head = document.createElement("tr");
  for (const [title, name] of [["What", ""], ["Value", "end"], ["Of training under it", "end"]]) cell(head, "th", title, name);
  const thead = document.createElement("thead");
  thead.append(head);
  const body = document.createElement("tbody");
  for (const { name, value, percentile } of rows) {
    const row = document.createElement("tr");
    cell(row, "th", name);
    cell(row, "td", value == null ? "missing" : Number(value.toPrecision(5)), "end");
    const usual = percentile == null || (percentile >= 0.02 && percentile <= 0.98);
    cell(row, "td", percentile == null ? "–" : `${(100 * percentile).toFixed(0)} %`, usual ? "end" : "end far");
    body.append(row);
  }
  made.append(thead, body);
  const scroll = document.createElement("div");
  scroll.className = "scroll tall";
  scroll.append(made);
  if (rows.length < values) {
    const more = document.createElement("p");
    more.className = "dim";
    more.textContent = `… and ${values - rows.length} more values`;
    scroll.append(more);
  }
  return scroll;
}

const short = (value) => Number(value.toPrecision(4));

/** Between what a feature lies, or what was measured. */
function between({ from, to }) {
  if (from == null && to == null) return "missing";
  if (from == null) return `under ${short(to)}`;
  if (to == null) return `over ${short(from)}`;
  return from === to ? short(from) : `${short(from)} to ${short(to)}`;
}

function summary({ rows, values }, why) {
  const room = document.createElement("div");
  const word = document.createElement("p");
  word.className = "dim";
  word.textContent = why;
  const made = document.createElement("table");
  const head = document.createElement("tr");
  for (const [title, name] of [["What", ""], ["Lies", "end"], ["Of training there", "end"]]) cell(head, "th", title, name);
  const thead = document.createElement("thead");
  thead.append(head);
  const body = document.createElement("tbody");
  for (const one of rows) {
    const row = document.createElement("tr");
    cell(row, "th", one.name);
    cell(row, "td", between(one), "end");
    cell(row, "td", one.share == null ? "–" : `${(100 * one.share).toFixed(0)} %`, one.share != null && one.share < 0.01 ? "end far" : "end");
    body.append(row);
  }
  made.append(thead, body);
  const scroll = document.createElement("div");
  scroll.className = "scroll tall";
  scroll.append(made);
  room.append(word, scroll);
  if (rows.length < values) {
    const more = document.createElement("p");
    more.className = "dim";
    more.textContent = `… and ${values - rows.length} more`;
    room.append(more);
  }
  return room;
}

const NO_INPUT = {
  "not-kept": "The input was not kept: its device keeps features only. Skip it unless these are enough to say what is true.",
  encrypted: "The input is encrypted with a key that the hub does not have.",
  damaged: "The input is encrypted, and damaged.",
};

/** The input of a capture, as the hub says that it is shown. */
export function draw({ capture, view }) {
  if (view.kind === "summary") return summary(view, NO_INPUT[capture.no_input] ?? NO_INPUT["not-kept"]);
  if (capture.no_input) {
    const word = document.createElement("p");
    word.className = "dim";
    word.textContent = NO_INPUT[capture.no_input] ?? "";
    return word;
  }
  if (view.kind === "image") return image(capture.input, view);
  if (view.kind === "series") return series(capture.input, view);
  return table(view);
}
