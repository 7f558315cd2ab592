"""Tables at the command: `train` without settings of a network, and what `evaluate` and `predict` do with its model."""

from __future__ import annotations

import csv
import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from layerloop import load
from layerloop.estimators import TabularClassifier, TabularRegressor

if TYPE_CHECKING:
    from collections.abc import Callable

FAST = ("--epochs", 3, "--members", 2)


def write_homes(path: Path, n: int = 120) -> None:
    """Numbers, a category, gaps, dates, and rows without a price."""
    rng = np.random.default_rng(0)
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["area", "town", "sold", "price", "dear"])
        for i in range(n):
            area, town = round(rng.uniform(40, 200), 1), ("Ulm", "Hof", "Aue")[i % 3]
            price = 1000 * area + 50_000 * (town == "Ulm")
            sold = f"2024-{1 + i % 12:02d}-{1 + i % 28:02d}"
            out.writerow(["" if i % 10 == 9 else area, town, sold, "" if i == 5 else price, "ny"[price > 140_000]])


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The table, and a model of each kind trained on it."""
    from layerloop import cli

    folder = tmp_path_factory.mktemp("homes")
    write_homes(folder / "homes.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        options = [str(option) for option in FAST]
        for target, more in (("price", ["--interval", "0.8"]), ("dear", [])):
            names = ["homes.csv", "--target", target, "-o", f"{target}.safetensors"]
            assert cli.main(["train", *names, *options, *more]) == 0
    return folder


def last(result: Any) -> Any:
    assert result.code == 0, result.err
    return json.loads(result.out)


def test_a_table_is_trained_and_what_was_done_is_said(run: Callable, homes: Path, tmp_path: Path) -> None:
    result = run("train", homes / "homes.csv", "--target", "price", *FAST)
    assert result.code == 0
    text = "\n".join(result.lines)
    assert "119 rows, 4 columns, target 'price': values from" in text
    assert "1 of 120 rows have no 'price' and are left out" in text
    done = [line.split(maxsplit=2) for line in result.lines if line.startswith("  ")]
    assert ["town", "category", "3 columns, Aue, Hof, Ulm"] in done
    assert ["dear", "two", "values  n is -1, y is 1"] in done
    assert "validation: every row judged by a network that had not seen it" in text
    assert "trained 2 networks of 3 passes" in text
    assert result.lines[-1] == "saved homes.safetensors"
    assert isinstance(load(tmp_path / "homes.safetensors"), TabularRegressor)


def test_json_has_the_same_facts_and_the_model_keeps_them(run: Callable, homes: Path) -> None:
    found = last(run("train", homes / "homes.csv", "--target", "dear", "--test", 0.25, "--json", *FAST))
    assert found["task"] == "classes"
    assert found["rows"] == {"training": 90, "test": 30}
    assert [row["column"] for row in found["columns"]] == ["area", "town", "sold", "price"]
    assert set(found["validation"]) == set(found["test"]) == set(found["trivial"])
    assert 0.4 < found["trivial"]["accuracy"] < 1
    model = load(found["model"])
    assert isinstance(model, TabularClassifier)
    assert (model.record_["target"], model.record_["test"]) == ("dear", found["test"])


def test_settings_of_a_network_make_a_network(run: Callable, homes: Path) -> None:
    Path("numbers.csv").write_text("a,y\n" + "1,2.5\n2,3.5\n3,1.5\n" * 10)
    found = last(run("train", "numbers.csv", "--layers", 4, "--epochs", 1, "--json"))
    assert load(found["model"]).architecture.n_in == 1


def test_the_kind_of_the_target_can_be_stated(run: Callable) -> None:
    Path("t.csv").write_text("a,y\n" + "1,2\n2,3\n3,1\n" * 10)
    assert last(run("train", "t.csv", "--task", "values", "--json", *FAST))["task"] == "values"
    assert last(run("train", "t.csv", "--json", *FAST))["task"] == "classes"


def test_time_metric_and_seed_reach_the_estimator(run: Callable, homes: Path) -> None:
    options = ("--time-limit", 30, "--metric", "auc", "--seed", 3, "--json")
    model = load(last(run("train", homes / "homes.csv", "--target", "dear", *options, *FAST))["model"])
    assert (model.time_limit, model.metric, model.random_state, model.n_members, model.epochs) == (30, "auc", 3, 2, 3)


def test_parquet_is_read_and_written(run: Callable, homes: Path) -> None:
    import pandas as pd

    pd.read_csv(homes / "homes.csv").to_parquet("homes.parquet")
    found = last(run("train", "homes.parquet", "--target", "dear", "--json", *FAST))
    assert run("predict", found["model"], "homes.parquet", "-o", "out.parquet").code == 0
    assert list(pd.read_parquet("out.parquet").columns)[-3:] == ["prediction", "probability_n", "probability_y"]


def test_evaluate_prints_every_figure(run: Callable, homes: Path) -> None:
    found = last(run("evaluate", homes / "price.safetensors", homes / "homes.csv", "--json"))
    assert {"r2", "mae", "rmse", "rows", "trivial"} <= set(found)
    text = run("evaluate", homes / "dear.safetensors", homes / "homes.csv").out
    for name in ("accuracy", "balanced_accuracy", "log_loss", "auc", "f1", "brier", "ece"):
        assert f"\n{name} " in text


def test_predict_writes_the_same_rows_and_what_was_predicted(run: Callable, homes: Path) -> None:
    assert run("predict", homes / "price.safetensors", homes / "homes.csv", "-o", "out.csv").code == 0
    before, after = (list(csv.reader(path.read_text().splitlines())) for path in (homes / "homes.csv", Path("out.csv")))
    assert after[0] == [*before[0], "prediction", "lower", "upper"]
    assert [row[:5] for row in after] == before
    assert all(float(row[6]) <= float(row[7]) for row in after[1:])


def test_predict_says_single_rows(run: Callable, homes: Path) -> None:
    Path("new.csv").write_text("town,sold,area,price\nUlm,2024-05-05,100,1\nRom,,,2\n")
    found = last(run("predict", homes / "dear.safetensors", "new.csv", "--json"))["predictions"]
    assert [row["input"] for row in found] == ["new.csv row 0", "new.csv row 1"]
    assert set(found[1]["probabilities"]) == {"n", "y"}
    row = last(run("predict", homes / "price.safetensors", 3, "--data", homes / "homes.csv", "--json"))
    assert set(row["predictions"][0]) == {"input", "prediction", "lower", "upper", "label"}


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("predict price.safetensors bad.csv", "bad.csv: the table lacks the column 'area'. Did you mean 'aera'?"),
        ("predict price.safetensors wrong.csv", "wrong.csv: column 'area', row 1: 'large' is no number"),
        ("predict price.safetensors 3", "say of which table with --data"),
        ("predict price.safetensors seven.png", "this model was trained on a table"),
        ("predict price.safetensors homes.csv -o homes.csv", "it is the file that was read"),
        ("evaluate price.safetensors bad.csv", "bad.csv has no column 'price'"),
        ("evaluate price.safetensors digits", "the target of digits holds classes, but the model predicts values"),
        ("evaluate dear.safetensors digits", "'0' is none of the model's classes: n, y"),
        (
            "evaluate dear.safetensors others.csv",
            "others.csv:3: column 'dear' holds 'maybe', which is not a class here",
        ),
    ],
)
def test_bad_input_is_one_line(command: str, said: str, run: Callable, homes: Path) -> None:
    for name in ("homes.csv", "price.safetensors", "dear.safetensors"):
        Path(name).write_bytes((homes / name).read_bytes())
    Path("bad.csv").write_text("aera,town,sold\n1,Ulm,2024-01-01\n")
    Path("wrong.csv").write_text("area,town,sold,dear\n1,Ulm,2024-01-01,n\nlarge,Ulm,2024-01-01,y\n")
    Path("others.csv").write_text("area,town,sold,price,dear\n1,Ulm,2024-01-01,3,y\n1,Ulm,2024-01-01,3,maybe\n")
    result = run(*command.split())
    assert (result.code, len(result.err.splitlines())) == (2, 1)
    assert said in result.err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_the_earlier_model_and_nothing_else(
    number: signal.Signals, code: int, run: Callable, homes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = iter([number])  # every network's thread watches: a second signal would come when the handlers are back

    def send(*_: object) -> None:
        for signum in once:
            os.kill(os.getpid(), signum)

    monkeypatch.setattr("layerloop.cli.tables.Watching.__call__", send)
    Path("m.safetensors").write_bytes((homes / "price.safetensors").read_bytes())
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        result = run("train", homes / "homes.csv", "--target", "price", "-o", "m.safetensors", "--epochs", 10_000)
    finally:
        signal.signal(signal.SIGINT, previous)
    assert (result.code, result.err) == (code, "layerloop: stopped before the model was ready: nothing was written\n")
    assert [path.name for path in tmp_path.iterdir()] == ["m.safetensors"]
    assert Path("m.safetensors").read_bytes() == (homes / "price.safetensors").read_bytes()


def test_a_bar_is_shown_on_a_terminal_and_lines_elsewhere(run: Callable, homes: Path) -> None:
    result = run("train", homes / "homes.csv", "--target", "price", "--every", 1e-9, *FAST)
    assert sum(line.startswith("network ") for line in result.lines) == 6
    assert "network 1/2  epoch 1/3  rmse " in result.out


@pytest.mark.parametrize("target", ["price", "dear"])
def test_trace_and_check_look_into_the_first_network(target: str, run: Callable, homes: Path) -> None:
    words = (homes / f"{target}.safetensors", "--data", homes / "homes.csv", "--index", 3)
    found = last(run("trace", *words, "--check", "--json"))
    assert found["row"].endswith("homes.csv row 3")
    assert found["check"]["passed"] is True
    assert last(run("check", *words, "--entries", 50, "--json"))["passed"] is True


def test_report_names_the_columns_of_the_table(run: Callable, homes: Path) -> None:
    words = (homes / "price.safetensors", "--data", homes / "homes.csv", "-o", "page.html", "--json")
    found = last(run("report", *words))
    assert {row["column"] for row in found["importance"]} == {"area", "town", "sold", "dear"}
    assert "<html" in Path("page.html").read_text("utf-8")


# Reports.


def test_a_report_judges_every_row_by_a_network_that_had_not_seen_it(run: Callable, homes: Path) -> None:
    Path("homes.csv").write_bytes((homes / "homes.csv").read_bytes())  # under the name that the record has
    for target, figure, known in (("price", "R2", "r2"), ("dear", "accuracy", "accuracy")):
        options = (homes / f"{target}.safetensors", "-o", f"{target}.html", "--json")
        result = run("report", *options)
        found = last(result)
        model = load(homes / f"{target}.safetensors")
        n = len(model.predict_left_out(*rows_of_homes(homes, target))[0])
        assert found["data"]["part"] == "left-out"
        assert f"figures of {n} rows of training: every row is judged by a network that had not seen it" in result.err
        value = next(row["value"] for row in found["figures"] if row["name"] == figure)
        assert value == pytest.approx(model.figures_[known], rel=1e-5)
        assert [row["epoch"] for row in found["history"]] == [1, 2, 3]
        assert "network 2" in Path(f"{target}.html").read_text()


def rows_of_homes(homes: Path, target: str) -> tuple[Any, Any]:
    from layerloop.table_files import learnable, read_table_file

    found = learnable(read_table_file(homes / "homes.csv"), target)
    return found.X, found.y


def test_train_writes_the_same_report_at_once(run: Callable, homes: Path) -> None:
    found = last(run("train", homes / "homes.csv", "--target", "price", "--report", "--json", *FAST))
    later = last(run("report", found["model"], "--json"))
    page = Path(found["report"])
    assert page.read_text().count("<svg") >= 4
    assert later["figures"][0]["value"] == pytest.approx(found["validation"]["r2"], rel=1e-5)
    rows = [json.loads(line) for line in Path(found["history"]).read_text().splitlines()]
    assert rows == later["history"] == load(found["model"]).history_
    assert set(rows[0]) == {"epoch", *(f"network {i}_{what}" for i in (1, 2) for what in ("loss", "rmse"))}


def test_rows_held_out_for_test_are_what_the_report_is_of(run: Callable, homes: Path) -> None:
    found = last(run("train", homes / "homes.csv", "--target", "dear", "--test", 0.25, "--json", *FAST))
    report = last(run("report", found["model"], "--json"))
    assert (report["data"]["part"], report["data"]["rows"]) == ("test", 30)
    assert report["figures"][0]["value"] == pytest.approx(found["test"]["accuracy"])


def test_a_report_of_a_table_that_has_changed_is_refused(run: Callable, homes: Path) -> None:
    write_homes(Path("own.csv"), 60)
    model = last(run("train", "own.csv", "--target", "dear", "--json", *FAST))["model"]
    write_homes(Path("own.csv"), 61)
    result = run("report", model)
    assert (result.code, result.err) == (
        2,
        "layerloop: own.csv is not what the model was trained on: name rows with --data\n",
    )
    assert run("report", model, "--data", "own.csv").code == 0
