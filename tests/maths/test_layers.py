"""Every kind of layer: its Jacobians three ways over the whole table, numbers by hand, numbers of PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from layerloop.errors import NetworkError, ShapeError, UnknownNameError
from layerloop.maths.activations import ACTIVATIONS, sigma
from layerloop.maths.columns import OfColumns
from layerloop.maths.differences import central_differences, complex_step, random_direction_identity
from layerloop.maths.layers import (
    LAYERS,
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
    by_blocks,
    in_training,
    moved,
)

if TYPE_CHECKING:
    from layerloop.maths.kind import Layer

EDGES = ((-1.0, -0.25, 0.5, 1.25), (-2.0, 2.0))
N = 4  # samples of a batch


def mask(n: int) -> np.ndarray:
    return np.random.default_rng(n).integers(2, size=(N, n)).astype(float)


def inner(n: int) -> tuple[Layer, ...]:
    """Something of every behaviour: entries, rows, the batch, a mask, a residual within."""
    return (
        LayerNorm(n),
        Dense(n, 2 * n, "silu"),
        Dropout(2 * n, 0.25, mask(2 * n)),
        BatchNorm(2 * n, training=True),
        Residual([Scale(2 * n, "tanh"), Parametric(2 * n, "mish")]),
        Dense(2 * n, n, "identity"),
    )


# Small ones, whose Jacobians are formed by differences; each kind at several widths.
SMALL: dict[str, tuple[Layer, ...]] = {
    "dense": (
        *(Dense(3, 2, name) for name in ACTIVATIONS),
        *(Dense(1, 4, name, ntk=True) for name in ACTIVATIONS),
        Dense(5, 1, "identity", ntk=True),
        Dense(3, 2, "tanh", members=3),
        Dense(2, 3, "gelu", ntk=True, members=2),
    ),
    "scale": (
        *(Scale(3, name, bias=True) for name in ACTIVATIONS),
        Scale(1),
        Scale(4, "tanh"),
        Scale(2, "mish", members=3),
        Scale(3, "selu", bias=True, members=2),
    ),
    "parametric": tuple(Parametric(n, name) for name in ACTIVATIONS for n in (1, 4)),
    "dropout": (Dropout(3, 0.5), Dropout(1, 0.75, mask(1)), Dropout(6, 0.25, mask(6))),
    "batch_norm": (
        *(BatchNorm(n, training=training) for n in (1, 3) for training in (False, True)),
        BatchNorm(2, epsilon=0.5, training=True),
    ),
    "layer_norm": (LayerNorm(2), LayerNorm(5), LayerNorm(3, epsilon=0.5), LayerNorm(1)),
    "residual": (
        Residual([Dense(3, 3, "tanh")]),
        Residual([LayerNorm(1), Dense(1, 2, "elu"), Dense(2, 1, "identity")]),
        Residual(inner(2)),
        Residual(inner(3)),
    ),
    "embedding": (
        Embedding(1, ((0, 4),), 3),
        Embedding(4, ((2, 2),), 1),
        Embedding(5, ((3, 4), (0, 3)), 2),
    ),
    "periodic": (
        Periodic(1, (0,), 3, 4),
        Periodic(4, (3, 1), 2, 2),
        Periodic(5, (0, 2, 4), 5, 3),
    ),
    "piecewise_linear": (
        PiecewiseLinear(1, (0,), EDGES[:1]),
        PiecewiseLinear(4, (2, 0), EDGES),
        PiecewiseLinear(4, (2, 0), EDGES, width=3),
        PiecewiseLinear(2, (1,), EDGES[1:], width=1),
    ),
    "members": (Members(1, 3), Members(4, 2), Members(3, 1)),
    "blocks": (
        Blocks(Dense(3, 2, "tanh"), 3),
        Blocks(BatchNorm(2, training=True), 3),
        Blocks(LayerNorm(3), 2),
        Blocks(PiecewiseLinear(3, (2, 0), EDGES, width=2), 2),
        Blocks(Dropout(2, 0.5, mask(4)), 2),
        Residual([Blocks(Scale(2), 2), Scale(2, "tanh", members=2)]),
    ),
}
WIDE: dict[str, Layer] = {
    "dense": Dense(200, 30, "mish", ntk=True),
    "scale": Scale(300, "gelu", bias=True),
    "parametric": Parametric(300, "selu"),
    "dropout": Dropout(120, 0.3, mask(120)),
    "batch_norm": BatchNorm(100, training=True),
    "layer_norm": LayerNorm(100),
    "residual": Residual(inner(20)),
    "embedding": Embedding(30, ((3, 40), (29, 7)), 8),
    "periodic": Periodic(20, (1, 2, 19), 16, 4),
    "piecewise_linear": PiecewiseLinear(20, (7, 3), EDGES, width=8),
    "members": Members(40, 8),
}
EACH = [(kind, layer) for kind, layers in SMALL.items() for layer in layers]
walk = pytest.mark.parametrize(("kind", "layer"), EACH, ids=[str(layer)[:60] for _, layer in EACH])


@pytest.fixture(autouse=True)
def _strict():
    with np.errstate(all="raise", under="ignore"):
        yield


def draw(layer: Layer, n: int = N) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """w, a batch Z, and a Q, no entry within 1e-3 of a kink; codes where codes are wanted, variances above 0."""
    for attempt in range(1000):
        rng = np.random.default_rng([layer.size, layer.takes, attempt])
        w, Z = rng.normal(size=layer.size), 1.5 * rng.normal(size=(n, layer.takes))
        if isinstance(layer, Embedding):
            for place, count in layer.columns:
                Z[:, place] = rng.integers(count, size=n)
        for part, values in zip(layer.parts, layer.split(w), strict=True):
            if part.name.endswith("running variance"):
                values[...] = rng.uniform(0.5, 2, size=part.shape)
        if min((far for z in Z for far, _ in kinks_or_none(layer, w, z)), default=1.0) > 1e-3:
            return w, Z, rng.normal(size=(n, layer.gives))
    raise AssertionError("no sample away from the kinks")


def kinks_or_none(layer: Layer, w: np.ndarray, z: np.ndarray) -> list[tuple[float, str]]:
    """The kinks of one sample; layers that see the whole batch, or a mask of it, have smooth activations here."""
    return [] if isinstance(layer, Residual) and len(layer.layers) > 3 else list(layer.kinks(w, z))


def trained(layer: Layer) -> np.ndarray:
    """Whether each entry of w is trained."""
    return np.concatenate([np.zeros(0, bool), *(np.full(part.size, part.trained) for part in layer.parts)])


def quantities(layer: Layer, n: int) -> np.ndarray:
    """Whether each entry of a batch of n may be moved a little: codes may not."""
    free = np.ones((n, layer.takes), bool)
    if isinstance(layer, Embedding):
        free[:, list(layer.places)] = False
    return free.ravel()


def test_there_is_a_case_for_every_kind() -> None:
    assert list(SMALL)[:-1] == list(WIDE) == list(LAYERS)
    for kind, layers in list(SMALL.items())[:-1]:
        assert {layer.kind for layer in layers} == {kind} == {LAYERS[kind].kind}
    for kind, layer in WIDE.items():
        assert type(layer) is LAYERS[kind]


# ---- the three proofs ----


@walk
def test_A_and_B_by_the_complex_step(kind: str, layer: Layer) -> None:
    w, Z, _ = draw(layer)
    A, B = layer.A_batch(w, Z), layer.B_batch(w, Z)
    assert A.shape == (N * layer.gives, layer.size)
    assert B.shape == (N * layer.gives, N * layer.takes)
    by_w = complex_step(lambda v: layer.g_batch(v, Z).ravel(), w).T.reshape(A.shape)
    by_z = complex_step(lambda v: layer.g_batch(w, v.reshape(Z.shape)).ravel(), Z.ravel()).T
    np.testing.assert_allclose(A[:, trained(layer)], by_w[:, trained(layer)], rtol=1e-12, atol=1e-13)
    np.testing.assert_array_equal(A[:, ~trained(layer)], 0)
    np.testing.assert_allclose(B, by_z, rtol=1e-11, atol=1e-12)


@walk
def test_A_and_B_by_central_differences(kind: str, layer: Layer) -> None:
    w, Z, _ = draw(layer)
    A, B = layer.A_batch(w, Z), layer.B_batch(w, Z)
    by_w = central_differences(lambda v: layer.g_batch(v, Z).ravel(), w).T.reshape(A.shape)
    free = np.flatnonzero(quantities(layer, N))
    by_z = central_differences(lambda v: layer.g_batch(w, v.reshape(Z.shape)).ravel(), Z.ravel(), entries=free)
    for exact, found in ((A[:, trained(layer)], by_w[:, trained(layer)]), (B[:, free], by_z.reshape(-1, len(B)).T)):
        largest = np.abs(exact).max(initial=1.0)
        np.testing.assert_allclose(exact, found, rtol=0, atol=1e-6 * largest)
    np.testing.assert_array_equal(B[:, ~quantities(layer, N)], 0)


@walk
def test_products_without_the_dense_matrices(kind: str, layer: Layer) -> None:
    w, Z, Q = draw(layer)
    p, Q_1 = layer.A_vjp_batch(w, Z, Q), layer.B_vjp_batch(w, Z, Q)
    np.testing.assert_allclose(p, layer.A_batch(w, Z).T @ Q.ravel(), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(Q_1.ravel(), layer.B_batch(w, Z).T @ Q.ravel(), rtol=1e-12, atol=1e-12)
    assert Q_1.shape == Z.shape


@pytest.mark.parametrize("kind", WIDE)
def test_random_directions_at_real_sizes(kind: str) -> None:
    layer = WIDE[kind]
    w, Z, Q = draw(layer)
    rng = np.random.default_rng(7)
    v, V = rng.normal(size=w.size), rng.normal(size=Z.size)
    A, B = layer.A_batch(w, Z), layer.B_batch(w, Z)
    of_w = random_direction_identity(A, lambda u: layer.A_vjp_batch(w, Z, u.reshape(Q.shape)), Q.ravel(), v)
    of_z = random_direction_identity(B, lambda u: layer.B_vjp_batch(w, Z, u.reshape(Q.shape)).ravel(), Q.ravel(), V)
    assert max(of_w, of_z) < 1e-12


# ---- a sample and a batch ----


def sees_one_sample(layer: Layer) -> bool:
    """Whether neither a batch's statistics nor its masks enter."""
    text = repr(layer)
    masked = getattr(getattr(layer, "layer", layer), "mask", None) is not None
    return "training=True" not in text and not masked


