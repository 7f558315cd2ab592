"""Numbers at the edge through every kernel and instruction set; the processor's mode; memory that no step takes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import sparse

from both_engines import ISAS, TOLERANCE, Case, far, instructions, needs_native
from every_layer import NETWORKS, architecture, parameters
from every_layer import rows as layer_rows
from every_loss import PAIRS
from layerloop.csr import as_csr
from layerloop.engine import Rows, make_engine
from layerloop.layers import ACTIVATIONS, Dense
from layerloop.optim import RULES, Adam, Adjusted, LazyAdam, init
from layerloop.plan import Architecture, Plan
from preloaded import preloaded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = needs_native
BAD = (np.nan, np.inf, -np.inf)


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each instruction set in its turn."""
    with instructions(request.param):
        yield request.param


def alike(ours: np.ndarray | float, theirs: np.ndarray | float) -> None:
    """NaN and both infinities stand at the same places, and between them the same numbers."""
    a, b = np.asarray(ours), np.asarray(theirs)
    for what in (np.isnan, np.isposinf, np.isneginf):
        np.testing.assert_array_equal(what(a), what(b))
    whole = np.isfinite(b)
    assert far(a[whole], b[whole]) < 1e-11


def both(a: Architecture, w: np.ndarray, rows: Rows, plan: Plan, step: int | None = None) -> None:
    """Hold loss, gradient, outputs and what moves in w against the NumPy engine's."""
    found = []
    for name in ("native", "numpy"):
        engine, v, gradient = make_engine(a, "float64", name), w.copy(), np.empty_like(w)
        value = engine.value_and_gradient(v, rows, plan, gradient, step)
        found.append((value, gradient, v, *engine.outputs_and_loss(w, rows, plan)))
    for ours, theirs in zip(*found, strict=True):
        alike(ours, theirs)


# -- NaN and infinity --------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("isa")
@pytest.mark.parametrize("bad", BAD)
def test_a_bad_number_goes_through_every_activation_as_in_numpy(bad: float) -> None:
    for activation in ACTIVATIONS:
        for n in (3, 40):  # loops along few rows, and along many
            case = Case((4, 5, 3), activation, "identity", "mse", n=n)
            case.X[1, 2] = bad
            both(case.architecture, case.w, case.rows(), case.plan)
            case.X[1, 2], case.w[7] = 0, bad  # of the first layer's weights
            both(case.architecture, case.w, case.rows(), case.plan)


@pytest.mark.usefixtures("isa")
@pytest.mark.parametrize("bad", BAD)
def test_a_bad_number_goes_through_every_head_and_loss_as_in_numpy(bad: float) -> None:
    for head, loss in PAIRS:
        for weighted in (False, True):
            case = Case((4, 3), "identity", head, loss, n=40)
            case.X[3, 1] = bad
            both(case.architecture, case.w, case.rows(weighted=weighted), case.plan)
            case.X[3, 1] = 0
            if case.y.dtype.kind == "f":
                case.y[3, 1] = bad
                both(case.architecture, case.w, case.rows(weighted=weighted), case.plan)


@pytest.mark.usefixtures("isa")
@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_bad_number_goes_through_every_layer_as_in_numpy(name: str, bad: float) -> None:
    a = architecture(name)
    plan, data = Plan(a, "crossentropy", "float64", seed=3), Rows(layer_rows(a, 40), np.arange(40) % 3)
    for step in (None, 5):
        for column in set(range(5)) - {column for column, _ in a.codes}:
            data.X[7, column], before = bad, data.X[7, column]
            both(a, parameters(a), data, plan, step)
            data.X[7, column] = before
        for place in range(0, a.size, 5):
            w = parameters(a)
            w[place] = bad
            both(a, w, data, plan, step)


