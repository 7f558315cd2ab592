"""A report's facts as one self-contained page of HTML."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layerloop import describe
from layerloop.inspection import pictures, plots

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    Facts = Mapping[str, Any]

STYLE = Path(__file__).with_name("report.css")
WIDEST = 40  # classes of a confusion matrix that is shown whole
BARS, LISTED = 20, 200  # columns whose importance is drawn, and those that are listed
LARGER = ("balanced_accuracy", "accuracy", "r2", "auc", "f1")  # figures of a history that are better when larger
FIGURES = (*LARGER, "log_loss", "rmse", "mae", "brier", "ece", "loss")  # how the names of its columns end


def page(facts: Facts) -> str:
    """Return the whole page.

    Raises
    ------
    MissingExtraError
        Without matplotlib.
    """
    found = [(name, title, body) for name, title, make in SECTIONS if (body := make(facts))]
    links = "".join(f'<a href="#{name}">{title}</a> ' for name, title, _ in found)
    sections = "".join(
        f'<section aria-labelledby="{name}"><h2 id="{name}">{title}</h2>{body}</section>' for name, title, body in found
    )
    title = escape(facts["title"])
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}: report</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE.read_text('utf-8')}</style></head><body><header><h1>{title}</h1>{_head(facts)}"
        f'<nav aria-label="sections">{links}</nav></header><main>{sections}</main></body></html>\n'
    )


def _head(facts: Facts) -> str:
    data, figures = facts["data"], facts["figures"]
    rows = describe.count(data["rows"], f"{data['part']} row" if data["part"] else "row")
    source = f" of {escape(data['name'])}" if data["name"] else ""
    cards = [_card(figure["name"], _number(figure["value"]), _ends(figure)) for figure in figures[:3]]
    if facts["timing"]["training"] is not None:
        cards.append(
            _card("training took", describe.duration(facts["timing"]["training"]), facts["timing"]["stopped"] or "")
        )
    model = f'<p class="soft"><code>{escape(facts["model"])}</code></p>'
    return f'{model}<p>On {rows}{source}.</p><div class="cards">{"".join(cards)}</div>'


def _card(name: str, value: str, below: str) -> str:
    return f'<div class="card"><span>{escape(name)}</span><b>{escape(value)}</b><span>{escape(below)}</span></div>'


def _ends(figure: Facts) -> str:
    if figure["low"] is None:
        return str(figure["interval"])
    return f"{_number(figure['low'])} to {_number(figure['high'])}"


def _number(value: object) -> str:
    """Return a number as a reader wants it: whole and large ones without digits after the point, None as a dash."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return describe.figure(value)
    large = abs(value) >= 1000
    if isinstance(value, int) or (abs(value) < 1e15 and (large or value == int(value))):
        return f"{value:,.0f}"
    return f"{value:.1f}" if 100 <= abs(value) < 1000 else describe.figure(value)


def _table(rows: Sequence[Facts], *, left: Iterable[str] = (), caption: str = "") -> str:
    """Return rows of the same keys as a table, the first column as its heads."""
    if not rows:
        return ""
    keys = list(rows[0])
    sides = {key: ' class="left"' if key in set(left) else "" for key in keys}
    head = "".join(f'<th scope="col"{sides[key]}>{escape(key)}</th>' for key in keys)
    cells = ("".join(_cell(row[key], sides[key], first=key == keys[0]) for key in keys) for row in rows)
    return _boxed(head, "".join(f"<tr>{line}</tr>" for line in cells), caption)


def _boxed(head: str, body: str, caption: str, kind: str = "") -> str:
    """Return a table that scrolls by itself where the page is narrow, its caption staying above it."""
    above = f'<p class="caption">{escape(caption)}</p>' if caption else ""
    region = f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption or "table")}">'
    table = f"<table{kind}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"{above}{region}{table}</div>"


def _cell(value: object, side: str, *, first: bool) -> str:
    text = escape(_number(value))
    return f'<th scope="row"{side}>{text}</th>' if first else f"<td{side}>{text}</td>"


