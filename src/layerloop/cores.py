"""How many threads this process may compute in, and what says so: affinity mask, container, environment, request."""

from __future__ import annotations

import math
import os
from contextvars import ContextVar
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from layerloop.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Iterator

VARIABLE = "LAYERLOOP_THREADS"
PROC, CGROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")

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
    """Yield every quota in cores that holds for this process: its own group's, and those of all groups around it."""
    for line in _text(proc).splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers and "cpu" not in controllers.split(","):
            continue
        read = _second_version if not controllers else _first_version
        names = [".", "unified"] if not controllers else dict.fromkeys([controllers, "cpu"])
        for name in names:
            for folder in _around(cgroups / name, path):
                yield from read(folder)


def _around(mount: Path, path: str) -> Iterator[Path]:
    """Yield the folder of a group and those around it; a path from outside the container leads to the mount alone."""
    inside = PurePosixPath(path.lstrip("/"))
    if ".." not in inside.parts:
        yield from (mount / folder for folder in (inside, *inside.parents) if folder.parts)
    yield mount


def _second_version(folder: Path) -> Iterator[float]:
    """`cpu.max` holds quota and period in microseconds, or "max"."""
    quota, _, period = _text(folder / "cpu.max").partition(" ")
    yield from _in_cores(quota, period)


def _first_version(folder: Path) -> Iterator[float]:
    """Two files hold quota, -1 for none, and period."""
    yield from _in_cores(_text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us"))


def _in_cores(quota: str, period: str) -> Iterator[float]:
    try:
        microseconds, whole = int(quota), int(period)
    except ValueError:
        return  # no such file, or no quota
    if microseconds > 0 and whole > 0:
        yield microseconds / whole


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return ""
