"""The batch engine against the notes' loops: every activation with every head and loss, depth 1 to 5, both types."""

from __future__ import annotations

import math
from itertools import pairwise, product

import numpy as np
import pytest

from every_loss import PAIRS, infinite, last_activation, one_sample, targets, weights
from layerloop import maths
from layerloop.data.batches import DataLoader
from layerloop.engine import BLOCK, ReferenceEngine, Rows, make_engine
from layerloop.engine.reference import KEPT
from layerloop.errors import ShapeError, UnknownNameError
from layerloop.layers import ACTIVATIONS, Dense
from layerloop.losses import spec_of
from layerloop.network import Chain, evaluate, params, setup, update, value_and_gradient
from layerloop.optim import Descent, init
from layerloop.plan import FUSED, HEADS, Architecture, Plan
from layerloop.preprocessing import Inputs
from layerloop.training import train

TOLERANCE = {"float64": 1e-12, "float32": 1e-5}  # relative to the largest entry of what is compared


def network(widths: tuple[int, ...], activation: str, head: str, loss: str, dtype: str) -> tuple[Chain, maths.Net]:
    """The same random network for the engine and for the notes' loops."""
    names = [activation] * (len(widths) - 1)
    names[-1] = last_activation(head, loss, names[-1])
    layers = tuple(Dense(n, m, name) for (n, m), name in zip(pairwise(widths), names, strict=True))
    architecture = Architecture(layers, head, widths[0])
    rng = np.random.default_rng((*widths, ACTIVATIONS.index(activation)))
    blocks = [
        np.vstack([rng.normal(size=(d.n_in, d.n_out)) / np.sqrt(d.n_in), 0.5 * rng.normal(size=(1, d.n_out))])
        for d in layers
    ]
    flat = np.concatenate([block.ravel() for block in blocks]).astype(dtype)
    return Chain.from_parts(architecture, flat), maths.Net(widths, tuple(names), head, one_sample(loss))


def far(got: np.ndarray | float, expected: np.ndarray | float, least: float = 0.0) -> float:
    """The largest difference, relative to the largest entry, or to `least` where that is more."""
    difference = np.abs(np.asarray(got, np.float64) - expected).max(initial=0.0)
    return float(difference / max(np.abs(expected).max(initial=0.0), least, np.finfo(float).tiny))


def before_cancelling(net: maths.Net, loss: str, w: np.ndarray, X: np.ndarray, Y: np.ndarray) -> tuple[float, float]:
    """What rounding of value and gradient is relative to, at least, where head and loss are not fused.

    The logarithm of an output near 1 has the output's rounding, relative to 1. And a softmax takes away what is
    common to the entries of q_{L+2} / n, whose rounding stays: where all slopes are alike, it is all that is left.
    """
    spec = spec_of(loss)
    keeps_digits = net.head not in ("sigmoid", "exp") and spec.name in ("crossentropy", "mse")
    if (net.head, spec.name) in FUSED or keeps_digits:
        return 0.0, 0.0
    form = maths.loss_named(spec.name, **dict(spec.settings))
    slopes = [abs(form.gradient(maths.h_x(net, w, x), y)).max() for x, y in zip(X, Y, strict=True)]
    return 0.0 if spec.row.targets == "values" else 1.0, max(slopes) / len(X)


WIDTHS = [(1, 1), (7, 3, 5), (40, 1, 9, 2), (3, 40, 17, 4, 6), (5, 8, 1, 12, 3, 40)]


def test_the_widths_are_of_every_depth_from_1_to_5() -> None:
    assert [len(widths) - 1 for widths in WIDTHS] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(("head", "loss"), PAIRS, ids=lambda name: name)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_outputs_loss_and_gradient_are_those_of_the_notes(activation: str, head: str, loss: str) -> None:
    for widths, (n, soft), dtype in product(WIDTHS, [(1, False), (3, True), (4, False)], TOLERANCE):
        m, net = network(widths, activation, head, loss, dtype)
        if infinite(head, loss, m.architecture.n_out):
            continue
        X = np.random.default_rng(1).normal(size=(n, widths[0])).astype(dtype)
        y, Y = targets(loss, n, m.architecture.n_out, dtype, soft=soft)
        w = params(m).w
        value, gradient = value_and_gradient(m, X, y, loss)
        case = (widths, n, dtype)
        assert far(m(X), np.array([maths.h_x(net, w, x) for x in X])) < TOLERANCE[dtype], case
        least, steepest = before_cancelling(net, loss, w, X, Y)
        assert far(value, maths.mean_f(net, w, X, Y), least) < TOLERANCE[dtype], case
        assert far(gradient.w, maths.mean_gradient(net, w, X, Y), steepest) < TOLERANCE[dtype], case
        assert gradient.flat.dtype == dtype


