"""Threads and processes: the same bits for any number of workers, limits that hold, rest when idle, and Ctrl-C."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from joblib import Parallel, delayed
from threadpoolctl import threadpool_info

from both_engines import ISAS, Case, instructions, needs_native
from every_layer import NETWORKS, architecture, parameters
from every_layer import rows as layer_rows
from every_loss import weights
from layerloop import Chain, DataLoader, train
from layerloop.cores import requested
from layerloop.engine import Rows, make_engine, native
from layerloop.layers import Dense
from layerloop.optim import Adam, Adjusted, init
from layerloop.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

pytestmark = needs_native
WORKERS = range(1, 9)

# -- the same bits -----------------------------------------------------------------------------------------------------

SCRIPT = """
import hashlib, sys
import numpy as np
from layerloop import Adam, Chain, DataLoader, Dense, params, train
from layerloop.engine import native
native.core_count = lambda: 8
rng = np.random.default_rng(0)
digest = hashlib.sha256()
for dtype in ("float32", "float64"):
    X, y = rng.normal(size=(1500, 60)).astype(dtype), rng.integers(4, size=1500)
    m = Chain(Dense(60, 90, "gelu"), Dense(90, 50, "tanh"), Dense(50, 4), "softmax", dtype=dtype)
    assert m.engine.name == "native"
    train(m, DataLoader((X, y), batchsize=256), optimizer=Adam(0.01), epochs=3, threads=int(sys.argv[1]))
    digest.update(m.flat.tobytes() + m(X).tobytes())
print(native.facts()["instructions"], float(np.abs(params(m).w).sum()), digest.hexdigest())
"""


def start(code: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """A fresh process that runs this code on the compiled engine."""
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "LAYERLOOP_ENGINE": "native", **environment}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", code, *arguments], env=variables, text=True, **pipes)


def said(child: subprocess.Popen[str]) -> list[str]:
    out, errors = child.communicate(timeout=120)
    assert child.returncode == 0, errors
    return out.split()


def test_twenty_fresh_processes_of_one_to_eight_workers_give_the_same_bits() -> None:
    workers, results = [*WORKERS, *WORKERS, 2, 2, 2, 2], set()
    for first in range(0, len(workers), 4):  # four at a time
        children = [start(SCRIPT, str(count)) for count in workers[first : first + 4]]
        results |= {tuple(said(child)) for child in children}
    assert len(results) == 1


@pytest.mark.parametrize("isa", ISAS)
def test_every_instruction_set_can_be_forced_and_agrees(isa: str) -> None:
    with instructions(isa):  # skips where there is none
        pass
    (name, total, _), (_, usual, _) = (
        said(child) for child in (start(SCRIPT, "2", LAYERLOOP_ISA=isa), start(SCRIPT, "2"))
    )
    assert name == isa
    assert float(total) == pytest.approx(float(usual), rel=1e-6)


@pytest.fixture
def eight(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with cores for eight workers."""
    monkeypatch.setattr(native, "core_count", lambda: 8)


def bits(call: Callable[[], tuple[np.ndarray, ...]], workers: Iterable[int] = WORKERS) -> set[bytes]:
    """What a call gives with so many workers, as bytes."""
    found = set()
    for count in workers:
        token = requested.set(count)
        try:
            found.add(b"".join(np.ascontiguousarray(array).tobytes() for array in call()))
        finally:
            requested.reset(token)
    return found


@pytest.mark.usefixtures("eight")
@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_gives_the_same_bits_for_any_number_of_workers(name: str) -> None:
    a, n = architecture(name), 20000  # enough rows for several pieces of so small a network
    data = Rows(layer_rows(a, n, "float32"), np.arange(n) % 3, None, weights(n, "float32"))

    def step() -> tuple[np.ndarray, ...]:
        w, losses, engine = parameters(a, "float32"), np.empty(1), make_engine(a, "float32", "native")
        assert engine.train(w, init(Adam(0.01), w), data, np.arange(n), Plan(a, "crossentropy", "float32"), n, losses)
        return w, losses, engine.outputs(w, data.X[:3000])

    assert len(bits(step, (1, 2, 3, 5, 8))) == 1


@pytest.mark.usefixtures("eight")
def test_bounds_averages_and_decay_give_the_same_bits_for_any_number_of_workers() -> None:
    case = Case((60, 90, 4), n=1024)
    rule = Adjusted(Adam(0.01), clip_norm=0.1, clip_value=0.05, l2=0.1, ema=0.9)

    def steps() -> tuple[np.ndarray, ...]:
        w, state, losses = case.trained(make_engine(case.architecture, "float64", "native"), rule, 256)
        return w, losses, *state.slots

    assert len(bits(steps)) == 1


