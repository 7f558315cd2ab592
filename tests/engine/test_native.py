"""The compiled engine against the NumPy engine, and what only a compiled engine can get wrong."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from both_engines import TOLERANCE, Case, far, needs_native
from every_loss import PAIRS
from layerloop.engine import Rows, make_engine, native
from layerloop.layers import ACTIVATIONS, Dense
from layerloop.optim import Adjusted, Cosine, FlatCos, init
from layerloop.optim.rules import RULES, Adam, Descent, Momentum
from layerloop.plan import HEADS, Architecture, Plan

pytestmark = needs_native

BATCHES = (1, 7, 64, 128, 1000)


# -- agreement -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(("head", "loss"), PAIRS, ids=lambda name: name)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_loss_gradient_and_outputs_are_those_of_the_numpy_engine(
    activation: str, head: str, loss: str, dtype: str
) -> None:
    kinds = [{}] * len(BATCHES) + [{"soft": True}, {"soft": True, "weighted": True}, {"weighted": True}]
    for n, kind in zip((*BATCHES, 7, 128, 130), kinds, strict=True):
        case = Case((9, 40, 17, 5), activation, head, loss, dtype, n)
        rows = case.rows(**kind)
        assert case.native.core(n, case.plan)  # or one engine would be held against itself
        slopes = [np.empty_like(case.w) for _ in range(2)]
        a, b = (
            e.value_and_gradient(case.w, rows, case.plan, g)
            for e, g in zip((case.numpy, case.native), slopes, strict=True)
        )
        assert far(b, a) < TOLERANCE[dtype], n
        assert far(slopes[1], slopes[0]) < TOLERANCE[dtype], n
        (P, a), (R, b) = (e.outputs_and_loss(case.w, rows, case.plan) for e in (case.numpy, case.native))
        assert far(b, a) < TOLERANCE[dtype], n
        assert far(R, P) < TOLERANCE[dtype], n
        np.testing.assert_array_equal(case.native.outputs(case.w, case.X), R)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("head", HEADS)
def test_the_output_of_every_layer_is_that_of_the_numpy_engine(head: str, dtype: str) -> None:
    for n in BATCHES:
        case = Case((9, 40, 17, 5), "gelu", head, "mse", dtype, n)
        ours, theirs = case.native.activations(case.w, case.X), case.numpy.activations(case.w, case.X)
        assert [z.shape for z in ours] == [z.shape for z in theirs]
        assert max(map(far, ours, theirs)) < TOLERANCE[dtype]


@pytest.mark.parametrize("widths", [(1, 1), (784, 32, 10), (300, 200, 150, 3), (3, 5, 4, 2, 6, 2)])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_narrow_wide_and_deep_networks_agree(widths: tuple[int, ...], dtype: str) -> None:
    for n in (1, 33, 96, 256, 520, 1100):
        case = Case(widths, "sigmoid", "modified_softmax", "crossentropy", dtype, n)
        slopes = [np.empty_like(case.w) for _ in range(2)]
        for engine, g in zip((case.numpy, case.native), slopes, strict=True):
            engine.value_and_gradient(case.w, case.rows(), case.plan, g)
        assert far(slopes[1], slopes[0]) < TOLERANCE[dtype], n


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", RULES)
def test_steps_of_every_rule_are_those_of_the_numpy_engine(name: str, dtype: str) -> None:
    case = Case(dtype=dtype, n=100)
    rule = RULES[name](rate=1e-3)
    (w, state, losses), (v, other, sums) = (case.trained(e, rule, passes=25) for e in (case.native, case.numpy))
    assert state.t == other.t == 100
    loose = {"float64": 1e-10, "float32": 3e-4}[dtype]  # a hundred steps carry rounding on, those of Adam most
    assert far(w, v) < loose
    assert far(losses, sums) < loose
    assert all(far(*slots) < loose for slots in zip(state.slots, other.slots, strict=True))


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", RULES)
def test_an_update_has_the_bits_of_the_rule(name: str, dtype: str) -> None:
    case = Case((50, 90, 5), dtype=dtype, n=64)  # more parameters than one block of the update
    rule = RULES[name](rate=0.01)
    w, state, _ = case.trained(case.native, rule, batch=64, passes=3)
    v, other, g = case.w.copy(), init(rule, case.w), np.empty_like(case.w)
    rows = Rows(case.X[case.order], case.y[case.order])
    for _ in range(3):
        case.native.value_and_gradient(v, rows, case.plan, g)
        rule.step(v, g, other)
    np.testing.assert_array_equal(w, v)
    for ours, theirs in zip(state.slots, other.slots, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", RULES)
def test_a_schedule_and_a_plateau_are_followed_step_by_step(name: str) -> None:
    case = Case((50, 90, 5), n=64)
    rule = RULES[name](rate=Cosine(0.01, steps=20))
    states = [init(rule, case.w) for _ in range(2)]
    vectors = [case.w.copy() for _ in range(2)]
    for passes in range(3):
        for engine, w, state in zip((case.native, case.numpy), vectors, states, strict=True):
            state.scale = 0.5**passes
            engine.train(w, state, case.rows(), case.order, case.plan, 16, np.empty(4))
    assert states[0].t == states[1].t == 12
    assert states[0].numbers == states[1].numbers
    assert far(*vectors) < 1e-11


AROUND: dict[str, dict[str, object]] = {
    "nothing": {},
    "clip_value": {"clip_value": 1e-3},
    "clip_norm": {"clip_norm": 0.01},
    "both bounds, bounds that do not bind": {"clip_value": 1e6, "clip_norm": 1e6},
    "l2": {"l2": 0.1},
    "decay": {"decay": 0.5},
    "scheduled decay": {"decay": FlatCos(0.5, steps=12)},
    "factors": {"factors": {"bias": 0.1, "layer1": 6.0, "layer2.weight": 0.0}},
    "undecayed": {"l2": 0.3, "decay": 0.2, "undecayed": ["bias"]},
    "ema": {"ema": 0.9},
    "tail": {"tail": 0.5, "steps": 12},
    "all": {
        "clip_value": 0.1, "clip_norm": 0.05, "l2": 0.1, "decay": FlatCos(0.5, steps=12), "undecayed": ["bias"],
        "factors": {"bias": 0.1}, "ema": 0.8,
    },
}  # fmt: skip
PARTS = (("layer1.weight", 4500), ("layer1.bias", 90), ("layer2.weight", 450), ("layer2.bias", 5))


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("rule", ["momentum", "adam", "nadam"])
@pytest.mark.parametrize("around", AROUND)
def test_what_stands_around_a_rule_is_that_of_the_numpy_engine(around: str, rule: str, dtype: str) -> None:
    case = Case((50, 90, 5), dtype=dtype, n=250)
    adjusted = Adjusted(RULES[rule](rate=Cosine(0.01, steps=20)), **AROUND[around])  # type: ignore[arg-type]
    states, vectors = [init(adjusted, case.w, PARTS) for _ in range(2)], [case.w.copy() for _ in range(2)]
    passes = {"float64": 3, "float32": 1}[dtype]  # rates of up to 0.06 multiply a rounding in every step
    for engine, w, state in zip((case.native, case.numpy), vectors, states, strict=True):
        for _ in range(passes):
            engine.train(w, state, case.rows(), case.order, case.plan, 64, np.empty(4))
    assert states[0].t == states[1].t == 4 * passes
    assert states[0].numbers == states[1].numbers
    loose = {"float64": 1e-11, "float32": 3e-4}[dtype]  # steps carry rounding on, as in the test of every rule above
    assert far(*vectors) < loose
    assert all(far(*slots) < loose for slots in zip(states[0].slots, states[1].slots, strict=True))
    assert far(vectors[0], case.w) > 1e-6  # and they did move


@pytest.mark.parametrize("bound", [{}, {"clip_norm": 0.01}])
@pytest.mark.parametrize("engine", ["native", "numpy"])
def test_the_squares_of_what_decays_are_those_before_each_step(engine: str, bound: dict[str, float]) -> None:
    case = Case((50, 90, 5), n=250)
    adjusted = Adjusted(Adam(0.01), l2=0.1, undecayed=["bias"], **bound)  # type: ignore[arg-type]
    states, w, v = [init(adjusted, case.w, PARTS) for _ in range(2)], case.w.copy(), case.w.copy()
    penalties, expected = np.empty(4), []
    getattr(case, engine).train(w, states[0], case.rows(), case.order, case.plan, 64, np.empty(4), penalties)
    for start in range(0, 250, 64):
        expected.append(np.square(v[:4500]).sum() + np.square(v[4590:5040]).sum())
        case.native.train(v, states[1], case.rows(), case.order[start : start + 64], case.plan, 64, np.empty(1))
    np.testing.assert_allclose(penalties, expected, rtol=1e-12)
    assert far(w, v) < 1e-12


def test_a_bound_on_the_norm_lets_nan_through() -> None:
    case = Case((50, 90, 5), n=64)
    case.w[0] = np.nan
    for engine in (case.native, case.numpy):
        w, losses = case.w.copy(), np.empty(1)
        assert (
            engine.train(
                w, init(Adjusted(Descent(0.1), clip_norm=1.0), w), case.rows(), case.order, case.plan, 64, losses
            )
            == 0
        )
        assert np.isnan(losses[0])


def test_the_compiled_tables_stand_in_the_order_of_the_names() -> None:
    assert " ".join(rule.__name__ for rule in native.KINDS) == (
        "Descent Momentum Nesterov RMSProp AdaGrad Lion Adam AdamW NAdam RAdam AdamHat LazyAdam"  # kernels.h, RuleKind
    )
    assert list(native.KINDS.values()) == [*range(11), 6]
    assert set(native.KINDS) == set(RULES.values())
    assert ACTIVATIONS == ("identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "mish",
                           "softplus", "hard_sigmoid")  # fmt: skip
    assert HEADS == ("identity", "softmax", "modified_softmax", "sigmoid", "exp")  # losses_kernels.h, Head
    assert native.LOSSES == (
        "softmax_crossentropy",
        "sigmoid_binarycrossentropy",
        "exp_poisson",
        "crossentropy",
        "binarycrossentropy",
        "mse",
        "mae",
        "huber",
        "quantile",
        "poisson",
    )  # there, Loss


# -- how data lie in memory --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_strided_and_read_only_rows_give_the_same_bits(dtype: str) -> None:
    case = Case(dtype=dtype, n=150)
    locked = case.X.copy()
    locked.flags.writeable = False
    expected = case.trained(case.native, Adam(0.01))
    for X in (np.asfortranarray(case.X), np.repeat(case.X, 3, axis=1)[:, ::3], case.X[::-1].copy()[::-1], locked):
        case.X = X
        for got, want in zip(case.trained(case.native, Adam(0.01))[::2], expected[::2], strict=True):
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_bytes_with_a_scale_are_the_scaled_floats(dtype: str) -> None:
    case = Case((30, 40, 5), dtype=dtype, n=150)
    raw = np.random.default_rng(1).integers(256, size=case.X.shape, dtype=np.uint8)
    results = []
    for X, scale in ((raw, 1 / 255), (raw * np.dtype(dtype).type(1 / 255), None)):
        w, state, losses = case.w.copy(), init(Momentum(0.1), case.w), np.empty(3)
        case.native.train(w, state, Rows(X, case.y, scale), case.order, case.plan, 64, losses)
        results.append((w, losses, case.native.outputs(w, X, scale)))
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_does_not_fit_is_refused_before_memory_is_touched() -> None:
    case = Case()
    state, losses = init(Adam(), case.w), np.empty(2)
    args = (case.plan, 64, losses)
    for order in (np.array([0] * 127 + [128]), np.array([0] * 127 + [-1])):
        with pytest.raises(IndexError, match="row number"):
            case.native.train(case.w, state, case.rows(), order, *args)
    with pytest.raises(IndexError, match="class index"):
        case.native.train(case.w, state, Rows(case.X, case.y + 5), case.order, *args)
    with pytest.raises(ValueError, match="another width"):
        case.native.outputs(case.w, case.X[:, 1:])
    with pytest.raises(ValueError, match="another length"):
        case.native.outputs(case.w[1:], case.X)
    with pytest.raises(ValueError, match="one loss for each step"):
        case.native.train(case.w, state, case.rows(), case.order, case.plan, 64, np.empty(1))


# -- elementary functions ----------------------------------------------------------------------------------------------


def through(activation: str, t: np.ndarray, engine: str) -> tuple[np.ndarray, np.ndarray]:
    """f(t) and f'(t) of an engine, by a network of one weight 1 and no bias."""
    dtype = t.dtype.name
    a = Architecture((Dense(1, 1, activation),), "identity", 1)
    e, w = make_engine(a, dtype, engine), np.array([1, 0], dtype)
    z = e.outputs(w, t[:, None])
    slopes = np.empty((len(t), 2), dtype)
    with np.errstate(all="ignore"):
        for x, slope in zip(t, slopes, strict=True):  # the loss (z - y)^2 at y = z - 1/2 has the gradient 1 in z
            y = e.outputs(w, x.reshape(1, 1)) - np.array(0.5, dtype)
            e.value_and_gradient(w, Rows(x.reshape(1, 1), y), Plan(a, "mse", dtype), slope)
    return z[:, 0], slopes[:, 1]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_functions_are_within_a_few_units_in_the_last_place(activation: str, dtype: str) -> None:
    t = np.concatenate([np.linspace(-30, 30, 241), [-700, -100, 88, 100, 710, -1e-3, 1e-3, -1e-8, 1e-8]]).astype(dtype)
    (z, slope), (exact, true) = through(activation, t, "native"), through(activation, t.astype(np.float64), "numpy")
    unit = np.finfo(dtype).eps
    np.testing.assert_allclose(z, exact, rtol=8 * unit, atol=4 * unit * (np.abs(exact) < 1).max())
    wide = np.abs(t) < 50  # elsewhere z +- 1/2 is rounded away and tells nothing of the slope
    np.testing.assert_allclose(slope[wide], true[wide], rtol=400 * unit, atol=64 * unit)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_nan_and_infinity_pass_as_through_numpy(activation: str, dtype: str) -> None:
    t = np.array([np.nan, np.inf, -np.inf, 0.0] * 9, dtype)
    for n in (4, 36):
        ours, theirs = (through(activation, t[:n], engine)[0] for engine in ("native", "numpy"))
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


