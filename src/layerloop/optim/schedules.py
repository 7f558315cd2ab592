"""Schedules: the rate of every step as a function of the steps done before it, `t -> rate`.

A schedule stands where a rate stands, `Adam(Cosine(1e-3))`; it is a frozen dataclass of settings, so a rule stays plain
data. Letters: r the schedule's rate, t the steps done (0 at the first step), T all steps there will be, s = t / T the
share of training done, at most 1: a schedule that is over keeps its last rate.

T is `steps`. `train` fills it in, as the steps taken so far and those of the call, so that a state saved in the middle
goes on along the same curve; who writes the loop gives it: `Cosine(1e-3, steps=1000)`.

`ReduceOnPlateau` is the one whose rate depends on more than t: see there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

import numpy as np

from layerloop.errors import SettingError, UnknownNameError, look_up
from layerloop.optim.ranges import INSIDE, NOT_NEGATIVE, POSITIVE, SHARE, check_ranges
from layerloop.settings import whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


@runtime_checkable
class Schedule(Protocol):
    """What stands where a rate stands: its base rate r, and the rate of the step after t steps."""

    @property
    def rate(self) -> float:
        """The base r, in most schedules the largest rate."""
        ...

    def __call__(self, t: int) -> float:
        """Return the rate of the step that follows t steps."""
        ...


Rate = float | Schedule
AnyRate = TypeVar("AnyRate", bound=Rate)


def value_at(rate: Rate, t: int) -> float:
    """Return a rate, or a schedule's rate after t steps.

    Examples
    --------
    >>> value_at(0.1, 7), value_at(Cosine(0.1, steps=10), 5)
    (0.1, 0.05)
    """
    return rate(t) if callable(rate) else rate


def values(rate: Rate, t: int, steps: int) -> NDArray[np.float64]:
    """Return a rate, or a schedule's rates, after t, t + 1, ... steps.

    Examples
    --------
    >>> values(Cosine(0.8, steps=2), 0, 3).round(12).tolist()
    [0.8, 0.4, 0.0]
    """
    if not callable(rate):
        return np.full(steps, float(rate))
    return np.array([rate(k) for k in range(t, t + steps)], dtype=np.float64)


def base_of(rate: Rate) -> float:
    """Return a rate, or the base r of a schedule."""
    return rate.rate if isinstance(rate, Schedule) else rate


def settle_rate(rate: AnyRate, steps: int) -> AnyRate:
    """Return the schedule with T = steps, unless it has a T of its own or needs none.

    Examples
    --------
    >>> settle_rate(Cosine(0.1), 50).steps, settle_rate(Cosine(0.1, steps=20), 50).steps, settle_rate(0.1, 50)
    (50, 20, 0.1)
    """
    return replace(rate, steps=steps) if _lacks_steps(rate) else rate  # type: ignore[type-var]


def check_settled(rate: Rate) -> None:
    """Raise SettingError for a schedule that does not know how many steps there are."""
    if _lacks_steps(rate):
        raise _unsettled(rate)


def _lacks_steps(rate: object) -> bool:
    return is_dataclass(rate) and hasattr(rate, "steps") and rate.steps is None


def _unsettled(schedule: object) -> SettingError:
    return SettingError(
        f"{schedule}: the number of steps is not known; train fills it in, a loop of one's own gives it, "
        f"as in {type(schedule).__name__}(..., steps=1000)"
    )


def _share(schedule: Cosine | StepDecay | ExponentialDecay | OneCycle | CosLog4 | FlatCos, t: int) -> float:
    """s = min(t / T, 1)."""
    if schedule.steps is None:
        raise _unsettled(schedule)
    return min(t / schedule.steps, 1.0)


def _check_steps(schedule: object, steps: int | None) -> None:
    if steps is not None:
        whole(steps, f"{type(schedule).__name__}: steps", least=1)


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
        _check_steps(self, self.steps)

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
        _check_steps(self, self.steps)

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
        _check_steps(self, self.steps)

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
        _check_steps(self, self.steps)

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
        _check_steps(self, self.steps)

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
        _check_steps(self, self.steps)

    def __call__(self, t: int) -> float:
        """Return r (1 + cos(pi (max(1, 2 s) - 1))) / 2."""
        return self.rate * _between(1.0, 0.0, max(1.0, 2 * _share(self, t)) - 1)


@dataclass(frozen=True)
class Warmup:
    """A ramp before another schedule: over the first k = round(share T) steps its first rate times (t + 1) / k.

    The other schedule then runs from its start over the T - k steps that are left (Goyal et al. 2017 for the ramp).

    Parameters
    ----------
    schedule : Schedule or float
        What follows; a number is a constant rate. A plain dict, as JSON holds it, is taken too.
    share : float
        Of all steps, in [0, 1).
    steps : int, optional
        T, ramp included.

    Examples
    --------
    >>> ramp = Warmup(0.1, share=0.5, steps=8)
    >>> [round(ramp(t), 12) for t in range(6)]
    [0.025, 0.05, 0.075, 0.1, 0.1, 0.1]
    """

    schedule: Schedule
    share: float = 0.05
    steps: int | None = None

    def __init__(self, schedule: Rate | Mapping[str, object], share: float = 0.05, steps: int | None = None) -> None:
        inner = as_rate(schedule)
        object.__setattr__(self, "share", share)
        object.__setattr__(self, "steps", steps)
        check_ranges(self, share=SHARE)
        _check_steps(self, steps)
        inner = inner if isinstance(inner, Schedule) else Constant(inner)
        left = None if steps is None else max(steps - self.ramp, 1)
        object.__setattr__(self, "schedule", inner if left is None else settle_rate(inner, left))

    @property
    def rate(self) -> float:
        """The base rate of what follows."""
        return self.schedule.rate

    @property
    def ramp(self) -> int:
        """The number k of steps of the ramp."""
        if self.steps is None:
            raise _unsettled(self)
        return round(self.share * self.steps)

    def __call__(self, t: int) -> float:
        """Return the ramp's rate, or that of what follows after t - k steps."""
        k = self.ramp
        return self.schedule(0) * ((t + 1) / k) if t < k else self.schedule(t - k)


