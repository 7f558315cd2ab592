"""Trouble around the compiled engine: memory that ends, the processor's modes, threads at the end, wrong arrays."""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import sparse

from both_engines import Case, needs_native
from layerloop import Chain, DataLoader, Dense, Scale, softmax, train
from layerloop.csr import Csr
from layerloop.engine import make_engine, native
from layerloop.plan import Architecture
from preloaded import preloaded

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = needs_native


def run(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


# -- memory ------------------------------------------------------------------------------------------------------------

SHORT = """
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
extern void *__libc_memalign(size_t, size_t);
void *aligned_alloc(size_t a, size_t n) {
    const char *who = getenv("SHORT_OF_MEMORY");
    int caller = getpid() == syscall(SYS_gettid);
    return who && n > 20000 && (who[0] == 'c') == caller ? 0 : __libc_memalign(a, n);
}
"""
TRAINING = """
import os
import numpy as np
from layerloop import Chain, DataLoader, Dense, train
from layerloop.engine import native
native.core_count = lambda: 2
rng = np.random.default_rng(0)
data = DataLoader((rng.normal(size=(2000, 300)).astype("float32"), rng.integers(4, size=2000)), batchsize=256)
m = Chain(Dense(300, 300, "tanh"), Dense(300, 4), "softmax")
before = m.flat.copy()
os.environ["SHORT_OF_MEMORY"] = os.environ["WHO"]
try:
    train(m, data, epochs=2, threads=2)
    print("it was not short of memory")
except MemoryError:
    print("MemoryError", (m.flat == before).all())
del os.environ["SHORT_OF_MEMORY"]
history = train(m, data, epochs=2, threads=2)
print(history.stopped, np.isfinite(m.flat).all())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="what runs short of memory stands on glibc's names")
@pytest.mark.parametrize("who", ["caller", "helper"])
def test_memory_that_is_short_in_any_thread_is_an_error_and_no_crash(who: str, tmp_path: Path) -> None:
    done = run(TRAINING, **preloaded(SHORT, tmp_path), WHO=who)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["MemoryError True", "all epochs done True"]


def test_a_training_that_ends_for_want_of_memory_has_no_half_step(monkeypatch: pytest.MonkeyPatch) -> None:
    X = np.random.default_rng(0).normal(size=(64, 5)).astype("float32")
    m = Chain(Dense(5, 3), softmax)
    before, calls = m.flat.copy(), []
    original = type(m.engine).train

    def short(engine: object, w: np.ndarray, state: object, *rest: object) -> int:
        calls.append(1)
        if len(calls) < 3:
            return original(engine, w, state, *rest)
        w[:3] = 99
        raise MemoryError

    monkeypatch.setattr(type(m.engine), "train", short)
    monkeypatch.setattr("layerloop.training.loop.STRETCH", 0.0)
    with pytest.raises(MemoryError):
        train(m, DataLoader((X, np.arange(64) % 3), 8), epochs=2)
    assert len(calls) == 3
    assert not (m.flat == 99).any()
    assert np.abs(m.flat - before).max() < 0.01


# -- modes of the processor --------------------------------------------------------------------------------------------

UPWARD = {"x86_64": 0x800, "aarch64": 0x400000}.get(platform.machine(), 0)  # FE_UPWARD


@pytest.mark.skipif(not UPWARD or sys.platform != "linux", reason="no name of a rounding mode for this machine")
def test_a_mode_of_the_caller_reaches_no_thread_and_stays_the_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    libm = ctypes.CDLL("libm.so.6")
    monkeypatch.setattr(native, "core_count", lambda: 5)  # as no other test has it: the pool is made anew
    case = Case((60, 200, 4), dtype="float32", n=2048)
    engine = make_engine(case.architecture, "float32", "native")
    w = case.w
    assert libm.fesetround(UPWARD) == 0
    try:
        first = engine.outputs(w, case.X)
        kept = libm.fegetround()
    finally:
        libm.fesetround(0)
    assert kept == UPWARD
    again = [engine.outputs(w, case.X) for _ in range(5)]
    monkeypatch.setattr(native, "core_count", lambda: 1)
    alone = make_engine(case.architecture, "float32", "native").outputs(w, case.X)
    for found in (first, *again):
        np.testing.assert_array_equal(found, alone)


# -- the end of the process, forks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("epochs", ["100000", "1"])
def test_a_process_ends_well_while_other_threads_train(epochs: str) -> None:
    done = run(f"""
import threading, time
import numpy as np
from layerloop import Chain, DataLoader, Dense, train
X, y = np.zeros((2000, 60), "float32"), np.zeros(2000, int)
Chain(Dense(60, 4))(X[:2])
def work():
    m = Chain(Dense(60, 90, "tanh"), Dense(90, 4), "softmax")
    while True:
        train(m, DataLoader((X, y), batchsize=128), epochs={epochs}, callbacks=lambda: None)
for _ in range(2):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.3)
print("end")
""")
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_of_a_training_process_has_its_threads_and_ends() -> None:
    done = run("""
