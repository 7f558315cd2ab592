"""Where a system tells a process the limits of its control groups, in both versions that Linux has of them."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PROC, CGROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def groups(controller: str, proc: Path = PROC, cgroups: Path = CGROUPS) -> Iterator[tuple[int, Path]]:
    """Yield the version and the folder of each group whose limits hold: this process's own, and all groups around it.

    Parameters
    ----------
    controller : str
        What is limited: "cpu" or "memory".
    proc, cgroups : Path
        Where the system names the groups of the process, and where their folders are.

    Examples
    --------
    >>> all(version in (1, 2) for version, _ in groups("cpu"))
    True
    """
    for line in text_of(proc).splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers and controller not in controllers.split(","):
            continue
        names = [".", "unified"] if not controllers else dict.fromkeys([controllers, controller])
        for name in names:
            for folder in _around(cgroups / name, path):
                yield 1 if controllers else 2, folder


def _around(mount: Path, path: str) -> Iterator[Path]:
    """Yield the folder of a group and those around it; a path from outside the container leads to the mount alone."""
    inside = PurePosixPath(path.lstrip("/"))
    if ".." not in inside.parts:
        yield from (mount / folder for folder in (inside, *inside.parents) if folder.parts)
    yield mount


def text_of(path: Path) -> str:
    """Return what a small file of the system says; nothing where it cannot be read."""
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return ""
