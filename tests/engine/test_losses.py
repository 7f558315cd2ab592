"""Every loss over a batch against the notes, one sample at a time; the fused forms against the unfused ones."""

from __future__ import annotations

import numpy as np
import pytest

from every_loss import TEXTS, one_sample, targets
from layerloop import maths
from layerloop.engine.heads import HEADS
from layerloop.engine.losses import FUSED, LOSSES, Term
from layerloop.losses import LOSSES as NAMES
from layerloop.losses import spec_of
from layerloop.plan import FUSED as PLANNED

SHAPES = [(1, 2), (1, 5), (6, 10), (7, 3)]
PAIR_OF = {form: (head, loss) for (head, loss), form in PLANNED.items() if head != "identity"}
SOFTMAXES = [form for form, (_, loss) in PAIR_OF.items() if loss == "crossentropy"]
OTHERS = [form for form in PAIR_OF if form not in SOFTMAXES]
OUTPUTS = [text for text in TEXTS if not spec_of(text).row.scores]


def term(loss: str, K: int, weights: np.ndarray | None = None) -> Term:
    return Term(np.array(spec_of(loss).columns(K)), spec_of(loss).smoothing, weights)


def probabilities(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return np.asfortranarray(rng.dirichlet(np.ones(shape[1]), size=shape[0]))


def mean_by_the_notes(text: str, P: np.ndarray, Y: np.ndarray) -> tuple[float, np.ndarray]:
    found = one_sample(text)
    loss = maths.LOSSES[found] if isinstance(found, str) else found
    pairs = list(zip(P, Y, strict=True))
    return np.mean([loss.value(p, y) for p, y in pairs]), np.array([loss.gradient(p, y) for p, y in pairs]) / len(P)


def fused(form: str, S: np.ndarray, targets: np.ndarray, smoothing: float = 0.0) -> tuple[float, np.ndarray]:
    n, k = S.shape
    P = np.empty((k + HEADS[PAIR_OF[form][0]].extra, n), S.dtype).T
    D = np.empty((k, n), S.dtype).T
    own = term(PAIR_OF[form][1], P.shape[1])._replace(smoothing=smoothing)
    with np.errstate(all="ignore"):
        return FUSED[form](S, targets, P, D, np.empty(n, S.dtype), own), D


def unfused(form: str, S: np.ndarray, targets: np.ndarray, smoothing: float = 0.0) -> tuple[float, np.ndarray]:
    head, loss = HEADS[PAIR_OF[form][0]], PAIR_OF[form][1]
    P = np.empty((len(S), S.shape[1] + head.extra), S.dtype)
    Q, D, m = np.empty_like(P), np.empty_like(S), np.empty(len(S), S.dtype)
    with np.errstate(all="ignore"):
        head.forward(S, P, m)
        value = LOSSES[loss](P, targets, Q, term(loss, P.shape[1])._replace(smoothing=smoothing))
        head.backward(P, Q, D, m)
    return value, D


@pytest.mark.parametrize("text", OUTPUTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_values_and_gradients_are_the_means_of_the_notes(text: str, shape: tuple[int, int]) -> None:
    P = probabilities(np.random.default_rng(shape), shape)
    for soft in (False, True):
        y, Y = targets(text, *shape, "float64", soft=soft)
        Q = np.empty_like(P)
        value = LOSSES[spec_of(text).name](P, y, Q, term(text, shape[1]))
        expected, slope = mean_by_the_notes(text, P, Y)
        assert type(value) is float
        assert value == pytest.approx(expected, rel=1e-13)
        np.testing.assert_allclose(Q, slope, rtol=1e-13, atol=1e-15)


def test_every_loss_of_outputs_has_a_row_and_every_loss_of_scores_a_fused_form() -> None:
    assert set(LOSSES) == {spec_of(text).name for text in OUTPUTS}
    assert {name for name in NAMES if spec_of(name).row.scores} == {
        loss for head, loss in PLANNED if head == "identity"
    }


@pytest.mark.parametrize("shape", SHAPES)
def test_class_indices_are_one_hot_rows(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(shape)
    P, index = probabilities(rng, shape), rng.integers(shape[1], size=shape[0])
    A, B = np.empty_like(P), np.empty_like(P)
    a, b = (
        LOSSES["crossentropy"](P, y, Q, term("crossentropy", shape[1]))
        for y, Q in ((index, A), (np.eye(shape[1])[index], B))
    )
    assert a == pytest.approx(b, rel=1e-14)
    np.testing.assert_allclose(A, B, rtol=1e-14)


def test_zero_log_zero_is_zero_and_a_lost_class_is_infinite() -> None:
    P, Q = np.array([[1.0, 0.0]]), np.empty((1, 2))
    for right in (np.array([0]), np.array([[1.0, 0.0]])):
        assert LOSSES["crossentropy"](P, right, Q, term("crossentropy", 2)) == 0
        np.testing.assert_array_equal(Q, [[-1, 0]])
    with np.errstate(all="ignore"):
        for wrong in (np.array([1]), np.array([[0.0, 1.0]])):
            assert LOSSES["crossentropy"](P, wrong, Q, term("crossentropy", 2)) == np.inf
            np.testing.assert_array_equal(Q, [[0, -np.inf]])


@pytest.mark.parametrize("form", SOFTMAXES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("kind", ["index", "one-hot", "soft", "weighted"])
def test_the_fused_form_is_the_unfused_one_and_that_of_the_notes(
    form: str, shape: tuple[int, int], kind: str, smoothing: float
) -> None:
    rng = np.random.default_rng(shape)
    S = np.asfortranarray(3 * rng.normal(size=shape))
    K = shape[1] + HEADS[PAIR_OF[form][0]].extra
    index = rng.integers(K, size=len(S))
    rows = np.eye(K)[index]
    if kind in ("soft", "weighted"):
        rows = probabilities(rng, (len(S), K)) * (1 if kind == "soft" else rng.uniform(0.5, 2, size=(len(S), 1)))
    value, D = fused(form, S, index if kind == "index" else rows, smoothing)
    plain, slope = unfused(form, S, index if kind == "index" else rows, smoothing)
    assert value == pytest.approx(plain, rel=1e-13)
    np.testing.assert_allclose(D, slope, rtol=1e-11, atol=1e-15)
    pairs = [maths.FUSED[PAIR_OF[form]](s, y, smoothing) for s, y in zip(S, rows, strict=True)]
    assert value == pytest.approx(np.mean([pair[0] for pair in pairs]), rel=1e-13)
    np.testing.assert_allclose(D, np.array([pair[1] for pair in pairs]) / len(S), rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("form", SOFTMAXES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1.0, 1e2, 1e4])
def test_the_fused_form_is_finite_for_huge_scores_where_the_unfused_is_not(form: str, dtype: str, size: float) -> None:
    rng = np.random.default_rng(7)
    S = (size * rng.uniform(-1, 1, size=(50, 9))).astype(dtype)
    S[0], S[1] = size, -size
    K = 9 + HEADS[PAIR_OF[form][0]].extra
    index = rng.integers(K, size=len(S))
    value, D = fused(form, S, index)
    assert np.isfinite(value)
    assert np.isfinite(D).all()
    exact = [maths.FUSED[PAIR_OF[form]](s, y) for s, y in zip(S.astype(float), np.eye(K)[index], strict=True)]
    tolerance = 1e-5 if dtype == "float32" else 1e-13
    assert value == pytest.approx(np.mean([pair[0] for pair in exact]), rel=tolerance)
    np.testing.assert_allclose(D, np.array([pair[1] for pair in exact]) / len(S), atol=tolerance)
    assert np.isfinite(unfused(form, S, index)[0]) == (size < 1e4 and (size == 1 or dtype == "float64"))


@pytest.mark.parametrize("form", SOFTMAXES)
def test_a_soft_row_with_a_zero_stays_finite_where_a_score_is_hopeless(form: str) -> None:
    S = np.array([[1e4, -1e4]])
    K = 2 + HEADS[PAIR_OF[form][0]].extra
    row = np.zeros((1, K))
    row[0, 0] = 1
    value, D = fused(form, S, row)
    assert value == 0
    np.testing.assert_array_equal(D, [[0, 0]])


@pytest.mark.parametrize("form", OTHERS)
@pytest.mark.parametrize("shape", [(1, 1), (6, 1), (7, 3)])
def test_by_entry_too_the_fused_form_is_the_unfused_one_and_that_of_the_notes(
    form: str, shape: tuple[int, int]
) -> None:
    S = np.asfortranarray(3 * np.random.default_rng(shape).normal(size=shape))
    for soft in (False, True):
        _, Y = targets(PAIR_OF[form][1], *shape, "float64", soft=soft)
        (value, D), (plain, slope) = fused(form, S, Y), unfused(form, S, Y)
        assert value == pytest.approx(plain, rel=1e-12)
        np.testing.assert_allclose(D, slope, rtol=1e-11, atol=1e-13)
        pairs = [maths.FUSED[PAIR_OF[form]](s, y) for s, y in zip(S, Y, strict=True)]
        assert value == pytest.approx(np.mean([pair[0] for pair in pairs]), rel=1e-13)
        np.testing.assert_allclose(D, np.array([pair[1] for pair in pairs]) / len(S), rtol=1e-13, atol=1e-16)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_hopeless_yes_or_no_costs_its_distance_and_a_sure_one_nothing(dtype: str) -> None:
    S = np.array([[1e4, -1e4, np.inf, -np.inf]], dtype)
    for y, value, slope in (
        (np.array([[1, 0, 1, 0]], dtype), 0, 0),
        (np.array([[0, 1, 1, 0]], dtype), 5e3, [1, -1, 0, 0]),
    ):
        found, D = fused("sigmoid_binarycrossentropy", S, y)
        assert found == value
        np.testing.assert_array_equal(D, np.array(slope) / 4 * np.ones((1, 4)))
    # far down a rate underflows: with no count that costs nothing, and a count costs its distance
    found, D = fused("exp_poisson", np.array([[-1e4, -np.inf, -1e3]], dtype), np.array([[0, 0, 3]], dtype))
    assert found == 1e3
    np.testing.assert_array_equal(D, [[0, 0, -1]])
