"""What a run may choose besides its mathematics: the float type and the number of threads."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from layerloop.errors import SettingError, look_up

if TYPE_CHECKING:
    from collections.abc import Mapping

# The float types an engine computes in; nothing else is taken, so nothing is promoted in silence.
FLOATS: Mapping[str, str] = {"float32": "float32", "float64": "float64"}


def float_name(dtype: object) -> str:
    """Return "float32" or "float64" for such a name, NumPy type or dtype.

    Raises
    ------
    UnknownNameError
        For every other type.
    """
    if dtype is float:
        return "float64"
    name = getattr(dtype, "name", None) or getattr(dtype, "__name__", None) or dtype
    return look_up(FLOATS, name, "float type")


def whole(value: object, name: str, *, least: int) -> int:
    """Return `value` as an int of at least `least`.

    Raises
    ------
    SettingError
        When it is not a whole number, or is below `least`.
    """
    try:
        number: int = int(value)  # type: ignore[call-overload]
    except (TypeError, ValueError, OverflowError):
        raise SettingError(f"{name} must be a whole number of at least {least}, got {value!r}") from None
    if number != value or isinstance(value, bool) or number < least:
        raise SettingError(f"{name} must be a whole number of at least {least}, got {value!r}")
    return number


def core_count() -> int:
    """Return the number of cores that this process may use, by its affinity mask where there is one."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def blas_threads(threads: int | None) -> AbstractContextManager[object]:
    """Return a context in which BLAS uses `threads` threads; None leaves BLAS as the process has it.

    Raises
    ------
    SettingError
        When `threads` is below 1.
    """
    if threads is None:
        return nullcontext()
    count = whole(threads, "threads", least=1)
    from threadpoolctl import threadpool_limits

    return threadpool_limits(count, user_api="blas")  # type: ignore[no-any-return]
