"""Table files as columns: CSV through the standard library, Parquet, Arrow and Feather through pyarrow.

A column of a CSV file holds numbers where its cells do; gaps are missing values, and everything else is text.
"""

from __future__ import annotations

import csv
import gzip
import math
from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO, StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop.atomic import write_atomically
from layerloop.data.tables import Lines, guessed_target, need_rows
from layerloop.data.target_columns import as_number, as_target, as_targets
from layerloop.errors import (
    DataFormatError,
    DataNotFoundError,
    InputError,
    MissingExtraError,
    NonFiniteInputError,
    OutputError,
    ShapeError,
    did_you_mean,
)
from layerloop.frames import MISSING_WORDS, Frame, Series, read_frame

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

CSV = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
PARQUET, ARROW = (".parquet", ".pq"), (".feather", ".arrow", ".ipc")
ENDINGS = (*CSV, *PARQUET, *ARROW)
NUMBERS = 20  # more than so many different numbers in a column of which almost all are: it holds numbers
ALMOST = 0.95  # the share of cells that are numbers
MOST_BYTES = 1 << 32


@dataclass(frozen=True, eq=False)
class TableFile:
    """A table that was read.

    Attributes
    ----------
    path : Path
    frame : Frame
        All its columns.
    said : tuple of str
        What was read otherwise than it stands there, in sentences.
    lines : tuple of int
        The line of each row, of a CSV file.
    cells : tuple of rows, and delimiter : str
        A CSV file as it stands.
    """

    path: Path
    frame: Frame
    said: tuple[str, ...] = ()
    lines: tuple[int, ...] = ()
    cells: tuple[list[str], ...] = ()
    delimiter: str = ","

    def place(self, row: int) -> str:
        """Return what a row is called in an error: its line, or its number from 0."""
        return f"{self.path}:{self.lines[row]}" if self.lines else f"{self.path}, row {row}"


@dataclass(frozen=True, eq=False)
class Learnable:
    """Rows with their targets: X, and y as labels or float64 values by `kind`; `rows` are their numbers in the file."""

    X: Frame
    y: NDArray[Any]
    kind: str
    target: str
    rows: NDArray[np.intp]
    said: tuple[str, ...] = ()


def is_table(path: object) -> bool:
    """Whether a name ends as that of a table.

    Examples
    --------
    >>> is_table("prices.CSV.gz"), is_table("seven.png")
    (True, False)
    """
    return str(path).lower().endswith(ENDINGS)


def read_table_file(path: str | os.PathLike[str], *, max_bytes: int = MOST_BYTES) -> TableFile:
    """Read a table: .csv, .tsv (plain or .gz; `,` `;` or tab between the cells), .parquet, .feather, .arrow.

    Raises
    ------
    DataNotFoundError
        No such file.
    DataFormatError
        It is damaged, ragged, or of another kind; with the line.
    NonFiniteInputError
        Infinity, with line and column.
    MissingExtraError
        Without pyarrow, for what is no CSV.

    Examples
    --------
    >>> read_table_file("houses.csv").frame.names  # doctest: +SKIP
    ('rooms', 'town', 'price')
    """
    place = Path(path)
    if not is_table(place):
        raise DataFormatError(f"{path} is no table of a known kind: {', '.join(ENDINGS)}")
    if not place.is_file():
        raise DataNotFoundError(f"the file {path} does not exist; name a table ({', '.join(ENDINGS)})")
    if place.name.lower().endswith(CSV):
        return _read_csv(place, max_bytes)
    frame = read_frame(_arrow_table(place), str(path))
    need_rows(path, frame.series and range(len(frame)))
    return TableFile(place, frame)


def learnable(
    table: TableFile, target: str | None = None, kind: str | None = None, classes: Sequence[Any] | None = None
) -> Learnable:
    """Return the rows of a table that have a target, with labels or values by its kind.

    Parameters
    ----------
    table : TableFile
    target : str, optional
        Its column; without it, the one column named target, class, label or y.
    kind : "classes" or "values", optional
        Otherwise text, booleans and at most 20 different whole numbers are classes, all else values.
    classes : sequence, optional
        The labels of a trained model; those of the table are then brought to them.

    Raises
    ------
    InputError, LabelError, DataFormatError, ShapeError
        No such column; labels that cannot be; no other column.
    """
    frame = table.frame
    name = guessed_target(table.path, frame.names) if target is None else target
    if name not in frame.names:
        raise InputError(f"{table.path} {_no_column(name, frame.names)}")
    if len(frame.series) == 1:
        raise ShapeError(f"{table.path}: besides the target {name!r} there is no column to learn from")
    series = frame.column(name)
    rows = np.flatnonzero(~series.missing)
    if not len(rows):
        raise InputError(f"{table.path}: the target {name!r} has no value in any row")
    gone = len(frame) - len(rows)
    said = [] if target is not None else [f"target: column {name!r}, by its name"]
    said += [f"{gone:,} of {len(frame):,} rows have no {name!r} and are left out"] if gone else []
    y, found = _labels(table, series, rows, kind, classes)
    return Learnable(frame.without(name)[rows], y, found, name, rows, (*table.said, *said))


