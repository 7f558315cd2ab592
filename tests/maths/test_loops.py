"""The loops: every activation, head and loss against differences; the traps; the two readings; small known models."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, replace
from itertools import count, product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from layerloop.errors import NetworkError, ShapeError, UnknownNameError
from layerloop.maths.activations import ACTIVATIONS, sigma
from layerloop.maths.batches import mean_f, mean_gradient
from layerloop.maths.checks import check_gradient, kink_distance
from layerloop.maths.differences import central_differences, complex_step
from layerloop.maths.heads import HEADS, softmax
from layerloop.maths.jacobians import append_one, rows
from layerloop.maths.layers import (
    BatchNorm,
    Blocks,
    Dense,
    Dropout,
    Embedding,
    LayerNorm,
    Members,
    Parametric,
    Periodic,
    PiecewiseLinear,
    Residual,
    Scale,
    split,
)
from layerloop.maths.loops import (
    backward_loop,
    f,
    f_fused,
    forward_loop,
    gradient,
    gradient_as_printed,
    gradient_fused,
    h_x,
    loops,
    scores,
)
from layerloop.maths.losses import FUSED, LOSSES, Loss
from layerloop.maths.net import Net, notes, parameters, program, size

drawn = settings(derandomize=True, deadline=None, max_examples=40)
# The binary cross-entropy wants outputs below 1, which those of exp are not. A softmax of exponentials is 1 to the last
# digit, so that its gradient is rounding alone; a network refuses that pair.
SENSELESS = (("binarycrossentropy", "exp"), ("logitcrossentropy", "exp"))
COMBINATIONS = [c for c in product(ACTIVATIONS, LOSSES, HEADS) if c[1:] not in SENSELESS]
Sample = tuple[np.ndarray, np.ndarray, np.ndarray]


@pytest.fixture(autouse=True)
def _strict():
    with np.errstate(all="raise", under="ignore"):  # a product of tiny weights is rightly 0
        yield


def draw(net: Net, seed: int, spread: float = 1.0) -> Sample:
    """w, x and y for a net, no pre-activation within 1e-3 of a kink, outputs > 0 where a logarithm needs them.

    The first try whose pre-activations keep away from the kinks is taken; which one that is depends on the seed only.
    """
    for attempt in count():
        rng = np.random.default_rng([seed, attempt])
        w = np.concatenate(
            [
                (spread * rng.normal(size=(m, n + 1)) / np.sqrt(n + 1)).ravel()
                for n, m in zip(net.widths[:-1], net.widths[1:], strict=True)
            ]
        )
        x, y = rng.normal(size=net.widths[0]), np.eye(net.K)[rng.integers(net.K)]
        if net.head == "identity" and net.loss in ("crossentropy", "binarycrossentropy", "poisson"):
            lift_last_layer(net, w, x)
        if kink_distance(net, w, x)[0] > 1e-3:
            return w, x, y
    raise AssertionError


def lift_last_layer(net: Net, w: np.ndarray, x: np.ndarray) -> None:
    """Move the last biases so that its pre-activations lie in (0.5, 1.5): every activation is positive there.

    For the binary cross-entropy in (0.1, 0.4): every activation is in (0, 1) there.
    """
    W = parameters(net, w)[net.L]
    t = W @ append_one(forward_z(net, w, x)[net.L])
    W[:, -1] += np.linspace(*((0.1, 0.4) if net.loss == "binarycrossentropy" else (0.6, 1.4)), t.size) - t


def forward_z(net: Net, w: np.ndarray, x: np.ndarray) -> dict[int, np.ndarray]:
    return forward_loop(replace(net, loss="mse"), w, x, np.zeros(net.K), dense=False).z


def dense_gradient(net: Net, w: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    p = loops(net, w, x, y, dense=True)[1].p
    return np.concatenate([p[i] for i in range(1, net.L + 1)])


def assert_central_differences(net: Net, w: np.ndarray, x: np.ndarray, y: np.ndarray, entries: np.ndarray) -> None:
    """Within 1e-6 of the layer's largest entry, plus the rounding eps f / s of a quotient with step s = 6e-6."""
    exact = gradient(net, w, x, y)
    largest = np.concatenate([np.full(W.size, abs(W).max()) for W in parameters(net, exact).values()])
    slopes = central_differences(lambda v: f(net, v, x, y), w, entries=entries)
    rounding = 1e-10 * max(1.0, abs(f(net, w, x, y)))
    assert (abs(slopes - exact[entries]) <= 1e-6 * largest[entries] + rounding).all()


