"""Several values a row through the command: a table or arrays in, figures, predictions and a report of each out."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from layerloop import load

if TYPE_CHECKING:
    from collections.abc import Callable

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 3)).round(3)
Y = np.column_stack([5e4 + 1e4 * X[:, 0], 1e-2 * X[:, 1] * X[:, 2], np.full(200, 0.1)]).round(6)
NAMES = ["price", "share", "same"]
TARGET = ("--target", ",".join(NAMES))
TRAINED = ("train", "sizes.csv", *TARGET, "--epochs", 60, "--rate", 0.02, "--out", "m.safetensors")


def write(path: str, *, bad: str = "") -> None:
    rows = [[*x, *y] for x, y in zip(X.tolist(), Y.tolist(), strict=True)]
    rows[7][4] = bad or rows[7][4]
    with Path(path).open("w", newline="") as file:
        csv.writer(file).writerows([["a", "b", "c", *NAMES], *rows])


@pytest.fixture(autouse=True)
def here(run: Callable) -> None:
    write("sizes.csv")
    np.savez("sizes.npz", X=X, y=Y)


def last(result: Any) -> dict[str, Any]:
    assert result.code == 0, result.err
    found: dict[str, Any] = json.loads(result.lines[-1])
    return found


def test_figures_are_those_of_numpy_from_what_predict_writes(run: Callable) -> None:
    trained = last(run(*TRAINED, "--json"))
    assert run("predict", "m.safetensors", "sizes.csv", "-o", "out.csv").code == 0
    rows = list(csv.DictReader(Path("out.csv").read_text().splitlines()))
    p = np.array([[float(row[f"prediction_{name}"]) for name in NAMES] for row in rows])
    found = last(run("evaluate", "m.safetensors", "sizes.csv", "--json"))
    assert found["loss"] == pytest.approx(np.mean((p - Y) ** 2), rel=1e-4)
    assert found["mae"] == pytest.approx(mean_absolute_error(Y, p), rel=1e-4)
    assert found["rmse"] == pytest.approx(root_mean_squared_error(Y, p), rel=1e-4)
    assert found["r2"] == pytest.approx(r2_score(Y[:, :2], p[:, :2]), abs=1e-4)
    assert [row["target"] for row in found["targets"]] == NAMES
    assert found["targets"][1]["mae"] == pytest.approx(np.abs(p - Y)[:, 1].mean(), rel=1e-4)
    assert found["targets"][2]["r2"] is None
    assert trained["rows"] == {"training": 160, "test": 40}
    assert trained["test_r2"] > 0.4


def test_arrays_train_the_same_network_as_the_table(run: Callable) -> None:
    by_table = last(run(*TRAINED, "--json"))
    by_array = last(run("train", "sizes.npz", *TRAINED[4:8], "--out", "n.safetensors", "--json"))
    assert by_array["test_loss"] == by_table["test_loss"]
    np.testing.assert_array_equal(load("m.safetensors").flat, load("n.safetensors").flat)
    assert last(run("evaluate", "n.safetensors", "sizes.npz", "--json"))["targets"][0]["target"] == "0"


def test_what_is_said_names_each_value_and_the_units(run: Callable) -> None:
    lines = run(*TRAINED).lines
    assert "rows of 3 numbers, 3 values" in lines[0]
    assert any("losses of passes are in deviations" in line for line in lines)
    shown = run("evaluate", "m.safetensors", "sizes.csv").lines
    assert [line.split()[0] for line in shown[1:]] == ["target", *NAMES]
    answer = last(run("predict", "m.safetensors", 3, "--data", "sizes.csv", "--json"))["predictions"][0]
    assert (len(answer["prediction"]), answer["label"]) == (3, Y[3].tolist())
    assert "mse" in run("trace", "m.safetensors", "--index", 3).out


def test_the_report_shows_the_means_and_each_value_on_the_rows_held_out(run: Callable) -> None:
    trained = last(run(*TRAINED, "--report", "--json"))
    assert "Value by value" in Path(trained["report"]).read_text()
    found = last(run("report", "m.safetensors", "--json"))
    figures = {figure["name"]: figure["value"] for figure in found["figures"]}
    assert list(figures) == ["mean R2", "mean root mean squared error", "mean absolute error"]
    assert figures["mean R2"] == pytest.approx(trained["test_r2"], abs=1e-4)
    assert [row["target"] for row in found["per_target"]] == NAMES
    assert figures["mean absolute error"] == pytest.approx(np.mean([row["mae"] for row in found["per_target"]]))
    sizes = [abs(row["deviations"]) for row in found["mistakes"]]
    assert sizes == sorted(sizes, reverse=True)
    assert {row["target"] for row in found["mistakes"]} <= {"price", "share"}  # a constant one has no deviation
    assert found["importance_of"] == "R2"


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("nan", "bad.csv:9: the target 'share' has no value ('nan')"),
        ("inf", "bad.csv:9: column 'share' holds inf: every target must be finite"),
        ("much", "bad.csv:9: column 'share' holds 'much'; several targets are numbers"),
    ],
)
def test_a_cell_that_is_no_number_is_named_with_its_column_and_line(bad: str, said: str, run: Callable) -> None:
    write("bad.csv", bad=bad)
    result = run("train", "bad.csv", *TARGET)
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert said in result.err


def test_what_does_not_fit_the_model_is_refused_in_one_line(run: Callable) -> None:
    y = Y.copy()
    y[5, 1] = np.nan
    np.savez("nan.npz", X=X, y=y)
    np.savez("two.npz", X=X, y=Y[:, :2])
    run(*TRAINED)
    run("train", "sizes.npz", "--loss", "quantile:0.5", "--epochs", 1, "--out", "q.safetensors")
    for command, said in (
        ("train nan.npz", "nan.npz: y in row 5: column '1' holds nan"),
        ("evaluate m.safetensors two.npz", "two.npz has 2 values a row, the model gives 3"),
        ("evaluate m.safetensors sizes.csv --target price", "sizes.csv has 1 value a row, the model gives 3"),
        ("report q.safetensors", "a report is of the quantiles of one value; this model has 3 values a row"),
        ("cv sizes.csv --target price,share", "sizes.csv is learned by an estimator of one target, not of 2"),
        ("tune sizes.csv --target price,share", "a network of several is layerloop train's"),
        ("cv sizes.csv --target price,shore", "sizes.csv has no column 'price,shore'"),
        ("lab m.safetensors --data sizes.csv --no-browser", "has several values a row, which the page does not show"),
    ):
        result = run(*command.split())
        assert (result.code, result.err.count("\n")) == (2, 1), command
        assert said in result.err
