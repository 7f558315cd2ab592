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
    "tabular": ["--seeds", "1", "--rows", "60", "--only", "layerloop"],
    "ablation": ["--seeds", "1", "--rows", "60", "--sets", "wine"],
    "pictures": ["--names", "digits", "--seeds", "1", "--epochs", "1"],
}
PARTS = {"works", "peers", "once", "tabular_peers"}  # what table.py and tabular.py are made of


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two small tables, in the place where the benchmarks of tables look for one."""
    from sklearn.datasets import load_diabetes, load_wine

    folder = tmp_path_factory.mktemp("data") / "tabular"
    folder.mkdir()
    for name, load in (("wine", load_wine), ("diabetes", load_diabetes)):
        load(as_frame=True).frame.to_csv(folder / f"{name}.csv.gz", index=False)
    sets = {"wine": ("target", "class", ["ash"]), "diabetes": ("target", "value", [])}
    (folder / "sets.py").write_text(f"SETS = {sets!r}\n")
    return folder


def test_every_benchmark_is_run_here() -> None:
    assert {path.stem for path in BENCHMARKS.glob("*.py")} == set(SMALL) | PARTS


@pytest.mark.parametrize("name", SMALL)
def test_a_benchmark_runs_and_prints_figures(name: str, tables: Path) -> None:
    command = [sys.executable, str(BENCHMARKS / f"{name}.py"), *SMALL[name], "--json"]
    command += ["--data", str(tables)] if name in ("tabular", "ablation") else []
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    figures = json.loads(done.stdout.splitlines()[-1])
    numbers = (
        list(figures.values())
        if isinstance(figures, dict)
        else [row.get("median", row.get("mean", row.get("error"))) for row in figures]
    )
    assert numbers
    assert all(number > 0 for number in numbers)