def _figure(svg: str, caption: str) -> str:
    return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>"


def _learning(facts: Facts) -> str:
    """Curves of the loss and of the metric, and the passes as a table."""
    rows = facts["history"]
    if not rows:
        return ""
    groups: dict[str, list[str]] = {}
    for name in rows[0]:
        kind = next((kind for kind in FIGURES if name.endswith(kind)), None)
        if kind:
            groups.setdefault(kind, []).append(name)
    drawn = []
    for kind, names in groups.items():
        columns = {_curve_name(name, kind): [row.get(name) for row in rows] for name in names}
        name = kind.replace("r2", "R2").replace("_", " ")
        svg = plots.drawn(plots.curve(columns, name), f"curve-{kind}", f"{name} over the passes")
        drawn.append(_figure(svg, f"{name}: {_told(columns, largest=kind in LARGER)}."))
    shown = [{name.replace("_", " "): value for name, value in row.items()} for row in rows]
    whole = f"<details><summary>every pass ({len(rows)})</summary>{_table(shown)}</details>"
    return f'<div class="plots">{"".join(drawn)}</div>{whole}'


def _curve_name(name: str, kind: str) -> str:
    return name.removesuffix(kind).rstrip("_") or "training"


def _told(columns: Mapping[str, Sequence[float | None]], *, largest: bool) -> str:
    """Return a sentence on each curve: where it ended, and where it was best."""
    parts = []
    for name, values in columns.items():
        known = [(value, place) for place, value in enumerate(values, start=1) if value is not None]
        if known:
            best, place = (max if largest else min)(known, key=lambda pair: pair[0])
            parts.append(f"{name} ended at {_number(known[-1][0])}, its best was {_number(best)} in pass {place}")
    return "; ".join(parts) or "no figures"


def _figures(facts: Facts) -> str:
    rows = [
        {
            "figure": figure["name"],
            "value": figure["value"],
            "interval": "-" if figure["low"] is None else _ends(figure),
            "how": figure["interval"],
        }
        for figure in facts["figures"]
    ]
    return _table(rows, left=("figure", "how"), caption=f"on {describe.count(facts['data']['rows'], 'row')}")


FOUND = "recall: the share of a class that is found; precision: the share of what is said that is right"
COUNTS = "rows of a true class, by predicted class; shaded by the share of the class"


def _classes(facts: Facts) -> str:
    """The confusion matrix, and how each class fares."""
    if not facts["per_class"]:
        return ""
    rows = [
        {
            "class": row["class"],
            "rows": row["rows"],
            "recall": row["recall"],
            "its 95 % interval": _ends({"low": row["recall_low"], "high": row["recall_high"], "interval": "-"}),
            "precision": row["precision"],
            "F1": row["f1"],
        }
        for row in facts["per_class"]
    ]
    table = _table(rows, left=("class",), caption=FOUND)
    if facts["confusion"] is None:
        return table
    matrix = _confusion(facts["confusion"], facts["classes"])
    return f'<div class="plots"><div>{matrix}</div><div>{table}</div></div>'


def _confusion(counts: Sequence[Sequence[int]], classes: Sequence[str]) -> str:
    """Return the counts as a shaded table, and the pairs that are most often taken for each other."""
    wrong = ((n, classes[i], classes[j]) for i, row in enumerate(counts) for j, n in enumerate(row) if i != j and n)
    worst = "; ".join(f"{true} for {said} ({n:,})" for n, true, said in sorted(wrong, reverse=True)[:5])
    told = f"<p>Most often taken for another: {escape(worst)}.</p>" if worst else "<p>No row is wrong.</p>"
    if len(classes) > WIDEST:
        return told
    head = "<td></td>" + "".join(f'<th scope="col">{escape(name)}</th>' for name in classes)
    body = ""
    for i, row in enumerate(counts):
        total = sum(row) or 1
        cells = "".join(_count(n, n / total, right=i == j) for j, n in enumerate(row))
        body += f'<tr><th scope="row">{escape(classes[i])}</th>{cells}</tr>'
    return _boxed(head, body, COUNTS, ' class="confusion"') + told


