// The page of `layerloop serve`: what the model takes, a request to try, the routes from the OpenAPI document.
const $ = (id) => document.getElementById(id);
const get = async (path) => (await fetch(path)).json();

const [model, api] = await Promise.all([get("model"), get("openapi.json")]);

function show() {
  $("model").textContent = model.model;
  const facts = { predicts: model.predicts, inputs: model.inputs, outputs: model.outputs, parameters: model.parameters };
  for (const [name, value] of Object.entries(facts)) {
    const pair = document.createElement("div");
    pair.append(Object.assign(document.createElement("dt"), { textContent: name }));
    pair.append(Object.assign(document.createElement("dd"), { textContent: value.toLocaleString("en") }));
    $("facts").append(pair);
  }
  if (model.columns.length) $("columns").textContent = `Columns, in this order: ${model.columns.map((name) => model.reads[name] ? `${name} (${model.reads[name]})` : name).join(", ")}`;
  else if (model.image) $("columns").textContent = `A row is a picture of ${model.image.join(" x ")}, row after row, ink bright, from 0 to 1`;
  const cells = { number: 0, text: "", date: "2026-11-25" };
  const cell = (name) => cells[model.reads[name] ?? "number"];
  const row = model.columns.length ? Object.fromEntries(model.columns.map((name) => [name, cell(name)])) : Array(model.inputs).fill(0);
  $("request").value = JSON.stringify({ rows: [row] });
  const shown = model.inputs > 12 && !model.columns.length ? "[0, 0, ...]" : JSON.stringify(row);
  $("curl").textContent = `curl -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -d '{"rows": [${shown}]}' ${location.origin}/predict`;
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, about] of Object.entries(methods)) {
      const line = $("paths").insertRow();
      for (const text of [method.toUpperCase(), path, about.summary]) {
        const cell = line.insertCell();
        cell.textContent = text;
        cell.className = "left";
      }
    }
  }
}

async function send() {
  const begun = performance.now();
  const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: $("request").value };
  const response = await fetch("predict", options);
  const answer = await response.json();
  $("took").textContent = `status ${response.status}, ${(performance.now() - begun).toFixed(1)} ms`;
  $("answer").textContent = JSON.stringify(answer, null, 2);
}

show();
$("send").addEventListener("click", send);
