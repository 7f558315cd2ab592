"""What is done as a whole is done before a signal's handler may raise."""

from __future__ import annotations

import signal
import threading

import pytest

from layerloop.signals import SIGNALS, Guard


def interrupted() -> None:
    signal.raise_signal(signal.SIGINT)


def handlers() -> list[object]:
    return [signal.getsignal(number) for number in SIGNALS]


def test_a_handler_waits_for_the_whole_and_for_nothing_else() -> None:
    before, done = handlers(), []

    def steps() -> None:
        with Guard() as guard:
            for i in range(3):
                with guard.whole():
                    if i == 1:
                        interrupted()
                    done.append(i)

    def between() -> None:
        with Guard():
            interrupted()
            done.append(9)

    for block in (steps, between):
        with pytest.raises(KeyboardInterrupt):
            block()
        assert done == [0, 1]
        assert handlers() == before


def test_handlers_are_back_whatever_the_block_raises() -> None:
    before = handlers()

    def block(*, ctrl_c: bool) -> None:
        with Guard() as guard, guard.whole():
            if ctrl_c:
                interrupted()
            raise ValueError("of the block")

    with pytest.raises(KeyboardInterrupt) as caught:
        block(ctrl_c=True)
    assert isinstance(caught.value.__context__, ValueError)
    with pytest.raises(ValueError, match="of the block"):
        block(ctrl_c=False)
    assert handlers() == before


def test_a_handler_that_does_not_raise_is_called_as_often_as_its_signal_came() -> None:
    came: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: came.append(number))
    try:
        with Guard() as guard:
            with guard.whole():
                signal.raise_signal(signal.SIGTERM)
                signal.raise_signal(signal.SIGTERM)
                assert not came
            assert came == [signal.SIGTERM] * 2
    finally:
        signal.signal(signal.SIGTERM, before)


def test_what_is_ignored_stays_ignored_and_other_threads_change_nothing() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Guard() as guard, guard.whole():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    seen = []

    def look() -> None:
        with Guard() as guard, guard.whole():
            seen.append(handlers())

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [handlers()]
