"""What is done to the columns of a table before a network sees them: plain data, and how to apply it.

A column of numbers becomes x <- c((x - center) / spread) with the smooth clip c(u) = u / sqrt(1 + (u / 3)^2), which is
u near 0 and never leaves (-3, 3) (RealMLP, arXiv 2407.04491). Few categories become a column each, many become codes
for an `Embedding`, dates their moment and place in year, week and day, long text the weights of its hashed words.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from layerloop.csr import Csr, as_csr
from layerloop.errors import InputError, look_up
from layerloop.frames import Frame, Series, as_kind, read_frame

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Block = NDArray[np.float64]

CLIP = 3.0
PERIODS = {"year": 365.2425, "week": 7.0, "day": 1.0}  # days


class Feature(Protocol):
    """What is done to one column; `reads` is the kind of column that it takes."""

    kind: ClassVar[str]
    reads: ClassVar[str]

    @property
    def name(self) -> str:
        """The column's name."""
        ...

    @property
    def width(self) -> int:
        """How many columns it becomes."""
        ...

    def encode(self, series: Series) -> Block:
        """Return them, (n, width)."""
        ...

    @property
    def done(self) -> str:
        """What is done, in words."""
        ...


def clipped(u: Block) -> Block:
    """Return u / sqrt(1 + (u / 3)^2); huge u go to +-3 without overflow."""
    bounded = np.clip(u, -1e100, 1e100)
    result: Block = bounded / np.sqrt(1 + (bounded / CLIP) ** 2)
    return result


@dataclass(frozen=True)
class Number:
    """x <- c((x - center) / spread), missing ones at the center; with `gaps`, a second column marks them."""

    kind: ClassVar[str] = "number"
    reads: ClassVar[str] = "number"
    name: str
    center: float
    spread: float
    gaps: bool = False

    @property
    def width(self) -> int:
        """One column, or two."""
        return 1 + self.gaps

    def encode(self, series: Series) -> Block:
        """Return the scaled, clipped numbers, and the gaps."""
        with np.errstate(over="ignore"):
            u = clipped((series.values - self.center) / self.spread)
        gone = np.isnan(u)
        return np.column_stack([np.where(gone, 0.0, u), *([gone.astype(float)] if self.gaps else [])])

    @property
    def done(self) -> str:
        """The center and the spread."""
        gaps = ", its gaps marked" if self.gaps else ""
        return f"number: (x - {self.center:.4g}) / {self.spread:.4g}, smoothly clipped{gaps}"


@dataclass(frozen=True)
class Flag:
    """Two values as -1 and 1; what is missing or was never seen as 0."""

    kind: ClassVar[str] = "flag"
    reads: ClassVar[str] = "text"
    name: str
    levels: tuple[str | None, ...]

    width: ClassVar[int] = 1

    def encode(self, series: Series) -> Block:
        """Return one column of -1, 0, 1."""
        low, high = (_equal(series, level) for level in self.levels)
        return (high.astype(float) - low)[:, np.newaxis]

    @property
    def done(self) -> str:
        """The two values."""
        return f"two values: {_shown(self.levels[0])} is -1, {_shown(self.levels[1])} is 1"


@dataclass(frozen=True)
class OneHot:
    """A column of 0 and 1 for each level; all 0 for what was never seen. A level None stands for missing."""

    kind: ClassVar[str] = "one_hot"
    reads: ClassVar[str] = "text"
    name: str
    levels: tuple[str | None, ...]

    @property
    def width(self) -> int:
        """The number of levels."""
        return len(self.levels)

    def encode(self, series: Series) -> Block:
        """Return the columns of 0 and 1."""
        return np.column_stack([_equal(series, level) for level in self.levels]).astype(float)

    @property
    def done(self) -> str:
        """The levels, or how many."""
        return f"category: {len(self.levels)} columns, {', '.join(map(_shown, self.levels))}"


@dataclass(frozen=True)
class Codes:
    """The place of its level from 1; 0 for what was never seen or only once. An `Embedding` turns it into numbers."""

    kind: ClassVar[str] = "codes"
    reads: ClassVar[str] = "text"
    name: str
    levels: tuple[str | None, ...]

    width: ClassVar[int] = 1

    @property
    def count(self) -> int:
        """The number of codes."""
        return len(self.levels) + 1

    def encode(self, series: Series) -> Block:
        """Return one column of codes."""
        place = {level: float(i) for i, level in enumerate(self.levels, start=1)}
        return np.array([[place.get(value, 0.0)] for value in series.values]).reshape(-1, 1)

    @property
    def done(self) -> str:
        """How many levels."""
        return f"category: {len(self.levels)} levels, each with learned numbers"


