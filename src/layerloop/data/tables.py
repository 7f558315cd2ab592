"""CSV files: rows of numbers with a named target in, the same rows with their predictions out.

Every complaint names file, line and column: a hundred thousand lines are not searched by eye.
"""

from __future__ import annotations

import csv
import gzip
import math
from array import array
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from layerloop.atomic import write_atomically
from layerloop.data.idx import opened, read_at_most
from layerloop.data.target_columns import Target, as_number, as_target, as_targets
from layerloop.errors import (
    DataFormatError,
    InputError,
    NonFiniteInputError,
    OutputError,
    ShapeError,
    did_you_mean,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

DELIMITERS = (",", ";", "\t")
MISSING = frozenset({"", "na", "nan", "null", "?"})
TARGETS = ("target", "class", "label", "y")  # a column of such a name is the target when none is stated


@dataclass(frozen=True)
class Table:
    """A table that was read.

    X is (n, d) float64; y is n int64 class indices or float64 values, by `kind`; `guessed` says that the
    target's name was not stated but taken from the header.
    """

    X: NDArray[np.float64]
    y: NDArray[np.generic]
    kind: str
    classes: tuple[str, ...]
    columns: tuple[str, ...]
    target: str
    guessed: bool


@dataclass(frozen=True)
class Rows:
    """Rows to predict: X (n, d) float64 in the expected order, and the file's own header and cells."""

    X: NDArray[np.float64]
    header: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    path: Path
    delimiter: str


def read_csv(
    path: str | os.PathLike[str],
    *,
    target: str | None = None,
    kind: str | None = None,
    classes: Sequence[str] | None = None,
    max_bytes: int = 1 << 30,
) -> Table:
    """Read a CSV file with a header, plain or gzip; `,` `;` or tab between the cells.

    Parameters
    ----------
    path : path
        UTF-8, with or without byte-order mark.
    target : str, optional
        The target column, or several as "a,b,c"; without it, the one column named target, class, label or y.
    kind : "classes" or "values", optional
        What the target is; otherwise text and at most 20 distinct whole numbers are classes, all else values.
    classes : names, optional
        The classes of a trained network in its order; y then counts in them.
    max_bytes : int
        The largest uncompressed size that is read.

    Raises
    ------
    DataFormatError
        A ragged line, a cell that is no number, a bad header, another encoding; with file, line and column.
    NonFiniteInputError
        A missing value or infinity, with line and column.
    InputError
        No such target column.
    LabelError
        Labels that cannot be classes.

    Examples
    --------
    >>> read_csv("houses.csv", target="price").columns  # doctest: +SKIP
    ('rooms', 'area')
    """
    lines = Lines(path, max_bytes)
    names = (guessed_target(path, lines.header),) if target is None else target_names(lines, target)
    at = [lines.header.index(name) for name in names]
    rest = [i for i in range(len(lines.header)) if i not in at]
    columns = tuple(lines.header[i] for i in rest)
    if not columns:
        raise ShapeError(f"{path}: besides the target {', '.join(map(repr, names))} there is no column to learn from")
    numbers, places = array("d"), array("q")
    cells: list[list[str]] = []
    for line, row in lines:
        labels = [row[i].strip() for i in at]
        for name, label in zip(names, labels, strict=True):
            if label.lower() in MISSING:
                raise missing(path, line, name, label)
        numbers.extend(row_numbers([row[i] for i in rest], columns, f"{path}:{line}", first=not cells))
        cells.append(labels)
        places.append(line)
    X = np.array(numbers).reshape(need_rows(path, cells), len(columns))
    read = read_targets(cells, kind, names, classes, lambda i: f"{path}:{places[i]}")
    return Table(X, read.y, read.kind, read.classes, columns, ",".join(names), target is None)


def read_targets(
    cells: list[list[str]],
    kind: str | None,
    names: tuple[str, ...],
    classes: Sequence[str] | None,
    where: Callable[[int], str],
) -> Target:
    """Return the cells of the target columns, row by row, as what they mean."""
    if len(names) == 1:
        column = [row[0] for row in cells]
        return as_target(column, kind, where=lambda i: f"{where(i)}: column {names[0]!r}", classes=classes)
    numbers = np.empty((len(cells), len(names)))
    for i, row in enumerate(cells):
        for j, cell in enumerate(row):
            number = as_number(cell)
            if number is None:
                raise DataFormatError(f"{where(i)}: column {names[j]!r} holds {cell!r}; several targets are numbers")
            numbers[i, j] = number
    return as_targets(numbers, kind, where=where, names=names)


def read_csv_rows(path: str | os.PathLike[str], columns: Sequence[str], *, max_bytes: int = 1 << 30) -> Rows:
    """Read the rows of a CSV file for prediction: `columns` in any order, further columns allowed and kept.

    Raises
    ------
    InputError
        An expected column is missing.
    DataFormatError, NonFiniteInputError
        As :func:`read_csv`, for the expected columns.

    Examples
    --------
    >>> read_csv_rows("new.csv", ("rooms", "area")).X.shape  # doctest: +SKIP
    (12, 2)
    """
    lines = Lines(path, max_bytes)
    place_of = {name: i for i, name in enumerate(lines.header)}
    absent = [name for name in columns if name not in place_of]
    if absent:
        raise InputError(
            f"{path} lacks the column{'s' * (len(absent) > 1)} {', '.join(map(repr, absent))}."
            f"{did_you_mean(absent[0], lines.header)} The model was trained on {', '.join(columns)}"
        )
    places = [place_of[name] for name in columns]
    numbers = array("d")
    kept: list[tuple[str, ...]] = []
    for line, row in lines:
        numbers.extend(row_numbers([row[i] for i in places], columns, f"{path}:{line}", first=not kept))
        kept.append(tuple(row))
    X = np.array(numbers).reshape(need_rows(path, kept), len(places))
    return Rows(X, lines.header, tuple(kept), Path(path), lines.delimiter)


def write_csv(path: str | os.PathLike[str], rows: Rows, predictions: Mapping[str, Sequence[object]]) -> Path:
    """Write the rows as they were read, and one more column for each prediction; whole or not at all.

    A path that ends in .gz is compressed.

    Raises
    ------
    OutputError
        The path is the file that was read, or cannot be written.
    InputError
        A prediction column that the file has already, or of another length.

    Examples
    --------
    >>> write_csv("out.csv", rows, {"prediction": ["cat", "dog"]})  # doctest: +SKIP
    PosixPath('out.csv')
    """
    place = Path(path)
    if place.exists() and rows.path.exists() and place.samefile(rows.path):
        raise OutputError(f"cannot write {path}: it is the file that was read; name another place")
    for name, column in predictions.items():
        if name in rows.header:
            raise InputError(f"{rows.path} has a column {name!r} already: rename it, or name the prediction otherwise")
        if len(column) != len(rows.cells):
            raise ShapeError(f"column {name!r} has {len(column):,} entries for {len(rows.cells):,} rows")
    text = StringIO(newline="")
    out = csv.writer(text, delimiter=rows.delimiter, lineterminator="\n")
    out.writerow([*rows.header, *predictions])
    # str, because csv writes repr, and NumPy's repr says np.float64(0.5)
    out.writerows((*row, *map(str, more)) for row, *more in zip(rows.cells, *predictions.values(), strict=True))
    content = text.getvalue().encode()
    return write_atomically(place, gzip.compress(content, mtime=0) if place.suffix == ".gz" else content)


def header_of(path: str | os.PathLike[str], *, max_bytes: int = 1 << 30) -> tuple[str, ...]:
    """Return the column names of a CSV file.

    Raises
    ------
    DataFormatError
        As :func:`read_csv`.
    """
    return Lines(path, max_bytes).header


class Lines:
    """The lines of a CSV file: `header`, `delimiter`, and (line number, cells) by iteration, none ragged."""

    def __init__(self, path: str | os.PathLike[str], max_bytes: int) -> None:
        self.path = path
        text = read_text(path, max_bytes)
        self.delimiter = sniffed(text.split("\n", 1)[0])
        self.reader = csv.reader(StringIO(text, newline=""), delimiter=self.delimiter, strict=True)
        self.header = checked_header(path, next(self.records(), (1, []))[1])

    def records(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the records that are not blank lines."""
        try:
            for row in self.reader:
                if row:
                    yield self.reader.line_num, row
        except csv.Error as error:
            raise DataFormatError(
                f"{self.path}:{self.reader.line_num}: {error}; is a quotation mark open or doubled?"
            ) from None

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        for line, row in self.records():
            if len(row) != len(self.header):
                raise ragged(f"{self.path}:{line}", row, self.header)
            yield line, row


def read_text(path: str | os.PathLike[str], max_bytes: int) -> str:
    """Return the text of a UTF-8 file, plain or gzip, without byte-order mark."""
    with opened(path) as file:
        content = read_at_most(file, max_bytes + 1)
    if len(content) > max_bytes:
        raise DataFormatError(f"{path} is larger than {max_bytes:,} bytes uncompressed; split it")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataFormatError(f"{path} is UTF-16 text; save it as UTF-8")
    if content.find(0) >= 0:
        raise DataFormatError(f"{path} is not a CSV file: it holds zero bytes, as no text does")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataFormatError(
            f"{path}:{line}: byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8"
        ) from None


def sniffed(line: str) -> str:
    """Return the delimiter that cuts the header into the most cells (a comma when none does)."""
    try:
        return max(DELIMITERS, key=lambda mark: len(next(csv.reader([line], delimiter=mark), [])))
    except csv.Error:
        return ","


def checked_header(path: str | os.PathLike[str], cells: list[str]) -> tuple[str, ...]:
    """Return the column names: all there, none twice, not numbers."""
    header = tuple(cell.strip() for cell in cells)
    if not header:
        raise DataFormatError(f"{path} is empty; expected a line of column names and rows of numbers")
    if all(as_number(name) is not None for name in header):
        raise DataFormatError(f"{path}:1: expected a line of column names, got the numbers {', '.join(header[:5])}")
    seen: set[str] = set()
    for i, name in enumerate(header):
        if not name:
            raise DataFormatError(
                f"{path}:1: column {i + 1} has no name: name it, or leave it out (pandas: to_csv(..., index=False))"
            )
        if name in seen:
            raise DataFormatError(f"{path}:1: two columns are named {name!r}: rename one")
        seen.add(name)
    return header


def guessed_target(path: str | os.PathLike[str], header: Sequence[str]) -> str:
    """Return the one column whose name says that it is the target."""
    names = [name for name in header if name.lower() in TARGETS]
    if len(names) == 1:
        return names[0]
    why = f"several could be it ({', '.join(names)})" if names else f"none is named {', '.join(TARGETS)}"
    raise InputError(f"{path}: which column is the target? {why}; state target=NAME. Columns: {', '.join(header)}")


def target_names(lines: Lines, target: str) -> tuple[str, ...]:
    """Return the target columns: the one of this name, or several with commas between them."""
    if target in lines.header:
        return (target,)
    names = tuple(name.strip() for name in target.split(","))
    for name in names:
        if name not in lines.header:
            raise InputError(f"{lines.path} has no column {name!r}.{did_you_mean(name, lines.header)}")
    return tuple(dict.fromkeys(names))


def row_numbers(row: list[str], columns: Sequence[str], place: str, *, first: bool) -> list[float]:
    """Return a row's cells as finite numbers; the slow search for the culprit runs only when there is one."""
    try:
        numbers = [float(cell) for cell in row]
        # a sum is finite only when every term is (an overflow sends good rows through the slow search, too)
        if math.isfinite(sum(numbers)) and not any("_" in cell for cell in row):
            return numbers
    except ValueError:
        pass
    return [checked_number(cell, name, place, first) for cell, name in zip(row, columns, strict=True)]


def checked_number(cell: str, column: str, place: str, first: bool) -> float:
    """Return the finite number in a cell, or raise an error that names it."""
    if cell.strip().lower() in MISSING:
        raise missing_at(place, column, cell)
    number = as_number(cell)
    if number is None and first:
        raise DataFormatError(
            f"{place}: column {column!r} holds text ({cell!r}); features must be numbers here: "
            "leave the column out, or write its categories as numbers"
        )
    if number is None:
        hint = "; write decimals with a point" if as_number(cell.replace(",", ".")) is not None else ""
        raise DataFormatError(f"{place}: column {column!r} holds {cell!r}, expected a number{hint}")
    if not math.isfinite(number):
        raise NonFiniteInputError(f"{place}: column {column!r} holds {cell!r}; every number must be finite")
    return number


def missing_at(place: str, column: str, cell: str) -> NonFiniteInputError:
    """Return the error of a missing value."""
    return NonFiniteInputError(
        f"{place}: column {column!r} has no value ({cell!r}); tables with missing values come "
        "with the estimators: until then remove or fill such rows"
    )


def missing(path: str | os.PathLike[str], line: int, column: str, cell: str) -> NonFiniteInputError:
    """Return the error of a missing target."""
    return NonFiniteInputError(f"{path}:{line}: the target {column!r} has no value ({cell!r}): remove such rows")


def ragged(place: str, row: list[str], header: tuple[str, ...]) -> DataFormatError:
    """Return the error of a line that is too short or too long."""
    if len(row) < len(header):
        what = f"the first one missing is {header[len(row)]!r}"
    else:
        what = f"the first one too many, after {header[-1]!r}, is {row[len(header)]!r}"
    return DataFormatError(f"{place}: expected {len(header)} cells as in the header, got {len(row)}; {what}")


def need_rows(path: str | os.PathLike[str], rows: Sequence[object]) -> int:
    """Return the number of rows, of which there must be one."""
    if not rows:
        raise DataFormatError(f"{path} has a header but no rows")
    return len(rows)
