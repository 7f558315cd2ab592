"""Schedules: the rate of every step as a function of the steps done before it, `t -> rate`.

A schedule stands where a rate stands, `Adam(Cosine(1e-3))`; it is a frozen dataclass of settings, so a rule stays plain
data. Letters: r the schedule's rate, t the steps done (0 at the first step), T all steps there will be, s = t / T the
share of training done, at most 1: a schedule that is over keeps its last rate.

T is `steps`. `train` fills it in, as the steps taken so far and those of the call, so that a state saved in the middle
goes on along the same curve; who writes the loop gives it: `Cosine(1e-3, steps=1000)`.

`ReduceOnPlateau` is the one whose rate depends on more than t: see there.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from layerloop.errors import SettingError, UnknownNameError, look_up
from layerloop.optim.curves import Constant, Cosine, CosLog4, ExponentialDecay, FlatCos, OneCycle, StepDecay
from layerloop.optim.plateau import ReduceOnPlateau
from layerloop.optim.ranges import SHARE, check_ranges
from layerloop.optim.rate import Rate, Schedule, check_steps, settle_rate, unsettled

if TYPE_CHECKING:
    from collections.abc import Mapping


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
        check_steps(self, steps)
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
            raise unsettled(self)
        return round(self.share * self.steps)

    def __call__(self, t: int) -> float:
        """Return the ramp's rate, or that of what follows after t - k steps."""
        k = self.ramp
        return self.schedule(0) * ((t + 1) / k) if t < k else self.schedule(t - k)


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
