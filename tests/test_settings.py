"""Settings: the two float types, whole numbers, and threads."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from layerloop.cores import core_count, requested
from layerloop.errors import SettingError, UnknownNameError
from layerloop.settings import blas_threads, float_name, whole


@pytest.mark.parametrize("dtype", ["float32", np.float32, np.dtype("float32"), np.dtype(">f4")])
def test_float32_is_known_by_name_type_and_dtype(dtype: object) -> None:
    assert float_name(dtype) == "float32"


@pytest.mark.parametrize("dtype", ["float64", np.float64, np.dtype(float)])
def test_float64_is_known_by_name_type_and_dtype(dtype: object) -> None:
    assert float_name(dtype) == "float64"


@pytest.mark.parametrize("dtype", ["float16", np.int64, int, np.dtype(np.complex128), None, 32, "float"])
def test_every_other_type_is_refused(dtype: object) -> None:
    with pytest.raises(UnknownNameError, match="unknown float type"):
        float_name(dtype)


def test_a_near_float_type_is_proposed() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown float type 'flaot32'\. Did you mean 'float32'\?"):
        float_name("flaot32")


@pytest.mark.parametrize("value", [1, 1.0, np.int32(1), np.float64(1)])
def test_whole_numbers_of_any_type_become_ints(value: object) -> None:
    number = whole(value, "n", least=1)
    assert type(number) is int
    assert number == 1


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "1", None, float("nan"), float("inf"), 1j, [1]])
def test_what_is_not_whole_or_too_small_is_refused(value: object) -> None:
    with pytest.raises(SettingError, match="n must be a whole number of at least 1, got"):
        whole(value, "n", least=1)


def blas_counts() -> list[int]:
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_blas_threads_are_set_inside_and_given_back_after() -> None:
    before = blas_counts()
    assert before, "NumPy's BLAS is not seen by threadpoolctl"
    with blas_threads(1):
        assert blas_counts() == [1] * len(before)
    assert blas_counts() == before


def test_blas_threads_are_given_back_after_an_error_too() -> None:
    before = blas_counts()
    with pytest.raises(ZeroDivisionError), blas_threads(1):
        raise ZeroDivisionError
    assert (blas_counts(), requested.get()) == (before, 0)


def test_what_is_to_be_deterministic_holds_blas_to_one_thread_and_leaves_the_workers() -> None:
    before = blas_counts()
    with blas_threads(3, deterministic=True):
        assert (set(blas_counts()), requested.get()) == ({1}, 3)
    with blas_threads(3):
        assert (set(blas_counts()), requested.get()) == ({3}, 3)
        with blas_threads(None, deterministic=True):
            assert (set(blas_counts()), requested.get()) == ({1}, min(3, core_count()))
    assert (blas_counts(), requested.get()) == (before, 0)


def test_none_leaves_blas_alone() -> None:
    before = blas_counts()
    with blas_threads(None):
        assert blas_counts() == before


@pytest.mark.parametrize("threads", [0, -1, 1.5])
def test_wrong_thread_counts_are_refused(threads: object) -> None:
    with pytest.raises(SettingError, match="threads must be a whole number of at least 1"):
        blas_threads(threads)  # type: ignore[arg-type]
