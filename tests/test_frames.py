"""Tables of every library become the same columns; what cannot be read says where."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from layerloop.errors import InputError, NonFiniteInputError, ShapeError
from layerloop.frames import as_kind, is_frame, parse_date, read_cells, read_frame, with_columns

COLUMNS: dict[str, list[Any]] = {
    "area": [50.5, None, 72.0],
    "rooms": [2, 3, None],
    "open": [True, None, False],
    "town": ["Ulm", None, "Aue"],
    "sold": [dt.datetime(2024, 1, 2), None, dt.datetime(2024, 3, 4, 12)],
}
MAKERS = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}


@pytest.mark.parametrize("library", MAKERS)
def test_a_frame_of_every_library_gives_the_same_columns(library: str) -> None:
    frame = read_frame(MAKERS[library](COLUMNS))
    assert frame.names == tuple(COLUMNS)
    assert [series.kind for series in frame.series] == ["number", "number", "flag", "text", "date"]
    assert [series.missing.tolist() for series in frame.series] == [
        [False, True, False], [False, False, True], [False, True, False], [False, True, False], [False, True, False],
    ]  # fmt: skip
    assert frame.column("area").values[[0, 2]].tolist() == [50.5, 72.0]
    assert frame.column("open").values[[0, 2]].tolist() == [1.0, 0.0]
    assert frame.column("town").values.tolist() == ["Ulm", None, "Aue"]
    assert frame.column("sold").values[2] == np.datetime64("2024-03-04T12:00", "us")


def test_categories_nullable_numbers_zones_and_spans_are_read() -> None:
    table = pd.DataFrame({
        "c": pd.Categorical(["a", None, "b"]),
        "n": pd.array([1, None, 3], dtype="Int64"),
        "z": pd.to_datetime(["2024-01-01T00:00+02:00"] * 3),
        "d": pd.to_timedelta([1, 2, 3], unit="min"),
    })  # fmt: skip
    frame = read_frame(table)
    assert [series.kind for series in frame.series] == ["text", "number", "date", "number"]
    assert frame.column("z").values[0] == np.datetime64("2023-12-31T22:00", "us")
    assert frame.column("d").values.tolist() == [60.0, 120.0, 180.0]


def test_arrays_and_lists_are_read_by_column() -> None:
    assert read_frame(np.arange(6).reshape(2, 3)).names == ("x0", "x1", "x2")
    mixed = read_frame([[1, "a", True], [None, "", False]])
    assert [series.kind for series in mixed.series] == ["number", "text", "flag"]
    assert mixed.column("x1").missing.tolist() == [False, True]


@pytest.mark.parametrize(
    ("table", "error", "words"),
    [
        ([1.0, 2.0], ShapeError, "two dimensions"),
        ([[1, 2], [3]], ShapeError, "different lengths"),
        (np.ones((2, 2), complex), InputError, "complex"),
        (np.array([[1.0], [np.inf]]), NonFiniteInputError, "column 'x0', row 1"),
        ([[1], [{"a": 1}]], InputError, "column 'x0', row 1: a cell holds a dict"),
    ],
)
def test_what_is_no_table_says_where(table: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        read_frame(table)


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(InputError, match="two columns named 'a'"):
        read_frame(pd.DataFrame([[1, 2]], columns=["a", "a"]))


def test_a_missing_column_has_a_nearest_one() -> None:
    with pytest.raises(InputError, match="Did you mean 'rooms'"):
        read_frame(pd.DataFrame(COLUMNS)).column("room")


def test_a_column_is_read_as_it_was_in_training() -> None:
    assert as_kind(read_cells([1.0, 2.5, None], "x"), "text").values.tolist() == ["1", "2.5", None]
    assert as_kind(read_cells([None, None], "x"), "text").values.tolist() == [None, None]
    assert as_kind(read_cells(["2024-01-02", None], "x"), "date").values[0] == np.datetime64("2024-01-02", "us")
    with pytest.raises(InputError, match="column 'x', row 1: 'two' is no number"):
        as_kind(read_cells(["1", "two"], "x"), "number")
    with pytest.raises(InputError, match="was a date in training and is a number here"):
        as_kind(read_cells([1.0], "x"), "date")


@pytest.mark.parametrize(
    ("word", "found"), [("2024-02-30", None), ("12:30", None), ("2024-1", None), ("a024-01-02", None)]
)
def test_what_looks_like_a_date_and_is_none(word: str, found: None) -> None:
    assert parse_date(word) is found


@pytest.mark.parametrize("library", MAKERS)
def test_columns_are_added_to_a_frame_of_the_same_library(library: str) -> None:
    table = MAKERS[library]({"a": [1, 2]})
    found = with_columns(table, {"prediction": np.array(["x", "y"])})
    assert type(found) is type(table)
    assert read_frame(found).column("prediction").values.tolist() == ["x", "y"]
    assert read_frame(table).names == ("a",)


def test_rows_keep_their_index_when_columns_are_added() -> None:
    found = with_columns(pd.DataFrame({"a": [1, 2]}, index=[7, 3]), {"b": np.array([5.0, 6.0])})
    assert found.loc[7, "b"] == 5.0
    assert found.loc[3, "b"] == 6.0


def test_columns_are_added_to_frames_only() -> None:
    assert not is_frame(np.ones((2, 2)))
    with pytest.raises(InputError, match="use predict"):
        with_columns(np.ones((2, 2)), {})


@pytest.mark.parametrize(
    ("word", "utc"),
    [
        ("2024-01-01T10:00+02:00", "2024-01-01T08:00"),
        ("2024-01-01 23:30:00-05:00", "2024-01-02T04:30"),
        ("2024-01-01T10:00Z", "2024-01-01T10:00"),
    ],
)
def test_a_date_with_a_zone_is_put_in_utc(word: str, utc: str) -> None:
    assert parse_date(word) == np.datetime64(utc, "us")


@pytest.mark.parametrize("word", ["2024-01-01-10:00", "0001-01-01T00:00+14:00", "2024-01-01T10:00+99:00"])
def test_a_zone_that_is_none_makes_no_date(word: str) -> None:
    assert parse_date(word) is None