@st.composite
def shapes(draw: st.DrawFn) -> tuple[int, ...]:
    layers = draw(st.integers(1, 5))
    return tuple(draw(st.lists(st.integers(1, 40), min_size=layers + 1, max_size=layers + 1)))


# ---- gradients over the whole tables ----


@pytest.mark.parametrize(("activation", "loss", "head"), COMBINATIONS)
@settings(derandomize=True, deadline=None, max_examples=10)
@given(widths=shapes(), seed=st.integers(0, 2**32 - 1))
def test_gradient_of_every_combination(
    activation: str, loss: str, head: str, widths: tuple[int, ...], seed: int
) -> None:
    net = Net(widths, (activation,) * (len(widths) - 1), head, loss)
    assume((net.head, net.loss, net.K) != ("softmax", "binarycrossentropy", 1))  # that output is 1: infinite
    w, x, y = draw(net, seed)
    check = check_gradient(net, w, x, y, entries=25, seed=seed)
    assert check.passed, str(check)
    assert (check.method, check.tolerance) == ("complex", 1e-10)
    assert_central_differences(net, w, x, y, np.random.default_rng(seed).integers(size(net), size=10))


@pytest.mark.parametrize(("activation", "loss", "head"), COMBINATIONS)
def test_dense_loops_give_the_same_gradient(activation: str, loss: str, head: str) -> None:
    net = Net((5, 4, 3), (activation, activation), head, loss)
    w, x, y = draw(net, 5)
    exact = gradient(net, w, x, y)
    np.testing.assert_allclose(dense_gradient(net, w, x, y), exact, rtol=1e-12, atol=1e-13 * abs(exact).max())
    np.testing.assert_allclose(exact, central_differences(lambda v: f(net, v, x, y), w), rtol=0, atol=1e-7)


@drawn
@given(widths=shapes(), data=st.data())
def test_layers_of_different_activations(widths: tuple[int, ...], data: st.DataObject) -> None:
    names = tuple(data.draw(st.sampled_from(list(ACTIVATIONS))) for _ in widths[1:])
    net = Net(widths, names, data.draw(st.sampled_from(["softmax", "modified_softmax"])))
    w, x, y = draw(net, data.draw(st.integers(0, 10**6)))
    check = check_gradient(net, w, x, y, entries=10)
    assert check.passed, str(check)