@pytest.mark.parametrize(("head", "loss"), PAIRS, ids=lambda name: name)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_bad_number_reaches_the_loss_as_in_numpy(bad: float, head: str, loss: str) -> None:
    case = Case((4, 5, 3), "relu", head, loss, n=40)
    case.X[3, 1] = bad
    (_, a), (_, b) = (e.outputs_and_loss(case.w, case.rows(), case.plan) for e in (case.numpy, case.native))
    np.testing.assert_array_equal(b, a) if not np.isfinite(a) else np.testing.assert_allclose(b, a)


def test_extreme_scores_keep_the_softmax_finite() -> None:
    a = Architecture((Dense(1, 3),), "softmax", 1)
    w = np.array([0, 0, 0, 1e4, -1e4, 0.0])
    engine, plan, g = make_engine(a, "float64", "native"), Plan(a, "crossentropy", "float64"), np.empty(6)
    assert engine.value_and_gradient(w, Rows(np.ones((1, 1)), np.array([1])), plan, g) == 2e4
    np.testing.assert_array_equal(g, [1, -1, 0, 1, -1, 0])


# -- stretches ---------------------------------------------------------------------------------------------------------


def test_a_loss_that_is_not_finite_ends_the_stretch_before_its_update() -> None:
    a = Architecture((Dense(1, 1),), "identity", 1)
    engine, w, losses = make_engine(a, "float64", "native"), np.zeros(2), np.full(4, -1.0)
    state = init(Adam(0.1), w)
    rows = Rows(np.ones((4, 1)), np.array([[0.0], [0.0], [1e200], [0.0]]))
    taken = engine.train(w, state, rows, np.arange(4), Plan(a, "mse", "float64"), 1, losses)
    assert (taken, state.t) == (2, 2)
    assert losses.tolist() == [0, 0, np.inf, -1]
    np.testing.assert_array_equal(w, 0)


