"""The two readings of the chapter as networks, and what follows from their formulas."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerloop import Chain, Dense, modified_softmax, softmax, tanh
from layerloop.errors import SettingError, UnknownNameError
from layerloop.readings import READINGS, classifier

WIDTHS = st.lists(st.integers(1, 5), max_size=3)


def same(a: Chain, b: Chain) -> bool:
    return a.architecture == b.architecture and a.flat.tobytes() == b.flat.tobytes()


@pytest.mark.parametrize(
    ("reading", "hidden", "expected"),
    [
        ("program", [32], Chain(Dense(784, 32, "sigmoid"), Dense(32, 10), softmax)),
        ("notes", [32], Chain(Dense(784, 32, "sigmoid"), Dense(32, 9, "sigmoid"), modified_softmax)),
        ("program", [], Chain(Dense(784, 10), softmax)),
        ("notes", [], Chain(Dense(784, 9, "sigmoid"), modified_softmax)),
        ("program", [8, 4], Chain(Dense(784, 8, "sigmoid"), Dense(8, 4, "sigmoid"), Dense(4, 10), softmax)),
    ],
)
def test_a_reading_is_this_network(reading: str, hidden: list[int], expected: Chain) -> None:
    assert same(classifier(reading, 784, hidden, 10), expected)


@given(hidden=WIDTHS, classes=st.integers(2, 6), reading=st.sampled_from([*READINGS]))
def test_every_reading_gives_probabilities_of_all_classes(hidden: list[int], classes: int, reading: str) -> None:
    m = classifier(reading, 3, hidden, classes)
    p = m(np.random.default_rng(0).normal(size=(4, 3)))
    assert p.shape == (4, classes)
    assert p.min() >= 0
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)


@given(hidden=WIDTHS, classes=st.integers(2, 6), seed=st.integers(0, 99))
def test_the_notes_never_predict_the_last_class(hidden: list[int], classes: int, seed: int) -> None:
    """sigma > 0, so no score of the others is below 0, the score of class K; of equals, the first is predicted."""
    m = classifier("notes", 3, hidden, classes, seed=seed, dtype="float64")
    m.flat *= 10
    p = m(np.random.default_rng(seed).normal(scale=5, size=(50, 3)))
    assert (p[:, :-1] >= p[:, -1:]).all()
    assert p.argmax(axis=1).max() < classes - 1


def test_an_activation_stands_on_every_layer_that_the_reading_has_it_on() -> None:
    kinds = {
        reading: [d.activation for d in classifier(reading, 3, [4], 5, activation=tanh).architecture.layers]
        for reading in READINGS
    }
    assert kinds == {"program": ["tanh", "identity"], "notes": ["tanh", "tanh"]}


@pytest.mark.parametrize(
    ("head", "scores", "outputs"), [("softmax", 5, 5), ("modified_softmax", 4, 5), ("identity", 5, 5)]
)
def test_another_head_than_that_of_the_reading_may_be_chosen(head: str, scores: int, outputs: int) -> None:
    for reading in READINGS:
        architecture = classifier(reading, 3, [], 5, head=head).architecture
        assert (architecture.head, architecture.n_scores, architecture.n_out) == (head, scores, outputs)


def test_settings_reach_the_network() -> None:
    m = classifier("program", 3, [2], 2, seed=5, dtype="float64", classes=("a", "b"))
    assert (m.dtype, m.classes) == ("float64", ("a", "b"))
    assert not same(m, classifier("program", 3, [2], 2, seed=6, dtype="float64"))


@pytest.mark.parametrize(
    ("arguments", "options", "error", "said"),
    [
        (("note", 3, [2], 2), {}, UnknownNameError, "unknown reading 'note'. Did you mean 'notes'?"),
        (("notes", 3, [2], 2), {"activation": "sigmod"}, UnknownNameError, "Did you mean 'sigmoid'?"),
        (("notes", 3, [2], 2), {"head": "sofmax"}, UnknownNameError, "Did you mean 'softmax'?"),
        (("notes", 3, [2], 1), {}, SettingError, "the number of classes must be a whole number of at least 2, got 1"),
        (("notes", 3, [0], 2), {}, SettingError, "0"),
        (("notes", 0, [2], 2), {}, SettingError, "0"),
    ],
)
def test_what_cannot_be_is_an_error(arguments: tuple, options: dict, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=re.escape(said)):
        classifier(*arguments, **options)
