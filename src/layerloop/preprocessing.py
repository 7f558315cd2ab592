"""What is done to an input before the first layer, as plain data that a model file can hold, and how to do it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from layerloop.arraylike import Samples, as_samples
from layerloop.csr import Csr, is_sparse
from layerloop.data.batches import check_finite
from layerloop.data.images import prepare_image
from layerloop.data.photos import prepare_photo
from layerloop.errors import InputError, SettingError, ShapeError, UnknownNameError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

BLOCK = 4096  # rows that are standardised at once, in float64: all of a set of pictures would take a gigabyte


@dataclass(frozen=True)
class Inputs:
    """What the rows that a network is given mean.

    Parameters
    ----------
    scale : float, optional
        What one unit of a raw uint8 input is worth: bytes are multiplied by it, floats are taken as they are.
    center, spread : tuple of float
        Per column, x <- (x - center) / spread; empty for none. The spread of a constant column is 1. A spread alone
        has centers of 0, which is all that sparse rows can have: their zeros must stay zeros.
    columns : tuple of str
        Names of the columns, in order; empty where they have none.
    image : (h, w) or (h, w, 3), optional
        The shape of a picture, grey or in colour, where a row is one, flattened row after row.
    box : int, optional
        The longest side of the ink in such a picture; see `layerloop.data.prepare_image`.
    fit : "stretch", optional
        Pictures are photographs: read whole and stretched to `image`; see `layerloop.data.prepare_photo`.

    Raises
    ------
    SettingError
        Lengths that differ, a scale or a spread that is not positive.

    Examples
    --------
    >>> Inputs(scale=1 / 255).apply(np.array([[0, 255]], dtype=np.uint8), "float32")
    array([[0., 1.]], dtype=float32)
    """

    scale: float | None = None
    center: tuple[float, ...] = ()
    spread: tuple[float, ...] = ()
    columns: tuple[str, ...] = ()
    image: tuple[int, ...] | None = None
    box: int | None = None
    fit: str | None = None

    def __post_init__(self) -> None:
        if self.scale is not None and not (0 < self.scale < np.inf):
            raise SettingError(f"Inputs: scale must be positive and finite, got {self.scale!r}")
        if self.image is not None and (len(self.image) not in (2, 3) or self.image[2:] not in ((), (3,))):
            raise SettingError(f"Inputs: image must be (h, w), or (h, w, 3) in colour, got {self.image!r}")
        if len(self.image or ()) == 3 and self.fit is None:
            raise SettingError("Inputs: a picture in colour is a photograph: fit must be 'stretch'")
        if self.fit not in (None, "stretch"):
            raise SettingError(f"Inputs: fit must be 'stretch' or None, got {self.fit!r}")
        if self.spread and not self.center:
            object.__setattr__(self, "center", (0.0,) * len(self.spread))
        if len(self.center) != len(self.spread):
            raise SettingError(f"Inputs: {len(self.center)} centers but {len(self.spread)} spreads")
        if not all(np.isfinite(self.center)) or not all(0 < s < np.inf for s in self.spread):
            raise SettingError("Inputs: every center must be finite and every spread positive and finite")

    @property
    def standardises(self) -> bool:
        """Whether columns are centred and scaled."""
        return bool(self.center)

    def picture(self, image: Any) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
        """Return a picture (path, PIL image or array) as the network's own, uint8 of shape `image`, and what was done.

        Raises
        ------
        InputError
            The network's rows are no pictures, or the picture is an empty drawing.
        DataFormatError, DataNotFoundError
            As `layerloop.data.read_image`.
        """
        if self.image is None:
            raise InputError("the network was not trained on pictures")
        if self.fit == "stretch":
            return prepare_photo(image, size=self.image[:2], colour=len(self.image) == 3)  # type: ignore[arg-type]
        return prepare_image(image, size=self.image, box=self.box or min(self.image))  # type: ignore[arg-type]

    def in_plane(self, values: NDArray[np.generic]) -> NDArray[np.generic]:
        """Return weights or derivatives of a picture's numbers as (h, w): of a colour pixel the sum of its three.

        That is the weight of, or the derivative in, what all three have in common, its grey.

        Examples
        --------
        >>> Inputs(image=(1, 2, 3), fit="stretch").in_plane(np.arange(6.0))
        array([[ 3., 12.]])
        """
        if self.image is None:
            raise InputError("the network was not trained on pictures")
        picture = values.reshape(self.image)
        return picture if picture.ndim == 2 else picture.sum(axis=2)

    @overload
    def apply(self, X: NDArray[np.generic], dtype: str) -> NDArray[np.floating]: ...
    @overload
    def apply(self, X: NDArray[np.generic] | Csr, dtype: str) -> NDArray[np.floating] | Csr: ...
    def apply(self, X: NDArray[np.generic] | Csr, dtype: str) -> NDArray[np.floating] | Csr:
        """Return the rows that the first layer sees; the same array where nothing is to be done. Sparse rows stay so.

        Raises
        ------
        InputError
            Raw bytes for a network without a scale, values that are not real numbers, sparse rows to be centred.
        NonFiniteInputError
            NaN or infinity.
        """
        rows = self._converted(X, dtype)
        if rows.size:
            check_finite(rows)
        return rows

    def _converted(self, X: NDArray[np.generic] | Csr, dtype: str) -> NDArray[np.floating] | Csr:
        if isinstance(X, Csr):
            return self._converted_sparse(X, dtype)
        if self.standardises and len(X) > BLOCK:
            rows = np.empty(X.shape, dtype)
            for start in range(0, len(X), BLOCK):
                rows[start : start + BLOCK] = self._dense(X[start : start + BLOCK], dtype)
            return rows
        return self._dense(X, dtype)

    def _dense(self, X: NDArray[np.generic], dtype: str) -> NDArray[np.floating]:
        if X.dtype == np.uint8:
            X = self._unpacked(X, dtype)
        elif X.dtype.kind not in "fiub":
            raise InputError(f"the network takes real numbers, got dtype {X.dtype}")
        if self.standardises:
            center, spread = self._standard
            X = (X.astype(np.float64) - center) / spread
        if X.dtype == dtype:
            return np.ascontiguousarray(X)
        with np.errstate(over="ignore"):  # a number too large for the type becomes infinity, which is refused
            return np.ascontiguousarray(X, dtype=dtype)

    @cached_property
    def _standard(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Center and spread as arrays: for one row, making them would take longer than using them."""
        return np.array(self.center), np.array(self.spread)

    def _converted_sparse(self, X: Csr, dtype: str) -> Csr:
        if any(self.center):
            raise InputError(
                "the network centres its columns, which would make every zero of a sparse matrix another number: use a "
                "network with Inputs(spread=...) alone, or pass X.toarray()"
            )
        values = self._unpacked(X.values, dtype) if X.dtype == np.uint8 else X.values
        if self.standardises:
            values = values.astype(np.float64) / self._standard[1][X.columns]
        with np.errstate(over="ignore"):
            return X.with_values(np.ascontiguousarray(values, dtype=dtype))

    def ready(
        self, X: NDArray[np.generic] | Csr, dtype: str, *, finite: bool = False
    ) -> tuple[NDArray[Any] | Csr, float | None]:
        """Return (rows, scale) as an engine takes them: raw bytes that only want their scale stay bytes.

        Where X is known to be `finite`, only numbers that a conversion made are looked at.

        Raises
        ------
        InputError, NonFiniteInputError
            As `apply`.
        """
        rows, scale = self.unchecked(X, dtype)
        if scale is None and rows.size and not (finite and _numbers(rows) is _numbers(X)):
            check_finite(rows)
        return rows, scale

    def unchecked(self, X: NDArray[np.generic] | Csr, dtype: str) -> tuple[NDArray[Any] | Csr, float | None]:
        """Return the same, but with numbers that are not finite still in it: for who looks at them while loading."""
        if self.keeps_bytes(X.dtype) and isinstance(X, np.ndarray):
            return np.ascontiguousarray(X), self.scale
        return self._converted(X, dtype), None

    def keeps_bytes(self, dtype: np.dtype[Any]) -> bool:
        """Whether dense rows of this type go to an engine as they are, raw bytes that only want their scale."""
        return self.scale is not None and not self.center and dtype == np.uint8

    def _unpacked(self, X: NDArray[np.generic], dtype: str) -> NDArray[np.floating]:
        if self.scale is None:
            raise InputError(
                "the input holds raw bytes (uint8), and this network stores no scale for them: "
                "state it, Chain(..., inputs=Inputs(scale=1/255)) for images, or convert them to floats in the unit "
                "the network was trained on"
            )
        unpacked: NDArray[np.floating] = np.multiply(X, np.dtype(dtype).type(self.scale), dtype=dtype)
        return unpacked


