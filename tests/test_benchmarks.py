"""The benchmarks run, in small, so that they cannot rot; what they measure is not judged here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SMALL = {
    "table": ["--small", "--runs", "1"],
    "prediction": ["--rows", "3000", "--runs", "1", "--calls", "20"],
    "growth": ["--small", "--runs", "1"],
    "sparse": ["--small", "--runs", "1", "--passes", "2"],
    "startup": ["--runs", "1"],
    "serving": ["--requests", "200", "--clients", "8"],
    "watching": ["--pages", "5", "--seconds", "1", "--rows", "2000"],
    "accuracy": ["--data", "digits", "--seeds", "1", "--epochs", "1"],
}
PARTS = {"works", "peers", "once"}  # what table.py is made of


def test_every_benchmark_is_run_here() -> None:
    assert {path.stem for path in BENCHMARKS.glob("*.py")} == set(SMALL) | PARTS


@pytest.mark.parametrize("name", SMALL)
def test_a_benchmark_runs_and_prints_figures(name: str) -> None:
    command = [sys.executable, str(BENCHMARKS / f"{name}.py"), *SMALL[name], "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    figures = json.loads(done.stdout.splitlines()[-1])
    numbers = (
        list(figures.values()) if isinstance(figures, dict) else [row.get("median", row.get("mean")) for row in figures]
    )
    assert numbers
    assert all(number > 0 for number in numbers)