def test_batches_of_every_size_follow_one_another() -> None:
    case = Case((40, 100, 60, 5), n=700)
    for batch in (700, 3, 127, 64, 699, 1, 300):  # last batches with fewer and longer pieces among them
        ours, theirs = (case.trained(e, Descent(0.01), batch, passes=1) for e in (case.native, case.numpy))
        assert far(ours[0], theirs[0]) < 1e-11


def test_a_custom_loss_is_left_to_the_numpy_engine_and_a_rule_of_ones_own_to_itself() -> None:
    case = Case()

    class Own(Momentum):
        pass

    pair = (lambda P, y: float((P**2).mean()), lambda P, y: 2 * P / P.size)
    w = np.zeros(case.architecture.size)
    assert native.fuses(init(Adam(), w))
    assert native.fuses(init(Adjusted(Adam(), clip_norm=1.0), w))
    assert not native.fuses(init(Adjusted(Own()), w))
    assert not native.fuses(init(Own(), w))
    assert case.native.core(1, case.plan) is not None
    assert case.native.core(1, Plan(case.architecture, pair, "float64")) is None
    assert case.native.core(0) is None
    a, b = (case.trained(case.native, rule(0.01)) for rule in (Own, Momentum))
    np.testing.assert_array_equal(a[0], b[0])  # the compiled gradients, and the rule's own steps


def test_the_threads_of_the_blas_are_as_before() -> None:
    blas = next(native.candidates())
    if not blas.get_threads:
        pytest.skip("this BLAS has no limit of threads to look up")
    count = ctypes.CFUNCTYPE(ctypes.c_int)(blas.get_threads)
    before, case = count(), Case((100, 200, 5), n=256)
    case.trained(case.native, Adam())
    assert count() == before
