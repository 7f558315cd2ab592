"""`layerloop train --loss` and several labels at once: the head, the file, and what evaluate, predict, report say."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.metrics import f1_score, hamming_loss

from layerloop import MLPClassifier, MLPRegressor, load, save

if TYPE_CHECKING:
    from collections.abc import Callable

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 4)).round(3)
LABELS = (X[:, :3] + 0.3 * RNG.normal(size=(300, 3)) > 0).astype(int)
TARGETS: dict[str, Any] = {
    "kind": np.where(LABELS[:, 0], "yes", "no"),
    "visits": RNG.poisson(np.exp(4 + 0.5 * X[:, 0])),
    "price": (1e5 * (3 + X[:, 0]) + 2e4 * RNG.normal(size=300)).round(1),
}
FAST = ("--epochs", 80, "--rate", 0.02, "--out", "m.safetensors")


def write(path: str, names: list[str], *columns: Any) -> None:
    with Path(path).open("w", newline="") as file:
        csv.writer(file).writerows([names, *zip(*X.T.tolist(), *(c.tolist() for c in columns), strict=True)])


@pytest.fixture(autouse=True)
def here(run: Callable) -> None:
    for name, column in TARGETS.items():
        write(f"{name}.csv", [*"abcd", name], column)
    write("sky.csv", [*"abcd", "rain", "wind", "sun"], *LABELS.T)
    np.savez("sky.npz", X=X, y=LABELS)


def last(result: Any) -> Any:
    assert (result.code, "Warning" in result.err) == (0, False), result.err
    return json.loads(result.out.splitlines()[-1])


@pytest.mark.parametrize(
    ("target", "loss", "text", "outputs", "head"),
    [
        ("kind", "binarycrossentropy", "binarycrossentropy", 1, "sigmoid"),
        ("price", "huber:20000", "huber:delta=20000.0", 1, "identity"),
        ("price", "quantile:0.9", "quantile:levels=0.9", 1, "identity"),
        ("price", "quantile:levels=0.1,0.5,0.9", "quantile:levels=0.1,0.5,0.9", 3, "identity"),
        ("visits", "poisson", "poisson", 1, "exp"),
    ],
)
def test_a_loss_has_its_head_and_goes_through_every_command(
    target: str, loss: str, text: str, outputs: int, head: str, run: Callable
) -> None:
    done = last(run("train", f"{target}.csv", "--target", target, "--loss", loss, *FAST, "--json"))
    m = load("m.safetensors")
    assert (m.architecture.head, m.architecture.n_out, m.record["loss"]) == (head, outputs, text)
    assert done["test_loss"] < done["before"]["test_loss"]
    judged = last(run("evaluate", "m.safetensors", f"{target}.csv", "--json"))
    assert np.isfinite(judged["loss"])
    answer = last(run("predict", "m.safetensors", 0, "--data", f"{target}.csv", "--json"))["predictions"][0]
    assert answer["label"] == TARGETS[target][0]
    found = last(run("report", "m.safetensors", "--json"))
    assert (found["data"]["part"], found["figures"][0]["value"] is None) == ("test", False)
    assert run("check", "m.safetensors").code == 0


def test_the_loss_that_is_told_is_that_of_the_target_s_own_units(run: Callable) -> None:
    done = last(run("train", "price.csv", "--target", "price", "--loss", "huber:20000", "--test", 0, *FAST, "--json"))
    rows = [json.loads(line) for line in Path(done["history"]).read_text().splitlines()]
    missed = load("m.safetensors")(X)[:, 0].astype(float) - TARGETS["price"]
    length = np.abs(missed)
    by_hand = np.where(length <= 20000, missed**2 / 2, 20000 * (length - 10000)).mean()
    assert last(run("evaluate", "m.safetensors", "price.csv", "--json"))["loss"] == pytest.approx(by_hand, rel=1e-4)
    assert rows[-1]["loss"] == pytest.approx(by_hand, rel=0.1)


def test_quantiles_cover_their_share_and_are_written_a_column_each(run: Callable) -> None:
    run("train", "price.csv", "--target", "price", "--loss", "quantile:0.1,0.5,0.9", *FAST)
    assert run("predict", "m.safetensors", "price.csv", "-o", "out.csv").code == 0
    rows = list(csv.DictReader(Path("out.csv").read_text().splitlines()))
    assert list(rows[0])[-3:] == ["prediction_0.1", "prediction_0.5", "prediction_0.9"]
    below = [
        np.mean([float(row["price"]) <= float(row[f"prediction_{level}"]) for row in rows]) for level in (0.1, 0.9)
    ]
    np.testing.assert_allclose(below, (0.1, 0.9), atol=0.08)
    named = {figure["name"] for figure in last(run("report", "m.safetensors", "--json"))["figures"]}
    assert {"at or below the 0.1 quantile", "at or below the 0.9 quantile", "quantile loss", "R2"} <= named


def test_rates_of_any_size_are_reached_from_the_mean(run: Callable) -> None:
    done = last(run("train", "visits.csv", "--target", "visits", "--loss", "poisson", "--epochs", 0, "--json"))
    predicted = load(done["model"])(X)[:, 0]
    assert np.median(predicted) == pytest.approx(TARGETS["visits"].mean(), rel=0.5)


def test_a_single_yes_or_no_is_a_class_by_its_name(run: Callable) -> None:
    run("train", "kind.csv", "--target", "kind", "--loss", "binarycrossentropy", *FAST)
    p = load("m.safetensors")(X)[:, 0]
    found = last(run("predict", "m.safetensors", "kind.csv", "--json"))["predictions"]
    assert [row["prediction"] for row in found] == np.where(p > 0.5, "yes", "no").tolist()
    np.testing.assert_allclose([row["probabilities"]["yes"] for row in found], p)
    accuracy = np.mean((p > 0.5) == (TARGETS["kind"] == "yes"))
    assert last(run("evaluate", "m.safetensors", "kind.csv", "--json"))["accuracy"] == pytest.approx(accuracy)
    assert len(last(run("report", "m.safetensors", "--json"))["confusion"]) == 2


@pytest.mark.parametrize("data", [("sky.npz",), ("sky.csv", "--target", "rain,wind,sun")])
def test_several_labels_are_trained_for_and_judged_as_such(data: tuple[str, ...], run: Callable) -> None:
    run("train", *data, *FAST)
    m = load("m.safetensors")
    assert (m.architecture.head, m.architecture.n_out) == ("sigmoid", 3)
    said = (m(X) > 0.5).astype(int)
    found = last(run("evaluate", "m.safetensors", data[0], "--json"))
    wanted = {
        "subset_accuracy": np.mean((said == LABELS).all(axis=1)),
        "micro_f1": f1_score(LABELS, said, average="micro"),
        "macro_f1": f1_score(LABELS, said, average="macro"),
        "hamming_loss": hamming_loss(LABELS, said),
    }
    assert {name: found[name] for name in wanted} == pytest.approx(wanted)
    assert found["log_loss"] == pytest.approx(found["loss"], rel=1e-5)
    names = m.classes
    row = last(run("predict", "m.safetensors", 5, "--data", data[0], "--json"))["predictions"][0]
    assert row["prediction"] == [name for name, there in zip(names, said[5], strict=True) if there]
    assert row["label"] == [name for name, there in zip(names, LABELS[5], strict=True) if there]
    page = last(run("report", "m.safetensors", "--json"))
    assert (page["kind"], [row["class"] for row in page["per_class"]]) == ("labels", list(names))
    assert "macro F1" in Path("m.html").read_text()


def test_labels_are_written_a_column_each(run: Callable) -> None:
    run("train", "sky.csv", "--target", "rain,wind,sun", "--layers", "8", *FAST)
    assert run("predict", "m.safetensors", "sky.csv", "-o", "out.csv", "--proba").code == 0
    row = next(csv.DictReader(Path("out.csv").read_text().splitlines()))
    assert list(row)[7:] == [
        f"{what}_{name}" for what in ("prediction", "probability") for name in ("rain", "wind", "sun")
    ]
    assert row["prediction_rain"] in ("0", "1")


def test_an_estimator_of_several_labels_or_values_is_judged_and_written_alike(run: Callable) -> None:
    settings: dict[str, Any] = {
        "hidden_layer_sizes": (8,),
        "max_iter": 60,
        "tol": 1e-2,
        "random_state": 0,
        "learning_rate_init": 0.05,
    }
    save(MLPClassifier(**settings).fit(X, LABELS), "labels.safetensors")
    save(MLPRegressor(**settings).fit(X, LABELS - 0.5 * X[:, :3]), "values.safetensors")
    np.savez("values.npz", X=X, y=LABELS - 0.5 * X[:, :3])
    by_file = [last(run("evaluate", "labels.safetensors", *data, "--json")) for data in (
        ("sky.npz",), ("sky.csv", "--target", "rain,wind,sun"))]  # fmt: skip
    assert by_file[0]["hamming_loss"] == by_file[1]["hamming_loss"] < by_file[0]["trivial"]["hamming_loss"]
    assert "r2" in last(run("evaluate", "values.safetensors", "values.npz", "--json"))
    columns = []
    for name in ("labels", "values"):
        write("rows.csv", [*"abcd"])
        assert run("predict", f"{name}.safetensors", "rows.csv", "-o", f"{name}.csv").code == 0
        columns += [next(csv.reader(Path(f"{name}.csv").read_text().splitlines()))[4:7]]
    assert columns == [["prediction_0", "prediction_1", "prediction_2"]] * 2


@pytest.mark.parametrize("network", [("--layers", "4"), ()])
def test_a_row_of_a_table_without_the_target_is_answered_without_a_label(network: tuple, run: Callable) -> None:
    run("train", "price.csv", "--target", "price", *network, "--epochs", 3, "--out", "m.safetensors")
    write("new.csv", [*"abcd"])
    by_data = [last(run("predict", "m.safetensors", 7, "--data", f"{name}.csv", "--json")) for name in ("price", "new")]
    labelled, new = (found["predictions"][0] for found in by_data)
    assert labelled["prediction"] == new["prediction"]
    assert (labelled["label"], "label" in new) == (TARGETS["price"][7], False)
    outside = run("predict", "m.safetensors", 300, "--data", "new.csv")
    assert "new.csv has rows 0 to 299; there is no row 300" in outside.err
    assert "no column 'prise'" in run("predict", "m.safetensors", 7, "--data", "new.csv", "--target", "prise").err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("train price.csv --target price --loss hubber", "unknown loss 'hubber'. Did you mean 'huber'?"),
        ("train price.csv --target price --loss huber:0", "huber: delta must be positive and finite, got '0'"),
        ("train kind.csv --target kind --loss huber", "holds 'no', expected a number"),
        ("train price.csv --target price --loss poisson --head identity", "poisson"),
        ("train digits --loss binarycrossentropy", "holds 10 classes, which loss binarycrossentropy does not fit"),
        ("train sky.csv --target rain,winds --layers 4", "has no column 'winds'. Did you mean 'wind'?"),
        ("train sky.npz --loss crossentropy", "holds labels, which loss crossentropy does not fit"),
        ("train sky.npz --class-weight balanced", "smoothing and class_weight are for classes"),
        ("train sky.npz --lab", "has several labels a row, which the page does not show"),
        ("train sky.csv --target rain,wind --metric auc", "--metric is for the estimator of tables"),
        ("train values.npz --loss quantile:0.1,0.9", "has 4 values a row, and quantile:levels=0.1,0.9 is of one"),
        ("train values.npz --loss huber:1,2", "huber:delta=1.0,2.0 has 2 deltas, but the network has 4 outputs"),
        ("train values.npz --lab", "has several values a row, which the page does not show"),
        ("train values.npz --loss poisson", "the target of values.npz reaches -"),
        ("train price.csv --target a,price --loss crossentropy", "labels are 0 or 1"),
    ],
)
def test_a_loss_that_does_not_fit_is_refused_in_one_line(arguments: str, said: str, run: Callable) -> None:
    np.savez("values.npz", X=X, y=X)
    result = run(*arguments.split())
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert said in result.err
