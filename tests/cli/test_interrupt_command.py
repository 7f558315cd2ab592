"""Ctrl-C and SIGTERM at every moment: at once, with the model so far, and without harm to what was there before."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from layerloop import load
from layerloop.cli import train_network as command
from layerloop.data import read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONG = ("train", "digits", "--epochs", 100_000)
SIGNALS = ((signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129))


@pytest.fixture(autouse=True)
def ready() -> Iterator[None]:
    """Ctrl-C means what it means in a shell's foreground, and the digits are read already."""
    read("digits")
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


@pytest.fixture
def once_training() -> Iterator[Callable[[signal.Signals, str], list[float]]]:
    """Send this process a signal soon after a history has its first row; the list holds the processor time then."""
    threads, over = [], threading.Event()

    def send(number: signal.Signals, history: Path, moment: list[float]) -> None:
        while not over.wait(0.01):
            if history.exists() and history.stat().st_size:
                over.wait(0.1)
                moment.append(time.process_time())
                os.kill(os.getpid(), number)
                return

    def later(number: signal.Signals, history: str = "m.history.jsonl") -> list[float]:
        moment: list[float] = []
        threads.append(threading.Thread(target=send, args=(number, Path(history), moment)))
        threads[-1].start()
        return moment

    yield later
    over.set()
    for thread in threads:
        thread.join()


def here(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in tmp_path.iterdir())


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_signal_in_training_stops_at_once_and_keeps_the_model_so_far(
    number: signal.Signals, code: int, run: Callable, once_training: Callable, tmp_path: Path
) -> None:
    moment = once_training(number, "digits-64-32-10.history.jsonl")
    result = run(*LONG, "--json")
    assert time.process_time() - moment[0] < 0.2  # of this process: what others do is not measured
    assert result.code == code
    found = json.loads(result.out)
    (said,) = [line for line in result.err.splitlines() if line.startswith("layerloop")]
    assert said == f"layerloop: {found['stopped']}"
    assert said.startswith("layerloop: stopped in epoch ")
    assert here(tmp_path) == ["digits-64-32-10.history.jsonl", "digits-64-32-10.safetensors"]
    assert load(found["model"]).record["test_accuracy"] == found["test_accuracy"]
    rows = [json.loads(line) for line in Path(found["history"]).read_text().splitlines()]
    assert len(rows) == found["epochs_done"]


def test_an_interrupted_run_leaves_the_earlier_model_and_its_history(
    run: Callable, once_training: Callable, tmp_path: Path
) -> None:
    run("train", "digits", "--epochs", 2, "--out", "m.safetensors")
    before = [Path(name).read_bytes() for name in ("m.safetensors", "m.history.jsonl")]
    once_training(signal.SIGINT, "m-2.history.jsonl")
    result = run(*LONG, "--out", "m.safetensors")
    assert result.code == 130
    assert result.lines[-1] == "saved m-2.safetensors (m.safetensors stays as it was)"
    assert [Path(name).read_bytes() for name in ("m.safetensors", "m.history.jsonl")] == before
    assert here(tmp_path) == ["m-2.history.jsonl", "m-2.safetensors", "m.history.jsonl", "m.safetensors"]


@pytest.mark.parametrize("place", ["layerloop.cli.options.read", "layerloop.training.task.train"])
@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_signal_before_the_first_step_leaves_nothing(
    place: str, number: signal.Signals, code: int, run: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*_: object, **__: object) -> None:
        os.kill(os.getpid(), number)
        time.sleep(5)

    monkeypatch.setattr(place, slow)
    result = run(*LONG)
    said = "" if "options" in place else " before the first step was done, so there is no model to keep"
    assert (result.code, result.err) == (code, f"layerloop: stopped{said}\n")
    assert here(tmp_path) == []


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_second_signal_while_the_model_is_saved_does_not_lose_it(
    number: signal.Signals, code: int, run: Callable, once_training: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_save = command.save

    def save(*arguments: object) -> Path:
        os.kill(os.getpid(), number)
        time.sleep(0.05)
        return true_save(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(command, "save", save)
    once_training(number)
    result = run(*LONG, "--out", "m.safetensors")
    assert result.code == code
    assert np.isfinite(load("m.safetensors").flat).all()


def test_signals_mean_afterwards_what_they_meant_before(run: Callable, once_training: Callable) -> None:
    before = [signal.getsignal(number) for number, _ in SIGNALS]
    once_training(signal.SIGINT)
    run(*LONG, "--out", "m.safetensors")
    assert [signal.getsignal(number) for number, _ in SIGNALS] == before


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_process_ends_with_the_code_of_its_signal(
    number: signal.Signals, code: int, start: Callable, examples: Path, tmp_path: Path
) -> None:
    process = start(
        "train", examples / "kinds.csv", "--target", "kind", "--layers", 8, "--epochs", 10**7, "--out", "m.safetensors"
    )
    assert process.stdout is not None
    while not process.stdout.readline().startswith(b"epoch "):
        assert process.poll() is None
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == code
    assert err.startswith(b"layerloop: stopped in epoch ")
    assert out.splitlines()[-1] == b"saved m.safetensors"
    assert load(tmp_path / "m.safetensors").record["stopped"]
