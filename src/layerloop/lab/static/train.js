// The view Train: the form, the controls, and what the stream tells of a run.
import { saying, tell } from "./ask.js";
import { curves } from "./charts.js";
import { duration, figure, make, short } from "./numbers.js";
import { CLASSES, onTheme, paintSigned, paintSurface } from "./pixels.js";

const $ = (id) => document.getElementById(id);
const form = $("recipe");
let last = null; // status
let drawn = null; // picture
let saidState = "";

export function begin(choices) {
  for (const row of choices.data) {
    const option = make("option", { value: row.name, textContent: row.there ? row.name : `${row.name} (not here: layerloop data fetch)` });
    option.disabled = !row.there;
    form.data.append(option);
  }
  for (const [name, list] of [["activation", choices.activations], ["optimizer", choices.optimizers]]) {
    form[name].append(...list.map((value) => make("option", { value, textContent: value })));
  }
  for (const [name, value] of Object.entries(choices.start)) if (form[name]) form[name].value = value;
  $("watching").hidden = !choices.watches;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    start();
  });
  form.data.addEventListener("change", () => suggest(choices.data.find((row) => row.name === form.data.value)));
  $("pause").addEventListener("click", () => control(last?.state === "paused" ? "run" : "pause"));
  $("step").addEventListener("click", () => control("step"));
  $("stop").addEventListener("click", () => control("stop"));
  onTheme(() => drawn && picture(drawn));
  status({ state: "none", curve: {} });
}

// Settings that show something on a set of this kind.
function suggest(row) {
  const plane = row.kind === "plane";
  const settings = plane
    ? { layers: "16, 16", activation: "tanh", rate: 0.01, batch_size: 32, epochs: 300, pace: "0.1" }
    : { layers: "32", activation: "sigmoid", rate: row.name === "digits" ? 0.01 : 0.001, batch_size: 128, epochs: row.name === "digits" ? 60 : 20, pace: "0" };
  for (const [name, value] of Object.entries(settings)) form[name].value = value;
}

function start() {
  const number = (name) => (form[name].value === "" ? null : Number(form[name].value));
  const layers = form.layers.value.split(/[,\s]+/).filter(Boolean).map(Number);
  const values = { data: form.data.value, layers, activation: form.activation.value, optimizer: form.optimizer.value, pace: Number(form.pace.value) };
  for (const name of ["rate", "batch_size", "epochs"]) if (number(name) !== null) values[name] = number(name);
  return saying($("train-error"), () => tell("train", values));
}

const control = (wish) => saying($("train-error"), () => tell("control", { do: wish }));

export function lost() {
  $("said").textContent = "connection lost";
}

export function status(now) {
  last = now;
  const live = now.state === "running" || now.state === "paused";
  const own = $("watching").hidden;
  $("pause").disabled = $("stop").disabled = !live || !own;
  $("step").disabled = !live || !own;
  $("pause").textContent = now.state === "paused" ? "Go on" : "Pause";
  const words = { none: "No run yet", running: "Training", paused: "Paused", done: "Trained", stopped: "Stopped", failed: "Failed" };
  const title = `${words[now.state]}${now.data ? `: ${now.data}` : ""}`;
  $("run-title").textContent = title;
  $("run-model").textContent = now.model ?? "";
  if (now.state === "failed") $("train-error").textContent = now.why;
  figures(now);
  drawCurves(now.curve, now.loss_name);
  const place = now.state === "paused" ? `, pass ${now.epoch}, step ${now.step}` : "";
  if (saidState !== title + place) {
    saidState = title + place;
    $("said").textContent = `${title}${place}${["done", "stopped"].includes(now.state) ? `. ${$("f-metric-name").textContent} ${$("f-metric").textContent}` : ""}`;
  }
}

function metricOf(curve) {
  return Object.keys(curve).find((name) => name.includes("_") && !name.endsWith("loss"));
}