def _numbers(rows: NDArray[Any] | Csr) -> NDArray[Any]:
    return rows.values if isinstance(rows, Csr) else rows


def standardised(X: Samples, columns: tuple[str, ...] = ()) -> Inputs:
    """Return inputs that give every column of X mean 0 and standard deviation 1; constant columns become 0.

    Raises
    ------
    InputError
        A sparse X: centred, none of its zeros would be left.

    Examples
    --------
    >>> standardised([[1.0, 5.0], [3.0, 5.0]]).center
    (2.0, 5.0)
    """
    if is_sparse(X):
        raise InputError("a sparse X is not centred, its zeros must stay zeros: use Inputs(spread=...), or X.toarray()")
    numbers = np.asarray(X, dtype=np.float64)
    deviation = numbers.std(axis=0)
    spread = np.where(deviation > 1e-12 * np.abs(numbers).max(axis=0, initial=0.0), deviation, 1.0)
    return Inputs(center=tuple(numbers.mean(axis=0).tolist()), spread=tuple(spread.tolist()), columns=tuple(columns))


def from_dict(values: Mapping[str, object]) -> Inputs:
    """Return inputs from their plain data (lists become tuples).

    Raises
    ------
    UnknownNameError
        For a key that is none of the fields.
    """
    known = [field.name for field in fields(Inputs)]
    for key in values:
        if key not in known:
            raise UnknownNameError(f"unknown description of the input {key!r}.{did_you_mean(key, known)}")
    return Inputs(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})  # type: ignore[arg-type]


