"""What every optimiser has in common: the state that its steps change, and the protocol of a rule.

`init(rule, w)` makes the state; `rule.step(w, g, state)` changes w and the state in place and leaves g alone. Letters:
w parameters, g gradient, r rate, t the number of this step counted from 1; all operations componentwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from layerloop.memory import aligned_copy
from layerloop.optim.compact import CompactSlots
from layerloop.optim.rate import Rate, value_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Vector = NDArray[np.floating]


@dataclass(frozen=True)
class Part:
    """A stretch of the parameter vector that has factors of its own.

    Attributes
    ----------
    start, stop : int
        Where it lies.
    rate : float
        What the rate is multiplied by there.
    decay : float
        What weight decay, of either kind, is multiplied by there.
    """

    start: int
    stop: int
    rate: float = 1.0
    decay: float = 1.0


@dataclass
class State:
    """What a rule remembers between steps.

    Attributes
    ----------
    rule : Rule
        Whose state it is.
    t : int
        Steps done.
    slots : sequence of ndarray
        Vectors of the length of w: the velocity of Momentum, the moments m and v of Adam, ...
    scratch : ndarray
        Working memory that carries nothing from step to step: as long as w, and twice as long where the rule steps
        along a changed gradient (`Adjusted` with clipping or `l2`).
    scale : float
        What the rate of every step is multiplied by: 1 until a `ReduceOnPlateau` makes it less.
    numbers : dict of str to float
        Single numbers that are no function of t: NAdam's product of momenta `mu_product`, a plateau's `best` and
        `waited`.
    parts : tuple of Part
        Where an `Adjusted` rule has factors of their own for parts of w; empty for other rules.
    rows : (int, int)
        Number and width of the first layer's rows of weights, with which w begins, for `LazyAdam`; (0, 0) for others.
    """

    rule: Rule
    t: int
    slots: Sequence[Vector]
    scratch: Vector
    scale: float = 1.0
    numbers: dict[str, float] = field(default_factory=dict)
    parts: tuple[Part, ...] = ()
    rows: tuple[int, int] = (0, 0)

    def copy(self) -> State:
        """Return an independent copy."""
        own = self._of_one_step() or {"slots": tuple(map(aligned_copy, self.slots)), "numbers": dict(self.numbers)}
        return replace(self, **own, scratch=np.empty_like(self.scratch))

    def _of_one_step(self) -> dict[str, Any]:
        """Return copies of what steps change where another thread that takes some can be kept waiting; else nothing."""
        if not isinstance(self.slots, CompactSlots):
            return {}
        with self.slots.lock:
            return {"t": self.t, "slots": self.slots.copy(), "numbers": dict(self.numbers)}

    def __getstate__(self) -> dict[str, Any]:
        """Pickle and copy all but the working memory, which may hold whatever was in memory before."""
        return {**self.__dict__, **self._of_one_step(), "scratch": (len(self.scratch), self.scratch.dtype)}

    def __setstate__(self, kept: dict[str, Any]) -> None:
        self.__dict__.update(kept, scratch=np.empty(*kept["scratch"]))


@runtime_checkable
class Rule(Protocol):
    """An optimiser: its rate, how many slots it needs, and one step."""

    @property
    def slots(self) -> int:
        """The number of vectors that the state carries from step to step."""
        ...

    @property
    def rate(self) -> Rate:
        """The step size r, or its schedule."""
        ...

    def step(self, w: Vector, g: Vector, state: State) -> None:
        """Change w and the state in place by one step along the gradient g."""
        ...


def rate_now(rate: Rate, state: State) -> float:
    """Return r of the step about to be taken: the rate after `state.t` steps, times `state.scale`."""
    return value_at(rate, state.t) * state.scale