@dataclass(frozen=True)
class ReduceOnPlateau:
    """A constant rate r, multiplied by `factor` whenever a watched figure has stopped improving.

    How often that has happened is no function of t, so it is kept in the optimiser's state: the rate of a step is r
    times `state.scale`, and `watch(state, figures)`, which `train` calls after every pass with the row of the history,
    brings `state.scale` and the two numbers behind it, `state.numbers["best"]` and `["waited"]`, up to date.

    A figure improves when it is better than the best so far by more than threshold |best|. After more than `patience`
    passes in a row without that, the rate is reduced and the count begins anew (as PyTorch's ReduceLROnPlateau).

    Parameters
    ----------
    rate : float
    factor : float
        In (0, 1).
    patience : int
        Passes without improvement that are borne.
    threshold : float
        Least improvement that counts, as a share of the best figure.
    least : float
        The rate is never reduced below it.
    on : str
        The figure: a column of the history, such as `loss` or `validation_accuracy`.
    better : "lower" or "higher"

    Examples
    --------
    >>> plateau, scale, numbers = ReduceOnPlateau(0.1, factor=0.5, patience=1), 1.0, {}
    >>> for loss in (0.9, 0.7, 0.7, 0.8):
    ...     scale, numbers = plateau.watched(loss, scale, numbers)
    >>> scale, numbers
    (0.5, {'best': 0.7, 'waited': 0})
    """

    rate: float
    factor: float = 0.1
    patience: int = 10
    threshold: float = 1e-4
    least: float = 0.0
    on: str = "loss"
    better: str = "lower"

    def __post_init__(self) -> None:
        check_ranges(self, rate=POSITIVE, factor=INSIDE, threshold=NOT_NEGATIVE, least=NOT_NEGATIVE)
        whole(self.patience, "ReduceOnPlateau: patience", least=0)
        look_up({"lower": None, "higher": None}, self.better, "sense of better")

    def __call__(self, t: int) -> float:
        """Return r; the state's scale is applied by the step."""
        return self.rate

    def improves(self, figure: float, best: float) -> bool:
        """Whether a figure is better than the best so far by more than threshold |best|; NaN never is.

        Examples
        --------
        >>> ReduceOnPlateau(0.1, threshold=0.1).improves(0.89, 1.0), ReduceOnPlateau(0.1).improves(1.0, 1.0)
        (True, False)
        """
        margin = self.threshold * abs(best)
        return figure < best - margin if self.better == "lower" else figure > best + margin

    def watched(self, figure: float, scale: float, numbers: Mapping[str, float]) -> tuple[float, dict[str, float]]:
        """Return scale and numbers as they are after one more figure; those given are left alone."""
        best, waited = numbers.get("best"), numbers.get("waited", 0)
        if self.improves(figure, best) if best is not None else not math.isnan(figure):
            return scale, {**numbers, "best": figure, "waited": 0}
        if waited < self.patience:
            return scale, {**numbers, "waited": waited + 1}
        least = min(scale, self.least / self.rate)
        return max(scale * self.factor, least), {**numbers, "waited": 0}


