"""The record of a run: its columns, and what it says of itself."""

from __future__ import annotations

import pytest

from layerloop.errors import UnknownNameError
from layerloop.training import History

ROWS = [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}]


def test_a_column_is_taken_by_its_name() -> None:
    assert History(epochs=ROWS)["loss"] == [0.5, 0.25]
    assert History()["loss"] == []
    with pytest.raises(UnknownNameError, match="Known: epoch, loss"):
        History(epochs=ROWS)["accuracy"]


def test_it_shows_its_table_its_time_and_why_it_ended() -> None:
    shown = repr(History(epochs=ROWS, stopped="all epochs done", seconds=2.61))
    assert shown == "History: 2 epochs in 2.6 s, all epochs done\nepoch    loss\n    1  0.5000\n    2  0.2500"
    assert repr(History(epochs=ROWS[:1])).startswith("History: 1 epoch in 0 ms, not finished\n")
    assert repr(History()) == "History: 0 epochs in 0 ms, not finished\n(no rows)"


def test_two_histories_share_nothing() -> None:
    a, b = History(), History()
    a.epochs.append(ROWS[0])
    assert b.epochs == []


def test_a_notebook_shows_the_passes_as_a_table() -> None:
    html = History(epochs=ROWS, stopped="all epochs done", seconds=2.61)._repr_html_()
    assert ">History: 2 epochs in 2.6 s, all epochs done</caption>" in html
    assert html.count("<tr>") == 3
    assert "(no rows)" in History()._repr_html_()