def _count(n: int, share: float, *, right: bool) -> str:
    kind = " ".join(filter(None, ("right" * right, "none" * (n == 0))))
    shade = f' style="background:rgba(var(--shade),{0.62 * share**0.5:.2f})"' if n else ""
    return f"<td{f' class={chr(34)}{kind}{chr(34)}' if kind else ''}{shade}>{n:,}</td>"


def _calibration(facts: Facts) -> str:
    found = facts["calibration"]
    if found is None:
        return ""
    svg = plots.drawn(plots.reliability(found["bins"]), "reliability", "reliability curve")
    told = (
        f"Expected calibration error {_number(found['ece'])}: by so much the probability of the predicted class and "
        f"the share that is right differ, in the mean over rows, by {len(found['bins'])} bins of equal width. Above "
        "the dotted line a model is too modest, below it too sure."
    )
    return _figure(svg, told)


def _residuals(facts: Facts) -> str:
    found = facts["residuals"]
    if found is None:
        return ""
    some = f" ({len(found['true']):,} of {found['rows']:,} rows)" if len(found["true"]) < found["rows"] else ""
    scatter = plots.drawn(
        plots.predicted_against_true(found["true"], found["predicted"]), "scatter", "predicted over true values"
    )
    errors = plots.drawn(plots.histogram(found["counts"], found["edges"], "predicted - true"), "errors", "errors")
    both = _figure(scatter, f"Predicted over true values{some}.") + _figure(errors, "How the errors are spread.")
    return f'<div class="plots">{both}</div>'


def _targets(facts: Facts) -> str:
    """How each of several values a row fares, in its own units."""
    rows = [{key.replace("r2", "R2"): value for key, value in row.items()} for row in facts["per_target"]]
    told = "R2, mean absolute error, root of the mean squared error, in the units of each"
    return _table(rows, left=("target",), caption=told) if rows else ""


def _mistakes(facts: Facts) -> str:
    """The rows that are most wrong, as pictures or as lines of a table."""
    rows = facts["mistakes"]
    if not rows:
        return "" if facts["kind"] == "values" else "<p>No row is wrong.</p>"
    if "picture" in rows[0]:
        return f'<p class="soft">The most confident first.</p><ul class="pictures">{"".join(map(_mistake, rows))}</ul>'
    own = [key for key in rows[0] if key != "cells"]
    shown = [{**{key.replace("_", " "): row[key] for key in own}, **row["cells"]} for row in rows]
    first = "The most confident first" if facts["kind"] != "values" else "The largest error first"
    first += ", in deviations of its target" if facts["per_target"] else ""
    return _table(shown, caption=f"{first}; row: its place among these rows, from 0.")


def _mistake(row: Facts) -> str:
    text = escape(f"{row['label']} taken for {row['predicted']}")
    below = f'<span class="soft">row {row["row"]:,}, {row["probability"]:.0%} sure</span>'
    return f'<li><img alt="{text}" src="{pictures.shown(row["picture"])}">{text}<br>{below}</li>'


def _inside(facts: Facts) -> str:
    """What the network goes by: the importance of columns, or input gradients and first-layer weights as pictures."""
    columns = _columns(facts) if facts["importance"] else ""
    saliency = _saliency(facts["saliency"]) if facts["saliency"] else ""
    return columns + saliency + (_units(facts["weights"]) if facts["weights"] else "")


def _saliency(values: Sequence[Sequence[float]]) -> str:
    image = pictures.signed(values, max(map(max, values)))
    told = (
        "The mean of |q_1|, the gradient of the loss in the input, over rows drawn at random: where a change of ink "
        "changes the loss."
    )
    picture = f'<img class="saliency" alt="mean input gradient by pixel" src="{image}">'
    return f"<figure>{picture}<figcaption>{told}</figcaption></figure>"


