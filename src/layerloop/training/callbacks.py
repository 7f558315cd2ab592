"""What hangs off the training loop: functions called between stretches of steps."""

from __future__ import annotations

import inspect
import json
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from layerloop.atomic import write_atomically
from layerloop.errors import InputError, OutputError, SettingError

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from layerloop.network import Chain


@dataclass(frozen=True)
class Progress:
    """Where training stands when a callback is called.

    Attributes
    ----------
    model : Chain
        The network, with its parameters as they are now.
    epoch, epochs : int
        The pass under way, from 1, and how many there will be.
    step, steps : int
        Steps done in this pass, and how many it has.
    loss : float
        Mean loss per sample over this pass so far.
    seconds : float
        Since the start of the call.
    samples : int
        Rows seen since the start.
    row : dict or None
        The finished row of the history when a pass has just ended, otherwise None.
    """

    model: Chain
    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    seconds: float
    samples: int
    row: dict[str, float] | None = None

    @property
    def epoch_ended(self) -> bool:
        """Whether a pass has just ended."""
        return self.row is not None

    @property
    def samples_per_second(self) -> float:
        """Rows per second since the start."""
        return self.samples / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float:
        """Time left at the speed so far."""
        done = self.epoch - 1 + self.step / self.steps
        return self.seconds * (self.epochs - done) / done if done else 0.0


@dataclass(frozen=True)
class Stop:
    """Returned by a callback to end training, with the reason that the history will state."""

    reason: str = "a callback asked for it"


@dataclass(frozen=True)
class Steps:
    """Returned by a callback that wants to be called again after so many steps, at the latest."""

    count: int = 1


Callback = Callable[[Progress], object]


def stop_of(answer: object) -> Stop | None:
    """Return the stop that a callback's answer is; the bare class stands for one without a reason."""
    if isinstance(answer, Stop):
        return answer
    return Stop() if answer is Stop else None


def as_callbacks(callbacks: object) -> list[Callback]:
    """Return the functions of the progress that `callbacks=` names: none, one, or several.

    Raises
    ------
    SettingError
        For anything else.
    """
    if callbacks is None:
        return []
    if callable(callbacks):
        return [as_callback(callbacks)]
    if not isinstance(callbacks, Iterable):
        raise SettingError(f"callbacks are a function or a sequence of functions, got {callbacks!r}")
    return list(map(as_callback, callbacks))


def as_callback(function: Callable[..., object]) -> Callback:
    """Return a function of the progress; one that takes no argument, as in the notes, is called without.

    Raises
    ------
    SettingError
        When it takes neither nothing nor one argument.
    """
    if not callable(function):
        raise SettingError(f"a callback is a function, got {function!r}")
    signature = inspect.signature(function)
    for arguments in ((None,), ()):
        try:
            signature.bind(*arguments)
        except TypeError:
            continue
        return function if arguments else lambda _: function()
    raise SettingError(f"a callback takes the progress or nothing; {function!r} takes {signature}")


def reads_only(function: Callback) -> Callback:
    """Return the callback, marked as one that writes nothing into the rows: what is found in them may then be kept.

    Examples
    --------
    >>> leaves_rows_alone(reads_only(lambda progress: None)), leaves_rows_alone(lambda progress: None)
    (True, False)
    """

    def reading(progress: Progress) -> object:
        return function(progress)

    reading.reads_only = True  # type: ignore[attr-defined]
    return reading


def leaves_rows_alone(callback: Callback) -> bool:
    """Whether a callback is known to write nothing into the rows."""
    return getattr(callback, "reads_only", None) is True


def throttle(function: Callable[..., object], seconds: float) -> Callback:
    """Return a callback that calls `function` at once, and then at most once in so many seconds.

    Examples
    --------
    >>> calls = []
    >>> slow = throttle(lambda: calls.append(1), 60)
    >>> for _ in range(5): slow(None)
    >>> len(calls)
    1
    """
    if not isinstance(seconds, int | float) or not seconds >= 0:
        raise SettingError(f"throttle: seconds must be 0 or more, got {seconds!r}")
    callback = as_callback(function)
    last = -float("inf")

    def throttled(progress: Progress | None = None) -> object:
        nonlocal last
        now = time.monotonic()
        if now - last < seconds:
            return None
        last = now
        return callback(progress)  # type: ignore[arg-type]  # called by hand, as the notes' cb(), there is none

    return throttled


def write_history(path: str | os.PathLike[str]) -> Callback:
    """Return a callback that appends each finished pass to a file, one JSON object a line, flushed at once.

    An existing file is replaced when the callback is made. JSON has no NaN: such a figure is null.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    target = Path(path)
    _append(target, "w", "")

    def append(progress: Progress) -> None:
        if progress.row is not None:
            row = {name: _finite(value) for name, value in progress.row.items()}
            _append(target, "a", json.dumps(row) + "\n")

    return append


def save_history(path: str | os.PathLike[str], rows: Sequence[Mapping[str, float | None]]) -> Path:
    """Write finished passes to a file as `write_history` does, whole or not at all; return its path.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    lines = [json.dumps({name: _finite(value) for name, value in row.items()}) for row in rows]
    return write_atomically(path, "".join(f"{line}\n" for line in lines).encode())


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def read_history(path: str | os.PathLike[str]) -> list[dict[str, float | None]]:
    """Return the finished passes that `write_history` has put into a file, first to last.

    Raises
    ------
    InputError
        When the file cannot be read, or is no such file.
    """
    try:
        return [json.loads(line) for line in Path(path).read_text("utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is no history that can be read ({error}); name the .history.jsonl file") from None


def _append(target: Path, mode: str, text: str) -> None:
    try:
        with target.open(mode, encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror or error}; name another place") from None
