"""Every head over a batch against the notes' one-sample formulas: outputs, and the Jacobian's transpose."""

from __future__ import annotations

import numpy as np
import pytest

from layerloop import maths
from layerloop.engine.heads import HEADS

SHAPES = [(1, 1), (1, 5), (6, 1), (6, 10), (3, 2)]


def class_major(array: np.ndarray) -> np.ndarray:
    return np.asfortranarray(array)


def run(name: str, S: np.ndarray, Q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    row = HEADS[name]
    P, D, m = np.empty_like(Q), np.empty_like(S), np.empty(len(S), S.dtype)
    with np.errstate(all="ignore"):
        row.forward(S, P, m)
        outputs = P.copy()
        row.backward(P, Q, D, m)
    return outputs, D


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("layout", [np.ascontiguousarray, class_major])
def test_outputs_and_gradients_are_those_of_the_notes(name: str, shape: tuple[int, int], layout: object) -> None:
    rng = np.random.default_rng(shape)
    n, k = shape
    S = layout(3 * rng.normal(size=shape))  # type: ignore[operator]
    Q = layout(rng.normal(size=(n, k + HEADS[name].extra)))  # type: ignore[operator]
    P, D = run(name, S, Q)
    head = maths.HEADS[name]
    np.testing.assert_allclose(P, [head.f(s) for s in S], rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(D, [head.vjp(s, q) for s, q in zip(S, Q, strict=True)], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", HEADS)
def test_as_many_outputs_are_added_as_in_the_notes(name: str) -> None:
    assert HEADS[name].extra == maths.HEADS[name].extra


@pytest.mark.parametrize("name", ["softmax", "modified_softmax"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_probabilities_stay_probabilities_for_huge_scores(name: str, dtype: str) -> None:
    S = np.array([[1e4, -1e4, 0], [-1e4, -1e4, -1e4], [3e4, 3e4, 3e4], [1e30, -1e30, 0]], dtype)
    P, _ = run(name, S, np.zeros((4, 3 + HEADS[name].extra), dtype))
    assert np.isfinite(P).all()
    np.testing.assert_allclose(P.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(P, [maths.HEADS[name].f(s) for s in S.astype(np.float64)], atol=1e-6)


def test_the_modified_softmax_of_one_score_is_logistic_regression_of_the_first_class() -> None:
    S = np.array([[-2.0], [0.5]])
    P, _ = run("modified_softmax", S, np.zeros((2, 2)))
    np.testing.assert_allclose(P[:, 0], 1 / (1 + np.exp(-S[:, 0])), rtol=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_entry_by_entry_huge_scores_give_the_limits(dtype: str) -> None:
    S = np.array([[1e4, -1e4, 0], [np.inf, -np.inf, np.nan]], dtype)
    np.testing.assert_array_equal(run("sigmoid", S, np.zeros_like(S))[0], [[1, 0, 0.5], [1, 0, np.nan]])
    np.testing.assert_array_equal(run("exp", S, np.zeros_like(S))[0], [[np.inf, 0, 1], [np.inf, 0, np.nan]])


def test_nan_in_one_sample_stays_in_that_sample() -> None:
    S = np.array([[0.0, np.nan], [0.0, 0.0]])
    P, _ = run("softmax", S, np.zeros((2, 2)))
    assert np.isnan(P[0]).all()
    np.testing.assert_array_equal(P[1], [0.5, 0.5])
