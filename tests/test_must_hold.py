"""Whole runs on the real image sets: the figures that the notes and the readings promise."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from layerloop import (
    Adam,
    Chain,
    DataLoader,
    Dense,
    cli,
    evaluate,
    load,
    maths,
    onecold,
    softmax,
    trace,
    train,
    value_and_gradient,
)
from layerloop.data import Dataset, read, status
from layerloop.training.recipe import Recipe, prepare

if TYPE_CHECKING:
    from pathlib import Path

    from layerloop.training.task import Task

pytestmark = pytest.mark.slow


def needed(name: str) -> pytest.MarkDecorator:
    """Skip where a set is not on this machine: no test downloads."""
    there = next(row["where"] for row in status() if row["name"] == name) is not None
    return pytest.mark.skipif(not there, reason=f"{name} is not on this machine: layerloop data fetch {name}")


mnist, fashion = needed("mnist"), needed("fashion-mnist")
_READ: dict[str, tuple[Dataset, Dataset]] = {}


def parts(name: str) -> tuple[Dataset, Dataset]:
    """Training and test part of a set, read once."""
    if name not in _READ:
        _READ[name] = (read(name), read(name, "test"))
    return _READ[name]


def trained(name: str, recipe: Recipe) -> Task:
    """The task of a recipe after its run, in one thread: the figures do not depend on how busy the machine is."""
    task = prepare(*parts(name), recipe)
    train(task.m, task.loader, task.loss, task.rule, recipe.epochs, threads=1)
    return task


@mnist
@pytest.mark.parametrize("seed", range(5))
def test_the_notes_run_on_mnist_reaches_its_accuracy(seed: int) -> None:
    recipe = Recipe(seed=seed)
    before = prepare(*parts("mnist"), recipe).figures("test")["accuracy"]
    assert 0.05 <= before <= 0.2
    assert 0.957 <= trained("mnist", recipe).figures("test")["accuracy"] <= 0.964


@mnist
@pytest.mark.parametrize(("dtype", "bound"), [("float32", 1e-5), ("float64", 1e-12)])
def test_a_trace_of_the_notes_network_is_that_of_maths_and_its_gradient_that_of_the_engine(
    dtype: str, bound: float
) -> None:
    m, (_, held) = trained("mnist", Recipe(epochs=1, dtype=dtype)).m, parts("mnist")
    for x, y in zip(held.X[:20], held.y[:20].tolist(), strict=True):
        found = trace(m, x, y)
        dense = maths.loops.loops(found.net, found.w, found.value("z_1"), found.y)
        for letter, values in zip("zABqp", (dense[0].z, dense[0].A, dense[0].B, dense[1].q, dense[1].p), strict=True):
            for i, wanted in values.items():
                np.testing.assert_allclose(
                    found.value(f"{letter}_{i}"), wanted, rtol=0, atol=1e-12 * max(1, np.abs(wanted).max())
                )
        _, by_engine = value_and_gradient(m, x, y)
        assert np.abs(found.gradient - by_engine.w).max() <= bound * np.abs(found.gradient).max()


@mnist
def test_the_notes_program_written_out_reaches_it_too() -> None:
    data, held = parts("mnist")
    X = data.X.astype(np.float32) / 255
    m = Chain(Dense(28 * 28, 32, "sigmoid"), Dense(32, 10), softmax)
    train(m, DataLoader((X, data.y), batchsize=128), optimizer=Adam(1e-3), epochs=20, threads=1)
    outputs = m(held.X.astype(np.float32) / 255)
    assert 0.957 <= np.mean(outputs.argmax(axis=1) == held.y) <= 0.964
    assert (onecold(outputs[0], range(10)), held.y[0]) == (7, 7)


@mnist
def test_multinomial_logistic_regression_stays_below_the_hidden_layer() -> None:
    assert 0.9 < trained("mnist", Recipe(layers=())).figures("test")["accuracy"] < 0.93


@mnist
@pytest.mark.parametrize("layers", [(32,), ()])
def test_the_reading_notes_never_predicts_nine_and_is_bounded_by_it(layers: tuple[int, ...]) -> None:
    """1,009 of the 10,000 test pictures are nines, so at most 0.8991 can be right."""
    held = parts("mnist")[1]
    assert 1 - np.mean(held.y == 9) == pytest.approx(0.8991)
    task = trained("mnist", Recipe(reading="notes", layers=layers))
    assert 9 not in task.m(held.X).argmax(axis=1)
    assert 0.7 < task.figures("test")["accuracy"] <= 0.8991


@fashion
def test_the_notes_run_on_fashion_mnist_reaches_its_accuracy() -> None:
    assert trained("fashion-mnist", Recipe()).figures("test")["accuracy"] >= 0.865


@mnist
def test_the_command_trains_saves_and_predicts_the_first_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", "mnist", "--out", "m.safetensors", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert 0.957 <= found["test_accuracy"] <= 0.964
    held = parts("mnist")[1]
    figures = evaluate(load("m.safetensors"), held.X, held.y)
    assert figures["accuracy"] == found["test_accuracy"]
    assert figures["loss"] == pytest.approx(found["test_loss"], rel=1e-6)
    assert cli.main(["predict", "m.safetensors", "0", "--data", "mnist"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("mnist test 0: 7  (probability 0.99")
