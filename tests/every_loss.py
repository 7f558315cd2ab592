"""Every loss of the table, with and without settings, behind every head that it fits; its targets by a table too."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from layerloop import maths
from layerloop.errors import NetworkError
from layerloop.losses import LOSSES, spec_of
from layerloop.plan import HEADS, fused_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TEXTS = (*LOSSES, "crossentropy:smoothing=0.1", "logitcrossentropy:smoothing=0.2", "huber:delta=0.3",
         "quantile:levels=0.9")  # fmt: skip


def fits(head: str, loss: str) -> bool:
    """Whether the outputs of the head are what the loss takes; a binary cross-entropy wants them below 1."""
    try:
        fused_name(head, spec_of(loss).name)
    except NetworkError:
        return False
    return (head, loss) != ("exp", "binarycrossentropy")


PAIRS = [pair for pair in product(HEADS, TEXTS) if fits(*pair)]


def infinite(head: str, loss: str, K: int) -> bool:
    """The softmax of a single score is 1, and the binary cross-entropy of 1 is infinite."""
    return (head, loss, K) == ("softmax", "binarycrossentropy", 1)


def last_activation(head: str, loss: str, activation: str) -> str:
    """A loss of a head's outputs wants them positive, and those of probabilities below 1, where there is no head."""
    row = spec_of(loss).row
    return "sigmoid" if head == "identity" and row.head and not row.scores else activation


def one_sample(loss: str) -> str | maths.Loss:
    """The loss as `maths` has it."""
    spec = spec_of(loss)
    return maths.loss_named(spec.name, **dict(spec.settings)) if spec.settings else spec.name


def _classes(rng: np.random.Generator, n: int, K: int, soft: bool) -> tuple[np.ndarray, np.ndarray]:
    if soft and K > 1:
        rows = rng.dirichlet(np.ones(K), size=n)
        return rows, rows
    index = rng.integers(K, size=n)
    return index, np.eye(K)[index]


def _shares(rng: np.random.Generator, n: int, K: int, soft: bool) -> tuple[np.ndarray, np.ndarray]:
    rows = rng.random((n, K)) if soft else rng.integers(2, size=(n, K)).astype(np.float64)
    return rows, rows


def _values(rng: np.random.Generator, n: int, K: int, soft: bool) -> tuple[np.ndarray, np.ndarray]:
    rows = rng.normal(size=(n, K))
    return rows, rows


def _counts(rng: np.random.Generator, n: int, K: int, soft: bool) -> tuple[np.ndarray, np.ndarray]:
    rows = rng.poisson(1.5, size=(n, K)) + (0.5 if soft else 0.0)
    return rows, rows


DRAWN: Mapping[str, Callable[..., tuple[np.ndarray, np.ndarray]]] = {
    "classes": _classes,
    "shares": _shares,
    "values": _values,
    "counts": _counts,
}


def targets(loss: str, n: int, K: int, dtype: str, *, soft: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Random targets as the user gives them, and as rows for `maths`."""
    y, rows = DRAWN[spec_of(loss).row.targets](np.random.default_rng(n), n, K, soft)
    return (y if y.dtype.kind == "i" else y.astype(dtype)), rows.astype(dtype)


def weights(n: int, dtype: str = "float64") -> np.ndarray:
    """Random weights, one of them 0 where there are several."""
    found = np.random.default_rng((n, 1)).uniform(0.2, 2, size=n)
    found[1:2] = 0
    return found.astype(dtype)
