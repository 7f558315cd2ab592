"""Which engine, instruction set and products run, and what is said of them."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from both_engines import ISAS, TOLERANCE, Case, far, instructions, needs_native
from layerloop import Chain
from layerloop.engine import ReferenceEngine, engine_name, make_engine, native
from layerloop.errors import SettingError
from layerloop.layers import ACTIVATIONS, Dense
from layerloop.network import make_plan
from layerloop.plan import Architecture

pytestmark = needs_native

# -- instruction sets, products ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("isa", ISAS)
def test_the_facts_say_whose_the_products_are(isa: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "_prepared", ["SciPy's"])
    with instructions(isa):
        found = native.facts()
    assert found["instructions"] == isa
    own = isa != "baseline"  # which has no registers for tiles
    assert found["products"] == ("its own, those of very wide layers SciPy's" if own else "SciPy's")


def test_without_a_blas_the_facts_say_that_products_are_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "_prepared", [])
    monkeypatch.setattr(native, "candidates", list)
    assert native.facts()["products"].endswith("plain loops (slow: no BLAS was found)")


@pytest.mark.parametrize("isa", ISAS)
def test_the_kernels_of_every_instruction_set_agree_with_numpy(isa: str) -> None:
    with instructions(isa):
        for activation, dtype in product(ACTIVATIONS, TOLERANCE):
            case = Case((9, 40, 17, 5), activation, dtype=dtype, n=77)
            slopes = [np.empty_like(case.w) for _ in range(2)]
            for engine, g in zip((case.numpy, case.native), slopes, strict=True):
                engine.value_and_gradient(case.w, case.rows(), case.plan, g)
            assert far(slopes[1], slopes[0]) < TOLERANCE[dtype]


def test_the_plain_products_stand_in_for_a_blas() -> None:
    case = Case()
    try:
        assert native._native.use_blas(0, 0, 0, 0)
        slopes = [np.empty_like(case.w) for _ in range(2)]
        for engine, g in zip((case.numpy, case.native), slopes, strict=True):
            engine.value_and_gradient(case.w, case.rows(), case.plan, g)
    finally:
        assert native._native.use_blas(*next(native.candidates())[:4])
    assert far(slopes[1], slopes[0]) < 1e-12


# -- which engine runs -------------------------------------------------------------------------------------------------


def test_the_environment_chooses_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    a = Architecture((Dense(1, 1),), "identity", 1)
    monkeypatch.delenv("LAYERLOOP_ENGINE", raising=False)
    assert engine_name() == make_engine(a, "float64").name == "native"
    monkeypatch.setenv("LAYERLOOP_ENGINE", "numpy")
    assert isinstance(make_engine(a, "float64"), ReferenceEngine)
    assert isinstance(Chain(Dense(1, 1)).engine, ReferenceEngine)
    assert make_plan(Chain(Dense(1, 1)), "mse").fused is None


def test_a_forced_engine_that_is_missing_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "_native", None)
    monkeypatch.setenv("LAYERLOOP_ENGINE", "native")
    with pytest.raises(SettingError, match=r"without a C\+\+17 compiler.*LAYERLOOP_ENGINE=numpy"):
        make_engine(Architecture((Dense(1, 1),), "identity", 1), "float64")
    monkeypatch.delenv("LAYERLOOP_ENGINE")
    assert engine_name() == "numpy"


def test_an_unknown_instruction_set_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "_prepared", [])
    monkeypatch.setenv("LAYERLOOP_ISA", "v5")
    with pytest.raises(SettingError, match="LAYERLOOP_ISA=v5"):
        make_engine(Architecture((Dense(1, 1),), "identity", 1), "float64", "native")