@walk
def test_on_a_batch_each_row_is_a_sample_unless_the_batch_enters(kind: str, layer: Layer) -> None:
    if not sees_one_sample(layer):
        n = 1  # one row is a batch too: the forms of a sample are those of a batch of one
        layer = Dropout(layer.n, layer.rate, layer.mask[:1]) if isinstance(layer, Dropout) else layer
        if "Dropout" in repr(layer) and kind != "dropout":
            layer = without_masks(layer)
    else:
        n = N
    w, Z, Q = draw(layer, n)
    B = layer.B_batch(w, Z).reshape(n, layer.gives, n, layer.takes)
    for i, (z, q) in enumerate(zip(Z, Q, strict=True)):
        np.testing.assert_allclose(layer.g_batch(w, Z)[i], layer.g(w, z), rtol=1e-14, atol=1e-15)
        np.testing.assert_allclose(B[i, :, i], layer.B(w, z), rtol=1e-14, atol=1e-15)
        np.testing.assert_allclose(layer.B_vjp_batch(w, Z, Q)[i], layer.B_vjp(w, z, q), rtol=1e-13, atol=1e-15)
        for j in set(range(n)) - {i}:
            assert not B[i, :, j].any()
    A = np.vstack([layer.A(w, z) for z in Z])
    np.testing.assert_allclose(layer.A_batch(w, Z), A, rtol=1e-14, atol=1e-15)
    p = np.sum([layer.A_vjp(w, z, q) for z, q in zip(Z, Q, strict=True)], axis=0)
    np.testing.assert_allclose(layer.A_vjp_batch(w, Z, Q), p, rtol=1e-12, atol=1e-13)


