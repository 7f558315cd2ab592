"""Estimators are looked into as networks are: trace, report and importance, from arrays and data frames."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from layerloop import gradient_importance, permutation_importance, report, trace, value_and_gradient
from layerloop.estimators import MLPClassifier, MLPRegressor, TabularClassifier, TabularRegressor
from layerloop.frames import read_frame
from layerloop.inspection import rows

if TYPE_CHECKING:
    from collections.abc import Callable

RNG = np.random.default_rng(0)
N = 120
TABLE = {
    "age": RNG.integers(18, 80, N).astype(float),
    "town": RNG.choice(["Ulm", "Bonn"], N),
    "noise": RNG.normal(size=N),
}
PRICE = 1e4 * ((TABLE["town"] == "Ulm") + 0.05 * TABLE["age"] + RNG.normal(scale=0.05, size=N))
KIND = np.where(np.median(PRICE) < PRICE, "dear", "cheap")
FRAMES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "pandas": lambda table: pd.DataFrame(table, index=range(1000, 1000 + N)),
    "polars": pl.DataFrame,
    "pyarrow": pa.table,
}
QUICK: dict[str, Any] = {"n_members": 2, "epochs": 4, "random_state": 0}


@pytest.fixture(scope="module")
def classifier() -> TabularClassifier:
    return TabularClassifier(**QUICK).fit(pd.DataFrame(TABLE), KIND)


@pytest.fixture(scope="module")
def regressor() -> TabularRegressor:
    return TabularRegressor(**QUICK).fit(pd.DataFrame(TABLE), PRICE)


@pytest.mark.parametrize("kind", FRAMES)
def test_a_row_of_a_frame_is_traced_through_the_first_network(kind: str, classifier: TabularClassifier) -> None:
    X = FRAMES[kind](TABLE)
    row = rows.take(X, [7])
    t = trace(classifier, row, KIND[7])
    seen, place = classifier.network_rows(row), int(KIND[7] == "dear")
    np.testing.assert_array_equal(t.value("z_1"), np.asarray(seen)[0].astype(np.float64))
    _, by_engine = value_and_gradient(classifier.network_, np.asarray(seen)[0], place)
    assert np.abs(t.gradient - by_engine.w).max() <= 1e-5 * np.abs(t.gradient).max()
    assert t.as_dict()["sample"]["label"] == KIND[7]


def test_a_regressors_target_is_traced_as_its_networks_have_it(regressor: TabularRegressor) -> None:
    t = trace(regressor, pd.DataFrame(TABLE).iloc[[3]], PRICE[3])
    assert t.y == pytest.approx((PRICE[3] - PRICE.mean()) / PRICE.std())


def test_a_row_may_be_a_list(classifier: TabularClassifier) -> None:
    X = np.stack([TABLE["age"], TABLE["noise"]], axis=1)
    model = TabularClassifier(**QUICK).fit(X, KIND)
    np.testing.assert_array_equal(trace(model, X[3].tolist(), "dear").gradient, trace(model, X[3:4], "dear").gradient)


@pytest.mark.parametrize("kind", FRAMES)
def test_a_report_names_the_columns_of_a_frame_and_what_was_done_to_them(
    kind: str, classifier: TabularClassifier
) -> None:
    X = FRAMES[kind](TABLE)
    facts = report(classifier, X, KIND).as_dict()
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert facts["figures"][0]["value"] == pytest.approx(classifier.score(pd.DataFrame(TABLE), KIND))
    assert {row["column"] for row in facts["importance"]} == set(TABLE)
    assert all(row["gradient"] > 0 for row in facts["importance"])
    assert set(facts["mistakes"][0]["cells"]) == set(TABLE)
    assert any(sentence.startswith("town: ") for sentence in facts["data"]["done"])
    assert facts["model"].startswith("TabularClassifier: 2 networks, the first Chain(")


def test_a_report_of_a_regressor_is_in_the_unit_of_the_target(regressor: TabularRegressor) -> None:
    X = pd.DataFrame(TABLE)
    facts = report(regressor, X, PRICE).as_dict()
    figures = {figure["name"]: figure["value"] for figure in facts["figures"]}
    assert figures["R2"] == pytest.approx(regressor.score(X, PRICE))
    assert figures["mean absolute error"] == pytest.approx(np.abs(regressor.predict(X) - PRICE).mean())
    assert facts["importance"][-1]["column"] == "noise"
    assert facts["importance_of"] == "R2"


@pytest.mark.parametrize("kind", FRAMES)
def test_shuffling_a_column_of_a_frame_leaves_the_others_and_the_frame(kind: str) -> None:
    X = FRAMES[kind](TABLE)
    found = pd.DataFrame({name: list(found_column) for name, found_column in columns(rows.shuffled(X, 1, RNG)).items()})
    assert sorted(found["town"]) == sorted(TABLE["town"])
    assert (found["town"] != TABLE["town"]).any()
    np.testing.assert_array_equal(found["age"], TABLE["age"])
    np.testing.assert_array_equal(np.array(list(columns(X)["town"])), TABLE["town"])


def columns(X: Any) -> dict[str, Any]:
    """The columns of a frame by name, as lists."""
    if isinstance(X, pa.Table):
        return X.to_pydict()
    return {name: X[name].to_list() for name in X.columns}


def test_sparse_rows_are_shuffled_and_taken_too() -> None:
    from scipy import sparse

    X = sparse.random_array((30, 4), density=0.5, rng=1, format="coo")
    np.testing.assert_array_equal(rows.take(X, [3]).toarray()[0], X.toarray()[3])
    assert rows.cells(X, 3) == X.toarray()[3].tolist()
    np.testing.assert_array_equal(rows.shuffled(X, 2, RNG)[:, :2], X.toarray()[:, :2])


def test_importance_of_an_estimator(regressor: TabularRegressor) -> None:
    X = pd.DataFrame(TABLE)
    assert permutation_importance(regressor, X, PRICE)[-1]["column"] == "noise"
    found = gradient_importance(regressor, X, PRICE, rows=20)
    assert {row["column"] for row in found} == set(TABLE)
    assert found[-1]["column"] == "noise"


@pytest.mark.parametrize("kind", FRAMES)
def test_the_gradient_of_a_column_is_the_length_of_its_part_over_all_networks(kind: str) -> None:
    towns = np.array(["Ulm", "Bonn", "Hof"])[np.arange(N) % 3]
    table = {"noise": TABLE["noise"], "town": towns, "same": np.ones(N), "age": TABLE["age"]}
    model = TabularClassifier(**QUICK).fit(pd.DataFrame(table), KIND)
    places = model.features_.places
    assert [places[name].stop - places[name].start for name in table] == [1, 3, 0, 1]
    seen, target = model.network_rows(pd.DataFrame(table)), (KIND == "dear").astype(int)
    q_1 = np.array([[trace(m, seen[i], target[i]).value("q_1") for i in range(N)] for m in model.networks_])
    wanted = {name: float(np.linalg.norm(q_1[..., places[name]], axis=-1).mean()) for name in table}
    found = {row["column"]: row["importance"] for row in gradient_importance(model, FRAMES[kind](table), KIND, rows=N)}
    assert found == pytest.approx(wanted, rel=1e-12)
    assert found["same"] == 0.0


def test_the_gradient_of_a_column_goes_by_name_or_by_place() -> None:
    frame = pd.DataFrame(TABLE)
    model = TabularRegressor(**QUICK).fit(frame, PRICE)
    by_name = {row["column"]: row["importance"] for row in gradient_importance(model, read_frame(frame), PRICE)}
    turned = read_frame(frame[["noise", "town", "age"]])
    assert {row["column"]: row["importance"] for row in gradient_importance(model, turned, PRICE)} == by_name
    shown = gradient_importance(model, turned, PRICE, columns=("chance", "place", "years"))
    assert {row["column"] for row in shown} == {"chance", "place", "years"}
    assert next(row["importance"] for row in shown if row["column"] == "years") == by_name["age"]
    cells = frame.to_numpy(dtype=object)
    unnamed = TabularRegressor(**QUICK).fit(cells, PRICE)
    assert [row["column"] for row in gradient_importance(unnamed, cells, PRICE, columns=tuple(TABLE))][-1] == "noise"


def test_columns_of_text_have_their_gradient_too() -> None:
    words = [f"a flat near the {('river', 'wood', 'mill')[i % 3]} number {i}" for i in range(N)]
    frame = pd.DataFrame({"words": words, "age": TABLE["age"]})
    model = TabularClassifier(n_members=1, epochs=4, random_state=0).fit(frame, KIND)
    assert model.features_.places["words"].start == 1  # behind the dense ones
    found = gradient_importance(model, frame, KIND, rows=3)
    assert {row["column"] for row in found} == {"words", "age"}
    assert all(row["importance"] > 0 for row in found)


@pytest.mark.parametrize("labels", [("cheap", "dear"), ("cheap", "dear", "fair")])
def test_the_drop_in_is_traced_and_reported_with_its_labels(labels: tuple[str, ...]) -> None:
    X = RNG.normal(size=(90, 4))
    y = np.array(labels)[np.arange(90) % len(labels)]
    model = MLPClassifier(hidden_layer_sizes=(5,), solver="lbfgs", max_iter=500, random_state=0).fit(X, y)
    found = trace(model, X[7], y[7]).as_dict()
    assert (found["sample"]["label"], found["sample"]["predicted"]) == (y[7], model.predict(X[7:8])[0])
    place = int(model.classes_.tolist().index(y[7]))
    target = place if len(labels) > 2 else [float(place)]
    _, by_engine = value_and_gradient(model.network_, X[7], target, found["loss"])
    close = np.abs(trace(model, X[7], y[7]).gradient - by_engine.w).max()
    assert close <= 1e-12 * np.abs(by_engine.w).max()
    facts = report(model, X, y).as_dict()
    assert facts["classes"] == list(labels)
    assert facts["figures"][0]["value"] == pytest.approx(model.score(X, y))


def test_the_drop_in_for_values_is_too() -> None:
    X = RNG.normal(size=(90, 2))
    y = X @ [3.0, -1.0]
    model = MLPRegressor(hidden_layer_sizes=(5,), solver="lbfgs", max_iter=500, random_state=0).fit(X, y)
    assert trace(model, X[4], y[4]).value("z_4") == pytest.approx(model.predict(X[4:5]))
    facts = report(model, X, y).as_dict()
    assert facts["figures"][0]["value"] == pytest.approx(model.score(X, y))
    assert facts["importance"][0]["column"] == "column 0"
