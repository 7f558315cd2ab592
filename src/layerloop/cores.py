"""How many threads this process may compute in, and what says so: affinity mask, container, environment, request."""

from __future__ import annotations

import math
import os
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple

from layerloop.containers import CGROUPS, PROC, groups, text_of
from layerloop.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VARIABLE = "LAYERLOOP_THREADS"

# What `threads=` asks of the compiled engine's workers while it computes in this context; 0 where nothing is asked.
requested: ContextVar[int] = ContextVar("requested", default=0)


class Limit(NamedTuple):
    """A number of threads that are allowed, and what allows no more."""

    threads: int
    why: str


def limits(proc: Path = PROC, cgroups: Path = CGROUPS) -> list[Limit]:
    """Return everything that limits the threads of this process, the cores first.

    A container's quota is rounded up: with 1.5 cores two workers do the work of 1.5 and are held back a third of the
    time, one would do the work of one.

    Raises
    ------
    SettingError
        Where LAYERLOOP_THREADS is no whole number of at least 1.

    Examples
    --------
    >>> limits()[0].threads >= 1
    True
    """
    found = [_cores()]
    quota = min(_quotas(proc, cgroups), default=math.inf)
    if quota < math.inf:
        found.append(Limit(max(math.ceil(quota), 1), f"the cgroup's quota of {quota:g} cores"))
    return [*found, *_asked()]


def core_count() -> int:
    """Return the number of threads that this process may compute in: the least of `limits`."""
    return min(limits()).threads


def _cores() -> Limit:
    if hasattr(os, "sched_getaffinity"):
        return Limit(len(os.sched_getaffinity(0)), "the cores of the affinity mask")
    return Limit(os.cpu_count() or 1, "the cores of the machine")


def _asked() -> Iterator[Limit]:
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        return
    if not text.isdecimal() or int(text) < 1:
        raise SettingError(f"{VARIABLE} must be a whole number of at least 1, got {text!r}")
    yield Limit(int(text), f"{VARIABLE}={text}")


# -- containers --------------------------------------------------------------------------------------------------------


def _quotas(proc: Path, cgroups: Path) -> Iterator[float]:
    """Yield every quota in cores that holds for this process."""
    for version, folder in groups("cpu", proc, cgroups):
        yield from _second_version(folder) if version == 2 else _first_version(folder)


def _second_version(folder: Path) -> Iterator[float]:
    """`cpu.max` holds quota and period in microseconds, or "max"."""
    quota, _, period = text_of(folder / "cpu.max").partition(" ")
    yield from _in_cores(quota, period)


def _first_version(folder: Path) -> Iterator[float]:
    """Two files hold quota, -1 for none, and period."""
    yield from _in_cores(text_of(folder / "cpu.cfs_quota_us"), text_of(folder / "cpu.cfs_period_us"))


def _in_cores(quota: str, period: str) -> Iterator[float]:
    try:
        microseconds, whole = int(quota), int(period)
    except ValueError:
        return  # no such file, or no quota
    if microseconds > 0 and whole > 0:
        yield microseconds / whole