def without_masks(layer: Layer) -> Layer:
    if isinstance(layer, Residual):
        return Residual([without_masks(part) for part in layer.layers])
    if isinstance(layer, Blocks):
        return Blocks(without_masks(layer.layer), layer.members)
    return Dropout(layer.n, layer.rate) if isinstance(layer, Dropout) else layer


# ---- numbers by hand ----


def test_dense_by_hand() -> None:
    # c = 1/2; t = 1/2 (1 + 3) + 1 = 3; A = (c z; 1) = (.5, .5, .5, .5, 1); B = c W
    layer, w = Dense(4, 1, "identity", ntk=True), [1.0, 3.0, 0.0, 0.0, 1.0]
    np.testing.assert_array_equal(layer.g(w, np.ones(4)), [3])
    np.testing.assert_array_equal(layer.A(w, np.ones(4)), [[0.5, 0.5, 0.5, 0.5, 1]])
    np.testing.assert_array_equal(layer.B(w, np.ones(4)), [[0.5, 1.5, 0, 0]])
    # two members: 2 3 + 1 = 7 and 5 10 - 1 = 49, each with its own (weight, bias)
    two = Dense(1, 1, "identity", members=2)
    np.testing.assert_array_equal(two.g([2.0, 1.0, 5.0, -1.0], [3.0, 10.0]), [7, 49])
    np.testing.assert_array_equal(two.A([2.0, 1.0, 5.0, -1.0], [3.0, 10.0]), [[3, 1, 0, 0], [0, 0, 10, 1]])
    np.testing.assert_array_equal(two.B([2.0, 1.0, 5.0, -1.0], [3.0, 10.0]), [[2, 0], [0, 5]])


