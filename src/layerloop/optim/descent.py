"""Descent, plain and with a memory of past gradients: one rate for all parameters.

Letters: w parameters, g gradient, r rate (a number or a schedule), t the number of this step counted from 1; all
operations componentwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from layerloop.errors import SettingError
from layerloop.optim.ranges import POSITIVE, SHARE, Range, check_ranges
from layerloop.optim.rate import Rate, Schedule
from layerloop.optim.schedules import as_rate
from layerloop.optim.state import rate_now

if TYPE_CHECKING:
    from layerloop.optim.state import Rule, State, Vector


def settle(rule: Rule, **ranges: Range) -> None:
    """Bring settings that come from JSON into their form, and refuse those out of range."""
    object.__setattr__(rule, "rate", as_rate(rule.rate))
    if not isinstance(rule.rate, Schedule):
        check_ranges(rule, rate=POSITIVE)
    betas = getattr(rule, "betas", None)
    if isinstance(betas, list):
        object.__setattr__(rule, "betas", tuple(betas))
    if "betas" in ranges and (not isinstance(betas, tuple | list) or len(betas) != 2):
        raise SettingError(f"{type(rule).__name__}: betas must be two numbers, got {betas!r}")
    check_ranges(rule, **ranges)


def blend(a: Vector, beta: float, b: Vector, s: Vector) -> None:
    """a <- beta a + (1 - beta) b; s is scratch and may be b."""
    np.multiply(a, beta, out=a)
    np.multiply(b, 1 - beta, out=s)
    np.add(a, s, out=a)


@dataclass(frozen=True)
class Descent:
    """Gradient descent: w <- w - r g.

    Examples
    --------
    >>> from layerloop.optim import init
    >>> w = np.array([1.0]); state = init(Descent(0.5), w)
    >>> Descent(0.5).step(w, np.array([1.0]), state); w
    array([0.5])
    """

    slots: ClassVar[int] = 0
    rate: Rate = 0.1

    def __post_init__(self) -> None:
        settle(self)

    def step(self, w: Vector, g: Vector, state: State) -> None:
        """w <- w - r g."""
        r = rate_now(self.rate, state)
        state.t += 1
        np.multiply(g, r, out=state.scratch)
        np.subtract(w, state.scratch, out=w)


@dataclass(frozen=True)
class Momentum:
    """Descent with a velocity v: v <- rho v + g, w <- w - r v (Polyak 1964)."""

    slots: ClassVar[int] = 1
    rate: Rate = 0.01
    rho: float = 0.9

    def __post_init__(self) -> None:
        settle(self, rho=SHARE)

    def step(self, w: Vector, g: Vector, state: State) -> None:
        """v <- rho v + g; w <- w - r v."""
        (v,), s, r = state.slots, state.scratch, rate_now(self.rate, state)
        state.t += 1
        np.multiply(v, self.rho, out=v)
        np.add(v, g, out=v)
        np.multiply(v, r, out=s)
        np.subtract(w, s, out=w)


@dataclass(frozen=True)
class Nesterov:
    """Momentum that looks ahead: v <- rho v + g, w <- w - r (g + rho v) (Nesterov 1983)."""

    slots: ClassVar[int] = 1
    rate: Rate = 0.001
    rho: float = 0.9

    def __post_init__(self) -> None:
        settle(self, rho=SHARE)

    def step(self, w: Vector, g: Vector, state: State) -> None:
        """v <- rho v + g; w <- w - r (g + rho v)."""
        (v,), s, r = state.slots, state.scratch, rate_now(self.rate, state)
        state.t += 1
        np.multiply(v, self.rho, out=v)
        np.add(v, g, out=v)
        np.multiply(v, self.rho, out=s)
        np.add(s, g, out=s)
        np.multiply(s, r, out=s)
        np.subtract(w, s, out=w)


@dataclass(frozen=True)
class Lion:
    """The sign of a blend: w <- w - r sign(b1 m + (1 - b1) g), then m <- b2 m + (1 - b2) g (Chen et al. 2023).

    The first beta blends for the step, the second for the memory (arXiv 2302.06675, Algorithm 2). Every parameter moves
    by r, so r is a third to a tenth of Adam's; the paper's weight decay is the decoupled one,
    `Adjusted(Lion(), decay=1.0)`.

    Examples
    --------
    >>> from layerloop.optim import init
    >>> rule, w = Lion(0.25), np.array([1.0, 1.0]); state = init(rule, w)
    >>> rule.step(w, np.array([4.0, -0.1]), state); w
    array([0.75, 1.25])
    """

    slots: ClassVar[int] = 1
    rate: Rate = 1e-4
    betas: tuple[float, float] = (0.9, 0.99)

    def __post_init__(self) -> None:
        settle(self, betas=SHARE)

    def step(self, w: Vector, g: Vector, state: State) -> None:
        """w <- w - r sign(b1 m + (1 - b1) g); m <- b2 m + (1 - b2) g.

        One scratch vector is enough for the blend, as the sign of b1 / (1 - b1) m + g is the same.
        """
        (m,), s, r = state.slots, state.scratch, rate_now(self.rate, state)
        state.t += 1
        np.multiply(m, self.betas[0] / (1 - self.betas[0]), out=s)
        np.add(s, g, out=s)
        np.sign(s, out=s)
        np.multiply(s, r, out=s)
        np.subtract(w, s, out=w)
        blend(m, self.betas[1], g, s)