def _no_column(name: str, names: Sequence[str]) -> str:
    """Return what is wrong with a target that is none of the columns: it may be several."""
    parts = [part.strip() for part in name.split(",")]
    if all(part in names for part in parts):
        return (
            f"is learned by an estimator of one target, not of {len(parts)}: a network of several is layerloop train's"
        )
    return f"has no column {name!r}.{did_you_mean(name, names)}"


def several_learnable(table: TableFile, targets: Sequence[str], kind: str) -> Learnable:
    """Return the rows of a table with several targets (n, k): labels of 0 and 1, or values.

    Raises
    ------
    InputError, LabelError, NonFiniteInputError
        No such column; text or gaps in it; labels that are neither 0 nor 1.
    """
    frame, columns = table.frame, []
    for name in targets:
        series = frame.column(name)
        if series.kind not in ("number", "flag"):
            raise InputError(f"{table.path}: the target {name!r} holds {series.kind}; several targets are numbers")
        columns.append(series.values.astype(np.float64))
        frame = frame.without(name)
    read = as_targets(np.stack(columns, axis=1), kind, where=table.place, names=targets)
    return Learnable(frame, read.y, kind, ",".join(targets), np.arange(len(read.y)), table.said)


def _labels(
    table: TableFile, series: Series, rows: NDArray[np.intp], kind: str | None, classes: Sequence[Any] | None
) -> tuple[NDArray[Any], str]:
    """Return the target as labels or values, and which of both."""
    values = series.values[rows]
    if series.kind == "date":
        raise InputError(f"{table.path}: the target {series.name!r} holds dates, which are neither classes nor numbers")
    if series.kind == "flag" and kind != "values":
        values = values.astype(bool)
    if series.kind in ("flag", "text") or classes is not None:
        values = np.array([_label(value) for value in values.tolist()])
    names = None if classes is None else [_label(value) for value in classes]
    read = as_target(values, kind, where=lambda i: f"{table.place(rows[i])}: column {series.name!r}", classes=names)
    if read.kind == "values":
        return read.y, "values"
    own = np.asarray(classes) if classes is not None else _plain_labels(read.classes, series.kind)
    return own[read.y], "classes"


