"""The command as a whole: what it loads, its help, its names, and what becomes of its output."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from layerloop import cli
from layerloop.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

SRC = Path(__file__).parents[2] / "src"
HEAVY = {"numpy", "scipy", "sklearn", "rich", "matplotlib", "PIL", "safetensors", "threadpoolctl"}


def loaded(*arguments: str, cwd: Path | None = None) -> list[str]:
    """The heavy libraries that are loaded once the command has run."""
    code = (
        "import sys\nfrom layerloop.cli import main\n"
        f"try:\n    main({[*arguments]})\nexcept SystemExit:\n    pass\n"
        f"print(*sorted({HEAVY} & sys.modules.keys()))"
    )
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, cwd=cwd, capture_output=True, check=True, text=True)
    return done.stdout.splitlines()[-1].split()


def test_help_loads_no_library() -> None:
    assert loaded("--help") == []


def test_a_wrong_command_loads_no_library() -> None:
    assert loaded("tran") == []


def test_training_on_a_table_off_a_terminal_loads_only_what_it_computes_and_saves_with(
    examples: Path, tmp_path: Path
) -> None:
    found = loaded(
        "train", str(examples / "kinds.csv"), "--target", "kind", "--layers", "8", "--epochs", "1", cwd=tmp_path
    )
    assert found == ["numpy", "safetensors", "threadpoolctl"]


def test_help_names_every_command_and_an_example(run: Callable) -> None:
    result = run("--help")
    assert result.code == 0
    assert all(f"\n  {name} " in result.out for name in cli.COMMANDS)
    assert "layerloop train mnist" in result.out


def test_no_arguments_show_the_help_and_are_an_error(run: Callable) -> None:
    result = run()
    assert (result.code, result.out) == (2, run("--help").out)


def test_the_version_is_printed(run: Callable) -> None:
    assert run("--version").out == f"layerloop {__version__}\n"


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_help_of_a_command_fits_80_columns_and_ends_with_examples(
    name: str, run: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    result = run(name, "--help")
    assert result.code == 0
    assert max(map(len, result.lines)) <= 80
    assert f"examples:\n  layerloop {name}" in result.out


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_the_examples_of_a_command_are_understood(name: str) -> None:
    parser = cli.parser_of(name)
    _, *lines = (parser.epilog or "").splitlines()
    assert lines
    for line in lines:
        words = shlex.split(line.strip().split("   ")[0])  # what follows three spaces says what it does
        assert words[:2] == ["layerloop", name]
        parser.parse_args(words[2:])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tran"], "layerloop: unknown command 'tran'; did you mean train?"),
        (["evalute"], "layerloop: unknown command 'evalute'; did you mean evaluate?"),
        (["zzz"], f"layerloop: unknown command 'zzz'; commands: {', '.join(cli.COMMANDS)}"),
        (["--bogus"], "layerloop: unknown option --bogus (see layerloop --help)"),
        (["train", "digits", "--optimiser", "adam"], "unknown option --optimiser; did you mean --optimizer?"),
        (["train", "digits", "--epoch=3"], "unknown option --epoch; did you mean --epochs?"),
        (["train", "digits", "--lr", "3"], "unknown option --lr; did you mean --rate?"),
        (["train", "digits", "--learning-rate", "3"], "did you mean --rate?"),
        (["data", "shw", "digits"], "did you mean show?"),
        (["check", "m", "--method", "cmplex"], "did you mean complex?"),
        (["train"], "layerloop train: the following arguments are required: DATA (see layerloop train --help)"),
    ],
)
def test_a_mistyped_name_is_answered_with_the_nearest(run: Callable, arguments: list[str], said: str) -> None:
    result = run(*arguments)
    assert (result.code, result.out) == (2, "")
    assert len(result.err.splitlines()) == 1
    assert said in result.err


def test_the_module_is_the_command(start: Callable) -> None:
    process = start("tran")
    assert process.communicate() == (b"", b"layerloop: unknown command 'tran'; did you mean train?\n")
    assert process.returncode == 2


def test_a_reader_that_goes_ends_the_lines_and_not_the_training(
    start: Callable, examples: Path, tmp_path: Path
) -> None:
    process = start("train", examples / "kinds.csv", "--target", "kind", "--layers", 8, "--out", "m.safetensors")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait() == 0
    assert (tmp_path / "m.safetensors").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
@pytest.mark.parametrize("json", [(), ("--json",)])
def test_a_report_that_cannot_be_written_is_an_error_and_the_model_is_kept(
    start: Callable, examples: Path, tmp_path: Path, json: tuple[str, ...]
) -> None:
    with Path("/dev/full").open("wb") as full:
        process = start(
            "train",
            examples / "kinds.csv",
            "--target",
            "kind",
            "--layers",
            8,
            "--out",
            "m.safetensors",
            *json,
            stdout=full,
        )
        _, err = process.communicate()
    assert process.returncode == 2
    assert err.splitlines()[-1] == b"layerloop: cannot write the report: No space left on device"
    assert (tmp_path / "m.safetensors").exists()


def test_characters_that_the_output_lacks_are_replaced(start: Callable, examples: Path, tmp_path: Path) -> None:
    process = start("data", "show", "digits", env={"PYTHONIOENCODING": "ascii"})
    out, err = process.communicate()
    assert (process.returncode, err) == (0, b"")
    assert b"?" in out


def test_running_out_of_memory_is_one_line(run: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("layerloop.cli.info.status", full)
    result = run("info")
    assert (result.code, result.err) == (
        2,
        "layerloop: not enough memory for this; take fewer rows or columns, or smaller layers\n",
    )


@pytest.mark.parametrize("words", cli.ADVICE)
def test_advice_that_the_command_rewords_is_still_given_by_the_library(words: str) -> None:
    files = [path for path in (SRC / "layerloop").rglob("*.py") if path.parent.name != "cli"]
    assert any(words in path.read_text(encoding="utf-8") for path in files)
