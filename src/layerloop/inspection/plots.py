"""Plots of a report as SVG that stands in a page: matplotlib draws them, the page's style sheet gives the colours.

Text stays text. Colours are drawn as five stand-ins and become variables of the style sheet, so that light and dark are
its business; what an SVG names is renamed, so that several can stand in one page.
"""

from __future__ import annotations

import io
import re
import warnings
from html import escape
from importlib.util import find_spec
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Draw = Callable[[Any], None]

INK, FAINT, FIRST, SECOND, GROUND = "#000001", "#000002", "#000003", "#000004", "#000005"
VARIABLES = {INK: "--ink", FAINT: "--faint", FIRST: "--first", SECOND: "--second", GROUND: "--ground"}
# Of the curves in one plot, in their order.
LOOKS = (("-", FIRST), ("--", SECOND), (":", INK), ("--", FIRST), ("-", SECOND), ("-", INK), (":", FIRST))
SIZE = (5.2, 3.4)  # inches of 72 points: a phone shows it at nine tenths, so that its text stays readable
SETTINGS = {
    "svg.fonttype": "none",
    "font.size": 10,
    "text.parse_math": False,  # a column may be called "$ a year"
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": FAINT,
    "grid.alpha": 0.35,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
}


def check_drawable() -> None:
    """Find out before any work whether plots can be drawn.

    Raises
    ------
    MissingExtraError
        Without matplotlib, which the extra [report] brings.
    """
    if not find_spec("matplotlib"):
        raise MissingExtraError("a report is drawn with matplotlib: pip install 'layerloop[report]'")


def drawn(draw: Draw, name: str, title: str, size: tuple[float, float] = SIZE) -> str:
    """Return what `draw(axes)` draws as an SVG element with a title, its names beginning with `name`.

    Raises
    ------
    MissingExtraError
        Without matplotlib.
    """
    check_drawable()
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({**SETTINGS, "svg.hashsalt": name}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # the reader's fonts are used, not those that measured
        figure = Figure(figsize=size, layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.subplots()
        axes.patch.set_alpha(0)
        draw(axes)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _for_a_page(file.getvalue(), name, title)


def _for_a_page(text: str, name: str, title: str) -> str:
    """Return the SVG without its preamble, with colours of the page, names of its own, and its title."""
    svg = text[text.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', svg))
    svg = re.sub(r' id="([^"]+)"', lambda found: f' id="{name}-{found[1]}"' if found[1] in used else "", svg)
    svg = re.sub(r'(url\(#|href="#)([^)"]+)', rf"\g<1>{name}-\g<2>", svg)
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    svg = re.sub(r"(font(?:-family)?: [^;\"']*)'[^;\"]*", r"\1system-ui, sans-serif", svg)
    opening, _, rest = svg.partition(">")
    view = "".join(re.findall(r'viewBox="[^"]+"', opening))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {view} role="img"'
    return f'{head} aria-labelledby="{name}-title"><title id="{name}-title">{escape(title)}</title>{rest}'


def curve(columns: Mapping[str, Sequence[float | None]], label: str) -> Draw:
    """Return the drawing of columns of a history over the passes."""

    def draw(axes: Any) -> None:
        for (name, values), (style, colour) in zip(columns.items(), cycle(LOOKS), strict=False):
            numbers = np.array([np.nan if value is None else value for value in values])
            axes.plot(np.arange(1, len(numbers) + 1), numbers, style, color=colour, label=name, marker=_dot(numbers))
        axes.set(xlabel="pass", ylabel=label)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend()

    return draw


def _dot(values: Sequence[float] | Any) -> str:
    return "o" if len(values) < 15 else ""


def reliability(bins: Sequence[Mapping[str, Any]]) -> Draw:
    """Return the drawing of how often an answer is right against how probable it was said to be."""

    def draw(axes: Any) -> None:
        rows = [row for row in bins if row["rows"]]
        total = sum(row["rows"] for row in rows)
        width = bins[0]["to"] - bins[0]["from"]
        shares = [row["rows"] / total for row in rows]
        centres = [row["from"] + width / 2 for row in rows]
        axes.bar(centres, shares, width * 0.9, color=FAINT, alpha=0.5, label="share of rows")
        axes.plot([0, 1], [0, 1], ":", color=INK, linewidth=1, label="as said")
        axes.plot([row["said"] for row in rows], [row["right"] for row in rows], "o-", color=FIRST, label="right")
        axes.set(xlabel="probability of the predicted class", ylabel="share that is right", xlim=(0, 1), ylim=(0, 1.02))
        axes.legend(loc="upper left")

    return draw


def bars(rows: Sequence[Mapping[str, Any]], label: str) -> Draw:
    """Return the drawing of the importance of columns, the largest on top."""

    def draw(axes: Any) -> None:
        names = [row["column"] if len(row["column"]) < 24 else row["column"][:22] + ".." for row in rows][::-1]
        values = [row["importance"] for row in rows][::-1]
        spread = [row.get("spread") or 0.0 for row in rows][::-1]
        places = np.arange(len(rows))
        axes.barh(places, values, xerr=spread, color=FIRST, error_kw={"ecolor": INK, "elinewidth": 1})
        axes.set_yticks(places, names)
        axes.grid(visible=False, axis="y")
        axes.set(xlabel=label)

    return draw


def predicted_against_true(true: Sequence[float], predicted: Sequence[float]) -> Draw:
    """Return the drawing of predictions over true values, with the line on which they would be equal."""

    def draw(axes: Any) -> None:
        ends = [min(*true, *predicted), max(*true, *predicted)]
        axes.plot(ends, ends, ":", color=INK, linewidth=1, label="equal")
        axes.plot(true, predicted, "o", color=FIRST, markersize=3, alpha=0.5, markeredgewidth=0)
        axes.set(xlabel="true", ylabel="predicted")
        axes.legend()

    return draw


def histogram(counts: Sequence[int], edges: Sequence[float], label: str) -> Draw:
    """Return the drawing of counts between edges."""

    def draw(axes: Any) -> None:
        axes.stairs(counts, edges, fill=True, color=FIRST, alpha=0.8)
        axes.axvline(0, color=INK, linestyle=":", linewidth=1)
        axes.set(xlabel=label, ylabel="rows")

    return draw
