// The view Mistakes: what the network gets wrong, the most confident first; each opens in Loops.
import { saying, tell } from "./ask.js";
import { figure, make } from "./numbers.js";
import { paintGrey } from "./pixels.js";

const $ = (id) => document.getElementById(id);

export function begin() {
  $("again").addEventListener("click", show);
}

export async function show() {
  const found = await saying($("mistakes-none"), () => tell("mistakes"));
  $("wrong").replaceChildren();
  if (!found) return;
  const rows = found.rows.toLocaleString("en");
  $("mistakes-title").textContent = found.kind === "classes"
    ? `${found.wrong.toLocaleString("en")} of ${rows} rows of ${found.data} are wrong; the most confident first`
    : `The rows of ${found.data} that are farthest off, of ${rows}`;
  $("wrong").append(...found.mistakes.map((row) => make("li", {}, card(row, found.kind))));
}

function card(row, kind) {
  const button = make("button", { type: "button" });
  if (row.picture) {
    const canvas = make("canvas", { className: "pixels" });
    canvas.setAttribute("aria-hidden", "true");
    paintGrey(canvas, row.picture.pixels, row.picture.size);
    button.append(canvas);
  } else {
    const text = Object.entries(row.columns).map(([name, value]) => `${name} ${figure(value, 3)}`).join(", ");
    button.append(make("span", { className: "columns-of", textContent: text }));
  }
  const [label, said] = kind === "classes" ? [row.label, row.predicted] : [figure(row.true), figure(row.predicted)];
  button.append(make("strong", { textContent: `${label} taken for ${said}` }));
  if (row.probability !== undefined) button.append(make("span", { className: "soft small number", textContent: figure(row.probability) }));
  button.setAttribute("aria-label", `row ${row.row}: ${label} taken for ${said}${row.probability === undefined ? "" : `, probability ${figure(row.probability)}`}; open its loops`);
  button.addEventListener("click", () => { location.hash = `#loops/${row.row}`; });
  return button;
}
