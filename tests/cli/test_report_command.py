"""`layerloop report` and `train --report`: the page of a saved model, of the rows that were held out."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

from layerloop import load
from layerloop.inspection import plots

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path, examples: Path) -> Path:
    """The examples where the command runs: a record names its data as it was told, without a folder."""
    for name in ("kinds", "prices", "digits"):
        for file in examples.glob(f"{name}*"):
            shutil.copy(file, tmp_path / file.name)
    return tmp_path


@pytest.mark.parametrize(("model", "figure"), [("kinds", "accuracy"), ("prices", "r2"), ("digits", "accuracy")])
def test_the_figures_are_those_that_training_said_of_the_held_out_rows(
    model: str, figure: str, run: Callable, folder: Path
) -> None:
    result = run("report", f"{model}.safetensors", "--json")
    assert result.code == 0
    facts = json.loads(result.out)
    recorded = load(folder / f"{model}.safetensors").record[f"test_{figure}"]
    assert facts["figures"][0]["value"] == pytest.approx(recorded, abs=1e-6)
    assert facts["data"]["part"] == "test"
    assert facts["data"]["rows"] == facts["data"]["of_run"]["test"]
    assert (folder / f"{model}.html").read_text("utf-8").startswith("<!DOCTYPE html>")


def test_the_history_beside_the_model_is_drawn_and_the_place_may_be_named(run: Callable, folder: Path) -> None:
    result = run("report", "kinds.safetensors", "-o", "page.html")
    assert result.lines[-1] == "wrote page.html"
    assert "How it learned" in (folder / "page.html").read_text("utf-8")
    (folder / "kinds.history.jsonl").unlink()
    assert run("report", "kinds.safetensors", "-o", "page.html").code == 0
    assert "How it learned" not in (folder / "page.html").read_text("utf-8")


def test_other_rows_may_be_named(run: Callable, folder: Path) -> None:
    facts = json.loads(run("report", "prices.safetensors", "--data", folder / "prices.csv", "--json").out)
    assert (facts["data"]["rows"], facts["data"]["part"]) == (80, "")


def test_what_was_done_and_the_command_are_told(run: Callable, folder: Path) -> None:
    run("report", "kinds.safetensors")
    page = (folder / "kinds.html").read_text("utf-8")
    assert "16 of 80 rows (20%) held out for test, drawn by the seed" in page
    assert "layerloop train kinds.csv --target kind --layers none --rate 0.05 --epochs 200" in page


@pytest.mark.parametrize("held", [("--test", "0.25"), ("--test", "0"), ("--test", "0", "--validation", "0.25")])
def test_training_writes_it_too_and_it_is_the_one_that_the_command_writes(
    held: tuple[str, ...], run: Callable, folder: Path
) -> None:
    options = ("--target", "price", "--layers", 32, "--epochs", 5, *held, "--out", "m.safetensors", "--report")
    trained = run("train", "prices.csv", *options)
    assert trained.code == 0
    assert trained.lines[-1] == "wrote m.html"
    by_training = (folder / "m.html").read_text("utf-8")
    facts = json.loads(run("report", "m.safetensors", "--json").out)
    by_command = (folder / "m.html").read_text("utf-8")
    assert untimed(by_training) == untimed(by_command)
    assert np.isfinite(facts["figures"][0]["value"])
    assert ("no rows were held out" in trained.out) == (held == ("--test", "0"))


def untimed(page: str) -> str:
    """The page without what is measured while it is written."""
    start, end = page.index("one row is predicted in"), page.index("as measured while")
    return page[:start] + page[end:]


def test_json_of_training_names_the_report(run: Callable, folder: Path) -> None:
    found = json.loads(
        run("train", "kinds.csv", "--target", "kind", "--layers", 8, "--epochs", 1, "--report", "--json").out
    )
    assert (folder / found["report"]).is_file()


@pytest.mark.parametrize(
    "arguments", [("report", "kinds.safetensors"), ("train", "kinds.csv", "--layers", "8", "--report")]
)
def test_without_matplotlib_it_is_said_before_any_work(
    arguments: tuple[str, ...], run: Callable, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plots, "find_spec", lambda _: None)
    result = run(*arguments)
    assert (result.code, result.out) == (2, "")
    assert "pip install 'layerloop[report]'" in result.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("kinds.safetensors", "-o", "none/page.html"), "the folder none does not exist"),
        (("kinds.safetensors", "--history", "kinds.csv"), "is no history that can be read"),
        (("kinds.safetensors", "--data", "absent.csv"), "absent.csv"),
        (("absent.safetensors",), "absent.safetensors"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    arguments: tuple[str, ...], words: str, run: Callable, folder: Path
) -> None:
    result = run("report", *arguments)
    assert (result.code, len(result.err.splitlines())) == (2, 1)
    assert words in result.err