@pytest.mark.usefixtures("eight")
def test_rows_that_are_mostly_zeros_give_the_same_bits_for_any_number_of_workers() -> None:
    case = Case((400, 64, 4), n=1024)
    case.X[np.random.default_rng(0).random(case.X.shape) > 0.15] = 0

    def steps() -> tuple[np.ndarray, ...]:
        w, _, losses = case.trained(make_engine(case.architecture, "float64", "native"), Adam(0.01), 256)
        return w, losses

    assert len(bits(steps)) == 1


@pytest.mark.usefixtures("eight")
def test_gradients_by_rows_of_weights_give_the_same_bits_for_any_number_of_workers() -> None:
    case = Case((300, 200, 150, 4), dtype="float32", n=400)

    def steps() -> tuple[np.ndarray, ...]:
        w, _, losses = case.trained(make_engine(case.architecture, "float32", "native"), Adam(0.01), 96)
        return w, losses

    assert len(bits(steps)) == 1


def test_what_is_deterministic_gives_the_same_bits_with_the_numpy_engine_too() -> None:
    rng, found = np.random.default_rng(0), set()
    X, y = rng.normal(size=(512, 300)).astype("float32"), rng.integers(4, size=512)
    seen: list[int] = []
    for threads in (1, 2, 3, 4):
        m = Chain(Dense(300, 400, "tanh"), Dense(400, 4), "softmax", seed=1)
        m._engine = make_engine(m.architecture, m.dtype, "numpy")
        loader = DataLoader((X, y), batchsize=256)
        train(m, loader, callbacks=lambda: seen.extend(blas_counts()), threads=threads, deterministic=True)
        found.add(m.flat.tobytes())
    assert set(seen) == {1}
    assert len(found) == 1


# -- limits that hold --------------------------------------------------------------------------------------------------

COUNTING = """
import os
import numpy as np
from layerloop import Chain, DataLoader, Dense, train
from layerloop.engine import native
from threadpoolctl import threadpool_limits
native.core_count = lambda: 8
with threadpool_limits(4):
    pass  # now the threads of BLAS are there
X, y = np.zeros((1024, 60), "float32"), np.zeros(1024, int)
m = Chain(Dense(60, 90, "tanh"), Dense(90, 90, "tanh"), Dense(90, 4), "softmax")
before = len(os.listdir("/proc/self/task"))
for threads in (1, 2, 4, 3):
    train(m, DataLoader((X, y), batchsize=512), threads=threads)
    print(len(os.listdir("/proc/self/task")) - before)
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="this system does not list a process's threads")
def test_a_request_limits_the_compiled_workers() -> None:
    found = said(start(COUNTING))
    assert found == ["0", "1", "3", "2"]


def blas_counts() -> list[int]:
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_limits_end_with_the_training_that_an_error_ends(error: type[BaseException]) -> None:
    before, seen = blas_counts(), []

    def fails() -> None:
        seen.append(blas_counts())
        raise error

    m = Chain(Dense(60, 4), "softmax")
    with pytest.raises(error):
        train(m, DataLoader((np.zeros((64, 60)), np.zeros(64, int))), callbacks=fails, threads=1)
    assert seen == [[1] * len(before)]
    assert (blas_counts(), requested.get()) == (before, 0)


def test_an_error_inside_the_engine_gives_blas_its_threads_back() -> None:
    before, case = blas_counts(), Case()
    with pytest.raises(IndexError):
        case.native.train(
            case.w, init(Adam(), case.w), case.rows(), np.array([128]), case.plan, 64, np.empty(1)
        )  # fmt: skip
    assert blas_counts() == before


def test_idle_workers_take_no_time() -> None:
    small()
    time.sleep(0.05)  # they spin some microseconds, then sleep
    before = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - before < 0.02


def test_loky_and_threads_of_joblib_train_as_one_process_does() -> None:
    expected = [small(seed) for seed in range(4)]
    for backend in ("loky", "threading"):
        found = Parallel(n_jobs=2, backend=backend)(delayed(small)(seed) for seed in range(4))
        for got, alone in zip(found, expected, strict=True):
            np.testing.assert_array_equal(got, alone)


# -- beside others -----------------------------------------------------------------------------------------------------


def small(seed: int = 0, epochs: int = 5) -> np.ndarray:
    """A network trained with helpers: large enough for two pieces a batch."""
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(1024, 60)).astype("float32"), rng.integers(4, size=1024)
    m = Chain(Dense(60, 90, "tanh"), Dense(90, 4), "softmax")
    m._engine = make_engine(m.architecture, m.dtype, "native")
    train(m, DataLoader((X, y), batchsize=256), optimizer=Adam(0.01), epochs=epochs)
    return m.flat


def into(queue: multiprocessing.Queue) -> None:
    queue.put(small())


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_process_trains_after_its_parent_has(method: str) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system has no {method}")
    expected, context = small(), multiprocessing.get_context(method)
    queue = context.Queue()
    child = context.Process(target=into, args=(queue,))
    child.start()
    got = queue.get(timeout=60)
    child.join(timeout=60)
    assert child.exitcode == 0
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(small(), expected)


def test_several_python_threads_train_at_once() -> None:
    alone = [small(seed) for seed in range(4)]
    together: list[np.ndarray | None] = [None] * 4

    def one(seed: int) -> None:
        together[seed] = small(seed)

    threads = [threading.Thread(target=one, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_array_equal(a, b)


def test_one_engine_serves_several_python_threads() -> None:
    case = Case((60, 90, 4), n=256)
    expected = case.trained(case.native, Adam())[0]
    found: list[np.ndarray] = []
    threads = [threading.Thread(target=lambda: found.append(case.trained(case.native, Adam())[0])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for w in found:
        np.testing.assert_array_equal(w, expected)


# -- Ctrl-C ------------------------------------------------------------------------------------------------------------

WORK = {
    "short steps": """