@dataclass(frozen=True)
class Date:
    """The moment, scaled as a number, and sine and cosine of its place in each period; 0 where it is missing."""

    kind: ClassVar[str] = "date"
    reads: ClassVar[str] = "date"
    name: str
    center: float
    spread: float
    periods: tuple[str, ...] = ()
    gaps: bool = False

    @property
    def width(self) -> int:
        """The moment, two columns a period, the gaps."""
        return 1 + 2 * len(self.periods) + self.gaps

    def encode(self, series: Series) -> Block:
        """Return moment, periods and gaps."""
        days = days_of(series)
        gone = np.isnan(days)
        turns = [2 * np.pi * days / PERIODS[period] for period in self.periods]
        waves = [wave(turn) for turn in turns for wave in (np.sin, np.cos)]
        parts = [clipped((days - self.center) / self.spread), *waves]
        return np.column_stack([*(np.where(gone, 0.0, part) for part in parts), *([gone] if self.gaps else [])])

    @property
    def done(self) -> str:
        """The moment and the periods."""
        return f"date: its moment{''.join(f', place in the {period}' for period in self.periods)}"


@dataclass(frozen=True)
class Text:
    """Words and pairs of neighbours, hashed to `width` columns, each row of length 1."""

    kind: ClassVar[str] = "text"
    reads: ClassVar[str] = "text"
    name: str
    width: int

    def encode(self, series: Series) -> Any:
        """Return the rows as a sparse matrix."""
        from sklearn.feature_extraction.text import HashingVectorizer

        hashed = HashingVectorizer(n_features=self.width, ngram_range=(1, 2), alternate_sign=False)
        return hashed.transform([word or "" for word in series.values])

    @property
    def done(self) -> str:
        """How many columns."""
        return f"text: words and pairs of words, hashed to {self.width:,} columns"


@dataclass(frozen=True)
class Left:
    """A column that is left out, and why."""

    kind: ClassVar[str] = "left"
    reads: ClassVar[str] = "text"
    name: str
    why: str

    width: ClassVar[int] = 0

    def encode(self, series: Series) -> Block:
        """Return no columns."""
        return np.empty((len(series.values), 0))

    @property
    def done(self) -> str:
        """Why."""
        return f"left out: {self.why}"


FEATURES: Mapping[str, type] = {kind.kind: kind for kind in (Number, Flag, OneHot, Codes, Date, Text, Left)}


