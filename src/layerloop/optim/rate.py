"""What stands where a rate stands: a number or a schedule, what it gives after t steps, and the T that it needs."""

from __future__ import annotations

from dataclasses import is_dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

import numpy as np

from layerloop.errors import SettingError
from layerloop.settings import whole

if TYPE_CHECKING:
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
    >>> from layerloop.optim import Cosine
    >>> value_at(0.1, 7), value_at(Cosine(0.1, steps=10), 5)
    (0.1, 0.05)
    """
    return rate(t) if callable(rate) else rate


def values(rate: Rate, t: int, steps: int) -> NDArray[np.float64]:
    """Return a rate, or a schedule's rates, after t, t + 1, ... steps.

    Examples
    --------
    >>> from layerloop.optim import Cosine
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
    >>> from layerloop.optim import Cosine
    >>> settle_rate(Cosine(0.1), 50).steps, settle_rate(Cosine(0.1, steps=20), 50).steps, settle_rate(0.1, 50)
    (50, 20, 0.1)
    """
    return replace(rate, steps=steps) if _lacks_steps(rate) else rate  # type: ignore[type-var]


def check_settled(rate: Rate) -> None:
    """Raise SettingError for a schedule that does not know how many steps there are."""
    if _lacks_steps(rate):
        raise unsettled(rate)


def _lacks_steps(rate: object) -> bool:
    return is_dataclass(rate) and hasattr(rate, "steps") and rate.steps is None


def unsettled(schedule: object) -> SettingError:
    """Return what is to be raised for a schedule that lacks its T."""
    return SettingError(
        f"{schedule}: the number of steps is not known; train fills it in, a loop of one's own gives it, "
        f"as in {type(schedule).__name__}(..., steps=1000)"
    )


def check_steps(schedule: object, steps: int | None) -> None:
    """Refuse a T that is no whole number of at least 1; None is filled in later."""
    if steps is not None:
        whole(steps, f"{type(schedule).__name__}: steps", least=1)