@pytest.mark.parametrize("pair", FUSED, ids=" + ".join)
@drawn
@given(widths=shapes(), seed=st.integers(0, 2**32 - 1))
def test_fused_agrees_where_nothing_underflows(pair: tuple[str, str], widths: tuple[int, ...], seed: int) -> None:
    net = Net(widths, ("tanh",) * (len(widths) - 1), *pair)
    w, x, y = draw(net, seed, spread=2.0)
    literal = gradient(net, w, x, y)
    scale = np.abs(literal).max()
    np.testing.assert_allclose(gradient_fused(net, w, x, y), literal, rtol=0, atol=1e-11 * scale + 1e-15)
    assert f_fused(net, w, x, y) == pytest.approx(f(net, w, x, y), rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("build", [notes, program])
def test_both_readings_at_the_size_of_the_notes(build) -> None:
    net = build(784, [32], 10)
    w, x, y = draw(net, 1)
    check = check_gradient(net, w, x, y, entries=200)
    assert check.passed, str(check)
    forward, backward = loops(net, w, x, y, dense=True)
    lean_forward, lean_backward = loops(net, w, x, y, dense=False)
    assert not lean_forward.A
    assert not lean_forward.B
    assert forward.A[1].shape == (32, 32 * 785)
    for i in (1, 2):
        np.testing.assert_allclose(backward.p[i], lean_backward.p[i], rtol=1e-11, atol=1e-15)
    for i in (1, 2, 3, 4):
        np.testing.assert_allclose(backward.q[i], lean_backward.q[i], rtol=1e-11, atol=1e-15)


def test_q_1_is_the_gradient_in_the_input() -> None:
    net = program(6, [5, 4], 3)
    w, x, y = draw(net, 3)
    _, backward = loops(net, w, x, y)
    slopes = complex_step(lambda v: f(net, w, v, y), x)
    np.testing.assert_allclose(backward.q[1], slopes, rtol=1e-12)


def test_a_loss_of_ones_own_is_two_functions() -> None:
    net = Net(
        (3, 4, 2),
        ("tanh", "identity"),
        "identity",
        (lambda z, y: np.abs(z - y).sum(), lambda z, y: np.sign(z - y)),
    )
    assert isinstance(net.loss, Loss)
    w, x, y = draw(net, 2)
    check = check_gradient(net, w, x, y)
    assert check.passed, str(check)
    assert check.method == "central"  # nobody promised that the loss is analytic


# ---- keys, order, shapes ----


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("build", [notes, program])
def test_keys_and_shapes_are_those_of_the_notes(build, dense: bool) -> None:
    net = build(4, [3, 5], 6)
    L, n = net.L, dict(enumerate(net.widths, start=1))
    w, x, y = draw(net, 4)
    forward, backward = loops(net, w, x, y, dense=dense)
    assert list(forward.z) == list(range(1, L + 4))
    assert list(forward.t) == list(range(1, L + 1))
    assert list(backward.q) == list(range(L + 2, 0, -1))
    assert list(backward.p) == list(range(L, 0, -1))
    for i in range(1, L + 2):
        assert forward.z[i].shape == backward.q[i].shape == (n[i],)
    assert forward.z[L + 2].shape == backward.q[L + 2].shape == (net.K,) == (6,)
    assert np.shape(forward.z[L + 3]) == ()
    assert list(forward.A) == (list(range(1, L + 1)) if dense else [])
    assert list(forward.B) == (list(range(1, L + 2)) if dense else [])
    for i in forward.A:
        r_i = n[i + 1] * (n[i] + 1)
        assert forward.A[i].shape == (n[i + 1], r_i)
        assert forward.B[i].shape == (n[i + 1], n[i])
        assert backward.p[i].shape == (r_i,)
    if dense:
        assert forward.B[L + 1].shape == (net.K, n[L + 1])
    np.testing.assert_array_equal(forward.z[L + 2], h_x(net, w, x))
    np.testing.assert_array_equal(forward.z[L + 1], scores(net, w, x))
    assert forward.z[L + 3] == f(net, w, x, y)


def test_order_of_the_gradient_is_that_of_w_and_the_printed_one_is_reversed() -> None:
    net = notes(2, [3], 3)
    w, x, y = draw(net, 6)
    _, backward = loops(net, w, x, y)
    np.testing.assert_allclose(gradient(net, w, x, y), [*backward.p[1], *backward.p[2]], rtol=1e-12)
    np.testing.assert_allclose(gradient_as_printed(net, w, x, y), [*backward.p[2], *backward.p[1]], rtol=1e-12)
    assert len(backward.p[1]) == 9
    assert len(backward.p[2]) == 8


def test_matrix_form_of_p() -> None:
    net = notes(3, [4], 3)
    w, x, y = draw(net, 7)
    forward, backward = loops(net, w, x, y)
    for i in (1, 2):
        slope = forward.z[i + 1] * (1 - forward.z[i + 1])
        P = np.outer(slope * backward.q[i + 1], append_one(forward.z[i]))
        np.testing.assert_allclose(rows(backward.p[i], net.widths[i - 1], net.widths[i]), P, rtol=1e-12)


def test_parameters_are_views_in_the_order_of_w() -> None:
    net = Net((2, 3, 1), ("tanh", "tanh"))
    w = np.arange(float(size(net)))
    W = parameters(net, w)
    assert size(net) == 3 * 3 + 1 * 4
    np.testing.assert_array_equal(W[1], [[0, 1, 2], [3, 4, 5], [6, 7, 8]])
    np.testing.assert_array_equal(W[2], [[9, 10, 11, 12]])
    W[2][0, 3] = -1
    assert w[12] == -1


def test_backward_loop_leaves_the_forward_loop_as_it_was() -> None:
    net = program(3, [2], 2)
    w, x, y = draw(net, 8)
    forward = forward_loop(net, w, x, y)
    before = {i: np.copy(z) for i, z in forward.z.items()}
    first, second = backward_loop(net, w, forward, y), backward_loop(net, w, forward, y)
    for i, z in before.items():
        np.testing.assert_array_equal(forward.z[i], z)
    np.testing.assert_array_equal(first.q[1], second.q[1])


def test_mean_gradient_is_the_mean_over_rows() -> None:
    net = program(3, [4], 2)
    w, _, _ = draw(net, 9)
    rng = np.random.default_rng(9)
    X, Y = rng.normal(size=(5, 3)), np.eye(2)[[0, 1, 1, 0, 1]]
    by_hand = sum(gradient(net, w, X[s], Y[s]) for s in range(5)) / 5
    np.testing.assert_allclose(mean_gradient(net, w, X, Y), by_hand, rtol=1e-13, atol=1e-16)
    slopes = complex_step(lambda v: mean_f(net, v, X, Y), w)
    np.testing.assert_allclose(mean_gradient(net, w, X, Y), slopes, rtol=1e-11, atol=1e-14)


# ---- layers of every kind ----

MANY: dict[str, Net] = {
    "dense": Net.of([Dense(3, 4, "tanh", ntk=True), Dense(4, 3, "identity")], "softmax"),
    "norms": Net.of([Dense(3, 4), LayerNorm(4), BatchNorm(4), Dropout(4, 0.5), Dense(4, 2, "silu")]),
    "residual": Net.of(
        [Dense(3, 4), Residual([BatchNorm(4), Dense(4, 4, "gelu"), Dropout(4, 0.25)])], "identity", "mse"
    ),
    "columns": Net.of([Periodic(3, (1,), 3, 3), Embedding(5, ((1, 3),), 2), Dense(6, 3, "tanh")], "softmax"),
    "pieces": Net.of(
        [PiecewiseLinear(3, (0, 2), ((-1.0, 0.0, 1.0), (-2.0, 2.0)), 2), Dense(5, 3, "identity")], "softmax"
    ),
    "members": Net.of(
        [
            Members(3, 3),
            Scale(3, members=3),
            Dense(3, 4, "mish"),
            Residual([BatchNorm(4), Dropout(4, 0.5), Scale(4, "tanh", bias=True, members=3)]),
            Parametric(4, "softplus"),
            Dense(4, 2, "identity", members=3),
        ],
        "softmax",
    ),
}


def draw_batch(net: Net, n: int = 5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """w, X and Y; variances are above 0, column 2 holds codes, no column is near an edge."""
    rng = np.random.default_rng(size(net))
    w = 0.7 * rng.normal(size=size(net))
    for layer, w_i in zip(net.layers, split(net.layers, w), strict=True):
        for part, values in zip(layer.parts, layer.split(w_i), strict=True):
            if part.name.endswith("running variance"):
                values[...] = rng.uniform(0.5, 2, size=part.shape)
    X = np.column_stack([rng.uniform(0.2, 0.8, size=n), rng.normal(size=n), rng.integers(3, size=n)])
    return w, X, np.eye(net.K)[rng.integers(net.K, size=n)]


def masks_of(net: Net, n: int = 5) -> list[np.ndarray]:
    """One mask for each dropout, wherever it is, as wide as its samples are."""
    return [np.random.default_rng(i).integers(2, size=(n, wide)) for i, wide in enumerate(dropouts(net.layers, 1))]


def dropouts(layers: tuple, k: int) -> list[int]:
    found = []
    for layer in layers:
        if isinstance(layer, Blocks):
            found += dropouts((layer.layer,), layer.members)
        elif isinstance(layer, Residual):
            found += dropouts(layer.layers, k)
        elif isinstance(layer, Dropout):
            found.append(k * layer.n)
    return found


def trained(net: Net) -> np.ndarray:
    return np.concatenate([np.full(part.size, part.trained) for layer in net.layers for part in layer.parts])


@pytest.mark.parametrize("name", MANY)
def test_gradient_through_layers_of_every_kind(name: str) -> None:
    net = MANY[name]
    w, X, Y = draw_batch(net)
    check = check_gradient(net, w, X[0], Y[0])
    assert check.passed, str(check)
    assert (check.checked, check.size) == (trained(net).sum(), size(net))
    exact = gradient(net, w, X[0], Y[0])
    np.testing.assert_allclose(dense_gradient(net, w, X[0], Y[0]), exact, rtol=1e-11, atol=1e-13)
    np.testing.assert_array_equal(exact[~trained(net)], 0)
    forward, backward = loops(net, w, X[0], Y[0])
    by_x = complex_step(lambda v: f(net, w, v, Y[0]), X[0])
    np.testing.assert_allclose(backward.q[1], by_x, rtol=1e-10, atol=1e-13)
    assert [forward.z[i].size for i in range(1, net.L + 2)] == list(net.widths)
    if net.head != "identity":
        np.testing.assert_allclose(gradient_fused(net, w, X[0], Y[0]), exact, rtol=1e-10, atol=1e-12)
        assert f_fused(net, w, X[0], Y[0]) == pytest.approx(f(net, w, X[0], Y[0]), rel=1e-13)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", MANY)
def test_mean_gradient_through_layers_of_every_kind(name: str, training: bool) -> None:
    net = MANY[name]
    w, X, Y = draw_batch(net)
    options = {"training": training, "masks": masks_of(net)}
    exact = mean_gradient(net, w, X, Y, **options)
    slopes = complex_step(lambda v: mean_f(net, v, X, Y, **options), w)
    np.testing.assert_allclose(exact[trained(net)], slopes[trained(net)], rtol=1e-9, atol=1e-13)
    np.testing.assert_array_equal(exact[~trained(net)], 0)
    central = central_differences(lambda v: mean_f(net, v, X, Y, **options), w)
    np.testing.assert_allclose(exact[trained(net)], central[trained(net)], rtol=0, atol=1e-7)
    if not training:
        each = [gradient(net, w, x, y) for x, y in zip(X, Y, strict=True)]
        np.testing.assert_allclose(exact, np.mean(each, axis=0), rtol=1e-11, atol=1e-14)
        assert mean_f(net, w, X, Y) == pytest.approx(np.mean([f(net, w, x, y) for x, y in zip(X, Y, strict=True)]))


def test_members_are_networks_whose_outputs_and_losses_are_averaged() -> None:
    # one weight and bias each: scores 2 3 + 0 and -1 3 + 1 of the first class, the other's 0
    net = Net.of([Members(1, 2), Dense(1, 1, "identity", members=2)])
    w, x, y = [2.0, 0.0, -1.0, 1.0], [3.0], [1.0, 0.0]
    first = sigma(np.array([6.0, -2.0]))
    assert (net.widths, net.k, net.K) == ((1, 2, 2), 2, 2)
    np.testing.assert_allclose(h_x(net, w, x), [first.mean(), 1 - first.mean()], rtol=1e-14)
    assert f(net, w, x, y) == pytest.approx(-np.log(first).mean(), rel=1e-14)  # not -log of the mean
    # (g - y) (z; 1) / 2 of each
    slopes = [half * part for half in (first - 1) / 2 for part in (3, 1)]
    np.testing.assert_allclose(gradient(net, w, x, y), slopes, rtol=1e-13)


def test_a_net_of_dense_layers_is_the_same_net() -> None:
    assert Net.of([Dense(3, 4, "tanh"), Dense(4, 2, "relu")], "softmax") == Net((3, 4, 2), ("tanh", "relu"), "softmax")


def test_training_wants_one_mask_for_each_dropout() -> None:
    net = Net.of([Dropout(2, 0.5), Dense(2, 2, "identity")], "softmax")
    X, Y, one = np.ones((3, 2)), np.eye(2)[[0, 1, 1]], np.ones((3, 2))
    with pytest.raises(NetworkError, match="a dropout has no mask"):
        mean_f(net, np.ones(6), X, Y, training=True)
    with pytest.raises(NetworkError, match="more than there are"):
        mean_gradient(net, np.ones(6), X, Y, training=True, masks=[one, one])
    with pytest.raises(NetworkError, match=r"layer 2, .* takes 3 numbers, but layer 1 gives 2"):
        Net.of([Dense(2, 2), Dense(3, 2)])
    with pytest.raises(NetworkError, match="at least one"):
        Net.of([])


# ---- progressive examples: known models and their closed-form gradients ----


def test_one_affine_layer_and_mse_is_least_squares() -> None:
    net = Net((3, 2), ("identity",), "identity", "mse")
    w, _, _ = draw(net, 10)
    rng = np.random.default_rng(10)
    X, Y = rng.normal(size=(7, 3)), rng.normal(size=(7, 2))
    # f = (1 / (N n)) |X1 W^T - Y|^2 with X1 = (X 1), so df/dW = (2 / (N n)) (X1 W^T - Y)^T X1
    X1, W = np.hstack([X, np.ones((7, 1))]), w.reshape(2, 4)
    closed = 2 / (7 * 2) * (X1 @ W.T - Y).T @ X1
    np.testing.assert_allclose(mean_gradient(net, w, X, Y), closed.ravel(), rtol=1e-12, atol=1e-15)
    assert mean_f(net, w, X, Y) == pytest.approx(((X1 @ W.T - Y) ** 2).mean(), rel=1e-13)


def test_gradient_vanishes_at_the_least_squares_solution() -> None:
    net = Net((3, 1), ("identity",), "identity", "mse")
    rng = np.random.default_rng(11)
    X, Y = rng.normal(size=(9, 3)), rng.normal(size=(9, 1))
    X1 = np.hstack([X, np.ones((9, 1))])
    w = np.linalg.lstsq(X1, Y[:, 0], rcond=None)[0]
    np.testing.assert_allclose(mean_gradient(net, w, X, Y), 0, atol=1e-14)


def test_one_affine_layer_and_two_classes_is_logistic_regression() -> None:
    net = Net((3, 1), ("identity",), "modified_softmax")
    w, _, _ = draw(net, 12)
    rng = np.random.default_rng(12)
    X, first = rng.normal(size=(6, 3)), np.array([1.0, 0, 0, 1, 1, 0])
    # f = -mean(b log s + (1 - b) log(1 - s)) with s = sigma(X1 w), the probability of the FIRST class
    X1 = np.hstack([X, np.ones((6, 1))])
    s = sigma(X1 @ w)
    Y = np.column_stack([first, 1 - first])
    np.testing.assert_allclose(mean_gradient(net, w, X, Y), X1.T @ (s - first) / 6, rtol=1e-12, atol=1e-15)
    assert mean_f(net, w, X, Y) == pytest.approx(-(first * np.log(s) + (1 - first) * np.log(1 - s)).mean(), rel=1e-12)


@pytest.mark.parametrize("head", ["softmax", "modified_softmax"])
@pytest.mark.parametrize("K", [2, 3, 10])
def test_one_affine_layer_is_multinomial_logistic_regression(head: str, K: int) -> None:
    net = Net((4, K - HEADS[head].extra), ("identity",), head)
    w, _, _ = draw(net, 13)
    rng = np.random.default_rng(13)
    X, Y = rng.normal(size=(8, 4)), np.eye(K)[rng.integers(K, size=8)]
    # df/dW = (1/N) (G - Y)^T X1, without its last row where the last class has no weights
    X1, W = np.hstack([X, np.ones((8, 1))]), w.reshape(-1, 5)
    S = np.hstack([X1 @ W.T, np.zeros((8, HEADS[head].extra))])
    G = np.array([softmax(z) for z in S])
    closed = ((G - Y).T @ X1 / 8)[: len(W)]
    np.testing.assert_allclose(mean_gradient(net, w, X, Y), closed.ravel(), rtol=1e-11, atol=1e-15)


def test_a_network_without_layers_is_only_a_head() -> None:
    net = Net((3,), (), "softmax")
    x, y = np.log([1.0, 2.0, 5.0]), np.array([0.0, 1.0, 0.0])
    assert size(net) == 0
    assert f(net, [], x, y) == pytest.approx(np.log(4), rel=1e-15)  # probabilities 1/8, 2/8, 5/8
    forward, backward = loops(net, [], x, y)
    assert not forward.A
    assert list(forward.B) == [1]
    np.testing.assert_allclose(backward.q[1], [1 / 8, -6 / 8, 5 / 8], rtol=1e-14)
    assert gradient(net, [], x, y).shape == gradient_fused(net, [], x, y).shape == (0,)


# ---- the two readings ----


def test_the_readings_as_plain_data() -> None:
    assert notes(784, [32], 10).widths == (784, 32, 9)
    assert set(notes(5, [4, 3], 2).activations) == {"sigmoid"}
    assert program(784, [32], 10).widths == (784, 32, 10)
    assert program(5, [4, 3], 2).activations == ("sigmoid", "sigmoid", "identity")
    assert notes(7, [], 3).K == program(7, [], 3).K == 3
    for build in (notes, program):
        with pytest.raises(NetworkError, match="at least 2 classes"):
            build(5, [4], 1)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.integers(2, 6), st.lists(st.integers(1, 5), max_size=3), st.floats(0, 1e4), st.integers(0, 2**32 - 1))
def test_reading_notes_never_predicts_the_last_class(K: int, hidden: list[int], spread: float, seed: int) -> None:
    net = notes(3, hidden, K)
    w, x, _ = draw(net, seed, spread)
    g = h_x(net, w, x)
    assert np.argmax(g) != K - 1
    assert g[-1] <= g[:-1].min()
    # every score lies in (0, 1), so g_K lies between 1 / (1 + (K-1) e) and 1/K
    assert 1 / (1 + (K - 1) * np.e) - 1e-15 <= g[-1] <= 1 / K + 1e-15


def test_reading_program_can_predict_every_class() -> None:
    net = program(2, [], 3)
    for k in range(3):
        w = np.zeros((3, 3))
        w[k, 2] = 1.0
        assert np.argmax(h_x(net, w.ravel(), [0.0, 0.0])) == k


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.integers(2, 10), st.floats(0, 1e4), st.integers(0, 2**32 - 1))
def test_reading_notes_has_a_floor_of_the_loss(K: int, spread: float, seed: int) -> None:
    net = notes(3, [4], K)
    w, x, _ = draw(net, seed, spread)
    # best for a class below K: its score 1, the others 0, so -log(e / (e + K - 1)); for class K: all 0, so log K
    for k in range(K):
        floor = np.log(np.e + K - 1) - 1 if k < K - 1 else np.log(K)
        assert f(net, w, x, np.eye(K)[k]) >= floor - 1e-12


