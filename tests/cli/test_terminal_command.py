"""What is seen: a bar that fits and goes away on a terminal, plain lines elsewhere, and figures as JSON."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import termios
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from layerloop.cli.terminal import Terminal, fitting
from layerloop.plain import plain

if TYPE_CHECKING:
    from collections.abc import Callable

COLOUR = re.compile(r"\x1b\[[\d;]*m")
CONTROL = re.compile(r"\x1b\[[?\d;]*[A-Za-ln-z]|\r")


def seen(start: Callable, *arguments: object, columns: int = 80, **environment: str) -> tuple[int, str]:
    """The exit code of a command on a terminal of so many columns, and all that it sends there."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = start(*arguments, stdout=follower, stderr=follower, env={"TERM": "xterm-256color", **environment})
    os.close(follower)
    content = b""
    try:
        while part := os.read(leader, 1 << 16):
            content += part
    except OSError:  # Linux: the other side has gone
        pass
    finally:
        os.close(leader)
    return process.wait(), content.decode()


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table that takes some tenths of a second a pass in steps of one row."""
    path = tmp_path_factory.mktemp("table") / "t.csv"
    path.write_text("a,b,label\n" + "".join(f"{i % 7},{i % 11},{'xy'[i % 7 > 3]}\n" for i in range(8000)))
    return path


def pieces(text: str) -> list[str]:
    """What was written between one control code or line end and the next, without colours."""
    return [piece for line in COLOUR.sub("", text).split("\n") for piece in CONTROL.split(line)]


def frames(text: str) -> list[str]:
    """The states of the bar."""
    return [piece for piece in pieces(text) if re.match(r"epoch +\d+/\d+ [━╸╺]", piece)]


def test_a_terminal_shows_a_bar_with_everything_within_80_columns(start: Callable, table: Path) -> None:
    code, text = seen(start, "train", table, "--batch-size", 2, "--epochs", 3)
    assert code == 0
    bars = frames(text)
    assert bars
    assert max(map(len, bars)) <= 77  # so that ^C has room
    assert re.search(r"epoch \d/3 [━╸╺ ]+ loss \d\.\d{4}  acc \d\.\d{4}  [\d.]+ m?s left  \d+k? samples/s", bars[-1])


def test_the_lines_of_the_passes_stay_above_the_bar_and_the_bar_goes_away(start: Callable, table: Path) -> None:
    _, text = seen(start, "train", table, "--batch-size", 2, "--epochs", 3)
    line = re.compile(r"epoch \d/3  loss \S+  test accuracy \S+  test loss \S+  [\d.]+ m?s")
    passes = [piece for piece in pieces(text) if line.fullmatch(piece)]
    assert [piece[6] for piece in passes] == ["1", "2", "3"]
    assert max(map(len, passes)) <= 80
    assert text.split("\n")[-2].startswith("saved ")
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")  # the cursor is back
    last_bar = text.rindex("━")
    assert "\x1b[2K" in text[last_bar:]  # the bar's line was erased


@pytest.mark.parametrize("columns", [30, 50, 60])
def test_a_narrow_terminal_gets_a_shorter_bar(columns: int, start: Callable, table: Path) -> None:
    code, text = seen(start, "train", table, "--batch-size", 1, "--epochs", 60, columns=columns)
    assert code == 0
    bars = frames(text)
    assert bars
    assert max(map(len, bars)) < columns
    assert not any("…" in bar for bar in bars)


def test_no_color_means_none(start: Callable, table: Path) -> None:
    _, text = seen(start, "train", table, "--layers", 8, "--epochs", 1, NO_COLOR="1")
    assert not [code for code in COLOUR.findall(text) if re.search(r"[34]\d|9\d", code)]
    _, text = seen(start, "data", "show", "digits", NO_COLOR="1")
    assert "\x1b" not in text


def test_a_terminal_with_colours_shows_pictures_in_exact_greys(start: Callable) -> None:
    assert "\x1b[38;2;" in seen(start, "data", "show", "digits")[1]


def test_a_dumb_terminal_gets_plain_lines(start: Callable, table: Path) -> None:
    _, text = seen(start, "train", table, "--layers", 8, "--epochs", 2, TERM="dumb")
    assert "\x1b" not in text
    assert "samples/s" in text


def test_json_on_a_terminal_keeps_standard_output_for_the_object(start: Callable, table: Path, tmp_path: Path) -> None:
    leader, follower = pty.openpty()
    process = start("train", table, "--layers", 8, "--epochs", 2, "--json", stderr=follower, env={"TERM": "xterm"})
    os.close(follower)
    out, _ = process.communicate()
    os.close(leader)
    assert len(out.splitlines()) == 1
    assert json.loads(out)["epochs_done"] == 2


def test_of_the_figures_as_many_as_fit_are_shown_in_their_order() -> None:
    parts = ("loss 0.1", "acc 0.9", "", "3 s left", "9k samples/s")
    assert fitting(parts, 80) == "loss 0.1  acc 0.9  3 s left  9k samples/s"
    assert fitting(parts, 27) == "loss 0.1  acc 0.9  3 s left"
    assert fitting(parts, 26) == "loss 0.1  acc 0.9"
    assert fitting(parts, 7) == ""


def test_a_long_row_of_a_table_goes_on_under_its_last_column(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = "trial  settings\n    0  defaults\n    1  widths (64, 64)  activation silu  rate 0.03"
    monkeypatch.setenv("COLUMNS", "30")
    terminal = Terminal(json=False)
    terminal.say_table(table)
    assert capsys.readouterr().out.rstrip("\n") == table
    terminal.interactive = True
    terminal.say_table(table)
    first, second, *third = capsys.readouterr().out.splitlines()
    assert [first, second] == ["trial  settings", "    0  defaults"]
    assert [line[:7] for line in third] == ["    1  ", " " * 7, " " * 7][: len(third)]
    assert len(third) > 1
    assert max(map(len, third)) <= 30
    assert " ".join(third).split() == table.split("\n")[2].split()


def test_json_holds_no_number_that_is_none() -> None:
    values = {
        "nan": float("nan"),
        "inf": float("inf"),
        1: (True, None, 2, "x"),
        "path": Path("m"),
        "deep": {"a": [0.5]},
    }
    assert plain(values) == {"nan": None, "inf": None, "1": [True, None, 2, "x"], "path": "m", "deep": {"a": [0.5]}}


def test_what_was_told_is_not_told_again(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal(json=False)
    for text in ("found it", "found it", "and that"):
        terminal.tell(text)
    assert capsys.readouterr().out == "found it\nand that\n"
