"""Updates by a rule's own steps, along the gradients of either engine: each whole, or not at all."""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from layerloop.engine import sparse
from layerloop.signals import Guard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from layerloop.csr import Csr
    from layerloop.optim import State

    Batch = NDArray[np.floating]
    Vector = NDArray[np.floating]
    Sparse = tuple[Csr, Batch]  # rows, and the gradient in the first layer's weights


def decaying_squares(w: Vector, state: State) -> float:
    """|w|^2, each part times its factor of decay, in float64."""
    parts = [(part.decay, w[part.start : part.stop]) for part in state.parts if part.decay]
    return float(sum(decay * np.square(x, dtype=np.float64).sum() for decay, x in parts))


def steps_of_rule(
    w: Vector,
    state: State,
    order: NDArray[np.intp],
    batch: int,
    losses: Vector,
    penalties: Vector | None,
    untrained: Sequence[slice],
    slopes: Callable[[NDArray[np.intp], Vector], tuple[float, Sparse | None]],
) -> int:
    """Take the rule's own steps along an engine's gradients, each as a whole; see `ReferenceEngine.train`.

    `slopes` fills the gradient of the rows that it is given; it returns their loss and, where they are sparse, the rows
    and the gradient's part for the first layer's weights.
    """
    gradient = np.zeros(len(w), w.dtype)
    with np.errstate(all="ignore"), Guard() as guard:
        for step, start in enumerate(range(0, len(order), batch)):
            with moved_by_whole_steps(w, untrained, losses[step : step + 1]):
                losses[step], of_sparse = slopes(order[start : start + batch], gradient)
            if not math.isfinite(losses[step]):
                return step
            if penalties is not None:
                penalties[step] = decaying_squares(w, state)
            with guard.whole(), kept(w, untrained):
                if of_sparse:
                    sparse.step(w, gradient, state, *of_sparse)
                else:
                    state.rule.step(w, gradient, state)
    return len(losses)


@contextmanager
def kept(w: Vector, stretches: Sequence[slice]) -> Iterator[None]:
    """Hold these stretches of a vector as they are while a rule takes its step."""
    before = [w[s].copy() for s in stretches]
    yield
    _put_back(w, stretches, before)


@contextmanager
def moved_by_whole_steps(w: Vector, stretches: Sequence[slice], loss: Vector) -> Iterator[None]:
    """Put these stretches back where the step ends before its update: its loss is not finite, or a handler raised."""
    before = [w[s].copy() for s in stretches]
    loss[0] = math.nan
    try:
        yield
    finally:
        if not math.isfinite(loss[0]):
            _put_back(w, stretches, before)


def _put_back(w: Vector, stretches: Sequence[slice], before: Sequence[Vector]) -> None:
    for stretch, values in zip(stretches, before, strict=True):
        w[stretch] = values
