"""`layerloop trace`: every number of both loops on one sample of a saved model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from layerloop import data, load, trace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize("model", ["kinds", "prices"])
def test_the_loops_of_a_row_are_printed_in_their_order(model: str, run: Callable, examples: Path) -> None:
    result = run("trace", examples / f"{model}.safetensors", "--data", examples / f"{model}.csv", "--index", 3)
    assert result.code == 0
    forward, backward = result.lines.index("forward loop"), result.lines.index("backward loop")
    assert forward < backward
    names = [line.split()[0] for line in result.lines[backward + 2 :] if line.startswith(("q_", "p_"))]
    L = (len(names) - 2) // 2
    assert names[:2] == [f"q_{L + 2}", f"q_{L + 1}"]
    assert names[-2:] == ["p_1", "q_1"]
    assert "in the order of w" in result.out


def test_the_sample_is_by_default_of_the_data_that_the_model_was_trained_on(run: Callable, examples: Path) -> None:
    m = load(examples / "digits.safetensors")
    found = json.loads(run("trace", examples / "digits.safetensors", "--index", 5, "--json").out)
    assert (found["data"], found["split"], found["index"]) == ("digits", "test", 5)
    X, y = data.load("digits", "test", raw=True)
    wanted = trace(m, X[5], int(y[5])).as_dict()
    assert {key: found[key] for key in wanted} == json.loads(json.dumps(wanted))


def test_json_holds_large_values_only_when_they_are_asked_for(run: Callable, examples: Path) -> None:
    model = examples / "digits.safetensors"

    def with_entries(*options: str) -> set[str]:
        found = json.loads(run("trace", model, "--json", *options).out)
        return {step["name"] for step in found["steps"] if step["entries"] is not None}

    default = with_entries()
    assert {"A_1", "B_1", "p_1"} & default == set()
    assert with_entries("--show", "B_1") - default == {"B_1"}
    assert with_entries("--full") - default == {"A_1", "B_1", "A_2", "p_1"}


def test_a_value_is_printed_whole(run: Callable, examples: Path) -> None:
    result = run("trace", examples / "digits.safetensors", "--index", 1, "--show", "z_4")
    numbers = result.out.split("z_4 =\n")[1].strip(" []\n").split()
    assert len(numbers) == 10
    assert sum(map(float, numbers)) == pytest.approx(1, abs=1e-5)


def test_a_check_stands_below_the_loops(run: Callable, examples: Path) -> None:
    result = run("trace", examples / "digits.safetensors", "--check")
    assert result.code == 0
    assert "beside finite differences" in result.lines
    assert "passed: " in result.lines[-1]
    found = json.loads(run("trace", examples / "digits.safetensors", "--check", "--json").out)
    assert [row["name"] for row in found["check"]["layers"]] == ["p_1", "p_2"]
    assert np.isfinite(found["check"]["layers"][0]["largest_difference"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("digits.safetensors", "--index", "9999"), "there is no row 9999"),
        (("digits.safetensors", "--show", "z_8"), "unknown value of the loops 'z_8'"),
        (("nothing.safetensors",), "nothing.safetensors"),
    ],
)
def test_what_cannot_be_traced_is_said_in_one_line(
    arguments: tuple[str, ...], words: str, run: Callable, examples: Path
) -> None:
    result = run("trace", examples / arguments[0], *arguments[1:])
    assert (result.code, len(result.err.splitlines())) == (2, 1)
    assert words in result.err
