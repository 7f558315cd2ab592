"""What `serve` answers for estimators: what the model itself says, and row and column of what a table cannot have."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from asking import PORT, ask
from layerloop import MLPClassifier, MLPRegressor, TabularClassifier, TabularRegressor, load, save
from layerloop.estimators.answers import answers_of
from layerloop.lab.guards import Site
from layerloop.lab.predictor import ROWS, model_facts, prediction_app

if TYPE_CHECKING:
    from pathlib import Path

    from layerloop.lab.guards import Guards

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RNG = np.random.default_rng(0)
N = 60
HOMES = pd.DataFrame(
    {
        "area": np.where(np.arange(N) % 10 == 9, np.nan, RNG.uniform(40, 200, N).round(1)),
        "town": np.array(["Ulm", "Hof", "Aue"])[np.arange(N) % 3],
        "sold": pd.date_range("2024-01-01", periods=N, freq="7D"),
        "garden": RNG.random(N) > 0.5,
        "constant": 1.0,
    }
)
PRICE = 1000 * HOMES["area"].fillna(100).to_numpy() + 5e4 * (HOMES["town"] == "Ulm").to_numpy()
DEAR = np.where(np.median(PRICE) < PRICE, "yes", "no")
GOOD = {"area": 81.5, "town": "Ulm", "sold": "2024-05-05", "garden": True, "constant": 1}
QUICK: dict[str, Any] = {"n_members": 2, "epochs": 2, "random_state": 0}
SMALL: dict[str, Any] = {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0}
X = RNG.normal(size=(N, 3))


def served(model: Any, folder: Path) -> tuple[Any, Guards]:
    """The model as it comes from its file, and the application that answers with it."""
    again = load(save(model, folder / "m.safetensors"))
    return again, prediction_app(again, "classes" if hasattr(again, "classes_") else "values", Site(PORT))


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Guards]:
    return served(TabularClassifier(**QUICK).fit(HOMES, DEAR), tmp_path_factory.mktemp("homes"))


@pytest.fixture(scope="module")
def app(homes: tuple[Any, Guards]) -> Guards:
    return homes[1]


def as_json(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return json.loads(frame.to_json(orient="records", date_format="iso"))  # type: ignore[no-any-return]


def test_rows_of_columns_are_answered_as_the_model_does(homes: tuple[Any, Guards]) -> None:
    model, app = homes
    rows = as_json(HOMES)
    got = ask(app, "POST", "/predict", {"rows": rows})
    assert got.status == 200
    assert got.json["predictions"] == answers_of(model, HOMES)
    lists = ask(app, "POST", "/predict", {"rows": [list(row.values()) for row in rows]})
    assert lists.json == got.json
    backwards = ask(app, "POST", "/predict", {"rows": [dict(reversed(row.items())) for row in rows]})
    assert backwards.json == got.json


def test_a_row_alone_is_answered_as_among_others(app: Guards) -> None:
    rows = as_json(HOMES[:8])
    together = ask(app, "POST", "/predict", {"rows": rows}).json["predictions"]
    alone = [ask(app, "POST", "/predict", {"rows": [row]}).json["predictions"][0] for row in rows]
    for one, other in zip(alone, together, strict=True):
        assert one["probabilities"] == pytest.approx(other["probabilities"], rel=1e-5)


def test_what_is_missing_or_new_is_answered(app: Guards) -> None:
    got = ask(app, "POST", "/predict", {"rows": [dict.fromkeys(GOOD), GOOD | {"town": "Rom"}]})
    assert got.status == 200
    assert [set(row["probabilities"]) for row in got.json["predictions"]] == [{"no", "yes"}] * 2


def test_values_come_with_their_intervals(tmp_path: Path) -> None:
    model, app = served(TabularRegressor(interval=0.8, **QUICK).fit(HOMES, PRICE), tmp_path)
    got = ask(app, "POST", "/predict", {"rows": as_json(HOMES[:4])}).json["predictions"]
    assert got == answers_of(model, HOMES[:4])
    assert set(got[0]) == {"prediction", "lower", "upper"}


def test_a_table_without_names_goes_by_place(tmp_path: Path) -> None:
    model, app = served(TabularClassifier(**QUICK).fit(X, DEAR), tmp_path)
    got = ask(app, "POST", "/predict", {"rows": X[:5].tolist()}).json["predictions"]
    assert got == answers_of(model, X[:5])
    by_name = ask(app, "POST", "/predict", {"rows": [dict(zip(("x0", "x1", "x2"), X[0], strict=True))]})
    assert by_name.json["predictions"] == answers_of(model, X[:1])


def test_a_model_of_sparse_rows_takes_lists(tmp_path: Path) -> None:
    from scipy import sparse

    rows = sparse.random_array((N, 20), density=0.3, rng=1, format="csr")
    model, app = served(TabularClassifier(**QUICK).fit(rows, DEAR), tmp_path)
    got = ask(app, "POST", "/predict", {"rows": rows.toarray()[:3].tolist()})
    assert got.json["predictions"] == answers_of(model, rows[:3])


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize(("kind", "targets"), [(MLPClassifier, DEAR), (MLPRegressor, PRICE / 1e5)])
def test_the_drop_in_is_served_with_and_without_names(kind: Any, targets: Any, named: bool, tmp_path: Path) -> None:
    rows = pd.DataFrame(X, columns=["a", "b", "c"]) if named else X
    model, app = served(kind(**SMALL).fit(rows, targets), tmp_path)
    got = ask(app, "POST", "/predict", {"rows": X[:4].tolist()})
    assert got.status == 200
    assert got.json["predictions"] == answers_of(model, rows[:4])
    by_name = ask(app, "POST", "/predict", {"rows": [{"c": X[0, 2], "a": X[0, 0], "b": X[0, 1]}]})
    if named:
        assert by_name.json["predictions"] == answers_of(model, rows[:1])
    else:
        assert (by_name.status, "trained without names" in by_name.json["error"]) == (422, True)
    for body, said in (
        (
            b'{"rows": [[0, 0, 0], [1, 1e999, 0]]}',
            f"row 1, column {repr('b') if named else 1}: a number must be finite",
        ),
        (b'{"rows": [[0, null, 0]]}', "row 0, column 1 must be a number, got None"),
        (b'{"rows": [[0, 0]]}', "row 0 must be a list of 3 numbers, got 2 numbers"),
    ):
        refused = ask(app, "POST", "/predict", body)
        assert (refused.status, said in refused.json["error"]) == (422, True), refused.json
    assert ask(app, "POST", "/predict", b'{"rows": [[1e308, -1e308, 0]]}').status in (200, 422)


def row(**cells: Any) -> bytes:
    return json.dumps({"rows": [GOOD, GOOD | cells]}).encode()


LACKS = {name: value for name, value in GOOD.items() if name != "area"}
BAD: dict[str, tuple[bytes, int, str]] = {
    "NaN": (b'{"rows": [{"area": NaN}]}', 400, "NaN is no number"),
    "a missing column": (json.dumps({"rows": [GOOD, LACKS]}).encode(), 422, "row 1 lacks the column 'area'"),
    "an unknown column": (row(gardn=1), 422, "row 1: the model has no column 'gardn'. Did you mean 'garden'?"),
    "a word for a number": (row(area="large"), 422, "row 1, column 'area' must be a number, or null"),
    "a number as text": (row(area="81.5"), 422, "row 1, column 'area' must be a number, or null"),
    "a boolean for a number": (row(area=True), 422, "row 1, column 'area' must be a number, or null"),
    "a list": (row(town=["Ulm"]), 422, "row 1, column 'town' must be text, a number or a boolean"),
    "an object": (row(area={"m2": 3}), 422, "row 1, column 'area' must be a number"),
    "no date": (row(sold="yesterday"), 422, "row 1, column 'sold' must be a date such as 2026-11-25T10:00"),
    "a number for a date": (row(sold=20240505), 422, "row 1, column 'sold' must be a date"),
    "infinity": (row(area=1).replace(b'"area": 1,', b'"area": 1e999,'), 422, "row 1, column 'area': a number must be"),
    "infinity as a category": (row(town=1).replace(b'"town": 1,', b'"town": 1e999,'), 422, "row 1, column 'town': a"),
    "a whole number without end": (row(area=10**400), 422, "row 1, column 'area': a number must be finite"),
    "a category without end": (row(town=10**400), 422, "row 1, column 'town': a number must be finite"),
    "a short row": (b'{"rows": [[1, "Ulm"]]}', 422, "row 0 must be an object of columns or a list of 5 values, got 2"),
    "a word as a row": (
        b'{"rows": ["Ulm"]}',
        422,
        "row 0 must be an object of columns or a list of 5 values, got a str",
    ),
    "another key": (b'{"rows": [], "path": "/etc"}', 422, "got the key 'path'"),
    "too many rows": (json.dumps({"rows": [[0]] * (ROWS + 1)}).encode(), 422, "got 10,001 rows"),
}


@pytest.mark.parametrize(("body", "status", "message"), BAD.values(), ids=BAD)
def test_what_makes_no_sense_is_said_with_row_and_column(app: Guards, body: bytes, status: int, message: str) -> None:
    got = ask(app, "POST", "/predict", body)
    assert (got.status, message in got.json["error"]) == (status, True), got.json


def test_odd_cells_in_every_column_are_never_an_error_of_the_server(app: Guards) -> None:
    odd = [
        *(None, True, False, 0, -1, 1e300, 2**63, -(2**63), 10**308, "", " ", "nan", "inf", "1e400", "\x00", "\ud800"),
        *(
            "0000-01-01",
            "9999-12-31",
            "2024-02-30",
            "2024-01-01T25:00",
            "2024-01-01T10:00+02:00",
            "2024-01",
            "2024-1-1xx",
        ),
        *([], {}, [[]], "x" * 10_000, "é" * 20, "2024-01-01 10:00:00.123456789123Z"),
    ]
    for name in GOOD:
        for cell in odd:
            for rows in ([GOOD | {name: cell}], [GOOD, GOOD | {name: cell}]):
                got = ask(app, "POST", "/predict", {"rows": rows})
                assert got.status in (200, 422), (name, cell, got.json)
                assert got.status == 200 or name in got.json["error"]


def test_the_description_says_the_columns_and_what_they_hold(app: Guards) -> None:
    about = ask(app, "GET", "/model").json
    assert about["reads"] == {"area": "number", "town": "text", "sold": "date", "garden": "text", "constant": "text"}
    assert (about["columns"], about["inputs"], about["classes"]) == (list(GOOD), 5, ["no", "yes"])
    assert about["model"].startswith("TabularClassifier: 2 networks, the first Chain(")
    api = ask(app, "GET", "/openapi.json").json
    schema = api["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    in_order, by_name = schema["properties"]["rows"]["items"]["anyOf"]
    assert (in_order["minItems"], len(in_order["prefixItems"])) == (5, 5)
    assert list(by_name["properties"]) == by_name["required"] == list(GOOD)
    assert by_name["properties"]["area"]["type"] == ["number", "null"]
    assert by_name["additionalProperties"] is False


def test_the_facts_of_a_drop_in_name_its_columns() -> None:
    facts = model_facts(MLPClassifier(**SMALL).fit(pd.DataFrame(X, columns=["a", "b", "c"]), DEAR), "classes")
    assert (facts["columns"], facts["inputs"], facts["classes"]) == (["a", "b", "c"], 3, ["no", "yes"])


def test_of_several_labels_at_once_all_that_hold_are_answered(tmp_path: Path) -> None:
    labels = (X > 0).astype(int)
    model, app = served(MLPClassifier(**SMALL | {"max_iter": 40}).fit(X, labels), tmp_path)
    got = ask(app, "POST", "/predict", {"rows": X[:9].tolist()}).json["predictions"]
    assert [row["prediction"] for row in got] == [np.flatnonzero(row).tolist() for row in model.predict(X[:9])]
    assert {len(row["prediction"]) for row in got} > {1}
    assert [list(row["probabilities"].values()) for row in got] == model.predict_proba(X[:9]).tolist()


def test_several_values_are_answered_as_a_list(tmp_path: Path) -> None:
    model, app = served(MLPRegressor(**SMALL).fit(X, X[:, :2]), tmp_path)
    got = ask(app, "POST", "/predict", {"rows": X[:3].tolist()}).json["predictions"]
    assert [row["prediction"] for row in got] == model.predict(X[:3]).tolist()