def _units(found: Facts) -> str:
    shown = found["pictures"]
    images = "".join(
        f'<li><img alt="weights of unit {k}" src="{pictures.signed(w, found["full"])}">{k}</li>'
        for k, w in enumerate(shown, start=1)
    )
    some = f", the first {len(shown)} of {found['units']} units" if len(shown) < found["units"] else ""
    told = (
        f"First-layer weights{some}: orange where ink drives a unit up, blue where it drives it down, in full colour "
        f"from {_number(found['full'])} on."
    )
    return f'<p>{told}</p><ul class="pictures units">{images}</ul>'


SHUFFLED = (
    "How much {} is lost when the values of one column are shuffled among the rows, mean and standard deviation over "
    "five times. Columns that say the same share their importance."
)
LEANS = (
    "The mean of |q_1|, the gradient of the loss in what the first layer sees; of a column that became several "
    "numbers, the length of their part of it."
)


def _columns(facts: Facts) -> str:
    rows, figure = facts["importance"], facts["importance_of"]
    top = rows[:BARS]
    label, told = (f"{figure} lost", SHUFFLED.format(figure)) if "spread" in rows[0] else ("mean of |q_1|", LEANS)
    size = (plots.SIZE[0], 0.9 + 0.24 * len(top))
    svg = plots.drawn(plots.bars(top, label), "importance", "importance of columns", size)
    words = {"column": "column", "importance": label, "spread": "standard deviation", "gradient": "mean of |q_1|"}
    listed = [{words[key]: value for key, value in row.items()} for row in rows[:LISTED]]
    which = f"every column ({len(rows)})" if len(rows) <= LISTED else f"the first {LISTED} of {len(rows):,} columns"
    table = _table(listed, left=("column",))
    return f"{_figure(svg, told)}<details><summary>{which}</summary>{table}</details>"


def _network(facts: Facts) -> str:
    sizes, timing = facts["sizes"], facts["timing"]
    told = [describe.count(sizes["parameters"], "parameter")]
    if sizes["bytes"]:
        told.append(f"{sizes['bytes'] / 1000:,.0f} kB as a file")
    rate = timing["rows"] / timing["all_rows"] if timing["all_rows"] else 0.0
    one = timing["one_row"] * 1e6
    told.append(f"one row is predicted in {one:,.0f} microseconds (median), {rate:,.0f} rows a second together")
    sentence = escape("; ".join(told))
    return f"{_table(facts['layers'], left=('what',))}<p>{sentence}, as measured while this was written.</p>"


def _data(facts: Facts) -> str:
    data = facts["data"]
    rows = ", ".join(f"{n:,} {name}" for name, n in data["of_run"].items())
    told = [f"<p>Rows of the run: {escape(rows)}.</p>" if rows else ""]
    told.append(f"<p>{describe.count(data['columns'], 'number')} a row.</p>")
    if data["done"]:
        told.append(f"<ul>{''.join(f'<li>{escape(sentence)}</li>' for sentence in data['done'])}</ul>")
    return "".join(told)


def _reproduce(facts: Facts) -> str:
    found = facts["reproduce"]
    command = f"<pre>{escape(found['command'])}</pre>" if found["command"] else ""
    lines = {**({"model file": found["file"]} if found["file"] else {}), **found["made_with"]}
    pairs = "".join(f"<dt>{escape(str(key))}</dt><dd>{escape(str(value))}</dd>" for key, value in lines.items())
    seed = (
        ""
        if not command
        else '<p class="soft">The same seed, machine, version and number of threads give the same bits.</p>'
    )
    return f"{command}{seed}<dl>{pairs}</dl>"


SECTIONS: tuple[tuple[str, str, Callable[[Facts], str]], ...] = (
    ("learning", "How it learned", _learning),
    ("figures", "How good it is", _figures),
    ("classes", "Class by class", _classes),
    ("targets", "Value by value", _targets),
    ("residuals", "Predicted and true", _residuals),
    ("calibration", "How sure it is", _calibration),
    ("mistakes", "Worst mistakes", _mistakes),
    ("inside", "What it goes by", _inside),
    ("network", "The network", _network),
    ("data", "The data", _data),
    ("reproduce", "How to make it again", _reproduce),
)
