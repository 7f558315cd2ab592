"""What hangs off the loop: functions with one argument or none, throttled or writing a file line by line."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from layerloop.data.batches import DataLoader
from layerloop.errors import InputError, OutputError, SettingError
from layerloop.layers import Dense
from layerloop.network import Chain
from layerloop.training import Progress, Stop, callbacks, read_history, throttle, train, write_history
from layerloop.training.callbacks import as_callback
from layerloop.vocabulary import mse

if TYPE_CHECKING:
    from pathlib import Path

X, Y = np.arange(12.0).reshape(6, 2) / 10, np.arange(6.0)


def progress(**changes: object) -> Progress:
    facts = {"model": Chain(Dense(2, 1)), "epoch": 2, "epochs": 5, "step": 1, "steps": 4, "loss": 0.5}
    return Progress(**{**facts, "seconds": 10.0, "samples": 200, **changes})  # type: ignore[arg-type]


class Counter:
    def __init__(self) -> None:
        self.seen: list[Progress] = []

    def method(self, progress: Progress) -> None:
        self.seen.append(progress)

    def __call__(self) -> str:
        return "called"


def test_functions_of_one_argument_or_none_methods_and_partials_are_callbacks() -> None:
    now, counter = progress(), Counter()
    as_callback(counter.method)(now)
    assert counter.seen == [now]
    assert as_callback(counter)(now) == "called"
    assert as_callback(lambda: 3)(now) == 3
    assert as_callback(lambda p: p)(now) is now
    assert as_callback(lambda p=None: p)(now) is now
    assert as_callback(lambda *all_of_it: all_of_it)(now) == (now,)
    assert as_callback(functools.partial(lambda a, p: (a, p), 1))(now) == (1, now)


@pytest.mark.parametrize("wrong", [lambda a, b: None, lambda *, key: None])
def test_functions_of_more_are_refused_with_their_signature(wrong: object) -> None:
    with pytest.raises(SettingError, match=r"a callback takes the progress or nothing; .* takes \("):
        as_callback(wrong)  # type: ignore[arg-type]


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(SettingError, match="a callback is a function, got 'print'"):
        as_callback("print")  # type: ignore[arg-type]


def test_speed_and_time_left_by_hand() -> None:
    now = progress()
    assert now.samples_per_second == 20
    # a pass and a quarter of five are done in 10 s, 3.75 are left: 30 s
    assert now.seconds_left == pytest.approx(30.0)
    assert not now.epoch_ended
    assert progress(row={"epoch": 2.0}).epoch_ended
    assert progress(seconds=0.0).samples_per_second == 0
    assert progress(epoch=5, step=4).seconds_left == 0


def test_a_throttled_callback_is_called_at_once_and_then_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 100.5, 101.9, 102.0, 103.9, 110.0])
    monkeypatch.setattr(callbacks.time, "monotonic", lambda: next(clock))
    calls: list[int] = []

    def count() -> Stop:
        calls.append(1)
        return Stop("now")

    slow = throttle(count, 2)
    answers = [slow(progress()) for _ in range(6)]
    # called at 100, 102 (two seconds later) and 110
    assert [answer == Stop("now") for answer in answers] == [True, False, False, True, False, True]
    assert len(calls) == 3


def test_a_throttle_of_zero_lets_everything_through_and_takes_functions_of_the_progress() -> None:
    counter = Counter()
    every = throttle(counter.method, 0)
    for _ in range(3):
        every(progress())
    assert len(counter.seen) == 3


@pytest.mark.parametrize("seconds", [-1, float("nan")])
def test_a_throttle_of_no_time_is_refused(seconds: float) -> None:
    with pytest.raises(SettingError, match="throttle: seconds must be 0 or more"):
        throttle(print, seconds)


def test_the_file_holds_a_line_a_pass_as_soon_as_the_pass_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text("an older run\n")
    lines_seen: list[int] = []
    look = lambda p: lines_seen.append(len(path.read_text().splitlines())) if p.epoch_ended else None  # noqa: E731
    write = write_history(path)
    assert path.read_text() == ""
    m = Chain(Dense(2, 1))
    history = train(m, DataLoader((X, Y), 2), mse, epochs=3, callbacks=[write, look], validation=(X, Y))
    assert lines_seen == [1, 2, 3]
    assert read_history(path) == history.epochs
    assert "validation_r2" in history.epochs[0]


def test_a_figure_that_is_no_number_is_null_in_the_file(tmp_path: Path) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    path = tmp_path / "history.jsonl"
    write = write_history(path)
    write(progress(row={"epoch": 1, "validation_r2": float("nan")}))
    assert json.loads(path.read_text(), parse_constant=refuse) == {"epoch": 1, "validation_r2": None}


def test_a_file_that_cannot_be_written_is_found_before_training(tmp_path: Path) -> None:
    for path in (tmp_path / "none" / "history.jsonl", tmp_path):
        with pytest.raises(OutputError, match=r"cannot write .*; name another place"):
            write_history(path)


def test_a_file_that_is_no_history_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text("epoch 1\n")
    for path in (other, tmp_path / "none.jsonl"):
        with pytest.raises(InputError, match=r"is no history that can be read .*; name the .history.jsonl file"):
            read_history(path)
