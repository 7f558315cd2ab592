"""Arrays on cache lines: what the engine goes through at every step."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from layerloop import Adam, Adjusted, Chain, Dense, load, memory, save, softmax
from layerloop.estimators.mlp_network import packed
from layerloop.memory import LINE, aligned_copy, aligned_zeros, memory_limit, same_bits
from layerloop.optim import LazyAdam, Momentum, init

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SIZES = (0, 1, 3, 17, 1000, 40_000)


def on_a_line(*arrays: NDArray[Any]) -> bool:
    return not any(a.ctypes.data % LINE for a in arrays if a.size)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_zeros_are_vectors_that_begin_on_a_line_and_can_be_written(dtype: str) -> None:
    vectors = [aligned_zeros(size, dtype) for size in SIZES]  # all at once: at addresses of their own
    assert on_a_line(*vectors)
    for size, vector in zip(SIZES, vectors, strict=True):
        assert vector.shape == (size,)
        assert vector.dtype == dtype
        assert vector.flags.c_contiguous
        assert not vector.any()
        vector[...] = 1
        assert vector.sum() == size


def test_a_copy_is_independent_and_begins_on_a_line() -> None:
    original = np.arange(1001.0)[1:]
    copy = aligned_copy(original)
    assert on_a_line(copy)
    np.testing.assert_array_equal(copy, original)
    copy[0] = -1
    assert original[0] == 1


def test_parameters_and_the_state_of_a_rule_begin_on_lines(tmp_path: Path) -> None:
    for width in (3, 100, 3000):
        m = Chain(Dense(width, 7, "relu"), Dense(7, 3), softmax)
        save(m, tmp_path / "m.safetensors")
        state = init(Adam(1e-3), m.flat)
        assert on_a_line(m.flat, load(tmp_path / "m.safetensors").flat, *state.slots, *state.copy().slots)
        assert on_a_line(packed([np.ones((width, 2))], [np.ones(2)], "float32"))


def test_more_than_there_is_is_refused_before_it_is_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "LARGE", 1000)
    monkeypatch.setattr(memory, "memory_limit", lambda: 4000)
    assert len(aligned_zeros(1000, "float32")) == 1000
    with pytest.raises(MemoryError, match="1,001 numbers of float32 would take 4e-06 GB, and this process may"):
        aligned_zeros(1001, "float32")
    with pytest.raises(MemoryError):
        Chain(Dense(2000, 1))


def test_vectors_of_a_rule_that_do_not_fit_beside_the_parameters_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "LARGE", 1000)
    monkeypatch.setattr(memory, "memory_limit", lambda: 11_000)
    w = np.zeros(1000, "float32")  # with Adam's two vectors 12,000 bytes
    for rule in (Adam(1e-3), Adjusted(Adam(1e-3), decay=0.1)):
        with pytest.raises(MemoryError, match="the 1,000 parameters with the 2 numbers that the optimizer"):
            init(rule, w)
    assert len(init(Momentum(1e-3), w).slots) == 1
    assert len(init(LazyAdam(1e-3), w).slots) == 2


def test_the_least_limit_of_machine_and_groups_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = memory_limit(tmp_path / "no such file", tmp_path)
    assert machine > 0
    (tmp_path / "outer" / "inner").mkdir(parents=True)
    (tmp_path / "memory" / "job").mkdir(parents=True)
    proc = tmp_path / "cgroup"
    proc.write_text("4:memory:/job\n3:cpu:/other\n0::/outer/inner\n")
    assert memory_limit(proc, tmp_path) == machine
    (tmp_path / "memory" / "job" / "memory.limit_in_bytes").write_text("9223372036854771712\n")  # none
    (tmp_path / "outer" / "inner" / "memory.max").write_text("max\n")
    assert memory_limit(proc, tmp_path) == machine
    (tmp_path / "outer" / "memory.max").write_text("5000\n")
    assert memory_limit(proc, tmp_path) == 5000
    (tmp_path / "memory" / "job" / "memory.limit_in_bytes").write_text("4000\n")
    assert memory_limit(proc, tmp_path) == 4000
    monkeypatch.delattr(os, "sysconf_names", raising=False)  # as on Windows
    assert memory_limit(tmp_path / "no such file", tmp_path) == math.inf


def test_bits_are_compared_in_every_part() -> None:
    a = np.zeros(memory.PART + 2, "float32")
    a[3] = np.nan
    assert same_bits(a, a.copy())
    for other in (a[:-1], a.astype("float64"), np.where(np.arange(len(a)) == len(a) - 1, np.float32(-0.0), a)):
        assert not same_bits(a, other)