def test_scale_by_hand() -> None:
    # t = (2 3 - 6, 1 5 + 0) = (0, 5), relu: (0, 5); slopes (0, 1)
    layer, w = Scale(2, "relu", bias=True), [2.0, 1.0, -6.0, 0.0]
    np.testing.assert_array_equal(layer.g(w, [3.0, 5.0]), [0, 5])
    np.testing.assert_array_equal(layer.A(w, [3.0, 5.0]), [[0, 0, 0, 0], [0, 5, 0, 1]])
    np.testing.assert_array_equal(layer.B(w, [3.0, 5.0]), [[0, 0], [0, 1]])
    # s = ((1, 2), (3, 4)) and b = ((5, 6), (7, 8)) of two members
    two = Scale(2, bias=True, members=2)
    np.testing.assert_array_equal(two.g(np.arange(1.0, 9), [10.0, 10.0, 1.0, 1.0]), [15, 26, 10, 12])


def test_parametric_by_hand() -> None:
    # sigma(0) = 1/2, sigma'(0) = 1/4: g = 3/4 0 + 1/4 1/2; dg/da = 1/2 - 0; dg/dz = 3/4 + 1/4 1/4
    layer = Parametric(1, "sigmoid")
    np.testing.assert_array_equal(layer.g([0.25], [0.0]), [0.125])
    np.testing.assert_array_equal(layer.A([0.25], [0.0]), [[0.5]])
    np.testing.assert_array_equal(layer.B([0.25], [0.0]), [[0.8125]])
    np.testing.assert_allclose(layer.g([1.0], [0.3]), sigma([0.3]))


def test_dropout_by_hand() -> None:
    # rate 1/5: what is kept is multiplied by 1 / 0.8 = 1.25
    layer = Dropout(2, 0.2, np.array([[1.0, 0.0], [1.0, 1.0]]))
    np.testing.assert_array_equal(layer.g_batch([], [[4.0, 8.0], [-4.0, 8.0]]), [[5, 0], [-5, 10]])
    np.testing.assert_array_equal(np.diag(layer.B_batch([], np.ones((2, 2)))), [1.25, 0, 1.25, 1.25])
    np.testing.assert_array_equal(Dropout(2, 0.2).g([], [4.0, 8.0]), [4, 8])


def test_batch_norm_by_hand() -> None:
    # column (1, 5): mean 3, variance 4, s = sqrt(4 + 12) = 4; xhat = (-.5, .5); g = 2 xhat + 1
    layer, w = BatchNorm(1, epsilon=12.0, training=True), [2.0, 1.0, 0.0, 0.0]
    np.testing.assert_array_equal(layer.g_batch(w, [[1.0], [5.0]]), [[0], [2]])
    np.testing.assert_array_equal(layer.A_batch(w, [[1.0], [5.0]]), [[-0.5, 1, 0, 0], [0.5, 1, 0, 0]])
    # gamma (delta - 1/2 - xhat xhat / 2) / s: 2 (1 - 1/2 - 1/8) / 4 = 3/16, off the diagonal 2 (-1/2 + 1/8) / 4
    np.testing.assert_array_equal(layer.B_batch(w, [[1.0], [5.0]]), np.array([[3, -3], [-3, 3]]) / 16)
    # prediction: 2 (7 - 3) / sqrt(3 + 13) + 1 = 3, slope 2 / 4
    resting = BatchNorm(1, epsilon=13.0)
    np.testing.assert_array_equal(resting.g([2.0, 1.0, 3.0, 3.0], [7.0]), [3])
    np.testing.assert_array_equal(resting.B([2.0, 1.0, 3.0, 3.0], [7.0]), [[0.5]])


