"""The errors: one base, built-in kinds beside it, and messages that propose the nearest name."""

from __future__ import annotations

import inspect

import pytest

from layerloop import errors
from layerloop.errors import DivergenceError, LayerloopError, UnknownNameError, did_you_mean, look_up

CHILDREN = [
    kind
    for kind in vars(errors).values()
    if inspect.isclass(kind) and issubclass(kind, LayerloopError) and kind is not LayerloopError
]


def test_there_are_thirteen_children() -> None:
    assert len(CHILDREN) == 13


@pytest.mark.parametrize("kind", CHILDREN, ids=lambda kind: kind.__name__)
def test_every_error_is_of_the_library_and_of_a_built_in_kind(kind: type[LayerloopError]) -> None:
    assert issubclass(kind, LayerloopError)
    assert issubclass(kind, (ValueError, OSError, ArithmeticError, ImportError))
    assert kind.__doc__


def test_divergence_says_where() -> None:
    error = DivergenceError("gone", epoch=3, step=7)
    assert (str(error), error.epoch, error.step) == ("gone", 3, 7)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("sigmoud", " Did you mean 'sigmoid'?"),
        ("RELU", " Did you mean 'relu'?"),
        ("zzz", " Known: relu, sigmoid."),
        (None, " Known: relu, sigmoid."),
    ],
)
def test_the_nearest_name_is_proposed_and_without_one_all_are_listed(name: object, answer: str) -> None:
    assert did_you_mean(name, ["relu", "sigmoid"]) == answer


def test_look_up_returns_the_row() -> None:
    assert look_up({"relu": 1}, "relu", "activation") == 1


@pytest.mark.parametrize("name", ["rely", 3, None, ["relu"], b"relu"])
def test_look_up_refuses_everything_else_even_what_cannot_be_a_key(name: object) -> None:
    with pytest.raises(UnknownNameError, match="unknown activation"):
        look_up({"relu": 1}, name, "activation")
