"""Long gradients, which training takes by rows of W for a whole batch: the numbers are those of the NumPy engine."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from both_engines import ISAS, TOLERANCE, Case, far, instructions, needs_native
from layerloop import Chain, Dense, Dropout, LayerNorm, Residual
from layerloop.csr import as_csr
from layerloop.engine import Rows, make_engine
from layerloop.network import layout
from layerloop.optim import RULES, Adam, Adjusted, Descent, init
from layerloop.plan import Plan

pytestmark = needs_native

WIDE = (300, 200, 150, 5)  # in batches of 96 the first two layers' gradients are longer than what goes around
AROUND = (
    {"clip_value": 1e-3},
    {"clip_norm": 0.01},
    {"l2": 0.3, "decay": 0.2, "undecayed": ["bias"]},
    {"factors": {"layer1.bias": 0.1, "layer2.weight": 0.0}, "ema": 0.9},
)


def agree(case: Case, rule: object = Adam(1e-3), rows: Rows | None = None, *, loose: float = 1e-11) -> None:
    """Steps on whole batches and a rest of 16 rows, by both engines."""
    ours, theirs = (case.trained(e, rule, 96, rows=rows) for e in (case.native, case.numpy))
    assert far(ours[0], theirs[0]) < loose
    assert far(ours[2], theirs[2]) < loose
    assert all(far(*slots) < loose for slots in zip(ours[1].slots, theirs[1].slots, strict=True))


def layers_agree(layers: tuple, rule: object) -> None:
    """The same of any layers from 300 columns to 4 values."""
    m, rng, found = Chain(*layers, dtype="float64"), np.random.default_rng(0), []
    X, y, order = rng.normal(size=(400, 300)), rng.normal(size=(400, 4)), rng.permutation(400)
    for name in ("native", "numpy"):
        engine, w, losses = make_engine(m.architecture, "float64", name), m.flat.copy(), np.empty(5)
        state = init(rule, w, layout(m))
        for _ in range(3):
            assert engine.train(w, state, Rows(X, y), order, Plan(m.architecture, "mse", "float64"), 96, losses) == 5
        found.append((w, losses, *state.slots))
    assert all(far(ours, theirs) < 1e-11 for ours, theirs in zip(*found, strict=True))


@pytest.mark.parametrize("name", RULES)
def test_every_rule_takes_the_steps_of_numpy(name: str) -> None:
    agree(Case(WIDE, n=400), RULES[name](rate=1e-3), loose=1e-10)


def test_in_float32_too() -> None:
    agree(Case(WIDE, dtype="float32", n=400), Descent(1e-2), loose=TOLERANCE["float32"])


@pytest.mark.parametrize("around", AROUND, ids=str)
def test_what_stands_around_a_rule_acts_as_in_numpy(around: dict) -> None:
    layers_agree((Dense(300, 200, "tanh"), Dense(200, 150, "tanh"), Dense(150, 4)), Adjusted(Adam(1e-3), **around))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(
    "widths",
    [(300, 200, 150, 5), (301, 203, 150, 1), (90, 512, 300, 3), (1024, 130, 2), (900, 725, 3), (37, 3001, 177, 2)],
)
def test_widths_that_fill_no_vector_and_rows_that_fill_no_tile(widths: tuple[int, ...], isa: str) -> None:
    with instructions(isa):
        agree(Case(widths, "relu", "identity", "mse", n=400))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("widths", [(700, 33, 130, 2), (5, 512, 17, 512, 1), (1024, 512, 65)])
def test_products_whose_factors_are_copied_and_whose_depth_is_sliced(
    widths: tuple[int, ...], dtype: str, isa: str
) -> None:
    case = Case(widths, "relu", "identity", "mse", dtype=dtype, n=333)
    with instructions(isa):
        outputs = [engine.outputs(case.w, case.X, None) for engine in (case.native, case.numpy)]
        assert far(*outputs) < TOLERANCE[dtype]
        if dtype == "float32":  # a number that is 0 but for rounding has relu's one slope here and the other there
            return
        found = [np.zeros_like(case.w) for _ in outputs]
        for engine, gradient in zip((case.native, case.numpy), found, strict=True):
            engine.value_and_gradient(case.w, case.rows(), case.plan, gradient)
        assert far(*found) < TOLERANCE[dtype]


def test_bytes_and_rows_that_are_mostly_zeros() -> None:
    case = Case(WIDE, n=400)
    full = np.abs(case.X * 80).astype(np.uint8)
    few = full * (np.random.default_rng(0).random(full.shape) < 0.15)
    for pictures in (full, few):
        agree(case, rows=Rows(pictures, case.y, 1 / 255))


def test_sparse_rows_keep_the_first_layer_and_leave_the_second() -> None:
    case = Case(WIDE, n=400)
    few = case.X * (np.random.default_rng(0).random(case.X.shape) < 0.05)
    agree(case, rows=Rows(as_csr(sparse.csr_array(few), "X"), case.y))


@pytest.mark.parametrize(
    "layers",
    [
        (Dense(300, 200, "relu"), Dropout(0.3), Dense(200, 150, "gelu"), Dense(150, 4)),
        (Dense(300, 200, "tanh", ntk=True), LayerNorm(200), Dense(200, 150, ntk=True), Dense(150, 4)),
        (Dense(300, 200), Residual(Dense(200, 200, "silu")), Dense(200, 4)),
        (Residual(Dense(300, 300, "tanh")), Dense(300, 4)),
    ],
    ids=("dropout", "ntk and layer norm", "a way around", "a way around the first layer"),
)
def test_layers_of_every_kind_in_between(layers: tuple) -> None:
    layers_agree(layers, Adam(1e-3))


def test_steps_one_by_one_have_the_bits_of_steps_in_one_call() -> None:
    case, rule = Case(WIDE, dtype="float32", n=400), Adam(1e-3)
    together, _, losses = case.trained(case.native, rule, 96, passes=1)
    w, state, one = case.w.copy(), init(rule, case.w), np.empty(1)
    for step, start in enumerate(range(0, 400, 96)):
        case.native.train(w, state, case.rows(), case.order[start : start + 96], case.plan, 96, one)
        assert one[0] == losses[step]
    np.testing.assert_array_equal(w, together)


def test_a_loss_that_is_not_finite_ends_the_steps_before_its_update() -> None:
    case = Case(WIDE, n=400)
    case.X[case.order[200], 7] = np.nan  # in the third batch
    w, losses = case.w.copy(), np.empty(5)
    state = init(Adam(1e-3), w)
    assert case.native.train(w, state, case.rows(), case.order, case.plan, 96, losses) == 2
    assert np.isfinite(w).all()
    assert state.t == 2
