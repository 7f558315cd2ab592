"""Rows in batches, shuffled anew at every pass: the notes' DataLoader and ncycle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop.arraylike import Samples, as_array, as_samples
from layerloop.csr import Csr
from layerloop.data.weights import ClassWeight, checked_weights, class_weights, normalised
from layerloop.errors import InputError, NonFiniteInputError, SettingError, ShapeError
from layerloop.finite import all_finite
from layerloop.settings import whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray


class DataLoader:
    """Batches of rows (X, y), in a new order at every pass.

    The order of pass e is a function of (seed, e) only, so a run can be repeated and continued exactly.

    Parameters
    ----------
    data : (X, y)
        X of shape (n, d): float32, float64 or raw uint8 bytes (with `scale`), or a sparse matrix, whose batches stay
        sparse; y of n class indices, n values, or n rows. `(X,)` or X alone gives batches of X.
    batchsize : int
        Rows per batch.
    shuffle : bool
        Whether every pass has a new order.
    partial : bool
        Whether the last batch may be smaller; otherwise the rows left over are dropped from that pass.
    seed : int
        Seed of the orders.
    scale : float, optional
        What one unit of a raw uint8 X is worth (1/255 for images); the bytes stay bytes in memory.
    weights : array (n,), optional
        How much each row counts. They are divided by their mean: the loss that is reported is then the weighted mean
        over the data, and a batch's gradient, sum_i w_i grad l_i / n, is that of the weighted mean in expectation.
    class_weight : "balanced", {label: weight}, or a sequence by class index, optional
        Weights by the class of each row, times `weights`; "balanced" makes all classes count the same in total.

    Attributes
    ----------
    epoch : int
        The number of the next pass, counted from 0.
    weights : ndarray (n,) or None
        The weights of the rows, of mean 1; batches then are (X, y, weights).

    Raises
    ------
    InputError
        No rows, X and y of different lengths, NaN or infinity, raw bytes without a scale.
    SettingError
        A batch size below 1.

    Examples
    --------
    >>> loader = DataLoader((np.eye(3), [0, 1, 2]), batchsize=2, shuffle=False)
    >>> [(x.shape, y.tolist()) for x, y in loader]
    [((2, 3), [0, 1]), ((1, 3), [2])]
    """

    def __init__(
        self,
        data: tuple[Samples, ...] | Samples,
        batchsize: int = 128,
        shuffle: bool = True,
        partial: bool = True,
        seed: int = 0,
        scale: float | None = None,
        *,
        weights: ArrayLike | None = None,
        class_weight: ClassWeight | None = None,
    ) -> None:
        if np.ndim(batchsize):
            raise InputError("X and y go in as one pair: DataLoader((X, y), batchsize=128)")
        self.X, self.y = checked_data(data, scale)
        self.batchsize = min(whole(batchsize, "batchsize", least=1), len(self.X))
        self.shuffle = shuffle
        self.partial = partial
        self.seed = whole(seed, "seed", least=0)
        self.scale = scale
        self.weights = _weights(self.X, self.y, weights, class_weight)
        self.epoch = 0

    def order(self, epoch: int) -> NDArray[np.intp]:
        """Return the row numbers of pass `epoch`, without those that `partial=False` drops."""
        n = len(self.X) if self.partial else len(self) * self.batchsize
        if not self.shuffle:
            return np.arange(n)
        return np.random.default_rng((self.seed, epoch)).permutation(len(self.X))[:n]

    def __len__(self) -> int:
        full, rest = divmod(len(self.X), self.batchsize)
        return full + (self.partial and rest > 0)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        order = self.order(self.epoch)
        self.epoch += 1
        for start in range(0, len(order), self.batchsize):
            rows = order[start : start + self.batchsize]
            yield tuple(part[rows] for part in (self.X, self.y, self.weights) if part is not None)

    def __repr__(self) -> str:
        what = f"{len(self.X):,} rows x {self.X.shape[1]} {self.X.dtype}"
        return f"DataLoader({what}, batchsize={self.batchsize}, {len(self):,} batches, shuffle={self.shuffle})"


def _weights(
    X: NDArray[np.generic] | Csr,
    y: NDArray[np.generic] | None,
    weights: ArrayLike | None,
    class_weight: ClassWeight | None,
) -> NDArray[np.float64] | None:
    """Return the weights of all rows, of mean 1; None where nothing weighs them."""
    if weights is None and class_weight is None:
        return None
    found = np.ones(len(X)) if weights is None else checked_weights(weights, len(X))
    if class_weight is not None:
        if y is None:
            raise InputError("class_weight goes by the labels y: DataLoader((X, y), class_weight=...)")
        found = found * checked_weights(class_weights(y, class_weight), len(X))
    return normalised(found, len(X))


class Ncycle:
    """`n` passes over a loader as one stream of batches, each pass in its own order; made by :func:`ncycle`."""

    def __init__(self, loader: DataLoader, n: int) -> None:
        if not isinstance(loader, DataLoader):
            raise SettingError(f"ncycle goes over a DataLoader, got {type(loader).__name__}")
        self.loader = loader
        self.n = whole(n, "the number of passes n", least=1)

    def __len__(self) -> int:
        return self.n * len(self.loader)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        for _ in range(self.n):
            yield from self.loader


def ncycle(loader: DataLoader, n: int) -> Ncycle:
    """Return `n` passes over `loader`, as in the notes' `train!(loss, ps, ncycle(loader, 20), opt)`.

    Examples
    --------
    >>> loader = DataLoader((np.eye(4), range(4)), batchsize=2)
    >>> len(ncycle(loader, 20)), sum(1 for _ in ncycle(loader, 20))
    (40, 40)
    """
    return Ncycle(loader, n)


def checked_data(data: Any, scale: float | None) -> tuple[NDArray[np.generic] | Csr, NDArray[np.generic] | None]:
    """Return (X, y) after the checks that need no network; a sparse X stays sparse."""
    is_pair = isinstance(data, list) and len(data) == 2 and np.ndim(data[0]) == 2
    parts = tuple(data) if is_pair or isinstance(data, tuple) else (data,)
    if len(parts) not in (1, 2):
        raise InputError(f"data must be (X, y) or X, got a tuple of {len(parts)}")
    X = checked_rows(parts[0], scale)
    if len(parts) == 1:
        return X, None
    y = as_array(parts[1], "y")
    if y.ndim == 0 or len(y) != len(X):
        raise ShapeError(f"X has {len(X):,} rows but y has {'none' if y.ndim == 0 else format(len(y), ',')}")
    return X, y


def checked_rows(rows: Samples, scale: float | None = None) -> NDArray[np.generic] | Csr:
    """Return rows as a two-dimensional array of float32, float64 or uint8 (with a scale), or sparse; all finite.

    Raises
    ------
    ShapeError
        Not two-dimensional, or without rows or columns.
    InputError
        Not numbers; raw bytes without a scale, or a scale without raw bytes.
    NonFiniteInputError
        NaN or infinity, with row and column of the first one.
    """
    X = as_samples(rows, "X")
    if X.ndim != 2 or 0 in X.shape:
        raise ShapeError(f"X must be (n_samples, n_features) with at least one of each, got shape {X.shape}")
    if X.dtype.kind not in "fiub":
        raise InputError(f"X must hold real numbers, got dtype {X.dtype}")
    if X.dtype == np.uint8 and scale is None:
        raise InputError(
            "X holds raw bytes (uint8), whose unit is not known: state it (scale=1/255 for images), "
            "or convert them (X.astype(np.float32))"
        )
    if scale is not None and (X.dtype != np.uint8 or not 0 < scale < np.inf):
        raise InputError(f"scale is the positive worth of one unit of uint8 data; got scale={scale!r} for {X.dtype}")
    if isinstance(X, np.ndarray) and X.dtype.kind in "iub" and X.dtype != np.uint8:
        X = X.astype(np.float64)
    check_finite(X)
    return X


def check_finite(X: NDArray[np.generic] | Csr, first: int = 0) -> None:
    """Raise NonFiniteInputError with the place of the first NaN or infinity.

    `first` is the row of a larger X with which this one begins.
    """
    numbers = X.values if isinstance(X, Csr) else X
    if all_finite(numbers):
        return
    at = tuple(int(i) for i in np.argwhere(~np.isfinite(numbers))[0])
    row, column = (int(X.row_numbers()[at]), int(X.columns[at])) if isinstance(X, Csr) else at
    raise NonFiniteInputError(
        f"X holds NaN or infinity, or a number too large for {X.dtype}: {numbers[at]} in row {first + row}, "
        f"column {column} (both counted from 0); remove or fill such rows first"
    )