def test_batch_norm_of_a_single_row_has_no_variance() -> None:
    layer, w = BatchNorm(2, momentum=0.5, training=True), [2.0, 3.0, 10.0, 20.0, 1.0, 1.0, 4.0, 4.0]
    np.testing.assert_array_equal(layer.g_batch(w, [[7.0, 8.0]]), [[10, 20]])
    np.testing.assert_array_equal(layer.B_batch(w, [[7.0, 8.0]]), np.zeros((2, 2)))
    np.testing.assert_array_equal(layer.moved(w, [[7.0, 8.0]]), [2, 3, 10, 20, 4, 4.5, 2, 2])
    assert w[4] == 1  # the vector given stays as it was


def test_layer_norm_by_hand() -> None:
    # z = (1, 5): mean 3, variance 4, s = sqrt(4 + 12) = 4, xhat = (-.5, .5)
    layer, w = LayerNorm(2, epsilon=12.0), [2.0, 4.0, 1.0, 0.0]
    np.testing.assert_array_equal(layer.g(w, [1.0, 5.0]), [0, 2])
    np.testing.assert_array_equal(layer.A(w, [1.0, 5.0]), [[-0.5, 0, 1, 0], [0, 0.5, 0, 1]])
    np.testing.assert_array_equal(layer.B(w, [1.0, 5.0]), np.array([[3, -3], [-6, 6]]) / 16)


def test_residual_by_hand() -> None:
    # f(z) = 3 (2 z + 1): g(10) = 10 + 63; d/ds1 = 3 z = 30, d/db1 = 3, d/ds2 = 2 z + 1 = 21; d/dz = 1 + 6
    layer, w = Residual([Scale(1, bias=True), Scale(1)]), [2.0, 1.0, 3.0]
    np.testing.assert_array_equal(layer.g(w, [10.0]), [73])
    np.testing.assert_array_equal(layer.A(w, [10.0]), [[30, 3, 21]])
    np.testing.assert_array_equal(layer.B(w, [10.0]), [[7]])
    assert [part.name for part in layer.parts] == ["1, s", "1, b", "2, s"]


def test_embedding_by_hand() -> None:
    # the table of column 1 has rows (1, 2), (3, 4), that of column 0 rows (5, 6), (7, 8), (9, 10)
    layer, w = Embedding(3, ((1, 2), (0, 3)), 2), np.arange(1.0, 11)
    np.testing.assert_array_equal(layer.g(w, [2.0, 0.0, -3.5]), [-3.5, 1, 2, 9, 10])
    np.testing.assert_array_equal(layer.B(w, [2.0, 0.0, -3.5]), [[0, 0, 1], [0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]])
    np.testing.assert_array_equal(layer.A_vjp(w, [2.0, 0.0, -3.5], np.arange(1.0, 6)), [2, 3, 0, 0, 0, 0, 0, 0, 4, 5])


@pytest.mark.parametrize("code", [-1.0, 2.0, 0.5, np.nan, np.inf])
def test_what_is_no_code_gives_nan(code: float) -> None:
    np.testing.assert_array_equal(Embedding(2, ((1, 2),), 2).g(np.ones(4), [3.0, code]), [3, np.nan, np.nan])


def test_periodic_by_hand() -> None:
    # angle = 2 pi 0.25 2 = pi: cos -1, sin 0; W2 = 4, b2 = 1: (2, 1 - 4); d/dW2 = -1, d/db2 = 1
    layer, w = Periodic(1, (0,), 1, 2), [0.25, 0.0, 4.0, 1.0]
    np.testing.assert_allclose(layer.g(w, [2.0]), [2, -3], rtol=1e-15)
    np.testing.assert_allclose(layer.A(w, [2.0]), [[0, 0, 0, 0], [0, 0, -1, 1]], atol=1e-14)
    # a quarter further, x = 1: angle pi/2, cos 0, sin 1: d/dw1 = -4 2 pi, d/db1 = -4, dx = -4 2 pi 0.25 = -2 pi
    np.testing.assert_allclose(layer.A(w, [1.0]), [[0, 0, 0, 0], [-8 * np.pi, -4, 0, 1]], atol=1e-14)
    np.testing.assert_allclose(layer.B(w, [1.0]), [[1], [-2 * np.pi]], rtol=1e-15)
    # W2 as (k, d - 1), row after row: cos = (1, 1) picks the sum of its rows
    np.testing.assert_array_equal(Periodic(1, (0,), 2, 3).g([0, 0, 0, 0, 1, 2, 30, 40, 5, 6], [9.0]), [9, 36, 48])