import os, threading, time
import numpy as np
from layerloop import Chain, DataLoader, Dense, Stop, train
from layerloop.engine import native
X, y = np.zeros((20000, 300), "float32"), np.zeros(20000, int)
m = Chain(Dense(300, 300, "tanh"), Dense(300, 4), "softmax")
m(X[:3])
allowed, over = native._native.blas_threads(), []
other = threading.Thread(
    target=lambda: train(m, DataLoader((X, y), 256), epochs=10000, callbacks=lambda: Stop("over") if over else None))
other.start()
time.sleep(0.3)  # in the middle of it
child = os.fork()
if not child:
    train(Chain(Dense(300, 4), "softmax"), DataLoader((X, y), 256), epochs=1)
    assert native._native.blas_threads() == allowed
    raise SystemExit(7)
_, status = os.waitpid(child, 0)
over.append(1)
other.join()
print(os.waitstatus_to_exitcode(status))
""")
    assert (done.returncode, done.stdout.strip()) == (0, "7"), done.stderr


# -- what is handed over -----------------------------------------------------------------------------------------------


def test_arrays_to_be_filled_are_filled_or_refused() -> None:
    case = Case((20, 4), dtype="float32", n=10)
    core = case.native._cores[0]
    for spoil in (
        lambda into: into.astype("float64"),
        lambda into: np.asfortranarray(into),
        lambda into: np.repeat(into, 2, axis=1)[:, ::2],
        lambda into: into.astype(int),
    ):
        with pytest.raises(TypeError, match="incompatible"):
            core.predict(case.w, case.X, None, spoil(np.zeros((10, 4), "float32")), 0)
    with pytest.raises(TypeError, match="incompatible"):
        core.activations(case.w, case.X, [np.zeros((10, 4), "float64")] * 2)
    into = np.zeros((10, 4), "float32")
    assert core.predict(case.w, case.X, None, into, 0)
    assert into.any()


def test_sparse_rows_that_a_first_layer_does_not_take_are_made_dense_batch_by_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[int] = []
    original: Callable[[Csr], np.ndarray] = Csr.toarray

    def counting(X: Csr) -> np.ndarray:
        made.append(len(X))
        return original(X)

    S = sparse.random_array((256, 40), density=0.1, rng=np.random.default_rng(0), dtype=np.float32, format="csr")
    y, found = np.arange(256) % 3, []
    assert not Architecture((Scale(40), Dense(40, 3)), "softmax", 40).takes_sparse
    for X in (S, S.toarray()):
        m = Chain(Scale(40), Dense(40, 3), softmax)
        monkeypatch.setattr(Csr, "toarray", counting)
        train(m, DataLoader((X, y), 32), epochs=3)
        found.append(m.flat)
    assert made
    assert max(made) == 32
    np.testing.assert_allclose(*found, rtol=1e-4, atol=1e-6)