def weighted(net: maths.Net, w: np.ndarray, X: np.ndarray, Y: np.ndarray, own: np.ndarray) -> tuple[float, np.ndarray]:
    """sum_i w_i l_i / n and its gradient, by the notes' loops one sample at a time."""
    pairs = list(zip(X, Y, own, strict=True))
    value = sum(u * maths.f(net, w, x, y) for x, y, u in pairs)
    return value / len(X), sum(u * maths.gradient(net, w, x, y) for x, y, u in pairs) / len(X)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(("head", "loss"), PAIRS, ids=lambda name: name)
def test_with_weights_every_loss_is_the_weighted_sum_of_the_notes(head: str, loss: str, dtype: str) -> None:
    m, net = network((4, 6, 3), "tanh", head, loss, dtype)
    X, own = np.random.default_rng(1).normal(size=(9, 4)).astype(dtype), weights(9, dtype)
    for soft in (False, True):
        y, Y = targets(loss, 9, m.architecture.n_out, dtype, soft=soft)
        value, gradient = value_and_gradient(m, X, y, loss, weights=own)
        expected, slope = weighted(net, params(m).w, X, Y, own)
        least, steepest = before_cancelling(net, loss, params(m).w, X, Y)
        assert far(value, expected, least) < TOLERANCE[dtype]
        assert far(gradient.w, slope, steepest) < TOLERANCE[dtype]
        assert far(evaluate(m, X, y, loss, weights=own)["loss"], expected / own.mean(), least) < TOLERANCE[dtype]


@pytest.mark.parametrize(("head", "loss"), PAIRS, ids=lambda name: name)
def test_whole_weights_are_rows_that_stand_several_times(head: str, loss: str) -> None:
    m, _ = network((4, 6, 3), "tanh", head, loss, "float64")
    X, times = np.random.default_rng(1).normal(size=(6, 4)), np.array([1, 3, 0, 2, 1, 1])
    y, _ = targets(loss, 6, m.architecture.n_out, "float64")
    again = np.repeat(np.arange(6), times)
    a = value_and_gradient(m, X, y, loss, weights=times * 6 / times.sum())
    b = value_and_gradient(m, X[again], y[again], loss)
    assert far(a[0], b[0]) < 1e-13
    assert far(a[1].flat, b[1].flat) < 1e-12
    for name, figure in evaluate(m, X[again], y[again], loss).items():
        assert evaluate(m, X, y, loss, weights=times)[name] == pytest.approx(figure, rel=1e-12)


@pytest.mark.parametrize(("head", "loss"), PAIRS, ids=lambda name: name)
def test_training_with_weights_takes_the_notes_steps(head: str, loss: str) -> None:
    m, net = network((4, 6, 3), "tanh", head, loss, "float64")
    X, own = np.random.default_rng(1).normal(size=(11, 4)), weights(11)
    y, Y = targets(loss, 11, m.architecture.n_out, "float64")
    loader = DataLoader((X, y), batchsize=4, seed=3, weights=own)
    w, order, losses = params(m).w, loader.order(0), []
    for rows in (order[:4], order[4:8], order[8:]):
        value, slope = weighted(net, w, X[rows], Y[rows], (own / own.mean())[rows])
        losses.append(value * len(rows))
        w = w - 0.1 * slope
    history = train(m, loader, loss, Descent(0.1))
    assert far(params(m).w, w) < 1e-12
    assert history["loss"][0] == pytest.approx(sum(losses) / 11, rel=1e-12)  # the weighted mean over the data


@pytest.mark.parametrize(("head", "loss"), PAIRS, ids=lambda name: name)
def test_class_indices_give_the_bits_of_one_hot_rows(head: str, loss: str) -> None:
    if spec_of(loss).row.targets != "classes":
        return
    m, _ = network((4, 6, 3), "tanh", head, loss, "float64")
    X = np.random.default_rng(1).normal(size=(9, 4))
    index, rows = targets(loss, 9, m.architecture.n_out, "float64")
    a, b = (value_and_gradient(m, X, y, loss) for y in (index, rows))
    assert a[0] == b[0]
    np.testing.assert_array_equal(a[1].flat, b[1].flat)


def arrangements(X: np.ndarray) -> dict[str, np.ndarray]:
    fenced = np.repeat(np.repeat(X, 2, axis=0), 3, axis=1)[::2, ::3]
    locked = X.copy()
    locked.flags.writeable = False
    return {
        "F-ordered": np.asfortranarray(X),
        "strided": fenced,
        "backwards": X[::-1].copy()[::-1],
        "read-only": locked,
        "big-endian": X.astype(X.dtype.newbyteorder(">")),
    }


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_how_the_rows_lie_in_memory_changes_no_bit(dtype: str) -> None:
    m, _ = network((4, 6, 3), "tanh", "softmax", "crossentropy", dtype)
    X = np.random.default_rng(1).normal(size=(9, 4)).astype(dtype)
    y = np.arange(9) % 3
    value, gradient = value_and_gradient(m, X, y)
    outputs = m(X)
    for name, same in arrangements(X).items():
        np.testing.assert_array_equal(same, X)
        again, slope = value_and_gradient(m, same, y)
        assert again == value, name
        np.testing.assert_array_equal(slope.flat, gradient.flat, name)
        np.testing.assert_array_equal(m(same), outputs, name)


