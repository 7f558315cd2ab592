"""How the command is run in tests, and the small data and models that it is run on."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from layerloop import cli

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

SRC = Path(__file__).parents[2] / "src"


@dataclass(frozen=True)
class Result:
    """What one call of the command gave."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """The command in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Result:
        capsys.readouterr()
        try:
            code = cli.main([str(argument) for argument in arguments])
        except SystemExit as stop:  # argparse's own way to end
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return call


def begin(*arguments: object, cwd: Path, env: dict[str, str] | None = None, **options: Any) -> subprocess.Popen[bytes]:
    inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    environment = {**inherited, "PYTHONPATH": str(SRC), **(env or {})}
    command = [sys.executable, "-m", "layerloop", *map(str, arguments)]
    return subprocess.Popen(command, cwd=cwd, env=environment, **options)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """The command in a process of its own and in an empty folder; what still runs at the end is ended."""
    begun = []

    def call(*arguments: object, **options: Any) -> subprocess.Popen[bytes]:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        begun.append(begin(*arguments, cwd=tmp_path, **pipes))
        return begun[-1]

    yield call
    for process in begun:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def write_table(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def write_examples(folder: Path) -> None:
    """Tables, arrays and files that are none, by name."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 3)).round(4)
    kind = np.where(X[:, 0] + X[:, 1] > 0, "yes", "no")
    price = (1e5 * (3 + X[:, 0] - 0.5 * X[:, 1]) + 0.5).round(1)
    labels = (kind == "yes").astype(int)
    write_table(folder / "kinds.csv", ["a", "b", "c", "kind"], [[*x, k] for x, k in zip(X, kind, strict=True)])
    write_table(folder / "prices.csv", ["a", "b", "c", "price"], [[*x, p] for x, p in zip(X, price, strict=True)])
    write_table(folder / "one.csv", ["a", "kind"], [[x, "yes"] for x in X[:, 0]])
    write_table(folder / "two.csv", ["a", "kind"], [[1, "yes"], [2, "no"]])
    write_table(folder / "gap.csv", ["a", "kind"], [[1, "yes"], ["", "no"], [3, "no"]])
    write_table(folder / "inf.csv", ["a", "kind"], [[1, "yes"], ["inf", "no"], [3, "no"]])
    write_table(folder / "head.csv", ["a", "kind"], [])
    write_table(folder / "year.csv", ["a", "price"], [[i, 1e9 + i / 100] for i in range(40)])
    write_table(folder / "huge.csv", ["a", "price"], [[i, 1e30 * i] for i in range(40)])
    write_table(folder / "far.csv", ["a", "kind"], [[1e200 * i, i % 2] for i in range(40)])
    write_table(folder / "new.csv", ["c", "id", "b", "a"], [[0.1, "x1", 2, 3], [0.2, "x2", -1, -2]])
    write_table(folder / "lacks.csv", ["c", "aa", "b"], [[1, 2, 3]])
    write_table(folder / "done.csv", ["a", "b", "c", "prediction"], [[1, 2, 3, 4]])
    write_table(folder / "others.csv", ["a", "b", "c", "kind"], [[1, 2, 3, "yes"], [1, 2, 3, "perhaps"]])
    write_table(folder / "text.csv", ["a", "b", "c", "price"], [[1, 2, 3, "dear"], [1, 2, 3, "cheap"]])
    (folder / "empty.csv").touch()
    (folder / "fake.png").write_text("no picture at all\n")
    np.savez(folder / "notest.npz", X=X, y=labels)
    np.savez(folder / "test.npz", X=X[:60], y=price[:60], X_test=X[60:], y_test=price[60:])
    np.savez(folder / "wide.npz", X=X, y=labels, X_test=X[:9, :2], y_test=labels[:9])
    np.save(folder / "both.npy", np.c_[X, labels])
    np.save(folder / "rows.npy", X)


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example files, and a trained model of each kind; nobody writes into it."""
    folder = tmp_path_factory.mktemp("examples")
    write_examples(folder)
    make = (
        ("digits", "--epochs", 60, "--rate", 0.01, "--out", "digits.safetensors"),
        (
            "kinds.csv",
            "--target",
            "kind",
            "--layers",
            "none",
            "--epochs",
            200,
            "--rate",
            0.05,
            "--out",
            "kinds.safetensors",
        ),
        ("prices.csv", "--target", "price", "--epochs", 200, "--rate", 0.05, "--out", "prices.safetensors"),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for arguments in make:
            assert cli.main(["train", *map(str, arguments)]) == 0
    content = (folder / "digits.safetensors").read_bytes()
    (folder / "cut.safetensors").write_bytes(content[: len(content) // 2])
    return folder
