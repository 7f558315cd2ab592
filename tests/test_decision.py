"""A probability of exactly 1/2 is a no, wherever a probability becomes an answer."""

from __future__ import annotations

import numpy as np
import pytest

from layerloop import Chain, Dense, MLPClassifier, accuracy, evaluate, logitbinarycrossentropy, sigmoid, trace
from layerloop.answer import answer_of
from layerloop.decision import likeliest, says_yes
from layerloop.estimators.answers import answers_of, columns_of_answers
from layerloop.estimators.mlp_validation import score_of
from layerloop.lab.pictures import confusion
from layerloop.metrics import all_figures

X = np.eye(2)
HALVES = np.array([0.5, np.nextafter(0.5, 0.0), np.nextafter(0.5, 1.0)])


def even(outputs: int, *head: object, classes: tuple[str, ...] = ()) -> Chain:
    """A network without weights: behind a sigmoid every output is exactly 1/2."""
    m = Chain(Dense(2, outputs), *head, classes=classes)
    m.flat[...] = 0
    return m


def test_one_half_is_a_no_and_the_next_number_a_yes() -> None:
    assert says_yes(HALVES).tolist() == [False, False, True]
    assert likeliest(HALVES[:, np.newaxis]).tolist() == [0, 0, 1]
    both = np.column_stack([1 - HALVES, HALVES])
    assert likeliest(both).tolist() == [0, 0, 1]  # the same of both probabilities: of equal ones the first


def test_a_single_yes_or_no_of_one_half() -> None:
    m = even(1, sigmoid, classes=("no", "yes"))
    assert m(X).tolist() == [[0.5], [0.5]]
    assert answer_of(m, m(X[0]), "classes")["prediction"] == "no"
    assert trace(m, X[0], "yes").as_dict()["sample"]["predicted"] == "no"
    assert accuracy(m, X, [0, 0]) == evaluate(m, X, [0, 0], "binarycrossentropy")["accuracy"] == 1
    assert accuracy(m, X, [1, 1]) == evaluate(m, X, [1, 1], "binarycrossentropy")["accuracy"] == 0
    assert confusion(m, X, np.array([0, 1]))["counts"] == [[1, 0], [1, 0]]


def test_a_score_of_zero_is_a_probability_of_one_half() -> None:
    assert evaluate(even(1), X, [0, 0], logitbinarycrossentropy)["accuracy"] == 1


def test_labels_of_one_half_are_not_there() -> None:
    m = even(3, sigmoid, classes=("rain", "wind", "sun"))
    assert answer_of(m, m(X[0]), "labels")["prediction"] == []
    none = np.zeros((2, 3), np.int64)
    assert all_figures("labels", none, m(X))["subset_accuracy"] == 1
    assert score_of(none, m(X), None, classes=True) == 1


@pytest.mark.parametrize("labels", [1, 2])
def test_the_estimators_say_what_scikit_learns_binarisers_say(labels: int) -> None:
    y = np.array([0, 1]) if labels == 1 else np.eye(2, dtype=int)
    model = MLPClassifier((2,), max_iter=1, random_state=0).partial_fit(X, y, classes=[0, 1])
    for part in (*model.coefs_, *model.intercepts_):
        part[...] = 0
    assert np.unique(model.predict_proba(X)) == [0.5]
    assert not model.predict(X).any()
    assert not any(row["prediction"] for row in answers_of(model, X))
    found = columns_of_answers(model, X)
    assert not any(found[name].any() for name in found if name.startswith("prediction"))
