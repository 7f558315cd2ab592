"""Curves: schedules that are a formula in the share of training done, s = t / T; letters as in `optim.schedules`."""

from __future__ import annotations

import math
from dataclasses import dataclass

from layerloop.optim.ranges import INSIDE, POSITIVE, SHARE, check_ranges
from layerloop.optim.rate import check_steps, unsettled


def _share(schedule: Cosine | StepDecay | ExponentialDecay | OneCycle | CosLog4 | FlatCos, t: int) -> float:
    """s = min(t / T, 1)."""
    if schedule.steps is None:
        raise unsettled(schedule)
    return min(t / schedule.steps, 1.0)


def _between(start: float, end: float, share: float) -> float:
    """Half a cosine wave from start (share 0) to end (share 1)."""
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * share))


@dataclass(frozen=True)
class Constant:
    """The same rate throughout: r.

    Examples
    --------
    >>> Constant(0.1)(12)
    0.1
    """

    rate: float

    def __post_init__(self) -> None:
        check_ranges(self, rate=POSITIVE)

    def __call__(self, t: int) -> float:
        """Return r."""
        return self.rate


@dataclass(frozen=True)
class StepDecay:
    """Stairs: r factor^k, where k of the shares in `at` have been reached.

    By default a tenth after half of training and a hundredth after three quarters (the recipe of He et al. 2016,
    section 4.2, in shares).

    Examples
    --------
    >>> stairs = StepDecay(0.4, factor=0.5, at=(0.5, 0.75), steps=8)
    >>> [stairs(t) for t in range(8)]
    [0.4, 0.4, 0.4, 0.4, 0.2, 0.2, 0.1, 0.1]
    """

    rate: float
    factor: float = 0.1
    at: tuple[float, ...] = (0.5, 0.75)
    steps: int | None = None

    def __post_init__(self) -> None:
        at = tuple(self.at) if isinstance(self.at, list | tuple) else (self.at,)  # JSON gives back a list
        object.__setattr__(self, "at", at)
        check_ranges(self, rate=POSITIVE, factor=POSITIVE, at=INSIDE)
        check_steps(self, self.steps)

    def __call__(self, t: int) -> float:
        """Return r factor^k."""
        share = _share(self, t)
        return self.rate * self.factor ** sum(share >= place for place in self.at)


@dataclass(frozen=True)
class ExponentialDecay:
    """From r to r end, by the same factor at every step: r end^s.

    Examples
    --------
    >>> [round(ExponentialDecay(0.8, end=1 / 16, steps=4)(t), 12) for t in range(5)]
    [0.8, 0.4, 0.2, 0.1, 0.05]
    """

    rate: float
    end: float = 0.01
    steps: int | None = None

    def __post_init__(self) -> None:
        check_ranges(self, rate=POSITIVE, end=POSITIVE)
        check_steps(self, self.steps)

    def __call__(self, t: int) -> float:
        """Return r end^s."""
        return float(self.rate * self.end ** _share(self, t))


@dataclass(frozen=True)
class Cosine:
    """Half a cosine wave from r down to r end: r (end + (1 - end) (1 + cos(pi s)) / 2).

    Loshchilov and Hutter 2017 (SGDR, one cycle, no restarts).

    Examples
    --------
    >>> [round(Cosine(0.8, steps=2)(t), 12) for t in range(3)]
    [0.8, 0.4, 0.0]
    """

    rate: float
    end: float = 0.0
    steps: int | None = None

    def __post_init__(self) -> None:
        check_ranges(self, rate=POSITIVE, end=SHARE)
        check_steps(self, self.steps)

    def __call__(self, t: int) -> float:
        """Return r (end + (1 - end) (1 + cos(pi s)) / 2)."""
        return self.rate * _between(1.0, self.end, _share(self, t))


@dataclass(frozen=True)
class OneCycle:
    """Up and down once: half a cosine wave from r start up to r at share `warm`, and one down to r end.

    Smith and Topin 2018, with the cosine form and the defaults that PyTorch's OneCycleLR gives it: r / 25, 0.3 of
    training upwards, r / 250,000 at last. Momentum is not cycled.

    Examples
    --------
    >>> cycle = OneCycle(1.0, warm=0.25, start=0.5, end=0.125, steps=4)
    >>> [round(cycle(t), 12) for t in (0, 1, 4)]
    [0.5, 1.0, 0.125]
    """

    rate: float
    warm: float = 0.3
    start: float = 1 / 25
    end: float = 1 / 250_000
    steps: int | None = None

    def __post_init__(self) -> None:
        check_ranges(self, rate=POSITIVE, warm=INSIDE, start=SHARE, end=SHARE)
        check_steps(self, self.steps)

    def __call__(self, t: int) -> float:
        """Return the rate of the half wave that s lies in."""
        share = _share(self, t)
        if share < self.warm:
            return self.rate * _between(self.start, 1.0, share / self.warm)
        return self.rate * _between(1.0, self.end, (share - self.warm) / (1 - self.warm))


@dataclass(frozen=True)
class CosLog4:
    """Four cosine waves, each twice as long as the one before: r (1 - cos(2 pi log2(1 + 15 s))) / 2.

    RealMLP's schedule (Holzmueller, Grinsztajn and Steinwart 2024, arXiv 2407.04491). It is 0 at the first step and at
    s = 1/15, 3/15, 7/15 and 1.

    Examples
    --------
    >>> [round(CosLog4(0.04, steps=15)(t), 12) for t in (0, 1, 3, 7, 15)]
    [0.0, 0.0, 0.0, 0.0, 0.0]
    """

    rate: float
    steps: int | None = None

    def __post_init__(self) -> None:
        check_ranges(self, rate=POSITIVE)
        check_steps(self, self.steps)

    def __call__(self, t: int) -> float:
        """Return r (1 - cos(2 pi log2(1 + 15 s))) / 2."""
        return self.rate * 0.5 * (1 - math.cos(2 * math.pi * math.log2(1 + 15 * _share(self, t))))


@dataclass(frozen=True)
class FlatCos:
    """Flat for one half, then half a cosine wave down to 0: r (1 + cos(pi (max(1, 2 s) - 1))) / 2.

    RealMLP's schedule of weight decay and dropout (arXiv 2407.04491).

    Examples
    --------
    >>> [round(FlatCos(0.02, steps=4)(t), 12) for t in range(5)]
    [0.02, 0.02, 0.02, 0.01, 0.0]
    """

    rate: float
    steps: int | None = None

    def __post_init__(self) -> None:
        check_ranges(self, rate=POSITIVE)
        check_steps(self, self.steps)

    def __call__(self, t: int) -> float:
        """Return r (1 + cos(pi (max(1, 2 s) - 1))) / 2."""
        return self.rate * _between(1.0, 0.0, max(1.0, 2 * _share(self, t)) - 1)
