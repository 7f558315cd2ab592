"""`layerloop evaluate`: the figures of a saved model, for data in any order of columns and of classes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from layerloop import Chain, Dense, Inputs, data, evaluate, load, save, softmax

if TYPE_CHECKING:
    from collections.abc import Callable


def figures(run: Callable, *arguments: object) -> dict:
    result = run("evaluate", *arguments, "--json")
    assert result.code == 0, result.err
    return json.loads(result.out)


def test_the_figures_are_those_of_the_library(run: Callable, examples: Path) -> None:
    found = figures(run, examples / "digits.safetensors", "digits")
    expected = evaluate(load(examples / "digits.safetensors"), *data.load("digits", "test"))
    assert found["accuracy"] == expected["accuracy"]
    assert found["loss"] == pytest.approx(expected["loss"], rel=1e-6)
    assert (found["split"], found["rows"]) == ("test", 360)


def test_the_figures_are_those_that_training_printed(run: Callable, examples: Path) -> None:
    record = load(examples / "digits.safetensors").record
    found = figures(run, examples / "digits.safetensors", "digits")
    assert found["accuracy"] == record["test_accuracy"]
    assert found["loss"] == pytest.approx(record["test_loss"], rel=1e-6)  # BLAS in another number of threads


def test_the_line_for_people_holds_figures_and_rows(run: Callable, examples: Path) -> None:
    result = run("evaluate", examples / "digits.safetensors", "digits", "--split", "train")
    assert re.fullmatch(r"accuracy [01]\.\d{4}  loss \d\.\d{4}  \(1,437 rows\)\n", result.out)


def test_values_are_judged_in_their_own_units(run: Callable, examples: Path) -> None:
    model = load(examples / "prices.safetensors")
    rows = np.loadtxt(examples / "prices.csv", delimiter=",", skiprows=1)
    errors = model(rows[:, :3])[:, 0].astype(float) - rows[:, 3]
    found = figures(run, examples / "prices.safetensors", examples / "prices.csv")
    assert found["loss"] == pytest.approx(np.mean(errors**2), rel=1e-3)
    assert found["r2"] > 0.9


def test_columns_may_stand_in_another_order_and_others_beside_them(run: Callable, examples: Path) -> None:
    rows = [line.split(",") for line in (examples / "kinds.csv").read_text().splitlines()]
    Path("turned.csv").write_text(
        "".join(f"{c},{kind},7,{a},{b}\n" for a, b, c, kind in rows).replace(",7,a", ",id,a", 1)
    )
    expected = figures(run, examples / "kinds.safetensors", examples / "kinds.csv")
    found = figures(run, examples / "kinds.safetensors", "turned.csv")
    assert (found["accuracy"], found["loss"]) == (expected["accuracy"], expected["loss"])


def test_a_table_with_some_of_the_classes_counts_in_those_of_the_model(run: Callable, examples: Path) -> None:
    head, *rows = (examples / "kinds.csv").read_text().splitlines()
    parts = {kind: [row for row in rows if row.endswith(kind)] for kind in ("yes", "no")}
    right = 0.0
    for kind, part in parts.items():
        Path(f"{kind}.csv").write_text("\n".join([head, *part]))
        right += figures(run, examples / "kinds.safetensors", f"{kind}.csv")["accuracy"] * len(part)
    assert right / len(rows) == pytest.approx(
        figures(run, examples / "kinds.safetensors", examples / "kinds.csv")["accuracy"]
    )


def test_few_whole_values_are_values_to_a_model_of_values(run: Callable, examples: Path) -> None:
    """A table with at most 20 whole numbers would be read as classes, were the model not asked."""
    Path("whole.csv").write_text("a,b,c,price\n0.1,0.2,0.3,300000\n-0.5,0.1,0,250000\n")
    m = load(examples / "prices.safetensors")
    outputs = m(np.array([[0.1, 0.2, 0.3], [-0.5, 0.1, 0.0]]))[:, 0].astype(float)
    found = figures(run, examples / "prices.safetensors", "whole.csv")
    assert found["loss"] == pytest.approx(np.mean((outputs - [300000, 250000]) ** 2), rel=1e-3)


def test_one_row_has_no_r2(run: Callable, examples: Path) -> None:
    Path("one-row.csv").write_text("a,b,c,price\n0.1,0.2,0.3,300000\n")
    assert figures(run, examples / "prices.safetensors", "one-row.csv")["r2"] is None
    assert run("evaluate", examples / "prices.safetensors", "one-row.csv").out.endswith("(1 row)\n")


def test_a_model_without_a_record_is_judged_by_what_fits_its_head(run: Callable) -> None:
    save(Chain(Dense(64, 10), softmax, inputs=Inputs(scale=1 / 16)), "plain.safetensors")
    assert figures(run, "plain.safetensors", "digits")["loss"] > 2


def test_other_classes_are_refused_by_name(run: Callable, examples: Path) -> None:
    save(Chain(Dense(64, 3), softmax, classes=("a", "b", "c")), "letters.safetensors")
    result = run("evaluate", "letters.safetensors", "digits")
    assert result.code == 2
    assert "is none of the network's classes" in result.err


def test_reading_a_large_file_is_announced(run: Callable, examples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("layerloop.cli.options.LARGE", 100)
    result = run("evaluate", examples / "kinds.safetensors", examples / "kinds.csv")
    assert result.lines[0] == f"reading {examples / 'kinds.csv'} (0 MB)"