@pytest.mark.parametrize(
    ("x", "e", "slope"),
    [
        (-4.0, [-4, 0, 0], [1, 0, 0]),  # nothing is lost below the first edge
        (0.0, [0, 0, 0], [1, 0, 0]),
        (0.5, [0.5, 0, 0], [1, 0, 0]),
        (1.0, [1, 0, 0], [1, 0, 0]),  # at an edge the slope is the left one
        (2.0, [1, 0.5, 0], [0, 0.5, 0]),
        (3.0, [1, 1, 0], [0, 0.5, 0]),
        (7.0, [1, 1, 4], [0, 0, 1]),  # nor above the last
    ],
)
def test_piecewise_linear_by_hand(x: float, e: list[float], slope: list[float]) -> None:
    layer = PiecewiseLinear(2, (0,), ((0.0, 1.0, 3.0, 4.0),))
    np.testing.assert_array_equal(layer.g([], [x, 9.0]), [9, *e])
    np.testing.assert_array_equal(layer.B([], [x, 9.0]), np.column_stack([[0, *slope], [1, 0, 0, 0]]))
    # W = ((1, 0), (10, 0), (100, 1)), b = (0, -1)
    mapped, w = PiecewiseLinear(1, (0,), ((0.0, 1.0, 3.0, 4.0),), width=2), [1.0, 0, 10, 0, 100, 1, 0, -1]
    np.testing.assert_array_equal(mapped.g(w, [x]), [e @ np.array([1, 10, 100]), e[2] - 1])


def test_a_single_bin_is_not_held_at_all() -> None:
    layer = PiecewiseLinear(1, (0,), ((-1.0, 3.0),))
    assert [float(layer.g([], [x])[0]) for x in (-5.0, 1.0, 11.0)] == [-1, 0.5, 3]
    assert np.isnan(PiecewiseLinear(1, (0,), EDGES[:1]).g([], [np.nan])).all()


def test_members_by_hand() -> None:
    layer = Members(2, 3)
    np.testing.assert_array_equal(layer.g([], [5.0, 6.0]), [5, 6, 5, 6, 5, 6])
    np.testing.assert_array_equal(layer.B_vjp([], [5.0, 6.0], [1.0, 2, 10, 20, 100, 200]), [111, 222])


# ---- numbers of PyTorch 2.13, float64: torch.nn.BatchNorm1d, LayerNorm, Embedding; loss = sum(Q o output) ----

GAMMA_BETA = [1.5, -0.5, 0.25, 1.0]
Z_REF = np.array([[1.0, -2.0], [2.0, 0.5], [4.0, 1.0]])
Q_REF = np.array([[1.0, 0.5], [-1.0, 2.0], [0.25, -0.75]])
MOVED = [0.6833333333333333, -0.9166666666666667, 2.033333333333333, 2.9583333333333335]


def test_batch_norm_in_training_as_pytorch_has_it() -> None:
    layer, w = BatchNorm(2, training=True), [*GAMMA_BETA, 0.5, -1.0, 2.0, 3.0]
    outputs = [-1.3535622971754466, 1.6984986706046252, -0.15089057429386177, 0.7460004834164998]
    outputs += [2.254452871469308, 0.5555008459788748]
    back = [0.9020050807297506, 0.09371317153361389, -1.3530053660996424, -0.5622810570892746]
    back += [0.45100028536989156, 0.46856788555566076]
    np.testing.assert_allclose(layer.g_batch(w, Z_REF).ravel(), outputs, rtol=1e-13)
    np.testing.assert_allclose(layer.B_vjp_batch(w, Z_REF, Q_REF).ravel(), back, rtol=1e-11)
    p = [-0.46770567000950525, -0.34924933530231267, 0.25, 1.75, 0, 0, 0, 0]
    np.testing.assert_allclose(layer.A_vjp_batch(w, Z_REF, Q_REF), p, rtol=1e-13)
    np.testing.assert_allclose(layer.moved(w, Z_REF), [*GAMMA_BETA, *MOVED], rtol=1e-15)


