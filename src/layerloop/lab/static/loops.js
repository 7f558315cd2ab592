// The view Loops: one sample through both loops, a step at a time, and any number opened to those that made it.
import { saying, tell } from "./ask.js";
import { drawing } from "./draw.js";
import { formula, spoken, symbol } from "./mathml.js";
import { figure, make } from "./numbers.js";
import { onTheme, paintGrey, paintSigned } from "./pixels.js";

const $ = (id) => document.getElementById(id);
const FEW = 64; // numbers that are shown as buttons
const MOST = 40; // terms that are listed
let shown = null; // what the server answered
let step = 0;
let asked = 0; // so that a picture that comes late is not drawn over another step
let trail = []; // the numbers that were opened on the way to this one

export function begin() {
  $("slider").addEventListener("input", () => go(Number($("slider").value)));
  $("previous").addEventListener("click", () => go(step - 1));
  $("next").addEventListener("click", () => go(step + 1));
  $("row").addEventListener("change", () => open({ index: Number($("row").value) }));
  $("another").addEventListener("click", () => open({ index: Math.floor(Math.random() * (shown?.rows ?? 1)) }));
  $("place").addEventListener("submit", (event) => {
    event.preventDefault();
    openNumber(steps()[step].name, [...$("place-fields").querySelectorAll("input")].map((input) => Number(input.value)));
  });
  $("matrix").addEventListener("click", pick);
  addEventListener("keydown", keys);
  onTheme(() => shown && go(step));
}

const steps = () => shown.trace.steps;

