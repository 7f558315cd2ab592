"""`layerloop train --optimizer lbfgs`: iterations over all rows, what it refuses, what Ctrl-C leaves."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from layerloop import lbfgs, load, read_history
from layerloop.data import read
from layerloop.inspection.reproduce import command_of
from layerloop.training import quasi_newton
from layerloop.training.recipe import Recipe, prepare

if TYPE_CHECKING:
    from collections.abc import Callable

TRAIN = ("train", "digits", "--layers", "none", "--optimizer", "lbfgs")


def test_it_is_the_library_s_on_the_same_network(run: Callable) -> None:
    result = run(*TRAIN, "--l2", 0.001, "--epochs", 12, "--json")
    found = json.loads(result.lines[-1])
    task = prepare(read("digits"), read("digits", "test"), Recipe(layers=(), optimizer="lbfgs", l2=0.001, epochs=12))
    history = lbfgs(task.m, task.loader.X, task.loader.y, max_iter=12, l2=0.001)
    assert (load(found["model"]).flat == task.m.flat).all()
    assert [row["loss"] for row in read_history(found["history"])] == history["loss"]
    assert (found["stopped"], found["epochs_done"], found["recipe"]["rate"]) == ("all iterations done", 12, None)
    assert "iteration 12/12  loss" in result.err


def test_it_says_when_it_has_converged_and_has_lines_for_a_few_iterations_only(run: Callable) -> None:
    lines = run(*TRAIN, "--l2", 0.1, "--epochs", 500, "--validation", 0.1).lines
    assert "converged: no component of the gradient is above 1e-06" in lines
    told = [int(line.split()[1].split("/")[0]) for line in lines if line.startswith("iteration")]
    assert told[:11] == [*range(1, 11), 20]
    assert "val accuracy" in next(line for line in lines if line.startswith("iteration"))


def test_class_weights_reach_it(run: Callable) -> None:
    Path("few.csv").write_text("a,kind\n" + "".join(f"{i % 7},{'yes' if i % 9 else 'no'}\n" for i in range(90)))
    shares = []
    for weight in ([], ["--class-weight", "balanced"]):
        done = json.loads(run("train", "few.csv", "--target", "kind", *TRAIN[2:], *weight, "--json").lines[-1])
        m = load(done["model"])
        shares.append(float(m([[3.0]])[0, 0]))
    assert shares[0] < 0.2
    assert shares[1] == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--rate", "0.1"], "lbfgs goes over all rows at once and takes no rate: leave it out"),
        (["--schedule", "cosine"], "takes no schedule"),
        (["--decay", "0.1"], "takes no decay: leave it out; its penalty is l2"),
        (["--clip", "1"], "takes no clip"),
        (["--dropout", "0.1"], "takes no dropout"),
        (["--batch-size", "10"], "leave out --batch-size"),
        (["--l2", "-1"], "l2 must be 0 or more and finite, got -1.0"),
    ],
)
def test_what_has_no_meaning_for_it_is_refused_before_any_data(run: Callable, options: list[str], said: str) -> None:
    result = run(*TRAIN, *options)
    assert (result.code, result.out) == (2, "")
    assert said in result.err


def test_ctrl_c_keeps_the_last_whole_iteration(run: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    true, kept = quasi_newton.Descending.value_and_gradient, []

    def interrupted(self: quasi_newton.Descending, w: object) -> object:
        if len(self.history) == 3:
            kept.append(self.m.flat.copy())
            os.kill(os.getpid(), signal.SIGINT)
        return true(self, w)  # type: ignore[arg-type]

    monkeypatch.setattr(quasi_newton.Descending, "value_and_gradient", interrupted)
    result = run(*TRAIN, "--out", "m.safetensors")
    assert (result.code, result.err) == (130, "layerloop: stopped after iteration 3 of 100\n")
    assert (load("m.safetensors").flat == kept[0]).all()
    assert len(read_history("m.history.jsonl")) == 3


def test_the_command_that_a_report_tells_makes_the_same_run(run: Callable) -> None:
    for epochs in ((), ("--epochs", "20")):
        done = json.loads(run(*TRAIN, *epochs, "--json").lines[-1])
        told = command_of(load(done["model"]).record)
        assert told == " ".join(["layerloop", *TRAIN, *epochs])


def test_a_penalty_goes_with_step_rules_too() -> None:
    rule = Recipe(l2=0.5).rule()
    assert rule is not None
    assert "l2=0.5" in repr(rule)


def test_a_small_problem_is_computed_in_one_thread_unless_more_are_asked_for() -> None:
    m = prepare(read("digits"), read("digits", "test"), Recipe()).m
    assert [quasi_newton.threads_for(rows, m) for rows in (1000, 10**8)] == [1, None]
    assert quasi_newton.threads_for(1000, m, asked=2) == 2
