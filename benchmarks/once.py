"""What is not training, for benchmarks/table.py: the outputs for one row; from the shell to the printed accuracy."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
import warnings
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from peers import network
from works import WORKS, there

if TYPE_CHECKING:
    from collections.abc import Callable

ROW_LIMIT, SHELL_LIMIT = 15e-6, 1.5  # seconds


def rows(runs: int, *, small: bool) -> list[dict[str, Any]]:
    """Return both measurements, a row for everyone."""
    return one_row(runs, 20 if small else 2000) + shell(runs, small=small)


def one_row(runs: int, calls: int) -> list[dict[str, Any]]:
    """Time the outputs for one float32 row, 784-32-10; everyone in turn, the median of `calls` calls each time."""
    x = np.random.default_rng(0).random((1, 784), dtype=np.float32)
    everyone = predictors(x)
    seconds: dict[str, list[float]] = {name: [] for name in everyone}
    for _ in range(runs):
        for name, predict in everyone.items():
            seconds[name].append(statistics.median(timed(predict) for _ in range(calls)))
    return [figures("one row, 784-32-10", name, times) for name, times in seconds.items()]


def timed(run: Callable[[], object]) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def predictors(x: Any) -> dict[str, Callable[[], object]]:
    from sklearn.neural_network import MLPClassifier

    m, row = network(WORKS[0]), x[0]
    model = MLPClassifier((32,), activation="logistic", max_iter=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(np.random.default_rng(0).random((100, 784), dtype=np.float32), np.arange(100) % 10)
    found: dict[str, Callable[[], object]] = {
        "layerloop, m(x)": lambda: m(row), "scikit-learn, predict_proba": lambda: model.predict_proba(x)}  # fmt: skip
    if find_spec("torch"):
        import torch

        net = torch.nn.Sequential(torch.nn.Linear(784, 32), torch.nn.Sigmoid(), torch.nn.Linear(32, 10))
        tensor = torch.from_numpy(x)

        def outputs() -> object:
            with torch.inference_mode():
                return torch.softmax(net(tensor), dim=1)

        found["PyTorch, inference_mode"] = outputs
    return found


def shell(runs: int, *, small: bool) -> list[dict[str, Any]]:
    """Time `layerloop train mnist` from the shell, less the training that it reports; beside it, `import torch`."""
    arguments = ["train", "mnist" if there("mnist") else "digits", "--json", *(["--epochs", "1"] if small else [])]
    seconds: dict[str, list[float]] = {}
    for _ in range(runs):
        with TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "layerloop", *arguments, "--out", str(Path(folder) / "m.safetensors")]
            begun = time.perf_counter()
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            whole = time.perf_counter() - begun
        training = json.loads(done.stdout.splitlines()[-1])["seconds"]
        seconds.setdefault(f"layerloop {' '.join(arguments[:2])}, all but training", []).append(whole - training)
        if find_spec("torch"):
            begun = time.perf_counter()
            subprocess.run([sys.executable, "-c", "import torch"], check=True)
            seconds.setdefault("import torch alone", []).append(time.perf_counter() - begun)
    return [figures("shell to printed accuracy", name, times) for name, times in seconds.items()]


def figures(work: str, name: str, times: list[float]) -> dict[str, Any]:
    return {"work": work, "name": name, "median": statistics.median(times), "least": min(times), "most": max(times)}


def text_of(found: list[dict[str, Any]]) -> str:
    """Return both tables as text, each with what must hold of it."""
    limits = {
        "one row, 784-32-10": (ROW_LIMIT, 1e6, "microseconds"),
        "shell to printed accuracy": (SHELL_LIMIT, 1, "s"),
    }
    lines = []
    for work, (limit, factor, unit) in limits.items():
        lines.append(f"{work:38}{unit:>13}{'least':>9}{'most':>9}")
        mine = [row for row in found if row["work"] == work]
        for row in mine:
            values = "".join(f"{row[key] * factor:9.3f}" for key in ("median", "least", "most"))
            lines.append(f"  {row['name']:40}{values}")
        holds = "holds" if mine[0]["median"] <= limit else "DOES NOT HOLD"
        lines.append(f"  must: at most {limit * factor:g} {unit}: {mine[0]['median'] * factor:.3f} {holds}\n")
    return "\n".join(lines)