def test_batch_norm_in_prediction_as_pytorch_has_it() -> None:
    layer, w = BatchNorm(2), [*GAMMA_BETA, *MOVED]
    outputs = [0.5831104457031417, 1.3149254967544857, 1.6350381689762208, 0.5881743503979804]
    outputs += [3.738893615522379, 0.44282412112667935]
    back = [1.051927723273079, -0.14535022927130103, -1.051927723273079, -0.5814009170852041]
    back += [0.26298193081826976, 0.21802534390695155]
    np.testing.assert_allclose(layer.g_batch(w, Z_REF).ravel(), outputs, rtol=1e-14)
    np.testing.assert_allclose(layer.B_vjp_batch(w, Z_REF, Q_REF).ravel(), back, rtol=1e-14)
    p = [-0.1198028795949896, 0.49661328334361204, 0.25, 1.75, 0, 0, 0, 0]
    np.testing.assert_allclose(layer.A_vjp_batch(w, Z_REF, Q_REF), p, rtol=1e-13)


def test_layer_norm_as_pytorch_has_it() -> None:
    layer, w = LayerNorm(3), [1.5, -0.5, 2.0, 0.25, 1.0, -1.0]
    z, q = [1.0, -2.0, 0.5], [1.0, -0.5, 2.0]
    np.testing.assert_allclose(layer.g(w, z), [1.5834974620633755, 1.698498670604625, 0.01599806633400047], rtol=1e-12)
    p = [0.8889983080422502, 0.6984986706046251, 1.0159980663340002, 1, -0.5, 2]
    np.testing.assert_allclose(layer.A_vjp(w, z, q), p, rtol=1e-14)
    back = [-0.9985828544706934, -0.19972357632400017, 1.1983064307946936]
    np.testing.assert_allclose(layer.B_vjp(w, z, q), back, rtol=1e-13)


def test_embedding_as_pytorch_has_it() -> None:
    layer, w = Embedding(1, ((0, 3),), 2), [0.5, -1.0, 2.0, 3.0, -0.25, 4.0]
    Z = [[2.0], [0.0], [2.0]]
    np.testing.assert_array_equal(layer.g_batch(w, Z), [[-0.25, 4], [0.5, -1], [-0.25, 4]])
    np.testing.assert_array_equal(layer.A_vjp_batch(w, Z, Q_REF), [-1, 2, 0, 0, 1.25, -0.25])


# ---- members, blocks, training ----


def test_behind_members_layers_act_on_blocks_unless_they_have_members_of_their_own() -> None:
    layers = by_blocks(
        [Scale(2), Members(2, 3), Scale(2, members=3), LayerNorm(2), Residual([Dense(2, 2, members=3), Scale(2)])]
    )
    assert [layer.kind for layer in layers] == ["scale", "members", "scale", "blocks", "residual"]
    assert [layer.kind for layer in layers[-1].layers] == ["dense", "blocks"]
    assert [(layer.takes, layer.gives) for layer in layers] == [(2, 2), (2, 6), (6, 6), (6, 6), (6, 6)]
    assert by_blocks(layers) == layers  # once is enough


def test_scale_of_members_is_the_diagonal_of_all_of_them() -> None:
    members, wide = Scale(2, "tanh", bias=True, members=3), Scale(6, "tanh", bias=True)
    w, Z, _ = draw(members)
    np.testing.assert_array_equal(members.g_batch(w, Z), wide.g_batch(w, Z))
    np.testing.assert_array_equal(members.A_batch(w, Z), wide.A_batch(w, Z))


def test_members_of_one_weight_are_blocks_with_one_w() -> None:
    own, shared = Dense(3, 2, "tanh", members=2), Blocks(Dense(3, 2, "tanh"), 2)
    w, Z, Q = draw(shared)
    np.testing.assert_array_equal(own.g_batch(np.tile(w, 2), Z), shared.g_batch(w, Z))
    np.testing.assert_allclose(own.A_vjp_batch(np.tile(w, 2), Z, Q).reshape(2, -1).sum(0), shared.A_vjp_batch(w, Z, Q))


def test_a_batch_norm_of_blocks_takes_its_statistics_over_samples_and_members() -> None:
    # blocks (1, 5) and (3, 7): mean 4, variance 5 by N = 4, 20/3 by N - 1
    layer, w = Blocks(BatchNorm(1, epsilon=4.0, momentum=0.5, training=True), 2), [3.0, 0.0, 0.0, 0.0]
    np.testing.assert_allclose(layer.g_batch(w, [[1.0, 5.0], [3.0, 7.0]]), [[-3, 1], [-1, 3]], rtol=1e-15)
    np.testing.assert_allclose(layer.moved(w, [[1.0, 5.0], [3.0, 7.0]]), [3, 0, 2, 10 / 3], rtol=1e-15)


