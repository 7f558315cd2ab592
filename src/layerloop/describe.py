"""Plain values become text and fragments of HTML that people read: numbers, durations, tables."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence


def count(number: int, noun: str = "") -> str:
    """Return a whole number with thousands marked, and its noun in the right number.

    Examples
    --------
    >>> count(25450, "parameter"), count(1, "row")
    ('25,450 parameters', '1 row')
    """
    if not noun:
        return f"{number:,}"
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """Return a time as a person would say it.

    Examples
    --------
    >>> duration(0.0312), duration(2.61), duration(75), duration(7300)
    ('31 ms', '2.6 s', '1 min 15 s', '2 h 01 min')
    """
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def figure(value: object) -> str:
    """Return one cell of a table: floats with four digits after the point, None as a dash."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4f}" if 1e-3 <= abs(value) < 1e5 or value == 0 else f"{value:.3g}"
    return str(value)


def table(rows: Sequence[Mapping[str, object]], left: Collection[str] = ()) -> str:
    """Return rows of the same keys as aligned text, the keys as its head; the columns in `left` begin at one place.

    Examples
    --------
    >>> print(table([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}]))
    epoch    loss
        1  0.5000
        2  0.2500
    """
    if not rows:
        return "(no rows)"
    cells = [[str(key) for key in rows[0]], *([figure(row.get(key)) for key in rows[0]] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    sides = [str.ljust if key in left else str.rjust for key in rows[0]]
    lines = ("  ".join(side(cell, n) for side, cell, n in zip(sides, line, widths, strict=True)) for line in cells)
    return "\n".join(line.rstrip() for line in lines)


STYLE = "font-family:monospace;font-size:0.9em;margin:0.3em 0;white-space:pre-wrap"


def html_lines(lines: Sequence[str]) -> str:
    """Return lines of text as a fragment of HTML.

    Examples
    --------
    >>> html_lines(["a < b"]).partition(">")[2]
    'a &lt; b</div>'
    """
    return f'<div style="{STYLE}">{escape(chr(10).join(lines))}</div>'


def html_table(rows: Sequence[Mapping[str, object]], *, caption: str = "", left: Collection[str] = ()) -> str:
    """Return rows of the same keys as a table of HTML, which takes its colours from the page that it stands in.

    Examples
    --------
    >>> html_table([{"epoch": 1, "loss": 0.5}]).count("<td")
    2
    """
    if not rows:
        return html_lines([*([caption] if caption else ()), "(no rows)"])
    sides = {key: f' style="padding:0.1em 0.6em;text-align:{"left" if key in left else "right"}"' for key in rows[0]}
    head = "".join(f'<th scope="col"{sides[key]}>{escape(str(key))}</th>' for key in rows[0])
    lines = ("".join(f"<td{sides[key]}>{escape(figure(row.get(key)))}</td>" for key in rows[0]) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    title = f'<caption style="text-align:left;padding:0.3em 0.6em">{escape(caption)}</caption>' if caption else ""
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