m = Chain(Dense(300, 300, "tanh"), Dense(300, 4), "softmax")
X, y = np.zeros((20000, 300), "float32"), np.zeros(20000, int)
work = lambda: train(m, DataLoader((X, y), batchsize=128), epochs=10000)
""",
    "a step of seconds": """
m = Chain(Dense(1024, 1024, "tanh"), Dense(1024, 1024, "tanh"), Dense(1024, 4), "softmax")
X, y = np.zeros((16000, 1024), "float32"), np.zeros(16000, int)
work = lambda: train(m, DataLoader((X, y), batchsize=16000), epochs=10000)
""",
    "figures of a wide network": """
m = Chain(Dense(2048, 4096, "tanh"), Dense(4096, 4096, "tanh"), Dense(4096, 4), "softmax")
X, y = np.zeros((2000, 2048), "float32"), np.zeros(2000, int)
work = lambda: [evaluate(m, X, y) for _ in range(10000)]
""",
    "training in another thread": """
m = Chain(Dense(300, 300, "tanh"), Dense(300, 4), "softmax")
X, y = np.zeros((20000, 300), "float32"), np.zeros(20000, int)
def work():
    other = lambda: train(m, DataLoader((X, y), batchsize=20000), epochs=10000)
    threading.Thread(target=other, daemon=True).start()
    time.sleep(100)
""",
}
HEARING = """
import os, signal, sys, threading, time
import numpy as np
from layerloop import Chain, DataLoader, Dense, evaluate, train
signal.signal(signal.SIGINT, signal.default_int_handler)  # who runs in the background inherits that it is ignored
{work}
threading.Timer(1.0, lambda: (sent.append(time.time()), os.kill(os.getpid(), 2))).start()
sent = []
try:
    work()
except KeyboardInterrupt:
    print(time.time() - sent[0], flush=True)
    os._exit(0)
"""


@pytest.mark.skipif(os.name == "nt", reason="signals are sent otherwise there")
@pytest.mark.parametrize("work", WORK)
def test_ctrl_c_is_heard_within_a_fifth_of_a_second(work: str) -> None:
    tries = (float(said(start(HEARING.format(work=WORK[work])))[0]) for _ in range(3))
    assert any(seconds < 0.2 for seconds in tries)  # of three: another process may have had the cores


class AlarmError(Exception):
    """What the handler of a signal raises."""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no timer that sends signals")
def test_a_signal_in_the_middle_of_a_stretch_leaves_whole_steps_and_their_count() -> None:
    case = Case((60, 90, 4), n=2000)
    order = np.tile(case.order, 1000)
    w, state, losses = case.w.copy(), init(Adam(0.01), case.w), np.empty(len(order) // 200)

    def rings(*_: object) -> None:
        raise AlarmError

    before = signal.signal(signal.SIGALRM, rings)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.15)
        with pytest.raises(AlarmError):
            case.native.train(w, state, case.rows(), order, case.plan, 200, losses)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert 0 < state.t < len(losses)
    v, again = case.w.copy(), init(Adam(0.01), case.w)
    case.native.train(v, again, case.rows(), order[: state.t * 200], case.plan, 200, np.empty(state.t))
    np.testing.assert_array_equal(w, v)
    for ours, theirs in zip(state.slots, again.slots, strict=True):
        np.testing.assert_array_equal(ours, theirs)