@dataclass(frozen=True)
class Features:
    """What is done to every column of a table, in order; columns of text come last, as sparse ones.

    Examples
    --------
    >>> from layerloop.frames import read_frame
    >>> features = Features((Number("x0", 1.0, 2.0), Flag("x1", ("no", "yes"))))
    >>> features.apply(read_frame([[1.0, "yes"], [None, "perhaps"]])).tolist()
    [[0.0, 1.0], [0.0, 0.0]]
    """

    columns: tuple[Feature, ...]
    named: bool = True

    @property
    def dense(self) -> tuple[Feature, ...]:
        """Those that become dense columns."""
        return tuple(feature for feature in self.columns if feature.kind != "text")

    @property
    def sparse(self) -> tuple[Feature, ...]:
        """Those that become sparse columns."""
        return tuple(feature for feature in self.columns if feature.kind == "text")

    @property
    def places(self) -> dict[str, slice]:
        """Which columns of the result each column of the table became."""
        found, start = {}, 0
        for feature in (*self.dense, *self.sparse):
            found[feature.name] = slice(start, start + feature.width)
            start += feature.width
        return found

    @property
    def width(self) -> int:
        """The number of columns of the result, at least 1."""
        return max(1, sum(feature.width for feature in self.columns))

    @property
    def numbers(self) -> tuple[int, ...]:
        """Places of the columns that hold scaled numbers."""
        places = self.places
        return tuple(places[feature.name].start for feature in self.dense if isinstance(feature, Number))

    @property
    def codes(self) -> tuple[tuple[int, int], ...]:
        """Place and number of codes of each column for an `Embedding`."""
        places = self.places
        return tuple((places[f.name].start, f.count) for f in self.dense if isinstance(f, Codes))

    def apply(self, frame: Frame | Csr) -> NDArray[np.float32] | Csr:
        """Return the rows that a network takes; sparse where there is text, not where only the table was.

        Raises
        ------
        InputError
            A column is missing, or cannot be read as it was in training.
        """
        if isinstance(frame, Csr):
            frame = read_frame(frame.toarray())
        by_name = self._matched(frame)
        blocks = [feature.encode(as_kind(by_name[feature.name], feature.reads)) for feature in self.dense]
        nothing = np.zeros((len(frame), self.width - sum(feature.width for feature in self.columns)))
        dense = np.concatenate([*blocks, nothing], axis=1).astype(np.float32)
        if not self.sparse:
            return np.ascontiguousarray(dense)
        from scipy import sparse

        rest = [feature.encode(as_kind(by_name[feature.name], "text")) for feature in self.sparse]
        return as_csr(sparse.hstack([sparse.csr_array(dense), *rest], format="csr").astype(np.float32), "X")

    def _matched(self, frame: Frame) -> Mapping[str, Series]:
        """Return the columns by the names that they had in training: by name, or by place where there were none."""
        if self.named and frame.named:
            return {feature.name: frame.column(feature.name) for feature in self.columns}
        if len(frame.series) != len(self.columns):
            raise InputError(
                f"the model was trained on {len(self.columns)} columns, this table has {len(frame.series)}"
            )
        return {feature.name: series for feature, series in zip(self.columns, frame.series, strict=True)}


@dataclass(frozen=True)
class SparseFeatures:
    """Sparse rows of `width` columns, all multiplied by one number, so that zeros stay zeros."""

    columns: ClassVar[tuple[Feature, ...]] = ()
    codes: ClassVar[tuple[tuple[int, int], ...]] = ()
    numbers: ClassVar[tuple[int, ...]] = ()
    width: int
    scale: float

    def apply(self, rows: Frame | Csr) -> Csr:
        """Return the scaled rows; dense ones are taken too.

        Raises
        ------
        InputError
            Another number of columns.
        """
        if isinstance(rows, Frame):
            from scipy import sparse

            table = np.column_stack([as_kind(series, "number").values for series in rows.series])
            rows = as_csr(sparse.csr_array(table), "X")
        if rows.width != self.width:
            raise InputError(f"the model was trained on {self.width} columns, these rows have {rows.width}")
        return rows.with_values((rows.values * self.scale).astype(np.float32))


def _equal(series: Series, level: str | None) -> NDArray[np.bool_]:
    return np.array([value == level for value in series.values], bool)


def _shown(level: str | None) -> str:
    return "missing" if level is None else level


def days_of(series: Series) -> Block:
    """Return days since 1970, NaN where there is no date."""
    gone = np.isnat(series.values)
    days = series.values.astype("datetime64[us]").astype(np.int64) / 86_400e6
    return np.where(gone, np.nan, days)


def as_plain(features: Features | SparseFeatures) -> dict[str, object]:
    """Return features as plain data for a file.

    Examples
    --------
    >>> from_plain(as_plain(Features((Left("id", "constant"),)))).columns
    (Left(name='id', why='constant'),)
    """
    if isinstance(features, SparseFeatures):
        return {"sparse": asdict(features)}
    columns = [{"kind": feature.kind, **asdict(feature)} for feature in features.columns]  # type: ignore[call-overload]
    return {"named": features.named, "columns": columns}


def from_plain(values: Mapping[str, Any]) -> Features | SparseFeatures:
    """Return features from their plain data.

    Raises
    ------
    UnknownNameError
        A kind of feature that is none of the table.
    """
    if "sparse" in values:
        return SparseFeatures(int(values["sparse"]["width"]), float(values["sparse"]["scale"]))
    columns = []
    for column in values["columns"]:
        settings = {key: tuple(value) if isinstance(value, list) else value for key, value in column.items()}
        columns.append(look_up(FEATURES, settings.pop("kind"), "kind of feature")(**settings))
    return Features(tuple(columns), bool(values["named"]))
