"""Where a trained model goes, and what Ctrl-C and SIGTERM do to it: what stood there before is never lost."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from layerloop.atomic import check_writable
from layerloop.errors import ModelFileError, OutputError
from layerloop.files import load_any
from layerloop.signals import SIGNALS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ENDING = ".safetensors"


def check_place(place: Path) -> None:
    """Refuse a place that cannot be written, or that holds a file which is no model: the name is likely a slip."""
    check_writable(place)
    if place.exists():
        try:
            load_any(place)
        except ModelFileError:
            raise OutputError(f"{place} exists and is not a readable model file; name another --out") from None


def free_place(place: Path) -> Path:
    """Return this name or, when it is taken, the next that is free: what an earlier run saved stays."""
    stem, ending = (place.stem, ENDING) if place.suffix == ENDING else (place.name, "")
    names = (place.with_name(f"{stem}{'' if k == 1 else f'-{k}'}{ending}") for k in range(1, 1_000_000))
    return next(name for name in names if not name.exists())


def history_of(model: Path) -> Path:
    """Return the place of the history beside a model."""
    return model.with_name(model.name.removesuffix(ENDING) + ".history.jsonl")


class Terminated(KeyboardInterrupt):
    """SIGTERM, or SIGHUP of a terminal that is closed, handled as Ctrl-C is: stop, keep the model, and say so."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.code = 128 + number


def _terminate(number: int, *_: object) -> None:
    raise Terminated(number)


@contextmanager
def signals_as_interrupts() -> Iterator[None]:
    """Take SIGTERM and SIGHUP as Ctrl-C is taken, and put everything back at the end; what is ignored stays so."""
    previous = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in previous.items():
        if number != signal.SIGINT and handler is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, _terminate)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def hold_off() -> None:
    """Let no second Ctrl-C lose the model while it is saved: that takes a moment only."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
