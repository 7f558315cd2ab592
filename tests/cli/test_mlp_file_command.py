"""`evaluate`, `predict` and `trace` on files of the drop-in: its figures, its answers, its columns by their names."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from layerloop import MLPClassifier, MLPRegressor, save

if TYPE_CHECKING:
    from collections.abc import Callable

SMALL: dict[str, Any] = {"hidden_layer_sizes": (6,), "learning_rate_init": 0.05, "tol": 0.01, "random_state": 0}
RNG = np.random.default_rng(0)
X = pd.DataFrame(RNG.normal(size=(50, 3)).round(4), columns=["a", "b", "c"])
PRICE = (X["a"] - 2 * X["b"]).round(4)
KIND = np.where(PRICE > 0, "yes", "no")
MODELS = {
    "named": MLPClassifier(**SMALL).fit(X, KIND),
    "unnamed": MLPClassifier(**SMALL).fit(X.to_numpy(), KIND),
    "values": MLPRegressor(**SMALL).fit(X, PRICE),
}


@pytest.fixture(autouse=True)
def here(run: Callable) -> None:
    """A file of each model, and tables, in the folder in which the command runs."""
    for name, model in MODELS.items():
        save(model, f"{name}.safetensors")
    X.assign(kind=KIND).to_csv("kinds.csv", index=False)
    X.assign(y=PRICE).to_csv("prices.csv", index=False)
    pd.DataFrame({"id": range(100, 150), "c": X["c"], "b": X["b"], "a": X["a"]}).to_csv("turned.csv", index=False)
    X.to_csv("rows.csv", index=False)
    np.save("rows.npy", X.to_numpy())


def last(result: Any) -> Any:
    assert (result.code, "Warning" in result.err) == (0, False), result.err
    return json.loads(result.out)


@pytest.mark.parametrize("name", ["named", "unnamed"])
def test_evaluate_prints_the_figures_of_a_classifier(name: str, run: Callable) -> None:
    found = last(run("evaluate", f"{name}.safetensors", "kinds.csv", "--target", "kind", "--json"))
    assert found["accuracy"] == MODELS[name].score(X if name == "named" else X.to_numpy(), KIND)
    p = MODELS["unnamed"].predict_proba(X.to_numpy())
    assert found["log_loss"] == pytest.approx(-np.log(p[np.arange(50), (KIND == "yes").astype(int)]).mean())
    assert (found["rows"], found["trivial"]["accuracy"]) == (50, max(np.mean(KIND == "yes"), np.mean(KIND == "no")))
    text = run("evaluate", f"{name}.safetensors", "kinds.csv", "--target", "kind").out
    assert "\naccuracy " in text
    assert "(50 rows)" in text


def test_evaluate_prints_the_figures_of_a_regressor(run: Callable) -> None:
    found = last(run("evaluate", "values.safetensors", "prices.csv", "--json"))
    assert found["r2"] == pytest.approx(MODELS["values"].score(X, PRICE))


@pytest.mark.parametrize("table", ["rows.csv", "turned.csv"])
def test_predict_takes_the_columns_by_their_names(table: str, run: Callable) -> None:
    found = last(run("predict", "named.safetensors", table, "--json"))["predictions"]
    assert [row["prediction"] for row in found] == MODELS["named"].predict(X).tolist()
    np.testing.assert_array_equal(
        [row["probabilities"]["yes"] for row in found], MODELS["named"].predict_proba(X)[:, 1]
    )
    assert found[3]["input"] == f"{table} row 3"


def test_predict_writes_a_table_beside_its_own_columns(run: Callable) -> None:
    assert run("predict", "named.safetensors", "turned.csv", "-o", "out.csv").code == 0
    rows = list(csv.DictReader(Path("out.csv").read_text().splitlines()))
    assert list(rows[0]) == ["id", "c", "b", "a", "prediction", "probability_no", "probability_yes"]
    assert [row["prediction"] for row in rows] == MODELS["named"].predict(X).tolist()


@pytest.mark.parametrize("rows", ["rows.csv", "rows.npy"])
def test_predict_without_names_goes_by_place(rows: str, run: Callable) -> None:
    found = last(run("predict", "unnamed.safetensors", rows, "--json"))["predictions"]
    assert [row["prediction"] for row in found] == MODELS["unnamed"].predict(X.to_numpy()).tolist()


def test_predict_and_trace_say_single_rows(run: Callable) -> None:
    found = last(run("predict", "values.safetensors", 3, "--data", "prices.csv", "--json"))
    row = found["predictions"][0]
    assert row["prediction"] == pytest.approx(MODELS["values"].predict(X[3:4])[0])
    traced = last(
        run("trace", "named.safetensors", "--data", "kinds.csv", "--target", "kind", "--index", 3, "--check", "--json")
    )
    assert traced["check"]["passed"] is True


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("predict named.safetensors lacks.csv", "lacks.csv: the table lacks the column 'a'"),
        ("predict named.safetensors words.csv", "words.csv: column 'b', row 1: 'large' is no number"),
        ("predict unnamed.safetensors turned.csv", "turned.csv: X has 4 features, but MLPClassifier is expecting 3"),
        ("predict named.safetensors gap.csv", "gap.csv: "),
        ("evaluate named.safetensors others.csv --target kind", "which is not a class here"),
    ],
)
def test_bad_input_is_one_line(command: str, said: str, run: Callable) -> None:
    Path("lacks.csv").write_text("aa,b,c\n1,2,3\n")
    Path("words.csv").write_text("a,b,c\n1,2,3\n1,large,3\n")
    Path("gap.csv").write_text("a,b,c\n1,2,3\n1,,3\n")
    Path("others.csv").write_text("a,b,c,kind\n1,2,3,yes\n1,2,3,perhaps\n")
    result = run(*command.split())
    assert (result.code, len(result.err.splitlines())) == (2, 1)
    assert said in result.err
