"""Arrays on cache lines: what the engine goes through at every step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from layerloop import Adam, Chain, Dense, load, save, softmax
from layerloop.estimators.mlp_network import packed
from layerloop.memory import LINE, aligned_copy, aligned_zeros
from layerloop.optim import init

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