@pytest.mark.usefixtures("isa")
@pytest.mark.parametrize("rule", RULES)
def test_bad_numbers_in_a_rules_slots_reach_the_parameters_as_in_numpy(rule: str) -> None:
    case = Case((4, 5, 3), n=40)
    for around in (False, True) if rule != "lazy_adam" else (False,):  # which refuses to be adjusted
        found = []
        for engine in (case.native, case.numpy):
            own = RULES[rule](rate=0.1)
            w, state = case.w.copy(), init(Adjusted(own, l2=0.1, ema=0.5) if around else own, case.w)
            for slot in state.slots[: len(init(own, case.w).slots)]:
                slot[:3] = BAD
            assert engine.train(w, state, case.rows(), case.order, case.plan, 40, np.empty(1)) == 1
            found.append((w, *state.slots))
        for ours, theirs in zip(*found, strict=True):
            alike(ours, theirs)


@pytest.mark.usefixtures("isa")
@pytest.mark.parametrize("bad", BAD)
def test_a_bad_number_in_sparse_rows_or_their_weights_goes_as_in_numpy(bad: float) -> None:
    a = Architecture((Dense(30, 17, "tanh"), Dense(17, 3)), "softmax", 30)
    rng, plan = np.random.default_rng(0), Plan(a, "crossentropy", "float64")
    X = np.where(rng.random((40, 30)) < 0.1, rng.normal(size=(40, 30)), 0)
    w = 0.3 * rng.normal(size=a.size)
    X[3, 5] = bad
    both(a, w, Rows(as_csr(sparse.csr_array(X), "X"), np.arange(40) % 3), plan)
    X[3, 5], w[17 * 6] = 1, bad  # the weights of column 6
    both(a, w, Rows(as_csr(sparse.csr_array(X), "X"), np.arange(40) % 3), plan)


# -- sparse rows on every instruction set ------------------------------------------------------------------------------


@pytest.mark.usefixtures("isa")
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("ntk", [False, True])
def test_sparse_rows_are_dense_ones_on_every_instruction_set(ntk: bool, dtype: str) -> None:
    a = Architecture((Dense(300, 33, "tanh", ntk=ntk), Dense(33, 5, ntk=ntk)), "softmax", 300)
    rng, plan = np.random.default_rng(0), Plan(a, "crossentropy", dtype)
    X = np.where(rng.random((90, 300)) < 0.03, rng.normal(size=(90, 300)), 0).astype(dtype)
    w, y, S = (0.3 * rng.normal(size=a.size)).astype(dtype), rng.integers(5, size=90), as_csr(sparse.csr_array(X), "X")
    found = []
    for engine, data in ((make_engine(a, dtype, "numpy"), X), (make_engine(a, dtype, "native"), S)):
        gradient = np.empty_like(w)
        found.append((engine.value_and_gradient(w, Rows(data, y), plan, gradient), gradient, engine.outputs(w, data)))
        for rule in (Adam(1e-3), LazyAdam(1e-3)):
            v, state = w.copy(), init(rule, w, (("layer1.weight", 300 * 33), ("layer1.bias", 33)))
            engine.train(v, state, Rows(data, y), np.arange(90), plan, 90, np.empty(1))
            found[-1] += (v, *state.slots)
    for expected, ours in zip(*found, strict=True):
        assert far(ours, expected) < TOLERANCE[dtype]


# -- the processor's mode ----------------------------------------------------------------------------------------------


def mode() -> tuple[bool, ...]:
    """Whether numbers below the normal ones are taken and given, and sums rounded to the nearest, ties to even."""
    tiny, half = np.float64(2.0**-1060), np.float64(2.0**-53)
    return bool(tiny * 2 == 2.0**-1059), bool(np.finfo(float).tiny / 4 > 0), 1 + half == 1, 1 + 3 * half > 1 + 2 * half