def to_dict(inputs: Inputs) -> dict[str, object]:
    """Return inputs as plain data, without what is not set."""
    return {key: value for key, value in asdict(inputs).items() if value not in (None, ())}


def as_rows(x: Samples, n_in: int) -> tuple[NDArray[np.generic] | Csr, bool]:
    """Return (rows, single): one sample (n_in,) becomes a batch of one; sparse rows are always a batch.

    Raises
    ------
    ShapeError
        When the width is not that of the network.
    """
    X = as_samples(x, "the input")
    single = X.ndim == 1
    rows = X[np.newaxis] if single and isinstance(X, np.ndarray) else X
    if rows.ndim != 2 or rows.shape[1] != n_in:
        got = f"{X.shape[-1]} in shape {X.shape}{_turned(X, n_in)}" if X.ndim else "a single number"
        raise ShapeError(f"the network takes {n_in} numbers per sample, as ({n_in},) or (n, {n_in}); got {got}")
    return rows, single


def _turned(X: NDArray[np.generic] | Csr, n_in: int) -> str:
    """Return what to do about samples that lie the other way, or in more dimensions."""
    if X.ndim == 2 and X.shape[0] == n_in:
        return ": the notes' columns are rows here, pass x.T"
    if X.ndim > 2 and math.prod(X.shape[1:]) == n_in:
        return ": one row a sample, pass x.reshape(len(x), -1)"
    return ""
