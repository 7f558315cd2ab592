"""`layerloop data`: what there is, one picture, and where a set lies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from layerloop.data import read

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


def test_the_list_names_every_set_and_where_it_lies(run: Callable) -> None:
    result = run("data", "list")
    assert result.code == 0
    assert [line.split()[0] for line in result.lines] == ["name", "mnist", "fashion-mnist", "digits"]


def test_the_list_is_json_for_programs(run: Callable) -> None:
    sets = json.loads(run("data", "list", "--json").out)["sets"]
    assert [(row["name"], row["train"], row["test"]) for row in sets[2:]] == [("digits", 1437, 360)]


def test_a_set_that_is_not_there_is_listed_without_a_place(
    run: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAYERLOOP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LAYERLOOP_DATA", str(tmp_path))
    sets = json.loads(run("data", "list", "--json").out)["sets"]
    assert sets[0]["where"] is None


def test_a_picture_is_drawn_and_written(run: Callable) -> None:
    result = run("data", "show", "digits", "--index", 2, "--split", "test", "--png", "digit.png")
    held = read("digits", "test")
    assert result.lines[-1] == f"digits test 2: {held.y[2]}"
    assert result.lines[-2] == "wrote digit.png"
    pixels = np.asarray(Image.open("digit.png"))[4::8, 4::8]
    assert np.abs(pixels.reshape(-1) - held.X[2] * (255 / 16)).max() <= 0.5


def test_a_row_of_a_table_is_listed_by_column_with_all_its_digits(run: Callable, examples: Path) -> None:
    head, row, *_ = (examples / "prices.csv").read_text().splitlines()
    result = run("data", "show", examples / "prices.csv", "--target", "price")
    shown = [line.split("  ") for line in result.lines[:3]]
    assert shown == [[name, value] for name, value in zip(head.split(","), row.split(","), strict=True)][:3]
    assert result.lines[3].endswith(f"prices.csv row 0: {row.split(',')[3]}")


def test_show_is_json_for_programs(run: Callable) -> None:
    found = json.loads(run("data", "show", "digits", "--index", 1, "--json").out)
    assert found["label"] == "1"
    assert found["row"] == read("digits").X[1].tolist()


def test_fetch_takes_from_the_given_folder_and_keeps_in_the_cache(
    run: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = {}

    def fetch(name: str, **settings: object) -> Path:
        seen.update(settings, name=name)
        return Path("cache")

    monkeypatch.setattr("layerloop.cli.data.fetch", fetch)
    assert run("data", "fetch", "mnist", "--data-dir", tmp_path).lines == ["mnist is in cache"]
    assert (seen["name"], seen["data_dir"]) == ("mnist", str(tmp_path))
