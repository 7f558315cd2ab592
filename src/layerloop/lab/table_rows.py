"""Rows of a request to an estimator: each cell as its column has it, or a sentence that names row and column."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from layerloop.errors import InputError, NonFiniteInputError, did_you_mean
from layerloop.frames import Frame, parse_date, read_cells

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

LARGEST = 1.7e308  # a whole number beyond has no place in float64
WORDS = {"number": "a number", "date": "a date such as 2026-11-25T10:00", "text": "text, a number or a boolean"}


def in_order(row: Mapping[str, Any], i: int, columns: Sequence[str]) -> list[Any]:
    """Return the cells of a row that names its columns, in the order of training.

    Raises
    ------
    InputError
        The model knows no names; a column is missing; a column is none of the model's.

    Examples
    --------
    >>> in_order({"b": 2, "a": 1}, 0, ("a", "b"))
    [1, 2]
    """
    if not columns:
        raise InputError(f"row {i} names columns, but this model was trained without names: send lists of numbers")
    for name in columns:
        if name not in row:
            raise InputError(f"row {i} lacks the column {name!r}")
    if len(row) > len(columns):
        name = next(name for name in row if name not in columns)
        raise InputError(f"row {i}: the model has no column {name!r:.60}.{did_you_mean(name, columns)}")
    return [row[name] for name in columns]


def table(rows: Sequence[Any], reads: Mapping[str, str]) -> Frame:
    """Return rows, lists in order or objects by the names of columns, as a table.

    Parameters
    ----------
    rows : sequence
    reads : mapping
        The columns in order, and what each of them holds: "number", "text" or "date".

    Raises
    ------
    InputError
        With row and column of the first cell that its column cannot have. null is a value that is missing.

    Examples
    --------
    >>> found = table([{"town": "Ulm", "age": 41}, [None, "Hof"]], {"age": "number", "town": "text"})
    >>> [series.values.tolist() for series in found.series]
    [[41.0, nan], ['Ulm', 'Hof']]
    """
    columns = tuple(reads)
    cells = [in_order(row, i, columns) if isinstance(row, dict) else row for i, row in enumerate(rows)]
    for i, row in enumerate(cells):
        if not isinstance(row, list) or len(row) != len(columns):
            got = f"{len(row)} values" if isinstance(row, list) else f"a {type(row).__name__}"
            raise InputError(f"row {i} must be an object of columns or a list of {len(columns)} values, got {got}")
    found = []
    for name, column in zip(columns, zip(*cells, strict=True), strict=True):
        _check(column, name, reads[name])
        found.append(read_cells(column, name))
    return Frame(tuple(found), len(cells))


def _check(cells: Sequence[Any], name: str, kind: str) -> None:
    """Refuse the first cell that a column of this kind cannot have; text is read for what it says, as in a file."""
    fits = FITS[kind]
    for i, cell in enumerate(cells):
        if isinstance(cell, int | float) and not abs(cell) <= LARGEST:
            raise NonFiniteInputError(f"row {i}, column {name!r}: a number must be finite, got {_shown(cell)}")
        if cell is not None and not fits(cell):
            raise InputError(
                f"row {i}, column {name!r} must be {WORDS[kind]}, or null where it is missing, got {cell!r:.40}"
            )


def _shown(cell: float) -> str:
    return f"one of {len(str(cell))} digits" if isinstance(cell, int) else repr(cell)


def _is_number(cell: object) -> bool:
    return isinstance(cell, int | float) and not isinstance(cell, bool) and math.isfinite(cell)


def _is_date(cell: object) -> bool:
    return isinstance(cell, str) and parse_date(cell.strip()) is not None


def _is_text(cell: object) -> bool:
    return isinstance(cell, str | int | float)


FITS: Mapping[str, Callable[[object], bool]] = {"number": _is_number, "date": _is_date, "text": _is_text}
