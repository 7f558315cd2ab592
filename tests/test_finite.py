"""Whether all numbers of an array are finite."""

from __future__ import annotations

import numpy as np
import pytest

from layerloop.finite import all_finite

MOST = np.finfo(np.float32).max


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_one_number_that_is_not_finite_is_found_wherever_it_is(wrong: float, dtype: type) -> None:
    for place in (0, 37, 99):
        x = np.ones((10, 10), dtype)
        x.flat[place] = wrong
        assert not all_finite(x)
        assert not all_finite(x[::-1, ::2] if place % 2 == 0 else x[:, 1::2])


def test_infinities_that_cancel_are_found() -> None:
    assert not all_finite(np.array([np.inf, -np.inf, 1.0]))


@pytest.mark.filterwarnings("error")
def test_finite_numbers_whose_sum_is_not_are_finite() -> None:
    assert all_finite(np.full((3, 4), MOST, np.float32))
    assert all_finite(np.array([MOST, MOST, -MOST, -MOST], np.float32))


@pytest.mark.parametrize("x", [np.empty((0, 3), np.float32), np.arange(5), np.array([True]), np.float32(2).reshape(())])
def test_what_has_nothing_to_be_infinite_is_finite(x: np.ndarray) -> None:
    assert all_finite(x)