def test_floor_of_the_loss_with_ten_equal_classes_is_1_55() -> None:
    # 0.9 (log(e + 9) - 1) + 0.1 log 10 = 0.9 * 1.46115 + 0.1 * 2.30259 = 1.54529
    net = notes(10, [], 10)
    W = np.hstack([1e4 * np.eye(9, 10), np.full((9, 1), -5e3)])  # score k is 1 for x = e_k, otherwise 0
    floor = mean_f(net, W.ravel(), np.eye(10), np.eye(10))
    assert floor == pytest.approx(1.54529, abs=5e-6)


# ---- underflow, NaN, far values ----


@pytest.mark.parametrize("head", ["softmax", "modified_softmax"])
@pytest.mark.parametrize("dense", [True, False])
def test_at_underflow_the_literal_loops_report_it_and_the_fused_form_is_finite(head: str, dense: bool) -> None:
    net = Net((2, 3 - HEADS[head].extra), ("identity",), head)
    w = np.zeros(size(net))
    w[2] = 1e4  # score of class 1, so that the others underflow
    x, y = np.array([1.0, -2.0]), np.array([0.0, 1.0, 0.0])
    forward, backward = loops(net, w, x, y, dense=dense)
    np.testing.assert_array_equal(forward.z[3], [1, 0, 0])
    assert forward.z[4] == np.inf
    np.testing.assert_array_equal(backward.q[3], [0, -np.inf, 0])
    assert np.isnan(backward.q[2]).all()
    assert np.isnan(gradient(net, w, x, y)).all()
    assert f_fused(net, w, x, y) == 1e4
    # g - y = (1, -1, 0), times x^{;1} = (1, -2, 1)
    expected = np.outer([1, -1, 0][: net.widths[1]], [1, -2, 1]).ravel()
    np.testing.assert_array_equal(gradient_fused(net, w, x, y), expected)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("scale", [1e4, -1e4])
