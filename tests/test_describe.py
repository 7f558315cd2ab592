"""Numbers, durations and tables as people read them."""

from __future__ import annotations

import pytest

from layerloop.describe import count, duration, figure, html_table, table


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [(0, "row", "0 rows"), (1, "row", "1 row"), (25450, "parameter", "25,450 parameters"), (1234567, "", "1,234,567")],
)
def test_counts(number: int, noun: str, text: str) -> None:
    assert count(number, noun) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"),
        (0.0004, "0 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h 00 min"),
        (90061, "25 h 01 min"),
    ],
)
def test_durations_roll_over_at_the_right_place(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0.0, "0.0000"),
        (0.25, "0.2500"),
        (-0.25, "-0.2500"),
        (0.00012345, "0.000123"),
        (123456.7, "1.23e+05"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (3, "3"),
        ("x", "x"),
    ],
)
def test_figures(value: object, text: str) -> None:
    assert figure(value) == text


def test_a_table_is_aligned_to_the_right_under_its_head() -> None:
    rows = [{"epoch": 9, "loss": 0.5}, {"epoch": 10, "loss": None}]
    assert table(rows).splitlines() == ["epoch    loss", "    9  0.5000", "   10       -"]


def test_a_row_without_a_key_has_a_dash_there() -> None:
    assert table([{"a": 1, "b": 2}, {"a": 3}]).splitlines()[-1] == "3  -"


def test_no_rows_are_said() -> None:
    assert table([]) == "(no rows)"


def test_columns_may_begin_at_one_place() -> None:
    assert table([{"name": "a", "n": 1}, {"name": "long", "n": 22}], left=("name",)) == "name   n\na      1\nlong  22"


def test_a_table_of_html_escapes_what_it_shows() -> None:
    html = html_table([{"<a>": "<b>"}], caption="<c>")
    assert ">&lt;c&gt;</caption>" in html
    assert "&lt;a&gt;</th>" in html
    assert "&lt;b&gt;</td>" in html
