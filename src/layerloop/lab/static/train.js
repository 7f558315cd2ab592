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
  const chosen = () => choices.data.find((row) => row.name === form.data.value);
  for (const row of choices.data) {
    const option = make("option", { value: row.name, textContent: row.there ? row.name : `${row.name} (not here: layerloop data fetch)` });
    option.disabled = !row.there;
    form.data.append(option);
  }
  for (const [name, list] of [["activation", choices.activations], ["optimizer", choices.optimizers]]) {
    form[name].append(...list.map((value) => make("option", { value, textContent: value })));
  }
  for (const [name, value] of Object.entries(choices.start)) if (form[name]) form[name].value = Array.isArray(value) ? value.join(", ") : value;
  note(chosen());
  $("watching").hidden = !choices.watches;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    start();
  });
  form.addEventListener("input", () => { $("train-error").textContent = ""; });
  form.data.addEventListener("change", () => {
    for (const [name, value] of Object.entries(chosen().start)) form[name].value = Array.isArray(value) ? value.join(", ") : value;
    note(chosen());
  });
  $("pause").addEventListener("click", () => control(last?.state === "paused" ? "run" : "pause"));
  $("step").addEventListener("click", () => control("step"));
  $("stop").addEventListener("click", () => control("stop"));
  onTheme(() => drawn && picture(drawn));
  status({ state: "none", curve: {} });
}

function note(row) {
  $("data-note").textContent = row.note;
}

function start() {
  const number = (name) => (form[name].value === "" ? null : Number(form[name].value));
  const layers = form.layers.value.split(/[,\s]+/).filter(Boolean).map(Number);
  const values = { data: form.data.value, layers, activation: form.activation.value, optimizer: form.optimizer.value, pace: Number(form.pace.value) };
  for (const name of ["rate", "batch_size", "epochs", "validation"]) if (number(name) !== null) values[name] = number(name);
  return saying($("train-error"), () => tell("train", values));
}

const control = (wish) => saying($("train-error"), () => tell("control", { do: wish }));

export function lost() {
  $("lost").textContent = "The connection is lost: is the command still running? When it was started anew, open the address that it printed.";
}

export function status(now) {
  last = now;
  $("lost").textContent = "";
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
    $("said").textContent = `${title}${place}${["done", "stopped"].includes(now.state) ? `. ${metricsOf(now.curve).map((name) => `${plain(name)} ${figure(now.curve[name].at(-1))}`).join(", ")}` : ""}`;
  }
}

// The measures of rows that the network is not trained on, those held out first.
const metricsOf = (curve) => Object.keys(curve).filter((name) => /^(validation|test)_/.test(name) && !name.endsWith("loss")).sort().reverse();
const plain = (name) => name.replaceAll("_", " ");

function figures(now) {
  const begun = now.epoch !== undefined;
  const within = begun && now.step < now.steps ? `, step ${now.step}/${now.steps}` : "";
  $("f-epoch").textContent = begun ? `${now.epoch}/${now.epochs}${now.state === "paused" ? within : ""}` : "–";
  $("f-loss").textContent = begun ? figure(now.loss) : "–";
  $("f-speed").textContent = begun ? short(now.samples_per_second) : "–";
  $("f-time").textContent = begun ? duration(now.seconds) : "–";
  $("bar").style.width = begun ? `${(100 * (now.epoch - 1 + now.step / now.steps)) / now.epochs}%` : "0";
  const metrics = metricsOf(now.curve);
  const shown = metrics.length ? metrics : ["test_accuracy"];
  $("f-metrics").replaceChildren(...shown.map((name) => make("div", {}, make("dt", { textContent: plain(name) }),
    make("dd", { id: `f-${name}`, textContent: metrics.length ? figure(now.curve[name].at(-1)) : "–" }))));
}

function drawCurves(curve, loss) {
  const x = curve.epoch ?? [];
  const kinds = { validation: "second", test: "third" };
  const lines = [{ name: "training", className: "first", values: curve.loss ?? [] }];
  for (const [name, className] of Object.entries(kinds)) if (curve[`${name}_loss`]) lines.push({ name, className, values: curve[`${name}_loss`] });
  curves($("loss-chart"), x, lines, `loss${loss ? ` (${loss})` : ""}`);
  $("loss-key").replaceChildren(...keys(lines));
  const metrics = metricsOf(curve);
  $("metric-card").hidden = x.length > 0 && !metrics.length;
  const measures = metrics.map((name) => ({ name: plain(name), className: kinds[name.split("_")[0]], values: curve[name] }));
  const what = metrics.length ? plain(metrics[0]).replace(/^\S+ /, "") : "accuracy";
  $("h-metric").textContent = `${what[0].toUpperCase()}${what.slice(1)} by pass`;
  const least = Math.min(1, ...measures.flatMap((line) => line.values));
  curves($("metric-chart"), x, measures, what, what === "accuracy" && measures.length ? [Math.min(0.9, Math.floor(10 * least) / 10), 1] : null);
  $("metric-key").replaceChildren(...keys(measures));
}

const keys = (lines) => lines.map((line) => make("span", { className: `key ${line.className}`, textContent: line.name }));

export function picture(now) {
  drawn = now;
  $("confusion-card").hidden = !now.confusion;
  $("weights-card").hidden = !now.weights;
  $("surface-card").hidden = !now.surface;
  if (now.confusion) confusion(now.confusion, now.part);
  if (now.weights) weights(now.weights);
  if (now.surface) surface(now.surface, now.points);
}

function confusion({ classes, counts, rows }, part) {
  $("confusion-title").textContent = `Confusion: true classes down, said across, ${rows.toLocaleString("en")} ${part} rows`;
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
    key.style.setProperty("--key", `rgb(${CLASSES[k]})`);
    return key;
  }));
}
