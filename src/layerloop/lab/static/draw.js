// The view Draw: a pad for mouse, finger and keys; the server says what the network sees in it.
import { Refused, tell } from "./ask.js";
import { make } from "./numbers.js";
import { paintGrey, paintOver } from "./pixels.js";

const $ = (id) => document.getElementById(id);
const pad = $("pad");
const context = pad.getContext("2d", { willReadFrequently: true });
let inked = false, asking = false, again = false;
let at = null; // where the pen is down
let pen = [140, 140]; // where the keys hold it
let lowered = false;

// What is drawn now, as a PNG; null while nothing is. What was answered last may be older than the last stroke.
export const drawing = () => (inked ? pad.toDataURL("image/png") : null);

export function begin() {
  pad.addEventListener("pointerdown", (event) => {
    pad.setPointerCapture(event.pointerId);
    at = place(event);
    stroke(at, at);
  });
  pad.addEventListener("pointermove", (event) => {
    if (!at) return;
    for (const part of event.getCoalescedEvents?.() ?? [event]) {
      const to = place(part);
      stroke(at, to);
      at = to;
    }
  });
  for (const name of ["pointerup", "pointercancel"]) pad.addEventListener(name, () => { at = null; });
  pad.addEventListener("keydown", keys);
  $("clear").addEventListener("click", clear);
  $("show-q").addEventListener("change", () => { $("saliency").hidden = !$("show-q").checked; });
  $("file").addEventListener("change", load);
  $("to-loops").addEventListener("click", () => { location.hash = "#loops/drawing"; });
  waiting("draw something");
}

export function show() {
  if (inked) ask(); // the network may be another by now
}

function place(event) {
  const box = pad.getBoundingClientRect();
  return [((event.clientX - box.left) / box.width) * pad.width, ((event.clientY - box.top) / box.height) * pad.height];
}

function stroke([ax, ay], [bx, by]) {
  context.lineWidth = Number($("pen").value);
  context.lineCap = context.lineJoin = "round";
  context.strokeStyle = "#000";
  context.beginPath();
  context.moveTo(ax, ay);
  context.lineTo(bx + 0.01, by);
  context.stroke();
  inked = true;
  ask();
}

function keys(event) {
  const moves = { ArrowLeft: [-10, 0], ArrowRight: [10, 0], ArrowUp: [0, -10], ArrowDown: [0, 10] };
  if (event.key === " ") {
    lowered = !lowered;
    if (lowered) stroke(pen, pen);
  } else if (event.key === "Escape" || event.key === "Delete") clear();
  else if (moves[event.key]) {
    const to = pen.map((x, k) => Math.min(270, Math.max(10, x + moves[event.key][k])));
    if (lowered) stroke(pen, to);
    pen = to;
  } else return;
  event.preventDefault();
  pad.setAttribute("aria-description", `pen ${lowered ? "down" : "up"} at ${pen.join(", ")} of 280`);
}

function clear() {
  context.clearRect(0, 0, pad.width, pad.height);
  inked = lowered = false;
  waiting("draw something");
  for (const name of ["seen", "saliency"]) $(name).getContext("2d").clearRect(0, 0, 999, 999);
  $("done").textContent = "";
}

// A picture file takes the place of the drawing, as large as it fits.
async function load() {
  const [file] = $("file").files;
  if (!file) return;
  clear();
  try {
    const picture = await createImageBitmap(file);
    const factor = Math.min(pad.width / picture.width, pad.height / picture.height);
    context.fillStyle = "#fff";
    context.drawImage(picture, 0, 0, picture.width * factor, picture.height * factor);
    inked = true;
    ask();
  } catch {
    waiting("this file is no picture that a browser can read");
  }
}

function waiting(text) {
  $("verdict").textContent = text;
  $("verdict").classList.add("waiting");
  $("chances").replaceChildren();
  $("to-loops").disabled = true;
}

// One request at a time; what is drawn meanwhile is asked about when it is back.
async function ask() {
  if (asking) {
    again = true;
    return;
  }
  asking = true;
  try {
    const found = await tell("draw", { image: drawing() });
    if (inked) said(found);
    $("draw-none").textContent = "";
  } catch (error) {
    waiting(error instanceof Refused && error.message.includes("draw something") ? "draw something" : "no answer");
    $("draw-none").textContent = error instanceof Refused && !error.message.includes("draw something") ? error.message : "";
  }
  asking = false;
  if (again) {
    again = false;
    if (inked) ask();
  }
}

function said(found) {
  paintGrey($("seen"), found.picture.pixels, found.picture.size);
  paintOver($("saliency"), found.gradient, found.picture.size);
  $("done").textContent = found.done.join("; ");
  $("verdict").classList.remove("waiting");
  $("verdict").textContent = found.prediction;
  $("to-loops").disabled = false;
  const rows = Object.entries(found.probabilities ?? {}).map(([name, p]) => {
    const fill = make("div");
    fill.style.width = `${100 * p}%`;
    return make("div", { className: "chance" }, make("span", { textContent: name }), make("div", { className: "track" }, fill),
      make("span", { className: "number", textContent: p.toFixed(3) }));
  });
  $("chances").replaceChildren(...rows);
}