function figures(now) {
  const begun = now.epoch !== undefined;
  const within = begun && now.step < now.steps ? `, step ${now.step}/${now.steps}` : "";
  $("f-epoch").textContent = begun ? `${now.epoch}/${now.epochs}${now.state === "paused" ? within : ""}` : "–";
  $("f-loss").textContent = begun ? figure(now.loss) : "–";
  $("f-speed").textContent = begun ? short(now.samples_per_second) : "–";
  $("f-time").textContent = begun ? duration(now.seconds) : "–";
  $("bar").style.width = begun ? `${(100 * (now.epoch - 1 + now.step / now.steps)) / now.epochs}%` : "0";
  const metric = metricOf(now.curve);
  if (metric) {
    const values = now.curve[metric];
    $("f-metric-name").textContent = metric.replace("_", " ");
    $("f-metric").textContent = figure(values[values.length - 1]);
  } else $("f-metric").textContent = "–";
}

function drawCurves(curve, loss) {
  const x = curve.epoch ?? [];
  const lines = [{ name: "training", className: "first", values: curve.loss ?? [] }];
  for (const name of ["validation", "test"]) if (curve[`${name}_loss`]) lines.push({ name, className: "second", values: curve[`${name}_loss`] });
  curves($("loss-chart"), x, lines.slice(0, 2), `loss${loss ? ` (${loss})` : ""}`);
  $("loss-key").replaceChildren(...lines.slice(0, 2).map((line) => make("span", { className: `key ${line.className}`, textContent: line.name })));
  const metric = metricOf(curve);
  $("metric-card").hidden = x.length > 0 && !metric;
  const what = metric ? metric.replace("_", " ") : "accuracy";
  $("h-metric").textContent = `${what[0].toUpperCase()}${what.slice(1)} by pass`;
  const isShare = what.endsWith("accuracy");
  curves($("metric-chart"), x, metric ? [{ name: what, className: "second", values: curve[metric] }] : [], what, isShare ? [Math.min(0.9, Math.floor(10 * Math.min(1, ...(curve[metric] ?? [0]))) / 10), 1] : null);
}

export function picture(now) {
  drawn = now;
  $("confusion-card").hidden = !now.confusion;
  $("weights-card").hidden = !now.weights;
  $("surface-card").hidden = !now.surface;
  if (now.confusion) confusion(now.confusion);
  if (now.weights) weights(now.weights);
  if (now.surface) surface(now.surface, now.points);
}

function confusion({ classes, counts, rows }) {
  $("confusion-title").textContent = `Confusion: true classes down, said across, ${rows.toLocaleString("en")} rows`;
  const most = Math.max(1, ...counts.flat());
  const head = make("tr", {}, make("th", { textContent: "", title: "rows: true class, columns: what the network says" }), ...classes.map((name) => make("th", { textContent: name, scope: "col" })));
  const lines = counts.map((line, i) => {
    const cells = line.map((count, j) => {
      const cell = make("td", { textContent: count, className: count ? "" : "zero", title: `${classes[i]} taken for ${classes[j]}: ${count}` });
      const colour = i === j ? "var(--accent)" : "var(--warm)";
      if (count) cell.style.background = `color-mix(in srgb, ${colour} ${Math.round(12 + 38 * Math.sqrt(count / most))}%, transparent)`;
      return cell;
    });
    return make("tr", {}, make("th", { textContent: classes[i], scope: "row" }), ...cells);
  });
  $("confusion").replaceChildren(make("thead", {}, head), make("tbody", {}, ...lines));
}

function weights({ image, of, units }) {
  $("weights-title").textContent = `First-layer weights, ${units.length} of ${of} units`;
  const box = $("weights");
  while (box.children.length > units.length) box.lastChild.remove();
  while (box.children.length < units.length) {
    const canvas = make("canvas", { className: "pixels" });
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `weights of unit ${box.children.length + 1}`);
    box.append(canvas);
  }
  units.forEach((unit, k) => paintSigned(box.children[k], unit, image));
}

function surface(now, points) {
  paintSurface($("surface"), now, points);
  $("surface").setAttribute("aria-label", `decision surface of ${points.classes.length} classes over ${points.x.length} points`);
  $("surface-key").replaceChildren(...points.classes.map((name, k) => {
    const key = make("span", { textContent: name, className: "key" });
    key.style.color = `rgb(${CLASSES[k]})`;
    return key;
  }));
}