def test_fused_gradient_is_finite_far_out(activation: str, scale: float) -> None:
    net = Net((2, 3, 3), (activation, "identity"), "softmax")
    w, x, y = draw(net, 14)
    assert np.isfinite(gradient_fused(net, w, scale * x, y)).all()
    assert np.isfinite(f_fused(net, w, scale * x, y))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("head", HEADS)
def test_nan_in_the_input_reaches_loss_and_gradient(activation: str, head: str) -> None:
    net = Net((2, 3), (activation,), head, "mse")
    w, x, y = draw(net, 15)
    x[1] = np.nan
    assert np.isnan(f(net, w, x, y))
    assert np.isnan(gradient(net, w, x, y)).any()


# ---- plain data and errors ----


def test_net_is_frozen_plain_data() -> None:
    net = Net([3, 2], ["tanh"], "softmax", "mse")
    assert net == Net((3, 2), ("tanh",), "softmax", "mse")
    assert net.widths == (3, 2)
    assert [field.name for field in fields(net)] == ["widths", "activations", "head", "loss", "layers"]
    with pytest.raises(FrozenInstanceError):
        net.head = "identity"


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Net((3, 2), ("sigmod",)), UnknownNameError, "unknown activation 'sigmod'. Did you mean 'sigmoid'"),
        (lambda: Net((3, 2), ("relu",), "sofmax"), UnknownNameError, "unknown head 'sofmax'. Did you mean 'softmax'"),
        (lambda: Net((3, 2), ("relu",), loss="msee"), UnknownNameError, "unknown loss 'msee'. Did you mean 'mse'"),
        (lambda: Net((3, 2), ()), NetworkError, "make 1 layers, but there are 0 activations"),
        (lambda: Net((3, 0), ("relu",)), NetworkError, "all at least 1"),
        (lambda: Net((), ()), NetworkError, "widths"),
        (lambda: Net((3, 2), ("relu",), loss=(np.sum,)), NetworkError, "pair of functions"),
    ],
)
def test_a_net_that_does_not_fit_is_refused(make, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_arguments_that_do_not_fit_are_refused() -> None:
    net = program(3, [4], 2)
    w, x, y = draw(net, 16)
    with pytest.raises(ShapeError, match=r"w: expected shape \(26,\), got \(25,\)"):
        f(net, w[1:], x, y)
    with pytest.raises(ShapeError, match=r"x: expected shape \(3,\), got \(2,\)"):
        gradient(net, w, x[1:], y)
    with pytest.raises(ShapeError, match=r"y: expected shape \(2,\), got \(3,\)"):
        gradient(net, w, x, [1, 0, 0])
    with pytest.raises(ShapeError, match="same N"):
        mean_gradient(net, w, [x, x], [y])
    with pytest.raises(NetworkError, match=r"no fused form of softmax \+ mse; there are: softmax \+ crossentropy"):
        gradient_fused(replace(net, loss="mse"), w, x, y)
