"""What a run may choose besides its mathematics: the float type and the number of threads."""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

from layerloop.cores import core_count, requested
from layerloop.errors import SettingError, look_up

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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


def blas_threads(threads: int | None, *, deterministic: bool = False) -> AbstractContextManager[None]:
    """Return a context in which BLAS and the compiled engine's workers use `threads` threads; None asks for nothing.

    `deterministic` holds BLAS to one thread, so that its sums are always taken in the same order, and leaves the
    workers, whose bits do not depend on how many they are.

    Raises
    ------
    SettingError
        When `threads` is below 1.
    """
    if threads is None and not deterministic:
        return nullcontext()
    return _held(None if threads is None else whole(threads, "threads", least=1), deterministic)


@contextmanager
def _held(threads: int | None, deterministic: bool) -> Iterator[None]:
    from threadpoolctl import ThreadpoolController

    blas = ThreadpoolController().select(user_api="blas")
    allowed = [core_count(), *(library.num_threads for library in blas.lib_controllers)]
    token = requested.set(min(allowed) if threads is None else threads)
    try:
        with blas.limit(limits=1 if deterministic else threads):
            yield
    finally:
        requested.reset(token)
