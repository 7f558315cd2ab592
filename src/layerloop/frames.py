"""From what people call a table to named columns of plain arrays: pandas, polars, pyarrow, NumPy, nested lists."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop.errors import InputError, NonFiniteInputError, ShapeError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

KINDS = ("number", "flag", "text", "date")  # float64; float64 of 0, 1; object of str; datetime64[us]
MISSING_WORDS = frozenset({"", "na", "nan", "null", "none", "?"})  # what a cell of text says when it has no value


@dataclass(frozen=True, eq=False)
class Series:
    """One column: `values` by `kind`, missing ones as NaN, None or NaT."""

    name: str
    kind: str
    values: NDArray[Any]

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Which rows have no value, (n,)."""
        if self.kind == "text":
            return np.array([value is None for value in self.values], bool)
        missing: NDArray[np.bool_] = np.isnat(self.values) if self.kind == "date" else np.isnan(self.values)
        return missing


@dataclass(frozen=True, eq=False)
class Frame:
    """Columns of one length, `n` rows; `named` says whether the names are the table's own."""

    series: tuple[Series, ...]
    n: int
    named: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, in order."""
        return tuple(series.name for series in self.series)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.n, len(self.series)

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, rows: NDArray[Any] | slice | list[int]) -> Frame:
        """Return the rows of a mask, a slice, or of row numbers in that order."""
        taken = tuple(Series(series.name, series.kind, series.values[rows]) for series in self.series)
        return Frame(taken, len(np.arange(self.n)[rows]), self.named)

    def column(self, name: str) -> Series:
        """Return a column by its name.

        Raises
        ------
        InputError
            There is none.
        """
        for series in self.series:
            if series.name == name:
                return series
        raise InputError(f"the table lacks the column {name!r}.{did_you_mean(name, self.names)}")

    def without(self, name: str) -> Frame:
        """Return the other columns."""
        return Frame(tuple(series for series in self.series if series.name != name), self.n, self.named)


def rows_of(X: Any, rows: NDArray[np.intp]) -> Any:
    """Return rows by their numbers, of whatever a table is: a data frame, a Frame, an array, a sparse matrix, a list.

    Examples
    --------
    >>> rows_of([[1, 2], [3, 4]], np.array([1]))
    [[3, 4]]
    """
    if is_frame(X):
        import narwhals

        return narwhals.from_native(X, eager_only=True)[rows.tolist()].to_native()
    if isinstance(X, list | tuple):
        return [X[i] for i in rows.tolist()]
    return X[rows]


def shuffled(X: Any, j: int, order: NDArray[np.intp]) -> Any:
    """Return a table in which the cells of column j stand in another order; X itself stays as it is.

    Examples
    --------
    >>> shuffled(np.array([[1, 2], [3, 4]]), 1, np.array([1, 0])).tolist()
    [[1, 4], [3, 2]]
    """
    if isinstance(X, Frame):
        moved = Series(X.names[j], X.series[j].kind, X.series[j].values[order])
        return Frame((*X.series[:j], moved, *X.series[j + 1 :]), X.n, X.named)
    if is_frame(X):
        import narwhals

        frame = narwhals.from_native(X, eager_only=True)
        return _aligned(frame, [frame[:, j][order.tolist()].alias(frame.columns[j])]).to_native()
    copied = X.toarray() if hasattr(X, "toarray") else np.array(X)
    copied[:, j] = copied[order, j]
    return copied


def is_frame(X: Any) -> bool:
    """Whether X is a data frame of a library that narwhals knows."""
    if isinstance(X, np.ndarray | list | tuple | Frame):
        return False
    import narwhals

    try:
        return isinstance(narwhals.from_native(X, eager_only=True, pass_through=True), narwhals.DataFrame)
    except narwhals.exceptions.DuplicateError:
        return True  # read_frame says which name occurs twice


def read_frame(X: Any, what: str = "X") -> Frame:
    """Return the columns of a data frame, an array (n, d) or nested lists.

    Raises
    ------
    InputError
        Cells that are no number, text, boolean or date, with column and row; names that occur twice.
    NonFiniteInputError
        Infinity, with column and row. A value that is not there is NaN or None.
    ShapeError
        What has not two dimensions.

    Examples
    --------
    >>> frame = read_frame([[1.5, "a"], [None, "b"]])
    >>> [(series.name, series.kind) for series in frame.series]
    [('x0', 'number'), ('x1', 'text')]
    """
    frame = _of_frame(X, what) if is_frame(X) else _of_array(X, what)
    for series in frame.series:
        _check_finite(series)
    return frame


def with_columns(X: Any, columns: Mapping[str, NDArray[Any]]) -> Any:
    """Return a data frame of the same library with columns added behind its own, or put in the place of such a name.

    Raises
    ------
    InputError
        X is no data frame.
    """
    if not is_frame(X):
        raise InputError(f"frames come out where frames go in; got a {type(X).__name__}: use predict")
    import narwhals

    frame = narwhals.from_native(X, eager_only=True)
    own = [
        narwhals.new_series(name, values.tolist(), backend=frame.implementation).alias(name)
        for name, values in columns.items()
    ]
    return _aligned(frame, own).to_native()


def _aligned(frame: Any, series: list[Any]) -> Any:
    import narwhals

    rows = narwhals.maybe_get_index(frame)
    return frame.with_columns(
        *([narwhals.maybe_set_index(s, index=rows) for s in series] if rows is not None else series)
    )


def _of_frame(X: Any, what: str) -> Frame:
    import narwhals

    try:
        frame = narwhals.from_native(X, eager_only=True)
        names = [str(name) for name in frame.columns]
    except narwhals.exceptions.DuplicateError:
        names = [str(name) for name in X.columns]
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{what} has two columns named {twice!r}: rename one") from None
    return Frame(tuple(_of_narwhals(frame[:, i], name) for i, name in enumerate(names)), len(frame))


def _of_narwhals(column: Any, name: str) -> Series:
    import narwhals

    kind = column.dtype
    if kind.is_numeric():
        return Series(name, "number", _floats(column))
    if kind == narwhals.Boolean:
        return Series(name, "flag", _floats(column))
    if kind == narwhals.Duration:
        return Series(name, "number", _floats(column.dt.total_seconds()))
    if kind in (narwhals.Date, narwhals.Datetime):
        if getattr(kind, "time_zone", None):
            column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        stamps = [None if _is_missing(stamp) else stamp for stamp in column.cast(narwhals.Datetime("us")).to_list()]
        return Series(name, "date", np.array(stamps, "datetime64[us]"))
    if kind in (narwhals.Categorical, narwhals.Enum):
        column = column.cast(narwhals.String)
    return read_cells(column.to_list(), name)


def _floats(column: Any) -> NDArray[np.float64]:
    import narwhals

    values: NDArray[np.float64] = np.asarray(column.cast(narwhals.Float64).to_numpy(), np.float64)
    return values


def _of_array(X: object, what: str) -> Frame:
    table = X if isinstance(X, np.ndarray) else np.array(X, dtype=object)
    if table.ndim == 1 and any(isinstance(row, list | tuple) for row in table):
        raise ShapeError(f"{what} must have two dimensions (rows, columns); its rows have different lengths")
    if table.ndim != 2:
        raise ShapeError(f"{what} must have two dimensions (rows, columns), got shape {table.shape}")
    if table.dtype.kind == "c":
        raise InputError(f"{what} holds complex numbers; a table has real ones, text, booleans or dates")
    names = [f"x{i}" for i in range(table.shape[1])]
    pairs = zip(names, table.T, strict=True)
    return Frame(tuple(_of_values(values, name) for name, values in pairs), len(table), named=False)


def _of_values(values: NDArray[Any], name: str) -> Series:
    if values.dtype.kind in "iuf":
        return Series(name, "number", values.astype(np.float64))
    if values.dtype.kind == "b":
        return Series(name, "flag", values.astype(np.float64))
    if values.dtype.kind == "M":
        return Series(name, "date", values.astype("datetime64[us]"))
    if values.dtype.kind == "m":
        return Series(name, "number", values / np.timedelta64(1, "s"))
    return read_cells(values.tolist(), name)


def read_cells(cells: Sequence[object], name: str) -> Series:
    """Return a column of Python's own values: numbers where all are, booleans, dates, otherwise text.

    Raises
    ------
    InputError
        A cell of another type, with its row.

    Examples
    --------
    >>> read_cells([True, None, False], "open").kind
    'flag'
    """
    present = [cell for cell in cells if not _is_missing(cell)]
    if all(isinstance(cell, bool | np.bool_) for cell in present) and present:
        return Series(name, "flag", _numbers(cells))
    if all(isinstance(cell, int | float | np.number) and not isinstance(cell, complex) for cell in present):
        return Series(name, "number", _numbers(cells))
    if all(hasattr(cell, "isoformat") or isinstance(cell, np.datetime64) for cell in present):
        stamps = [None if _is_missing(cell) else cell for cell in cells]
        return Series(name, "date", np.array(stamps, "datetime64[us]"))
    for row, cell in enumerate(cells):
        if not isinstance(cell, str | int | float | bool | np.generic) and not _is_missing(cell):
            raise InputError(
                f"column {name!r}, row {row}: a cell holds a {type(cell).__name__}; the argument must be a string or a "
                "number, a boolean or a date"
            )
    return Series(name, "text", _words(cells))


def _is_missing(cell: object) -> bool:
    """Whether a cell has no value: None, NaN, NaT, or what a library puts there."""
    if cell is None or (isinstance(cell, str) and cell.strip().lower() in MISSING_WORDS):
        return True
    try:
        return bool(cell != cell)
    except (TypeError, ValueError):
        return type(cell).__name__ == "NAType"


def _numbers(cells: Sequence[object]) -> NDArray[np.float64]:
    return np.array([math.nan if _is_missing(cell) else float(cell) for cell in cells])  # type: ignore[arg-type]


def _words(cells: Sequence[object]) -> NDArray[Any]:
    words = np.empty(len(cells), object)
    words[:] = [None if _is_missing(cell) else _word(cell) for cell in cells]
    return words


def _word(cell: object) -> str:
    """Return a cell as text: 3.0 and 3 are the same category."""
    if isinstance(cell, float | np.floating) and float(cell).is_integer():
        return str(int(cell))
    return str(cell).strip()


def _check_finite(series: Series) -> None:
    if series.kind == "number" and np.isinf(series.values).any():
        row = int(np.flatnonzero(np.isinf(series.values))[0])
        raise NonFiniteInputError(
            f"column {series.name!r}, row {row}: infinity; a value that is not known is NaN, one that is too large for "
            "the type wants another unit"
        )


def as_kind(series: Series, kind: str) -> Series:
    """Return a column as the kind that a model was trained on.

    Raises
    ------
    InputError
        It cannot be read so, with the row.

    Examples
    --------
    >>> as_kind(read_cells(["1.5", "2"], "x0"), "number").values.tolist()
    [1.5, 2.0]
    """
    if series.kind == kind or {series.kind, kind} == {"number", "flag"}:
        return Series(series.name, kind, series.values)
    if series.missing.all():
        return Series(series.name, kind, _nothing(kind, len(series.values)))
    if kind == "text":
        words = [None if gone else value for value, gone in zip(series.values.tolist(), series.missing, strict=True)]
        return Series(series.name, kind, _words(words))
    if series.kind == "text":
        return Series(series.name, kind, _parsed(series, kind))
    raise InputError(f"column {series.name!r} was a {kind} in training and is a {series.kind} here")


def _nothing(kind: str, n: int) -> NDArray[Any]:
    if kind == "text":
        return np.full(n, None, object)
    return np.full(n, "NaT", "datetime64[us]") if kind == "date" else np.full(n, math.nan)


def _parsed(series: Series, kind: str) -> NDArray[Any]:
    read = parse_date if kind == "date" else parse_number
    values = [read(word) if word is not None else None for word in series.values]
    for row, (word, value) in enumerate(zip(series.values, values, strict=True)):
        if word is not None and value is None:
            raise InputError(f"column {series.name!r}, row {row}: {word!r} is no {kind}, which it was in training")
    return np.array(values, "datetime64[us]" if kind == "date" else np.float64)


def parse_number(word: str) -> float | None:
    """Return the finite number that a word is, or None."""
    try:
        number = float(word)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def parse_date(word: str) -> np.datetime64 | None:
    """Return the moment that an ISO date is (2026-11-25, 2026-11-25T10:00), or None; one with a zone is put in UTC."""
    if len(word) < 8 or not word[:4].isdigit() or word[4] != "-":
        return None
    try:
        if "+" in word or "-" in word[10:]:  # NumPy warns of a zone
            moment = datetime.fromisoformat(word)
            return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "us") if moment.tzinfo else None
        return np.datetime64(word.replace(" ", "T").removesuffix("Z"), "us")
    except (ValueError, OverflowError):
        return None
