"""The command's ways to an optimiser: --optimizer, --schedule, --decay and --clip, and what the model file keeps."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from both_engines import ENGINES
from layerloop import load
from layerloop.cli import main
from layerloop.optim import RULES, SCHEDULES

if TYPE_CHECKING:
    from pathlib import Path


def trained(out: Path, *options: str) -> int:
    return main(["train", "digits", "--layers", "none", "--epochs", "2", "--json", "--out", str(out), *options])


@pytest.mark.parametrize("name", RULES)
def test_every_optimiser_trains_with_decay_and_clipping(name: str, tmp_path: Path) -> None:
    out = tmp_path / "m.safetensors"
    lazy = name == "lazy_adam"  # which takes neither
    assert trained(out, "--optimizer", name, *([] if lazy else ["--decay", "0.01", "--clip", "1"])) == 0
    recipe: dict[str, object] = load(out).record["recipe"]  # type: ignore[assignment]
    assert (recipe["optimizer"], recipe["schedule"]) == (name, None)
    assert (recipe["decay"], recipe["clip"]) == ((None, None) if lazy else (0.01, 1.0))


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_trains_and_is_in_the_record(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "m.safetensors"
    assert trained(out, "--schedule", name.replace("_", "-"), "--rate", "0.05") == 0
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    for recipe in (printed["recipe"], load(out).record["recipe"]):
        assert (recipe["schedule"], recipe["rate"]) == (name, 0.05)  # type: ignore[index]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--schedule", "cosin"], "unknown schedule 'cosin'. Did you mean 'cosine'?"),
        (["--optimizer", "loin"], "unknown optimizer 'loin'. Did you mean 'lion'?"),
        (["--clip", "0"], "clip_norm must be positive and finite, got 0.0"),
        (["--decay", "-1"], "decay must be in [0, inf), got -1.0"),
        (
            ["--optimizer", "lazy_adam", "--clip", "1"],
            "lazy_adam leaves rows alone and takes no clip",
        ),
        (
            ["--optimizer", "lazy_adam", "--l2", "1", "--decay", "1"],
            "no l2 or decay, which acts on all: use adam",
        ),
        (["--optimizer", "adamw", "--decay", "-1"], "AdamW: decay must be in [0, inf), got -1.0"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "m.safetensors"
    assert trained(out, *options) == 2
    assert said in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("engine", ENGINES)
def test_as_many_threads_as_are_allowed_give_the_bits_of_one(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAYERLOOP_ENGINE", engine)
    trained_by = []
    for threads in ([], ["--threads", "1"]):
        out = tmp_path / f"m{len(threads)}.safetensors"
        assert main(["train", "digits", "--layers", "256", "--epochs", "3", *threads, "--out", str(out)]) == 0
        trained_by.append(load(out).flat)
    assert (trained_by[0] == trained_by[1]).all()
