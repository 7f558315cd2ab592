"""The works of benchmarks/table.py: which network on which rows, in batches of how many, and what must hold of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop import data

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Work:
    """Training one network: relu between Dense layers (sigmoid for the notes'), softmax, cross-entropy, Adam(1e-3).

    `bound` is the most that layerloop may take of t(sgemm), the products alone; `faster` says how many times as fast as
    others it must be, `busy` how many times its undisturbed time it may take beside another busy process. Where `slow`
    is above 1, everyone but layerloop runs so many times fewer passes: their times are scaled, and the table says so.
    """

    name: str
    widths: tuple[int, ...]
    batch: int
    rows: int
    epochs: int
    activation: str = "relu"
    images: bool = False
    bound: float | None = None
    faster: tuple[tuple[str, float], ...] = ()
    busy: float | None = 2.3
    slow: int = 1

    @property
    def steps(self) -> float:
        """Whole batches that all passes come to."""
        return self.rows * self.epochs / self.batch

    @cached_property
    def data(self) -> tuple[NDArray[Any], NDArray[np.intp]]:
        """Rows and classes: bytes for pictures, float32 otherwise, made up with a seed unless they are MNIST itself."""
        rng = np.random.default_rng(0)
        if self.images and self.rows == 60000 and there("mnist"):
            X, y = data.load("mnist", raw=True)
            return X, np.asarray(y, np.intp)
        if self.images:
            X = rng.integers(0, 256, (self.rows, self.widths[0]), dtype=np.uint8)
        else:
            X = rng.standard_normal((self.rows, self.widths[0]), dtype=np.float32)
        return X, rng.integers(0, self.widths[-1], self.rows)

    @cached_property
    def floats(self) -> NDArray[np.float32]:
        """The rows as others take them: float32, scaled before the clock starts."""
        X = self.data[0]
        return X.astype(np.float32) / np.float32(255) if self.images else X


def there(name: str) -> bool:
    return next(row["where"] for row in data.status() if row["name"] == name) is not None


HAND, TUTORIAL, JAX, SKLEARN = "PyTorch by hand", "PyTorch, tutorial", "JAX", "scikit-learn"

WORKS = (
    Work("notes' recipe, 784-32-10", (784, 32, 10), 128, 60000, 20, "sigmoid", images=True, bound=1.2,
         faster=((HAND, 5), (TUTORIAL, 10), (JAX, 2.5)), slow=4),
    Work("784-512-512-10", (784, 512, 512, 10), 256, 20480, 1, bound=1.1),
    Work("50-256-256-256-2", (50, 256, 256, 256, 2), 256, 20480, 4, bound=1.15),
    Work("20-64-64-2", (20, 64, 64, 2), 128, 20480, 10, bound=2.0, faster=((HAND, 6),), slow=2),
    Work("4-32-16-4", (4, 32, 16, 4), 64, 20480, 10, faster=((HAND, 20),), slow=2),
)  # fmt: skip


def small(work: Work) -> Work:
    """Return the same network on a few rows: a smoke run, of which nothing is demanded."""
    return replace(work, rows=3 * work.batch, epochs=1, slow=1, bound=None, faster=(), busy=None)
