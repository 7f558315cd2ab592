"""The examples run, and what they find agrees with what is known from elsewhere."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from layerloop.data import status

if TYPE_CHECKING:
    from types import ModuleType

EXAMPLES = Path(__file__).parents[1] / "examples"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def progressive() -> ModuleType:
    return example("progressive")


@pytest.mark.parametrize("name", ["least_squares", "logistic_regression"])
def test_one_layer_reaches_the_exact_solution(progressive: ModuleType, name: str) -> None:
    found, exact = getattr(progressive, name)()
    np.testing.assert_allclose(found, exact, atol=1e-4)


def test_multinomial_logistic_regression_reads_digits(progressive: ModuleType) -> None:
    assert progressive.multinomial_logistic_regression() > 0.88


@pytest.mark.slow
def test_the_notes_program_reads_the_first_test_image_as_7(capsys: pytest.CaptureFixture[str]) -> None:
    if next(row for row in status() if row["name"] == "mnist")["where"] is None:
        pytest.skip("MNIST is not on this machine: set LAYERLOOP_DATA")
    example("notes_program")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Chain(Dense(784, 32, sigmoid), Dense(32, 10), softmax)  # 25,450 parameters"
    assert lines[-1] == "predicted: 7  label: 7"
    assert 0.957 <= float(lines[-2].split()[-1]) <= 0.964
    assert any(line.startswith("accuracy(Xtest, ytest) = ") for line in lines)