def test_in_training_each_dropout_takes_the_next_mask_and_batch_norms_see_the_batch() -> None:
    plain = [Dropout(2, 0.5), Residual([BatchNorm(2), Dropout(2, 0.5)]), Blocks(Dropout(1, 0.5), 2)]
    masks = [np.array([[1.0, 0]]), np.array([[0.0, 1]]), np.array([[1.0, 1]])]
    first, residual, blocks = in_training(plain, iter(masks))
    np.testing.assert_array_equal(first.mask, masks[0])
    assert residual.layers[0].training
    np.testing.assert_array_equal(residual.layers[1].mask, masks[1])
    np.testing.assert_array_equal(blocks.g([], [3.0, 4.0]), [6, 8])
    with pytest.raises(NetworkError, match="a dropout has no mask"):
        in_training(plain, iter(masks[:2]))


def test_running_statistics_move_where_they_are_and_nothing_else_does() -> None:
    layers = [Scale(1), Residual([Scale(1), BatchNorm(1, momentum=0.5, training=True)])]
    # Z (1, 3) becomes (2, 6), then (6, 18): mean 12, variance by N - 1: 72
    w = moved(layers, [2.0, 3.0, 1.0, 0.0, 4.0, 8.0], [[1.0], [3.0]])
    np.testing.assert_array_equal(w, [2, 3, 1, 0, 8, 40])


# ---- errors ----


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Dense(2, 2, "sigmod"), UnknownNameError, "Did you mean 'sigmoid'"),
        (lambda: Scale(2, "rely"), UnknownNameError, "Did you mean 'relu'"),
        (lambda: Parametric(2, "mich"), UnknownNameError, "Did you mean 'mish'"),
        (lambda: Residual([]), NetworkError, "at least one layer"),
        (lambda: Residual([Members(2, 2)]), NetworkError, "none of Members"),
        (lambda: Residual([Dense(2, 3)]), NetworkError, "takes 2 numbers, but f gives 3"),
        (
            lambda: Residual([Dense(2, 3), Dense(2, 2)]),
            NetworkError,
            "layer 2, .* takes 2 numbers, but layer 1 gives 3",
        ),
        (lambda: Embedding(2, ((2, 3),), 1), NetworkError, "different places 0 to 1, at least one"),
        (lambda: Periodic(2, (1, 1), 2, 2), NetworkError, "different places"),
        (lambda: Periodic(2, (1,), 2, 1), NetworkError, "at least one number more"),
        (lambda: PiecewiseLinear(2, (), ()), NetworkError, "at least one"),
        (lambda: PiecewiseLinear(2, (1,), ()), NetworkError, "those of 1 columns, got 0"),
        (lambda: PiecewiseLinear(2, (1,), ((0.0, 0.0),)), NetworkError, "two or more rising"),
        (lambda: by_blocks([Members(2, 2), Members(2, 2)]), NetworkError, "one Members"),
        (lambda: by_blocks([Scale(2, members=3)]), NetworkError, r"has 3 members: it wants Members\(\.\.\., 3\)"),
        (lambda: Dense(2, 2).g(np.ones(6), np.ones(3)), ShapeError, r"z: expected shape \(2,\)"),
        (lambda: Dense(2, 2).g(np.ones(5), np.ones(2)), ShapeError, r"w: expected shape \(6,\)"),
        (lambda: Scale(2).B_vjp(np.ones(2), np.ones(2), np.ones(3)), ShapeError, r"q: expected shape \(2,\)"),
        (lambda: Scale(2).g_batch(np.ones(2), np.ones(2)), ShapeError, r"Z: expected shape \(N, 2\)"),
        (lambda: Dropout(2, 0.5, np.ones((1, 2))).g_batch([], np.ones((3, 2))), ShapeError, "mask: expected one entry"),
    ],
)
def test_what_does_not_fit_is_refused(make, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_layers_of_columns_are_the_three() -> None:
    assert [kind for kind, row in LAYERS.items() if issubclass(row, OfColumns)] == [
        "embedding",
        "periodic",
        "piecewise_linear",
    ]
