"""`layerloop train`: recipes by name, and the options that change one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from layerloop import load

if TYPE_CHECKING:
    from collections.abc import Callable

QUICK = ("train", "digits", "--epochs", 2)


def test_a_recipe_is_where_defaults_come_from(run: Callable) -> None:
    lines = run(*QUICK, "--recipe", "pictures", "--layers", "24").lines
    assert "Chain(Dropout(0.1), Dense(64, 24, gelu), Dropout(0.3), Dense(24, 10), softmax)" in lines[2]
    recipe = load("digits-64-24-10.safetensors").record["recipe"]
    assert (recipe["schedule"], recipe["smoothing"], recipe["epochs"]) == ("one_cycle", 0.1, 2)


def test_smoothing_is_trained_for_and_not_reported(run: Callable) -> None:
    plain = json.loads(run("train", "digits", "--json", "--epochs", 30, "--rate", 0.01).lines[0])
    smooth = json.loads(run("train", "digits", "--json", "--epochs", 30, "--rate", 0.01, "--smoothing", 0.5).lines[0])
    assert smooth["test_loss"] > plain["test_loss"] + 0.2  # less sure, by the loss without smoothing
    assert smooth["loss"] == "crossentropy"


def test_dropout_and_class_weights_go_into_the_record(run: Callable) -> None:
    run(*QUICK, "--dropout", 0.2, "--class-weight", "balanced", "--out", "m.safetensors")
    recipe = load("m.safetensors").record["recipe"]
    assert (recipe["dropout"], recipe["class_weight"]) == (0.2, "balanced")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--recipe", "picture"), "Did you mean 'pictures'"),
        (("--smoothing", "1.5"), "smoothing"),
        (("--dropout", "1"), "rate must be in [0, 1)"),
        (("--class-weight", "even"), "class_weight must be balanced"),
    ],
)
def test_what_cannot_be_followed_is_one_line(run: Callable, options: tuple[str, ...], words: str) -> None:
    result = run(*QUICK, *options)
    assert result.code == 2
    assert words in result.err
    assert result.err.count("\n") == 1
