// The frame: which view is shown, and the stream of what is new.
import { get } from "./ask.js";
import * as draw from "./draw.js";
import * as loops from "./loops.js";
import * as mistakes from "./mistakes.js";
import * as train from "./train.js";

const VIEWS = { train, draw, loops, mistakes };

function show() {
  const name = location.hash.slice(1).split("/")[0];
  const view = VIEWS[name] ? name : "train";
  for (const section of document.querySelectorAll("main > section")) section.hidden = section.id !== view;
  for (const link of document.querySelectorAll(".tabs a")) {
    if (link.getAttribute("href") === `#${view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${view[0].toUpperCase()}${view.slice(1)} · layerloop lab`;
  VIEWS[view].show?.(location.hash.split("/")[1]);
}

const choices = await get("choices");
for (const view of Object.values(VIEWS)) view.begin(choices);
addEventListener("hashchange", show);
if (!location.hash && choices.model) location.hash = "#mistakes";
show();

// One stream for the page; the browser takes it up again by itself, and then gets the newest of everything.
const stream = new EventSource("stream");
stream.addEventListener("status", (event) => train.status(JSON.parse(event.data)));
stream.addEventListener("picture", (event) => train.picture(JSON.parse(event.data)));
stream.addEventListener("error", () => train.lost());