SCHEDULES: Mapping[str, type[Schedule]] = {
    "constant": Constant,
    "step": StepDecay,
    "exponential": ExponentialDecay,
    "cosine": Cosine,
    "one_cycle": OneCycle,
    "warmup": Warmup,
    "coslog4": CosLog4,
    "flat_cos": FlatCos,
    "reduce_on_plateau": ReduceOnPlateau,
}


def plateau_in(rate: Rate) -> ReduceOnPlateau | None:
    """Return the plateau schedule that a rate is, or that stands behind its warm-up, or None."""
    while isinstance(rate, Warmup):
        rate = rate.schedule
    return rate if isinstance(rate, ReduceOnPlateau) else None


def schedule_named(name: str, rate: float | None = None, **settings: object) -> Schedule:
    """Return the schedule of this name with these settings; `rate` is the base r, of a warm-up too.

    Raises
    ------
    UnknownNameError
        For an unknown schedule or setting.
    SettingError
        For a setting out of its range.

    Examples
    --------
    >>> schedule_named("cosine", 0.1), schedule_named("warmup", 0.1).rate
    (Cosine(rate=0.1, end=0.0, steps=None), 0.1)
    """
    kind = look_up(SCHEDULES, name, "schedule")
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    for setting in settings:
        look_up(dict.fromkeys(names), setting, f"setting of {name}")
    given = settings if rate is None else {names[0]: rate, **settings}
    if names[0] not in given:
        raise SettingError(f"the schedule {name} needs a {names[0]}")
    return kind(**given)


def rate_as_plain(rate: Rate) -> float | dict[str, object]:
    """Return a rate as plain data: a number, or a dict of a schedule's name and settings.

    Raises
    ------
    UnknownNameError
        For a schedule that is no row of the table: a function of one's own cannot be written down.

    Examples
    --------
    >>> rate_as_plain(Cosine(0.1))
    {'name': 'cosine', 'rate': 0.1, 'end': 0.0, 'steps': None}
    """
    if not isinstance(rate, Schedule):
        return float(rate)
    names = {kind: name for name, kind in SCHEDULES.items()}
    if type(rate) not in names:
        raise UnknownNameError(f"{type(rate).__name__} is no row of the table of schedules: {', '.join(SCHEDULES)}")
    settings = {field.name: getattr(rate, field.name) for field in fields(rate)}  # type: ignore[arg-type]
    if isinstance(rate, Warmup):
        settings["schedule"] = rate_as_plain(rate.schedule)
    return {"name": names[type(rate)], **settings}


def as_rate(value: Rate | Mapping[str, object]) -> Rate:
    """Return a rate given as itself or as plain data; the inverse of `rate_as_plain`."""
    if isinstance(value, dict):
        return schedule_named(**value)
    return value  # type: ignore[return-value]