@pytest.mark.usefixtures("isa")
def test_no_mode_of_the_processor_is_changed_before_beside_or_after_training() -> None:
    case, seen, over = Case((60, 90, 4), n=1024), [], threading.Event()

    def beside() -> None:
        while not over.is_set():
            seen.append(mode())

    right = (True, True, True, True)
    assert mode() == right
    watcher = threading.Thread(target=beside)
    watcher.start()
    case.trained(case.native, Adam(1e-3), 256, passes=10)
    over.set()
    watcher.join()
    assert set(seen) == {right}
    assert mode() == right


@pytest.mark.usefixtures("isa")
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_workers_keep_numbers_below_the_normal_ones(dtype: str) -> None:
    a = Architecture((Dense(200, 200),), "identity", 200)
    w = np.concatenate([np.eye(200).ravel(), np.zeros(200)]).astype(dtype)
    X = np.random.default_rng(0).integers(1, 1000, size=(1024, 200)) * np.finfo(dtype).smallest_subnormal
    np.testing.assert_array_equal(make_engine(a, dtype, "native").outputs(w, X.astype(dtype)), X)


# -- memory ------------------------------------------------------------------------------------------------------------

COUNTER = """
#include <stdatomic.h>
#include <stddef.h>
static atomic_long calls;
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
void *malloc(size_t n) { calls++; return __libc_malloc(n); }
void *calloc(size_t n, size_t m) { calls++; return __libc_calloc(n, m); }
void *realloc(void *p, size_t n) { calls++; return __libc_realloc(p, n); }
void *memalign(size_t a, size_t n) { calls++; return __libc_memalign(a, n); }
void *aligned_alloc(size_t a, size_t n) { calls++; return __libc_memalign(a, n); }
int posix_memalign(void **p, size_t a, size_t n) { calls++; return (*p = __libc_memalign(a, n)) ? 0 : 12; }
long allocations(void) { return calls; }
"""
TRAINING = """
import ctypes, sys
import numpy as np
from scipy import sparse
from every_layer import NETWORKS, architecture, parameters, rows as layer_rows
from layerloop.csr import as_csr
from layerloop.engine import Rows, make_engine
from layerloop.layers import Dense
from layerloop.optim import Adam, Adjusted, init
from layerloop.plan import Architecture, Plan
counted = ctypes.CDLL(None).allocations
counted.restype = ctypes.c_long
wide, rng = Architecture((Dense(60, 90, "gelu"), Dense(90, 3)), "softmax", 60), np.random.default_rng(0)
S = as_csr(sparse.csr_array(rng.normal(size=(600, 60)) * (rng.random((600, 60)) < 0.1)), "X")
cases = {name: (architecture(name), layer_rows(architecture(name), 600), Adam(1e-4)) for name in NETWORKS}
cases |= {"wide": (wide, rng.normal(size=(600, 60)), Adam(1e-4)), "sparse": (wide, S, Adam(1e-4))}
cases["around"] = (wide, rng.normal(size=(600, 60)), Adjusted(Adam(1e-4), clip_norm=1.0, ema=0.9))
for name, (a, X, rule) in cases.items():
    engine, plan, found = make_engine(a, "float64", "native"), Plan(a, "crossentropy", "float64"), []
    data = Rows(X, np.arange(600) % 3, None, np.ones(600))
    for steps in (60, 6, 60):  # the first one makes all the room there is to make
        order, w, losses = np.resize(np.arange(600), 256 * steps), 0.1 * parameters(a), np.empty(steps)
        state = init(rule, w)
        before = counted()
        assert engine.train(w, state, data, order, plan, 256, losses) == steps, name
        found.append(counted() - before)
    print(name.replace(" ", ""), *found[1:])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the counter of allocations stands on glibc's names")
def test_a_training_step_takes_no_memory(tmp_path: Path) -> None:
    environment = {**os.environ, **preloaded(COUNTER, tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", TRAINING], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert len(lines) == len(NETWORKS) + 3
    for name, few, many in lines:
        assert int(few) > 0  # the counter counts: a call has to make its arrays
        assert int(many) - int(few) <= 5, f"{name}: 54 more steps took {int(many) - int(few)} allocations more"
