"""The words of the program: they call the engine's rows, and labels go to one-hot rows and back."""

from __future__ import annotations

import numpy as np
import pytest

from layerloop import maths, vocabulary
from layerloop.errors import InputError, LabelError, ShapeError, UnknownNameError
from layerloop.layers import ACTIVATIONS, Dense
from layerloop.targets import checked_targets
from layerloop.vocabulary import (
    crossentropy,
    logitcrossentropy,
    modified_softmax,
    mse,
    onecold,
    onehot,
    onehotbatch,
    relu,
    sigmoid,
    softmax,
)

POINTS = np.array([-4.0, -1.5, -0.3, 0.0, 0.7, 2.0, 5.0])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_is_its_formula_on_numbers_lists_and_arrays(name: str) -> None:
    word, row = getattr(vocabulary, name), maths.ACTIVATIONS[name]
    np.testing.assert_allclose(word(POINTS), row.f(POINTS), rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(word.derivative(POINTS), row.df(POINTS), rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(word(POINTS.reshape(7, 1).tolist()), row.f(POINTS).reshape(7, 1), rtol=1e-14, atol=1e-15)
    assert type(word(0.5)) is float
    assert type(word.derivative(1)) is float
    assert repr(word) == name


def test_float32_stays_and_everything_else_becomes_float64() -> None:
    assert sigmoid(np.zeros(2, np.float32)).dtype == np.float32  # type: ignore[union-attr]
    for kind in (np.int8, np.float16, np.bool_, np.float64):
        assert sigmoid(np.zeros(2, kind)).dtype == np.float64  # type: ignore[union-attr]
    with pytest.raises(InputError, match="expected real numbers, got dtype complex128"):
        sigmoid(1j)  # type: ignore[arg-type]


def test_the_argument_of_an_activation_is_left_alone() -> None:
    t = np.array([-1.0, 2.0])
    relu(t)
    relu.derivative(t)
    np.testing.assert_array_equal(t, [-1, 2])


def test_heads_on_one_sample_and_on_a_batch() -> None:
    S = np.array([[0.0, np.log(3.0)], [1000.0, 0.0]])
    np.testing.assert_allclose(softmax(S), [[0.25, 0.75], [1, 0]], atol=1e-15)
    np.testing.assert_allclose(softmax(S[0]), [0.25, 0.75], atol=1e-15)
    # scores (0, log 3) and the last class's 0: 1 / 5, 3 / 5, 1 / 5
    np.testing.assert_allclose(modified_softmax(S[0]), [0.2, 0.6, 0.2], atol=1e-15)
    np.testing.assert_allclose(modified_softmax(S)[1], [1, 0, 0], atol=1e-15)
    for bad in (np.zeros((2, 2, 2)), np.zeros((0, 3)), np.zeros(0)):
        with pytest.raises(ShapeError, match="expected"):
            softmax(bad)


def test_losses_of_one_sample_and_of_a_batch_by_hand() -> None:
    P = np.array([[0.25, 0.75], [0.5, 0.5]])
    # (-log 0.75 - log 0.5) / 2
    assert crossentropy(P, [1, 0]) == pytest.approx((np.log(4 / 3) + np.log(2)) / 2, rel=1e-15)
    assert crossentropy(P, [[0, 1], [1, 0]]) == crossentropy(P, [1, 0])
    assert crossentropy(P[0], 1) == crossentropy(P[0], [0, 1])
    # soft row: -(0.5 log 0.25 + 0.5 log 0.75)
    assert crossentropy(P[0], [0.5, 0.5]) == pytest.approx(-0.5 * np.log(0.1875), rel=1e-15)
    # ((0.25 - 1)^2 + (0.75 - 1)^2 + 0.5^2 + 0.5^2) / 4
    assert mse(P, [[1, 1], [0, 0]]) == (0.5625 + 0.0625 + 0.25 + 0.25) / 4
    assert mse(3.0, 1.0) == 4.0
    assert mse([[3.0], [1.0]], [1.0, 1.0]) == 2.0
    assert logitcrossentropy([0.0, np.log(3.0)], 1) == pytest.approx(np.log(4 / 3), rel=1e-15)


def test_zero_times_log_zero_is_zero_and_a_lost_class_is_infinite() -> None:
    assert crossentropy([1.0, 0.0], [1, 0]) == 0
    assert crossentropy([1.0, 0.0], 1) == np.inf
    assert logitcrossentropy([1e4, -1e4], 1) == 2e4


@pytest.mark.parametrize(
    ("y", "kind", "error", "message"),
    [
        ([0, 3, 1], "classes", LabelError, "y holds class 3, but the network has 3 outputs: classes 0 to 2"),
        ([0, -1, 1], "classes", LabelError, "y holds class -1"),
        (
            [0, 0.5, 1],
            "classes",
            LabelError,
            "whole class indices for a cross-entropy, got 0.5; for values use loss=mse",
        ),
        ([0, np.nan, 1], "classes", LabelError, "whole class indices"),
        ([0, np.inf, 1], "classes", LabelError, "y holds class inf"),
        (["a", "b", "c"], "classes", LabelError, "turn names into class indices"),
        ([None, 1, 2], "classes", LabelError, "y must hold numbers, got dtype object"),
        ([0, 1], "classes", ShapeError, r"3 rows of X want as many targets, got y of shape \(2,\)"),
        (1, "classes", ShapeError, r"got y of shape \(\)"),
        ([[1, 0]] * 3, "classes", ShapeError, r"so y must be \(3, 3\), got \(3, 2\)"),
        ([[1, 1, 0]] * 3, "classes", LabelError, "every row of y must be a distribution"),
        ([[2, -1, 0]] * 3, "classes", LabelError, "every row of y must be a distribution"),
        ([[np.nan, 0, 1]] * 3, "classes", InputError, "NaN"),
        ([0, 1, 2], "values", ShapeError, r"must be \(3, 3\), got \(3,\); onehotbatch\(y, labels\) turns"),
        ([[np.inf, 0, 1]] * 3, "values", InputError, "infinity"),
        ([[0, 0.5, 1.5]] * 3, "shares", LabelError, r"must lie in \[0, 1\], got 1.5"),
        ([[0, 0.5, -1]] * 3, "shares", LabelError, r"must lie in \[0, 1\], got -1"),
        ([0, 3, 1], "shares", LabelError, "y holds class 3, but the network has 3 outputs"),
        ([[0, 2, -1]] * 3, "counts", LabelError, "y holds counts, from 0 on, got -1"),
        ([[0, np.inf, 1]] * 3, "counts", InputError, "infinity"),
        ([[1e300, 0, 1]] * 3, "values", InputError, "too large for float32"),
    ],
)
def test_targets_that_do_not_fit_are_named(y: object, kind: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        checked_targets(np.asarray(y), 3, "float32", kind=kind, rows=3)


def test_no_rows_at_all_are_refused() -> None:
    with pytest.raises(ShapeError, match="X has no rows; at least one is needed"):
        checked_targets(np.zeros(0), 3, "float32", kind="classes", rows=0)


def test_targets_in_the_form_that_an_engine_takes() -> None:
    index = checked_targets(np.array([2.0, 0.0]), 3, "float32", kind="classes", rows=2)
    assert (index.dtype, index.tolist()) == (np.int64, [2, 0])
    hot = checked_targets(np.array([[0, 0, 1], [1, 0, 0]]), 3, "float32", kind="classes", rows=2)
    assert hot.tolist() == [2, 0]
    soft = checked_targets(np.array([[0, 0.5, 0.5]]), 3, "float32", kind="classes", rows=1)
    assert (soft.dtype, soft.shape) == (np.float32, (1, 3))
    column = checked_targets(np.array([1, 2]), 1, "float64", kind="values", rows=2)
    assert (column.dtype, column.tolist()) == (np.float64, [[1], [2]])


def test_labels_to_rows_and_back() -> None:
    labels = ["cat", "dog", "eel"]
    rows = onehotbatch(["eel", "cat"], labels)
    np.testing.assert_array_equal(rows, [[0, 0, 1], [1, 0, 0]])
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(onehot("dog", labels), [0, 1, 0])
    assert onecold(rows, labels).tolist() == ["eel", "cat"]  # type: ignore[attr-defined]
    assert onecold(rows[0], labels) == "eel"
    np.testing.assert_array_equal(onehotbatch(np.array([7, 5]), np.array([5, 7])), [[0, 1], [1, 0]])  # type: ignore[arg-type]


def test_the_largest_entry_wins_and_of_equals_the_first() -> None:
    assert onecold([0.5, 0.5]) == 0
    assert type(onecold([0.1, 0.9])) is int
    assert onecold([[0.1, 0.9], [0.9, 0.1]]).tolist() == [1, 0]  # type: ignore[attr-defined]


def test_labels_that_are_not_there_are_named() -> None:
    with pytest.raises(LabelError, match=r"label 3 is none of \[0, 1, 2\]"):
        onehotbatch([1, 3], range(3))
    with pytest.raises(LabelError, match="labels must differ"):
        onehotbatch([1], [1, 1])
    with pytest.raises(ShapeError, match="2 entries want as many labels, got 3"):
        onecold([0.1, 0.9], ["a", "b", "c"])


def test_labels_keep_their_kind() -> None:
    assert onehotbatch([1, "a"], [1, "a"]).tolist() == [[1, 0], [0, 1]]
    assert onecold([[0.1, 0.9], [0.8, 0.2]], [1, "b"]).tolist() == ["b", 1]  # type: ignore[attr-defined]
    assert onecold([[0.1, 0.9]], [(1, 2), (3, 4)])[0] == (3, 4)  # type: ignore[index]


@pytest.mark.parametrize(
    ("labels", "known", "message"),
    [
        (3, range(10), "for one, such as 3, there is onehot"),
        ("ab", ["a", "b"], "for one, such as 'ab', there is onehot"),
        ([[1], [2]], range(3), r"label \[1\] is none of"),
        ([1], 10, r"the sequence of all labels, such as range\(10\); got 10"),
    ],
)
def test_labels_that_do_not_fit_are_told_why(labels: object, known: object, message: str) -> None:
    with pytest.raises(LabelError, match=message):
        onehotbatch(labels, known)  # type: ignore[arg-type]


def test_another_librarys_function_is_told_the_name() -> None:
    with pytest.raises(UnknownNameError, match=r"pass 'tanh', or layerloop\.tanh"):
        Dense(2, 3, np.tanh)  # type: ignore[arg-type]
