"""`layerloop check`: the gradient of a saved model against finite differences, the worst entry by name."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from layerloop.engine import reference

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np


@pytest.mark.parametrize("model", ["digits", "kinds", "prices"])
@pytest.mark.parametrize("method", ["central", "complex"])
def test_a_sound_model_passes_and_the_worst_entry_is_named(
    model: str, method: str, run: Callable, examples: Path
) -> None:
    result = run("check", examples / f"{model}.safetensors", "--entries", 100, "--method", method)
    assert result.code == 0
    assert re.fullmatch(rf"passed: \d+ of \d+ entries, {method}, worst defect \S+ \(tolerance \S+\)", result.lines[1])
    assert re.match(r"worst at layer \d, row \d+, (column \d+|bias): loops ", result.lines[2])
    assert re.match(r"passed: \w+ engine against the loops: worst defect ", result.lines[3])


def test_all_entries_are_checked_on_request(run: Callable, examples: Path) -> None:
    found = json.loads(run("check", examples / "kinds.safetensors", "--entries", "all", "--json").out)
    assert found["loops"]["checked"] == found["loops"]["size"] == 8
    assert found["passed"] is True


@pytest.mark.parametrize("data", ["digits", "kinds", "prices"])
def test_the_sample_may_be_a_row_of_data(data: str, run: Callable, examples: Path) -> None:
    source = data if data == "digits" else examples / f"{data}.csv"
    assert run("check", examples / f"{data}.safetensors", "--data", source, "--index", 3, "--entries", 50).code == 0


def test_the_seed_draws_entries_and_sample(run: Callable, examples: Path) -> None:
    a, b, c = (
        json.loads(run("check", examples / "digits.safetensors", "--entries", 20, "--seed", s, "--json").out)
        for s in (1, 1, 2)
    )
    assert a == b != c


def test_an_engine_that_errs_is_found_and_the_exit_code_is_1(
    run: Callable, examples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAYERLOOP_ENGINE", "numpy")
    true = reference.ReferenceEngine.value_and_gradient

    def wrong(self: object, flat: np.ndarray, rows: object, plan: object, gradient: np.ndarray, step: object) -> float:
        value = true(self, flat, rows, plan, gradient, step)  # type: ignore[arg-type]
        gradient[-1] *= 1.001
        return value

    monkeypatch.setattr(reference.ReferenceEngine, "value_and_gradient", wrong)
    result = run("check", examples / "kinds.safetensors")
    assert result.code == 1
    assert "FAILED: numpy engine against the loops" in result.out
