"""A trace as lines of text and as HTML: the plain dict of `Trace.as_dict`, drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from layerloop import describe

if TYPE_CHECKING:
    from collections.abc import Mapping

SHOWN = 6  # numbers of a vector that stand in its line
LEFT = ("", "formula", "entries")


def trace_text(found: Mapping[str, Any]) -> str:
    """Return a trace as lines: the sample, both loops, the gradient, remarks, and the check."""
    parts = [_headline(found), sample_line(found)]
    for loop in ("forward", "backward"):
        parts += ["", f"{loop} loop", describe.table(_rows(found, loop), left=LEFT)]
    parts += ["", gradient_line(found), *(f"note: {note}" for note in found["notes"])]
    if found["check"] is not None:
        parts += ["", *check_lines(found["check"])]
    return "\n".join(parts)


def trace_html(found: Mapping[str, Any]) -> str:
    """Return a trace as a fragment of HTML, for a notebook."""
    loops = [
        describe.html_table(_rows(found, loop), caption=f"{loop} loop", left=LEFT) for loop in ("forward", "backward")
    ]
    rest = [gradient_line(found), *found["notes"], *(check_lines(found["check"]) if found["check"] else ())]
    return "".join([describe.html_lines([_headline(found), sample_line(found)]), *loops, describe.html_lines(rest)])


def _headline(found: Mapping[str, Any]) -> str:
    return f"{found['model']}  # {describe.count(found['parameters'], 'parameter')}, trace in float64"


def sample_line(found: Mapping[str, Any]) -> str:
    """Return what the network says of the sample: "label 7, predicted 7 (output 0.9987), crossentropy 0.0013"."""
    sample, loss = found["sample"], f"{found['loss']} {describe.figure(found['value'])}"
    if sample["predicted"] is not None:
        label = f"label {sample['label']}, " if sample["label"] is not None else ""
        return f"{label}predicted {sample['predicted']} (output {max(sample['outputs']):.4f}), {loss}"
    return f"target {_few(sample['y'])}, predicted {_few(sample['outputs'])}, {loss}"


def _few(numbers: list[float]) -> str:
    """Return the first numbers of a vector."""
    return " ".join(map(describe.figure, numbers[:SHOWN])) + (" ..." if len(numbers) > SHOWN else "")


def _rows(found: Mapping[str, Any], loop: str) -> list[dict[str, object]]:
    return [
        {
            "": step["name"],
            "formula": f"= {step['text']}",
            "shape": " x ".join(map(str, step["shape"])) or "1",
            "norm": step["norm"],
            "least": step["least"],
            "largest": step["largest"],
            "entries": _entries(step),
        }
        for step in found["steps"]
        if step["loop"] == loop
    ]


def _entries(step: Mapping[str, Any]) -> str:
    """Return the numbers of a short vector."""
    if step["entries"] is None or len(step["shape"]) != 1 or step["shape"][0] > SHOWN:
        return ""
    return _few(step["entries"])


def gradient_line(found: Mapping[str, Any]) -> str:
    """Return how long the gradient is, and in which order it stands."""
    L, row = found["L"], found["gradient"]
    order = "; ".join(f"p_{i}" for i in range(1, L + 1)) if L <= 3 else f"p_1; ...; p_{L}"
    return f"gradient ({order}), in the order of w: {row['shape'][0]:,} entries, norm {describe.figure(row['norm'])}"


def check_lines(check: Mapping[str, Any]) -> list[str]:
    """Return the finite differences beside the gradient, layer by layer, with the worst entry of all."""
    rows = [
        {
            "": layer["name"],
            "entries": layer["checked"],
            "largest entry": layer["largest"],
            "largest difference": layer["largest_difference"],
        }
        for layer in check["layers"]
    ]
    return ["beside finite differences", describe.table(rows, left=("",)), *check["text"].splitlines()]
