"""Settings: the two float types, whole numbers, cores and threads."""

from __future__ import annotations

import os

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from layerloop.errors import SettingError, UnknownNameError
from layerloop.settings import blas_threads, core_count, float_name, whole


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


def test_cores_are_those_of_the_affinity_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 3, 5}, raising=False)
    assert core_count() == 3


def test_cores_without_an_affinity_mask_are_those_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert core_count() == 1


def blas_counts() -> list[int]:
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_blas_threads_are_set_inside_and_given_back_after() -> None:
    before = blas_counts()
    assert before, "NumPy's BLAS is not seen by threadpoolctl"
    with blas_threads(1):
        assert blas_counts() == [1] * len(before)
    assert blas_counts() == before


def test_none_leaves_blas_alone() -> None:
    before = blas_counts()
    with blas_threads(None):
        assert blas_counts() == before


@pytest.mark.parametrize("threads", [0, -1, 1.5])
def test_wrong_thread_counts_are_refused(threads: object) -> None:
    with pytest.raises(SettingError, match="threads must be a whole number of at least 1"):
        blas_threads(threads)  # type: ignore[arg-type]