function keys(event) {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if ($("loops").hidden || !shown || typing || event.altKey || event.ctrlKey || event.metaKey) return;
  const to = { ArrowLeft: step - 1, ArrowRight: step + 1, Home: 0, End: steps().length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  go(to);
}

export async function show(what) {
  const image = what === "drawing" ? drawing() : null;
  if (image) await open({ image });
  else await open({ index: /^\d+$/.test(what ?? "") ? Number(what) : Number($("row").value) || 0 });
}

async function open(values) {
  const found = await saying($("loops-none"), () => tell("loops", values));
  $("loops-shown").hidden = !(found ?? shown);
  if (!found) return;
  shown = found;
  trail = [];
  sample(found);
  walk();
  $("slider").max = steps().length - 1;
  go(Math.min(step, steps().length - 1));
  $("opened-name").textContent = "A number, opened";
  $("opened").replaceChildren(make("p", { className: "soft", textContent: "Choose a number of the step to see the numbers that made it." }));
}

function sample({ trace, index, rows, data }) {
  const { label, predicted, image, x, outputs } = trace.sample;
  const which = index === null ? "Your drawing" : `${data} row ${index}`;
  const says = predicted === null ? `it says ${figure(outputs[0])}` : `it says ${predicted}`;
  $("sample-title").textContent = `${which}: ${index !== null && label !== null ? `label ${label}, ` : ""}${says}, loss ${figure(trace.value)}`;
  $("sample-model").textContent = `${trace.model}, ${trace.parameters.toLocaleString("en")} parameters, loss ${trace.loss}`;
  $("notes").textContent = trace.notes.join("; ");
  if (index !== null) $("row").value = index;
  if (rows !== null) $("row").max = rows - 1;
  $("sample").hidden = !image;
  if (image) {
    const most = Math.max(...x, 1e-9);
    paintGrey($("sample"), btoa(String.fromCharCode(...x.map((value) => Math.round((255 * Math.max(0, value)) / most)))), image);
  }
}

function walk() {
  for (const loop of ["forward", "backward"]) {
    $(loop).replaceChildren(...steps().flatMap((row, k) => {
      if (row.loop.startsWith("forward") !== (loop === "forward")) return [];
      const button = make("button", { type: "button" }, symbol(row.name));
      button.dataset.step = k;
      button.setAttribute("aria-label", `step ${k + 1}: ${spoken(row.name)}`);
      button.addEventListener("click", () => go(k));
      return [make("li", {}, button)];
    }));
  }
}

function go(to) {
  if (!shown || to < 0 || to >= steps().length) return;
  step = to;
  const row = steps()[step];
  $("slider").value = step;
  $("slider").setAttribute("aria-valuetext", `step ${step + 1} of ${steps().length}: ${spoken(row.name)}`);
  $("previous").disabled = step === 0;
  $("next").disabled = step === steps().length - 1;
  for (const button of document.querySelectorAll(".walk button")) {
    const k = Number(button.dataset.step);
    if (k === step) button.setAttribute("aria-current", "step");
    else button.removeAttribute("aria-current");
    button.classList.toggle("walked", k < step);
  }
  $("step-name").replaceChildren(symbol(row.name), ` — ${row.loop} loop`);
  $("formula").replaceChildren(equation(row.name, row.text));
  $("step-said").textContent = `step ${step + 1} of ${steps().length}, ${spoken(row.name)} = ${row.text}`;
  facts(row);
  numbers(row);
  matrix(row);
}

function equation(name, text) {
  const math = symbol(name);
  const equals = document.createElementNS(math.namespaceURI, "mo");
  equals.textContent = "=";
  math.append(equals, ...formula(text).childNodes);
  return math;
}

function facts(row) {
  const size = row.shape.length ? row.shape.join(" × ") : "a number";
  const found = { shape: size, norm: figure(row.norm) };
  if (row.least !== null) Object.assign(found, { least: figure(row.least), largest: figure(row.largest) });
  $("step-facts").replaceChildren(...Object.entries(found).map(([name, value]) =>
    make("div", {}, make("dt", { textContent: name }), make("dd", { textContent: value }))));
  $("place-fields").replaceChildren(...row.shape.map((most, k) => {
    const what = row.shape.length === 1 ? "entry" : ["row", "column"][k];
    const input = make("input", { type: "number", min: 1, max: most, value: 1, step: 1, className: "number-input", required: true });
    return make("label", { className: "row" }, what, input);
  }));
}

function numbers(row) {
  const entries = row.entries === null ? [] : [row.entries].flat();
  const list = row.shape.length < 2 && entries.length <= FEW ? entries : [];
  $("numbers").replaceChildren(...list.map((value, k) => numberButton(row.name, row.shape.length ? [k + 1] : [], value)));
}

function numberButton(name, place, value) {
  const button = make("button", { type: "button", textContent: figure(value), title: spoken(name, place) });
  button.setAttribute("aria-label", `${spoken(name, place)}: ${figure(value)}; open it`);
  button.addEventListener("click", () => openNumber(name, place));
  return button;
}

// A, B, p and long vectors as a picture of the server; short vectors are numbers already.
async function matrix(row) {
  const mine = ++asked;
  const few = row.shape.length < 2 && row.shape.reduce((a, b) => a * b, 1) <= FEW;
  $("matrix").hidden = true;
  $("matrix-note").textContent = "";
  if (few) return;
  const found = await saying($("matrix-note"), () => tell("picture", { key: shown.key, name: row.name }));
  if (!found || mine !== asked) return;
  paintSigned($("matrix"), found.pixels, found.size);
  Object.assign($("matrix"), { hidden: false, found });
  const tall = Math.max(found.size[0] / found.size[1], 0.12);
  $("matrix").style.aspectRatio = `1 / ${Math.min(tall, 1.2)}`;
  const [rows, columns] = found.laid_out;
  const [down, across] = found.block;
  const block = down * across > 1 ? `; a pixel is the largest of ${down} × ${across} numbers` : "";
  $("matrix-note").textContent = `${rows} × ${columns}, colours from −${figure(found.largest)} to ${figure(found.largest)}${block}; click a pixel to open its number`;
  $("matrix").setAttribute("aria-label", `${spoken(row.name)} as a picture of ${rows} by ${columns}`);
}

function pick(event) {
  const { found } = $("matrix");
  const box = $("matrix").getBoundingClientRect();
  const inside = [(event.clientY - box.top) / box.height, (event.clientX - box.left) / box.width];
  const place = inside.map((part, k) => Math.min(Math.floor(part * found.size[k]) * found.block[k] + 1, found.laid_out[k]));
  const flat = found.shape.length === 1;
  openNumber(found.name, flat ? [(place[0] - 1) * found.laid_out[1] + place[1]] : place);
}

async function openNumber(name, place, back = false) {
  const problem = make("p", { className: "error" });
  const found = await saying(problem, () => tell("opened", { key: shown.key, name, at: place }));
  if (!found) {
    $("opened").replaceChildren(problem);
    return;
  }
  if (!back) trail.push([name, place]);
  $("opened-name").replaceChildren("A number, opened");
  const value = make("p", { className: "opened-value" }, symbol(found.name, found.at), ` = ${figure(found.value, 6)}`);
  const parts = [value];
  if (found.text) parts.push(make("p", { className: "soft" }, "from ", equation(found.name, found.text)));
  parts.push(...terms(found));
  if (trail.length > 1) {
    const previous = make("button", { type: "button", textContent: "Back" });
    previous.addEventListener("click", () => {
      trail.pop();
      openNumber(...trail[trail.length - 1], true);
    });
    parts.push(make("div", { className: "row" }, previous));
  }
  $("opened").replaceChildren(...parts);
}

// The terms that weigh most; the rest is summed.
function terms(found) {
  if (!found.terms.length) return [make("p", { className: "soft", textContent: "This number is given: nothing made it." })];
  const order = found.sum ? [...found.terms].sort((a, b) => Math.abs(b.value) - Math.abs(a.value)) : found.terms;
  const listed = order.slice(0, MOST);
  const rest = order.slice(MOST);
  const lines = listed.map((term) => make("li", { className: "term" }, ...factors(term, found.sum)));
  if (rest.length) {
    const sum = rest.reduce((total, term) => total + term.value, 0);
    lines.push(make("li", { className: "term soft", textContent: `and ${rest.length} smaller terms, together ${figure(sum)}` }));
  }
  const head = found.sum ? `The sum of ${found.terms.length} terms, the largest first:` : "Computed from:";
  return [make("p", { className: "soft small", textContent: head }), make("ul", { className: "terms" }, ...lines)];
}

function factors(term, isSum) {
  const parts = term.factors.flatMap((factor, k) => [
    ...(k ? ["·"] : []),
    make("span", {}, symbol(factor.name, factor.at), " "),
    factor.name === "y" ? make("span", { textContent: figure(factor.value) }) : numberButton(factor.name, factor.at, factor.value),
  ]);
  return isSum && term.factors.length > 1 ? [...parts, make("span", { className: "result number", textContent: figure(term.value) })] : parts;
}