def test_neither_rows_nor_parameters_nor_targets_are_changed() -> None:
    m, _ = network((4, 6, 3), "gelu", "softmax", "crossentropy", "float64")
    X, y = np.random.default_rng(1).normal(size=(9, 4)), np.arange(9) % 3
    before = (X.copy(), y.copy(), m.flat.copy())
    value_and_gradient(m, X, y)
    m(X)
    for now, then in zip((X, y, m.flat), before, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_raw_bytes_with_a_scale_are_the_scaled_floats(dtype: str) -> None:
    m, net = network((6, 5, 3), "sigmoid", "softmax", "crossentropy", dtype)
    m.inputs = Inputs(scale=1 / 255)
    raw = np.random.default_rng(1).integers(256, size=(8, 6), dtype=np.uint8)
    y = np.arange(8) % 3
    value, gradient = value_and_gradient(m, raw, y)
    w, X = params(m).w, raw / 255
    assert far(value, maths.mean_f(net, w, X, np.eye(3)[y])) < TOLERANCE[dtype]
    assert far(gradient.w, maths.mean_gradient(net, w, X, np.eye(3)[y])) < TOLERANCE[dtype]
    assert far(m(raw), np.array([maths.h_x(net, w, x) for x in X])) < TOLERANCE[dtype]
    gathered = m.flat.copy()  # and a training step gathers them in the same way
    train(m, DataLoader((raw, y), 8, shuffle=False, scale=1 / 255), optimizer=Descent(0.5))
    np.testing.assert_array_equal(m.flat, gathered - (0.5 * gradient.flat).astype(dtype))


@pytest.mark.parametrize(("head", "loss"), PAIRS, ids=lambda name: name)
def test_training_steps_are_those_of_the_notes_loops(head: str, loss: str) -> None:
    m, net = network((4, 6, 3), "tanh", head, loss, "float64")
    X = np.random.default_rng(1).normal(size=(11, 4))
    y, Y = targets(loss, 11, m.architecture.n_out, "float64")
    loader = DataLoader((X, y), batchsize=4, seed=3)
    w = params(m).w
    for epoch in range(3):
        order = loader.order(epoch)
        for rows in (order[:4], order[4:8], order[8:]):
            w = w - 0.1 * maths.mean_gradient(net, w, X[rows], Y[rows])
    train(m, loader, loss, Descent(0.1), epochs=3)
    assert far(params(m).w, w) < 1e-12


@pytest.mark.parametrize("widths", [(4, 3), (4, 6, 3)])
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("loss", ["mse", "crossentropy"])
def test_a_loss_of_ones_own_is_the_built_in_one(widths: tuple[int, ...], head: str, loss: str) -> None:
    def value(P: np.ndarray, Y: np.ndarray) -> float:
        return float(((P - Y) ** 2).mean() if loss == "mse" else -(Y * np.log(P)).sum() / len(P))

    def gradient(P: np.ndarray, Y: np.ndarray) -> np.ndarray:
        return 2 * (P - Y) / P.size if loss == "mse" else -Y / P / len(P)

    m, net = network(widths, "tanh", head, loss, "float64")
    X = np.random.default_rng(1).normal(size=(7, 4))
    y, _ = targets(loss, 7, m.architecture.n_out, "float64", soft=True)
    a, b = value_and_gradient(m, X, y, loss), value_and_gradient(m, X, y, (value, gradient))
    assert far(a[0], b[0]) < 1e-13
    assert far(a[1].flat, b[1].flat) < 1e-12
    own = maths.Net(
        net.widths,
        net.activations,
        head,
        (lambda z, t: value(z[None], t[None]), lambda z, t: gradient(z[None], t[None])[0]),
    )
    assert far(b[1].w, maths.mean_gradient(own, params(m).w, X, y)) < 1e-12


def test_a_gradient_of_another_shape_is_refused_rather_than_stretched() -> None:
    m, _ = network((4, 3), "tanh", "softmax", "mse", "float64")
    pair = (lambda P, Y: float(P.sum()), lambda P, Y: np.ones((len(P), 1)))
    with pytest.raises(ShapeError, match=r"shaped as the outputs, \(2, 3\); got \(2, 1\)"):
        value_and_gradient(m, np.zeros((2, 4)), np.zeros((2, 3)), pair)


def test_a_lost_class_is_finite_through_the_fused_form_and_infinite_through_the_literal_one() -> None:
    m = Chain.from_parts(Architecture((Dense(1, 2),), "softmax", 1), np.array([0.0, 0.0, 1e4, -1e4]))
    value, gradient = value_and_gradient(m, [[1.0]], [1])
    assert value == 2e4
    # g - y = (1, -1), times x = 1 for the weights and 1 for the biases
    np.testing.assert_array_equal(gradient.flat, [1, -1, 1, -1])
    literal = (lambda P, y: -np.log(P[0, 1]), lambda P, y: np.array([[0, -1 / P[0, 1]]]))
    with np.errstate(divide="ignore"):
        assert value_and_gradient(m, [[1.0]], [1], literal)[0] == np.inf


def test_one_row_alone_or_among_a_thousand_gives_the_same_to_rounding() -> None:
    m, _ = network((30, 40, 10), "sigmoid", "softmax", "crossentropy", "float32")
    X = np.random.default_rng(1).normal(size=(1000, 30)).astype(np.float32)
    together = m(X)
    alone = np.array([m(x) for x in X])
    assert far(alone, together) < 1e-5


def test_more_rows_than_a_block_are_one_batch_to_the_gradient() -> None:
    m, _ = network((2, 3), "identity", "softmax", "crossentropy", "float64")
    n = BLOCK + 5
    X, y = np.random.default_rng(1).normal(size=(n, 2)), np.arange(n) % 3
    value, gradient = value_and_gradient(m, X, y)
    halves = [value_and_gradient(m, X[part], y[part]) for part in (slice(0, 700), slice(700, n))]
    sizes = (700, n - 700)
    assert value == pytest.approx(sum(v * k for (v, _), k in zip(halves, sizes, strict=True)) / n, rel=1e-13)
    assert far(gradient.flat, sum(g.flat * k for (_, g), k in zip(halves, sizes, strict=True)) / n) < 1e-12


def test_buffers_of_few_batch_sizes_are_kept_the_last_used() -> None:
    engine = ReferenceEngine(Architecture((Dense(2, 3),), "softmax", 2), "float64")
    first = engine.workspace(1)
    for n in range(2, KEPT + 1):
        engine.workspace(n)
    assert engine.workspace(1) is first
    engine.workspace(KEPT + 1)
    assert engine.workspace(1) is first
    for n in range(10, 10 + KEPT):
        engine.workspace(n)
    assert engine.workspace(1) is not first
    assert engine.workspace(BLOCK + 1) is not engine.workspace(BLOCK + 1)


def test_an_answer_is_not_overwritten_by_the_next_call() -> None:
    m, _ = network((4, 6, 3), "tanh", "softmax", "crossentropy", "float64")
    rng = np.random.default_rng(1)
    first = m.engine.outputs(m.flat, rng.normal(size=(5, 4)))
    kept = first.copy()
    m.engine.outputs(m.flat, rng.normal(size=(5, 4)))
    np.testing.assert_array_equal(first, kept)


def test_a_stretch_is_its_steps_one_by_one() -> None:
    m, _ = network((4, 6, 3), "tanh", "softmax", "crossentropy", "float64")
    X, y = np.random.default_rng(1).normal(size=(10, 4)), np.arange(10) % 3
    order = np.random.default_rng(2).permutation(10)
    w, rule = m.flat.copy(), Descent(0.5)
    losses = np.full(4, np.nan)
    state = init(rule, w)
    taken = m.engine.train(w, state, Rows(X, y), order, Plan(m.architecture, "crossentropy", "float64"), 3, losses)
    assert (taken, state.t) == (4, 4)
    steps, carried = [], setup(rule, m)
    for start in range(0, 10, 3):
        rows = order[start : start + 3]
        value, gradient = value_and_gradient(m, X[rows], y[rows])
        update(m, gradient, carried)
        steps.append(value)
    assert losses.tolist() == steps
    np.testing.assert_array_equal(w, m.flat)


def test_a_loss_that_is_not_finite_ends_the_stretch_before_its_update() -> None:
    engine = ReferenceEngine(Architecture((Dense(1, 1),), "identity", 1), "float64")
    X, y = np.ones((4, 1)), np.array([[0.0], [0.0], [1e200], [0.0]])
    w, losses = np.zeros(2), np.full(4, -1.0)
    state = init(Descent(0.1), w)
    taken = engine.train(w, state, Rows(X, y), np.arange(4), Plan(engine.architecture, "mse", "float64"), 1, losses)
    assert (taken, state.t) == (2, 2)
    assert losses.tolist() == [0, 0, math.inf, -1]
    np.testing.assert_array_equal(w, 0)


def test_an_unknown_engine_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown engine 'nunpy'. Did you mean 'numpy'"):
        make_engine(Architecture((Dense(1, 1),), "identity", 1), "float64", "nunpy")
