// Curves as SVG: one or two lines over the passes, with their own scale and a sentence for who does not see them.
import { figure } from "./numbers.js";

const NS = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP] = [420, 210, 46, 24, 8];

function add(parent, tag, settings, text = "") {
  const element = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(settings)) element.setAttribute(name, value);
  element.textContent = text;
  parent.append(element);
  return element;
}

function ticks(low, high) {
  const rough = (high - low) / 4 || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((k) => k * power).find((k) => k >= rough);
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9) * step; at <= high + step * 1e-6; at += step) found.push(at);
  return found;
}

// series: [{name, className, values}]; range: [low, high] or null for that of the values.
export function curves(svg, x, series, what, range = null) {
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.replaceChildren();
  const all = series.flatMap((line) => line.values.filter((value) => value !== null));
  if (!all.length) {
    add(svg, "text", { x: WIDTH / 2, y: HEIGHT / 2, "text-anchor": "middle" }, "nothing yet");
    svg.setAttribute("aria-label", `${what}: nothing yet`);
    return;
  }
  let [low, high] = range ?? [Math.min(0, ...all), Math.max(...all)];
  if (low === high) high = low + 1;
  const first = x[0], last = Math.max(x[x.length - 1], first + 1);
  const across = (value) => LEFT + ((value - first) / (last - first)) * (WIDTH - LEFT - 10);
  const up = (value) => HEIGHT - BOTTOM - ((value - low) / (high - low)) * (HEIGHT - BOTTOM - TOP);
  for (const tick of ticks(low, high)) {
    add(svg, "line", { class: "grid", x1: LEFT, x2: WIDTH - 10, y1: up(tick), y2: up(tick) });
    add(svg, "text", { x: LEFT - 6, y: up(tick) + 4, "text-anchor": "end" }, String(Number(tick.toPrecision(4))));
  }
  for (const tick of ticks(first, last).filter(Number.isInteger)) {
    add(svg, "text", { x: across(tick), y: HEIGHT - 6, "text-anchor": "middle" }, String(tick));
  }
  for (const line of series) {
    const at = line.values.map((value, k) => (value === null ? "" : `${across(x[k]).toFixed(1)},${up(value).toFixed(1)}`));
    add(svg, "polyline", { class: `line ${line.className}`, points: at.join(" ") });
    const end = line.values.length - 1;
    add(svg, "circle", { class: line.className, cx: across(x[end]), cy: up(line.values[end] ?? low), r: 3, fill: "currentColor" });
  }
  const now = series.map((line) => `${line.name} ${figure(line.values[line.values.length - 1])}`).join(", ");
  svg.setAttribute("aria-label", `${what} over ${x.length} points to pass ${x[x.length - 1]}; now ${now}`);
}