def _label(value: Any) -> str:
    """Return a label as text: 3.0 and 3 are the same class."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _plain_labels(names: Sequence[str], kind: str) -> NDArray[Any]:
    """Return labels as what they were in the table."""
    if kind == "number":
        return np.array([int(name) for name in names])
    return np.array([name == "True" for name in names]) if kind == "flag" else np.array(names)


def write_table_file(path: str | os.PathLike[str], table: TableFile, columns: Mapping[str, NDArray[Any]]) -> Path:
    """Write a table with columns added behind its own, whole or not at all; what kind of file, the ending says.

    Raises
    ------
    OutputError
        It is the file that was read, or cannot be written.
    InputError
        A column that the table has already; an ending of no table.
    MissingExtraError
        Without pyarrow, for what is no CSV.
    """
    place = Path(path)
    if place.exists() and table.path.exists() and place.samefile(table.path):
        raise OutputError(f"cannot write {path}: it is the file that was read; name another place")
    if not is_table(place):
        raise InputError(f"cannot write {path}: predictions of a table go to {', '.join(ENDINGS)}")
    for name in columns:
        if name in table.frame.names:
            raise InputError(f"{table.path} has a column {name!r} already: rename it, or leave it out")
    if place.name.lower().endswith(CSV):
        content = _as_csv(table, columns, "\t" if ".tsv" in place.name.lower() else table.delimiter)
        return write_atomically(place, gzip.compress(content, mtime=0) if place.suffix.lower() == ".gz" else content)
    return write_atomically(place, _as_arrow(table, columns, parquet=place.suffix.lower() in PARQUET))


# CSV.


def _read_csv(path: Path, max_bytes: int) -> TableFile:
    lines = Lines(path, max_bytes)
    records = list(lines)
    need_rows(path, records)
    numbers, cells = [line for line, _ in records], [row for _, row in records]
    said: list[str] = []
    columns = zip(lines.header, zip(*cells, strict=True), strict=True)
    series = tuple(_column(name, column, f"{path}", numbers, said) for name, column in columns)
    return TableFile(path, Frame(series, len(cells)), tuple(said), tuple(numbers), tuple(cells), lines.delimiter)


def _column(name: str, cells: Sequence[str], path: str, lines: Sequence[int], said: list[str]) -> Series:
    """Return a column as numbers or as text."""
    try:
        values = np.array([float(cell) for cell in cells])
        if np.isfinite(values).all() and not any("_" in cell for cell in cells):
            return Series(name, "number", values)
    except ValueError:
        pass
    words = {cell: cell.strip() for cell in set(cells)}
    present = {cell: word for cell, word in words.items() if word.lower() not in MISSING_WORDS}
    parsed = _parsed(name, present, cells, said)
    if parsed is None:
        return Series(name, "text", _objects([present.get(cell) for cell in cells]))
    values = np.array([parsed.get(cell, math.nan) for cell in cells])
    if np.isinf(values).any():
        row = int(np.flatnonzero(np.isinf(values))[0])
        raise NonFiniteInputError(
            f"{path}:{lines[row]}: column {name!r} holds {cells[row]!r}: infinity is no number; leave the cell empty"
        )
    return Series(name, "number", values)


def _parsed(name: str, present: Mapping[str, str], cells: Sequence[str], said: list[str]) -> dict[str, float] | None:
    """Return the number of each cell that is one, or None where the column is text."""
    found = _numbers(present)
    if len(found) == len(present):
        return found
    commas = _numbers({cell: word.replace(",", ".") for cell, word in present.items()})
    if len(commas) == len(present) and len(found) < len(commas):
        said.append(f"column {name!r}: decimal commas are read as points")
        return commas
    others = [cell for cell in cells if cell in present and cell not in found]
    count = sum(cell in present for cell in cells)
    if len(found) <= NUMBERS or len(others) > (1 - ALMOST) * count:
        return None
    said.append(f"column {name!r}: {len(others):,} of its cells are no number, such as {others[0]!r}: taken as missing")
    return found


def _numbers(words: Mapping[str, str]) -> dict[str, float]:
    parsed = {cell: as_number(word) for cell, word in words.items()}
    return {cell: number for cell, number in parsed.items() if number is not None}


def _objects(values: list[Any]) -> NDArray[Any]:
    found = np.empty(len(values), object)
    found[:] = values
    return found


def _as_csv(table: TableFile, columns: Mapping[str, NDArray[Any]], delimiter: str) -> bytes:
    text = StringIO(newline="")
    out = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    out.writerow([*table.frame.names, *columns])
    rows = table.cells or list(zip(*(_shown(series) for series in table.frame.series), strict=True))
    added = zip(*(values.tolist() for values in columns.values()), strict=True)
    out.writerows((*row, *more) for row, more in zip(rows, added, strict=True))
    return text.getvalue().encode()


def _shown(series: Series) -> list[Any]:
    """Return the cells of a column as a CSV file has them."""
    values = series.values.astype(str) if series.kind == "date" else series.values
    return ["" if gone else value for value, gone in zip(values.tolist(), series.missing, strict=True)]


# Parquet, Arrow, Feather.


def _check_extra(path: object) -> None:
    if find_spec("pyarrow") is None:
        raise MissingExtraError(f"{path}: such tables want pyarrow: pip install 'layerloop[tables]'")


def _arrow_table(path: Path) -> Any:
    """Return the table of a Parquet, Feather or Arrow file."""
    _check_extra(path)
    import pyarrow
    from pyarrow import feather, ipc, parquet

    try:
        if path.suffix.lower() in PARQUET:
            return parquet.read_table(path)
        try:
            return feather.read_table(path)
        except pyarrow.ArrowInvalid:
            with ipc.open_stream(path.read_bytes()) as stream:
                return stream.read_all()
    except (pyarrow.ArrowException, OSError) as error:
        raise DataFormatError(f"{path} cannot be read: {str(error).splitlines()[0]}") from None


def _as_arrow(table: TableFile, columns: Mapping[str, NDArray[Any]], *, parquet: bool) -> bytes:
    _check_extra(table.path)
    import pyarrow
    from pyarrow import feather
    from pyarrow import parquet as files

    arrays = {series.name: _with_gaps(series) for series in table.frame.series}
    found = pyarrow.table(arrays | {name: pyarrow.array(values.tolist()) for name, values in columns.items()})
    buffer = BytesIO()
    if parquet:
        files.write_table(found, buffer)
    else:
        feather.write_feather(found, buffer)
    return buffer.getvalue()


def _with_gaps(series: Series) -> Any:
    import pyarrow

    values = series.values.astype(bool) if series.kind == "flag" else series.values
    return pyarrow.array(values if values.dtype != object else values.tolist(), mask=series.missing)
