"""Sparse rows in both engines: the same numbers as dense rows give, for every head and loss, and as maths gives."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from both_engines import TOLERANCE, far
from every_loss import PAIRS, last_activation, targets
from layerloop import Chain, DataLoader, Dense, accuracy, activations, evaluate, train, value_and_gradient
from layerloop.csr import Csr, as_csr
from layerloop.engine import ENGINES, Rows, make_engine, native
from layerloop.engine.sparse import fill_columns
from layerloop.engine.sparse import product as times
from layerloop.gradient_check import check_gradient
from layerloop.optim import RULES, Adam, Cosine, LazyAdam, init
from layerloop.plan import Architecture, Plan

NAMES = [name for name in ENGINES if name != "native" or native.available()]


class Case:
    """A random network and random rows, mostly zeros and some of them empty."""

    def __init__(
        self,
        widths: tuple[int, ...] = (300, 40, 30, 5),
        head: str = "softmax",
        loss: str = "crossentropy",
        dtype: str = "float64",
        n: int = 128,
        density: float = 0.03,
    ) -> None:
        rng = np.random.default_rng((*widths, n))
        names = ["tanh"] * (len(widths) - 1)
        names[-1] = last_activation(head, loss, names[-1])
        layers = tuple(Dense(a, b, name) for a, b, name in zip(widths[:-1], widths[1:], names, strict=True))
        self.architecture = a = Architecture(layers, head, widths[0])
        self.plan = Plan(a, loss, dtype)
        self.w = (0.3 * rng.normal(size=a.size)).astype(dtype)
        self.X = np.where(rng.random((n, widths[0])) < density, rng.normal(size=(n, widths[0])), 0).astype(dtype)
        self.X[n // 2 :: 7] = 0
        self.S = as_csr(sparse.csr_array(self.X), "X")
        self.y, _ = targets(loss, n, a.n_out, dtype)
        self.order = rng.permutation(n)
        self.dense = make_engine(a, dtype, "numpy")

    def engine(self, name: str) -> object:
        return make_engine(self.architecture, self.plan.dtype, name)

    def trained(self, engine: object, X: object, rule: object, batch: int = 32, passes: int = 3) -> tuple:
        w, state = self.w.copy(), init(rule, self.w)
        losses = np.empty(-(-len(self.order) // batch))
        for _ in range(passes):
            assert engine.train(w, state, Rows(X, self.y), self.order, self.plan, batch, losses) == len(losses)
        return w, state, losses


# -- the two products --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [1, 7, 1 << 22])
def test_the_products_are_those_of_the_matrix(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("layerloop.engine.sparse.MOST_TERMS", most)
    for n in (1, 2, 50):
        case = Case(n=n)
        W, D = np.random.default_rng(0).normal(size=(300, 4)), np.random.default_rng(1).normal(size=(n, 4))
        T, dW = np.full((n, 4), np.nan), np.zeros((300, 4))
        times(case.S, W, T)
        fill_columns(case.S, D, dW)
        np.testing.assert_allclose(T, case.X @ W, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(dW, case.X.T @ D, rtol=1e-12, atol=1e-12)


# -- agreement ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(("head", "loss"), PAIRS, ids=lambda name: name)
@pytest.mark.parametrize("name", NAMES)
def test_loss_gradient_and_outputs_are_those_of_dense_rows(name: str, head: str, loss: str, dtype: str) -> None:
    for n in (1, 7, 128, 300):
        case = Case(head=head, loss=loss, dtype=dtype, n=n)
        engine, slopes = case.engine(name), [np.full_like(case.w, np.nan) for _ in range(2)]
        a = case.dense.value_and_gradient(case.w, Rows(case.X, case.y), case.plan, slopes[0])
        b = engine.value_and_gradient(case.w, Rows(case.S, case.y), case.plan, slopes[1])
        assert far(b, a) < TOLERANCE[dtype], n
        assert far(slopes[1], slopes[0]) < TOLERANCE[dtype], n
        P, a = case.dense.outputs_and_loss(case.w, Rows(case.X, case.y), case.plan)
        R, b = engine.outputs_and_loss(case.w, Rows(case.S, case.y), case.plan)
        assert far(b, a) < TOLERANCE[dtype], n
        assert far(R, P) < TOLERANCE[dtype], n
        assert far(engine.outputs(case.w, case.S), P) < TOLERANCE[dtype], n


@pytest.mark.parametrize("widths", [(50, 3), (50, 1, 1), (40, 64, 5), (40, 65, 5), (30, 200, 100, 50, 4)])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", NAMES)
def test_narrow_wide_and_deep_networks_agree(name: str, dtype: str, widths: tuple[int, ...]) -> None:
    case = Case(widths, "identity", "mse", dtype, density=0.2)
    slopes = [np.empty_like(case.w) for _ in range(2)]
    case.dense.value_and_gradient(case.w, Rows(case.X, case.y), case.plan, slopes[0])
    case.engine(name).value_and_gradient(case.w, Rows(case.S, case.y), case.plan, slopes[1])
    assert far(slopes[1], slopes[0]) < TOLERANCE[dtype]
    ours, theirs = case.engine(name).activations(case.w, case.S), case.dense.activations(case.w, case.X)
    assert [z.shape for z in ours] == [z.shape for z in theirs]
    assert max(map(far, ours, theirs)) < TOLERANCE[dtype]


@pytest.mark.parametrize("name", NAMES)
def test_rows_without_any_entry_give_the_biases_alone(name: str) -> None:
    case = Case(n=9)
    case.S = as_csr(sparse.csr_array((9, 300)), "X")
    slopes = np.full_like(case.w, np.nan)
    case.engine(name).value_and_gradient(case.w, Rows(case.S, case.y), case.plan, slopes)
    assert not slopes[: 300 * 40].any()
    expected = case.dense.outputs(case.w, np.zeros((9, 300)))
    np.testing.assert_allclose(case.engine(name).outputs(case.w, case.S), expected, rtol=1e-12)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", NAMES)
def test_steps_of_every_rule_are_those_along_dense_rows(name: str, rule: str) -> None:
    case = Case(n=100)
    for batch in (32, 1, 100):  # with a last, partial batch, and batches of one
        w, state, losses = case.trained(case.engine(name), case.S, RULES[rule](rate=1e-3), batch)
        v, other, sums = case.trained(case.dense, case.X, RULES[rule](rate=1e-3), batch)
        assert state.t == other.t
        assert far(w, v) < 1e-10
        assert far(losses, sums) < 1e-10
        assert all(far(*slots) < 1e-10 for slots in zip(state.slots, other.slots, strict=True))


# -- the lazy rule -----------------------------------------------------------------------------------------------------

LAYOUT = (("layer1.weight", 300 * 40), ("layer1.bias", 40), ("layer2.weight", 40 * 30), ("layer2.bias", 30))


def lazily(case: Case, engine: object, X: object, rule: object, passes: int = 3) -> tuple:
    w, state, losses = case.w.copy(), init(rule, case.w, LAYOUT), np.empty(4)
    for _ in range(passes):
        assert engine.train(w, state, Rows(X, case.y), case.order, case.plan, 32, losses) == 4
    return w, state


@pytest.mark.parametrize("rate", [1e-3, Cosine(1e-2, steps=12)], ids=["constant", "cosine"])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", NAMES)
def test_the_lazy_rule_gives_the_same_on_sparse_and_dense_rows_in_both_engines(
    name: str, dtype: str, rate: object
) -> None:
    case = Case(dtype=dtype)
    rule = LazyAdam(rate)  # type: ignore[arg-type]
    (w, state), (v, other) = (lazily(case, e, X, rule) for e, X in ((case.engine(name), case.S), (case.dense, case.X)))
    loose = {"float64": 1e-10, "float32": 3e-4}[dtype]
    assert state.t == other.t == 12
    assert far(w, v) < loose
    assert all(far(*slots) < loose for slots in zip(state.slots, other.slots, strict=True))
    assert far(lazily(case, case.engine(name), case.X, rule)[0], v) < loose


@pytest.mark.parametrize("name", NAMES)
def test_the_lazy_rule_touches_no_row_whose_column_does_not_occur(name: str) -> None:
    case = Case()
    absent = np.setdiff1d(np.arange(300), case.S.columns)
    case.S = as_csr(sparse.csr_array(case.X), "X")
    w, state = lazily(case, case.engine(name), case.S, LazyAdam(0.1))
    now, before = (x[: 300 * 40].reshape(300, 40) for x in (w, case.w))
    seen = np.unique(case.S.columns)
    assert len(absent)
    np.testing.assert_array_equal(now[absent], before[absent])
    assert (now[seen] != before[seen]).any(axis=1).all()
    for slot in state.slots:
        assert not slot[: 300 * 40].reshape(300, 40)[absent].any()


@pytest.mark.parametrize("rule", [Adam(0.01), LazyAdam(0.01)], ids=["exact", "lazy"])
@pytest.mark.parametrize("name", NAMES)
def test_columns_that_follow_a_pattern_are_told_apart(name: str, rule: object) -> None:
    # Numbers that begin alike once the engine has mixed them, by twos and more, beside one column in every row.
    d = 300_000
    mixed = np.arange(d, dtype=np.uint32) * np.uint32(0x9E3779B1)
    alike = np.argsort(mixed, kind="stable")[:400]
    rng = np.random.default_rng(0)
    rows = [np.unique(np.append(rng.choice(alike, 7), d - 1)) for _ in range(96)]
    starts = np.cumsum([0, *map(len, rows)])
    S = Csr(starts, np.concatenate(rows).astype(np.int32), rng.normal(size=starts[-1]), d)
    y, order = rng.integers(3, size=96), rng.permutation(96)
    architecture = Architecture((Dense(d, 4, "tanh"), Dense(4, 3)), "softmax", d)
    w = 0.3 * rng.normal(size=architecture.size)
    found = []
    for engine in (make_engine(architecture, "float64", name), make_engine(architecture, "float64", "numpy")):
        v, losses = w.copy(), np.empty(2)
        state = init(rule, v, (("layer1.weight", d * 4), ("layer1.bias", 4)))  # type: ignore[arg-type]
        for _ in range(3):
            engine.train(v, state, Rows(S, y), order, Plan(architecture, "crossentropy", "float64"), 64, losses)
        found.append((v, *state.slots))
    assert (found[0][0] != w).any()
    assert all(far(a, b) < 1e-10 for a, b in zip(*found, strict=True))


@pytest.mark.skipif("native" not in NAMES, reason="the compiled engine is not built: no C++17 compiler")
@pytest.mark.parametrize("rule", [Adam(0.01), LazyAdam(0.01)], ids=["exact", "lazy"])
def test_any_number_of_workers_gives_the_same_bits(rule: object, monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case((2000, 64, 5), dtype="float32", n=512, density=0.01)
    found = []
    for workers in (1, 2, 3, 8):
        monkeypatch.setattr(native, "core_count", lambda workers=workers: workers)
        w, state, losses = (
            case.w.copy(),
            init(rule, case.w, (("layer1.weight", 2000 * 64), ("layer1.bias", 64))),
            np.empty(2),
        )
        case.engine("native").train(w, state, Rows(case.S, case.y), case.order, case.plan, 256, losses)
        found.append((w.tobytes(), *(slot.tobytes() for slot in state.slots), losses.tobytes()))
    assert len(set(found)) == 1


@pytest.mark.skipif("native" not in NAMES, reason="the compiled engine is not built: no C++17 compiler")
def test_what_leads_outside_is_refused_before_memory_is_touched() -> None:
    case = Case(n=4)
    rows = Rows(case.S, case.y)
    columns, starts = case.S.columns.copy(), case.S.starts.copy()
    columns[-1], starts[-1] = 300, case.S.size + 1
    for X, error in (
        (Csr(case.S.starts, columns, case.S.values, 300), IndexError),
        (Csr(starts, case.S.columns, case.S.values, 300), ValueError),
        (Csr(case.S.starts[:-1], case.S.columns, case.S.values, 300), ValueError),
    ):
        state = init(Adam(), case.w)
        with pytest.raises(error):
            case.engine("native").train(case.w, state, Rows(X, rows.targets), np.arange(4), case.plan, 4, np.empty(1))


# -- the rest of the contract ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_custom_loss_takes_sparse_rows_too(name: str) -> None:
    case = Case(n=50)
    pair = (lambda P, y: float((P**2).mean()), lambda P, y: 2 * P / P.size)
    case.plan = Plan(case.architecture, pair, "float64")
    ours, theirs = case.trained(case.engine(name), case.S, Adam()), case.trained(case.dense, case.X, Adam())
    assert far(ours[0], theirs[0]) < 1e-10


@pytest.mark.parametrize("name", NAMES)
def test_a_loss_that_is_not_finite_ends_the_stretch_before_its_update(name: str) -> None:
    a = Architecture((Dense(2, 1),), "identity", 2)
    engine, w, losses = make_engine(a, "float64", name), np.zeros(3), np.full(4, -1.0)
    state, X = init(Adam(0.1), w), as_csr(sparse.csr_array([[1.0, 0], [0, 1], [1, 0], [1, 0]]), "X")
    y = np.array([[0.0], [0.0], [1e200], [0.0]])
    assert engine.train(w, state, Rows(X, y), np.arange(4), Plan(a, "mse", "float64"), 1, losses) == 2
    assert (state.t, losses.tolist()) == (2, [0, 0, np.inf, -1])
    np.testing.assert_array_equal(w, 0)


# -- through the network's doors, and against maths --------------------------------------------------------------------


@pytest.fixture(params=NAMES)
def engine_name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("LAYERLOOP_ENGINE", request.param)
    return str(request.param)


@pytest.mark.usefixtures("engine_name")
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_every_door_gives_what_it_gives_for_the_dense_rows(dtype: str) -> None:
    case = Case((200, 20, 4), dtype=dtype, n=1500)
    S = sparse.csr_array(case.X)
    found = []
    for X in (S, case.X):
        m = Chain(Dense(200, 20, "relu"), Dense(20, 4), "softmax", dtype=dtype)
        history = train(m, DataLoader((X, case.y), 64), optimizer=Adam(0.01), epochs=2, validation=(X, case.y))
        value, gradient = value_and_gradient(m, X, case.y)
        figures = evaluate(m, X, case.y)
        row = history.epochs[-1]
        found.append(
            (m.flat, m(X), *activations(m, X), gradient.flat, [value, accuracy(m, X, case.y), figures["loss"]],
             [row["loss"], row["validation_loss"], row["validation_accuracy"]])
        )  # fmt: skip
    for ours, theirs in zip(*found, strict=True):
        assert far(ours, np.asarray(theirs)) < {"float64": 1e-11, "float32": 2e-4}[dtype]  # fifty steps carry rounding


@pytest.mark.usefixtures("engine_name")
def test_the_gradient_of_a_sparse_row_is_that_of_the_notes_loops() -> None:
    m = Chain(Dense(12, 5, "tanh"), Dense(5, 3), "softmax", dtype="float64", seed=1)
    for row in ([0, 1.0, 0, 0, -2, 0, 0, 0, 0.5, 0, 0, 0], [0.0] * 12):
        assert check_gradient(m, sparse.csr_array([row]), 1, method="complex").passed
