// A formula of the trace, such as "diag(s_1) A[z_1]" or "-sum_k y_k log z_4,k", as MathML.
const NS = "http://www.w3.org/1998/Math/MathML";
const GREEK = { sigma: "σ", "gamma~": "γ̃", gamma: "γ", beta: "β", mu: "μ", epsilon: "ε", pi: "π" };
const FUNCTIONS = new Set(["diag", "softmax", "log", "exp", "sqrt", "mean", "var", "max", "cos", "sin", "tanh", "relu", "identity"]);
const TOKEN = /\s*([A-Za-z]+~?|\d+(?:\.\d+)?|\^;1|\^T|_|\^|[^\sA-Za-z\d])/y;

function element(tag, text, ...children) {
  const made = document.createElementNS(NS, tag);
  if (text) made.textContent = text;
  made.append(...children);
  return made;
}

function tokens(text) {
  const found = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.trimEnd().length) {
    const match = TOKEN.exec(text);
    if (!match) break;
    found.push({ text: match[1], spaced: match[0] !== match[1] });
  }
  return found;
}

function atom(word) {
  if (/^\d/.test(word)) return element("mn", word);
  if (GREEK[word]) return element("mi", GREEK[word]);
  if (word === "sum") return element("mo", "∑");
  if (/^[A-Za-z]/.test(word)) {
    const made = element("mi", word);
    if (word.length > 1 && !FUNCTIONS.has(word)) made.setAttribute("mathvariant", "normal");
    return made;
  }
  return element("mo", { "-": "−", "*": "⋅", "'": "′" }[word] ?? word);
}

// The subscript of a name: letters and digits, joined by commas that no space follows ("4,k").
function subscript(list, at) {
  const row = element("mrow", "");
  for (;;) {
    row.append(atom(list[at].text));
    at += 1;
    const joins = list[at]?.text === "," && list[at + 1] && !list[at + 1].spaced && /^[A-Za-z\d]/.test(list[at + 1].text);
    if (!joins) return [row, at];
    row.append(element("mo", ","));
    at += 1;
  }
}

export function formula(text) {
  const math = element("math", "");
  const list = tokens(text);
  for (let at = 0; at < list.length;) {
    const { text: word, spaced } = list[at];
    at += 1;
    let made = word === "o" && spaced ? element("mo", "∘") : atom(word);
    let below = null, above = null;
    if (list[at]?.text === "'") {
      above = element("mo", "′");
      at += 1;
    }
    if (list[at]?.text === "_" && list[at + 1]) [below, at] = subscript(list, at + 1);
    if (list[at]?.text === "^;1") {
      above = element("mrow", "", element("mo", ";"), element("mn", "1"));
      at += 1;
    } else if (list[at]?.text === "^T") {
      above = element("mi", "T");
      at += 1;
    } else if (list[at]?.text === "^" && list[at + 1]) {
      above = atom(list[at + 1].text);
      at += 2;
    }
    if (below && above) made = element("msubsup", "", made, below, above);
    else if (below) made = element("msub", "", made, below);
    else if (above) made = element("msup", "", made, above);
    if (spaced && /^[A-Za-z(\[]/.test(word) && word !== "o") {
      const gap = element("mspace", "");
      gap.setAttribute("width", "0.25em");
      math.append(gap);
    }
    math.append(made);
  }
  return math;
}

// "z_2" or, with a place, "z_2,5" as a symbol.
export function symbol(name, place = []) {
  const [letter, i] = name.split("_");
  const under = [i, ...place].filter((part) => part !== undefined).join(",");
  return formula(under ? `${letter}_${under}` : letter);
}

// As a word that a screen reader says and a label holds.
export const spoken = (name, place = []) => `${name.replace("_", " ")}${place.length ? `, entry ${place.join(", ")}` : ""}`;
