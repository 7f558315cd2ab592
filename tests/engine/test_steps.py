"""Every kind of layer in the NumPy engine: its gradient, its modes, its masks, and what is done to its input."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from both_engines import needs_native
from every_layer import NETWORKS, architecture, parameters, rows
from layerloop.engine import ReferenceEngine, Rows, make_engine
from layerloop.layers import LAYERS
from layerloop.plan import Plan


def test_there_is_a_network_for_every_kind_of_layer() -> None:
    assert {name.split(",")[0] for name in NETWORKS} == set(LAYERS)


def differences(engine: ReferenceEngine, w: np.ndarray, data: Rows, plan: Plan, step: int | None) -> np.ndarray:
    """Central differences of the loss in every parameter."""
    found, h, scratch = np.empty_like(w), 1e-6, np.empty_like(w)
    for i in range(len(w)):
        values = []
        for sign in (1, -1):
            v = w.copy()
            v[i] += sign * h
            values.append(engine.value_and_gradient(v, data, plan, scratch, step))
        found[i] = (values[0] - values[1]) / (2 * h)
    return found


@pytest.mark.parametrize("step", [None, 5], ids=["prediction", "training"])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_gradient_is_that_of_finite_differences(name: str, step: int | None) -> None:
    a = architecture(name)
    plan, engine, w = Plan(a, "crossentropy", "float64", seed=3), ReferenceEngine(a, "float64"), parameters(a)
    data = Rows(rows(a, 6), np.arange(6) % 3)
    gradient = np.empty_like(w)
    engine.value_and_gradient(w.copy(), data, plan, gradient, step)
    expected = differences(engine, w, data, plan, step)
    for stretch in a.untrained:
        assert not gradient[stretch].any()
        expected[stretch] = 0  # in prediction the outputs do depend on them, but they are not trained
    assert np.abs(gradient - expected).max() < 1e-7 * max(1.0, np.abs(expected).max())
    assert np.abs(expected).max() > 1e-3


TOLERANCE = {"float64": 1e-12, "float32": 1e-5}  # relative to the largest entry of what is compared


def far(got: np.ndarray | float, expected: np.ndarray | float) -> float:
    difference = np.abs(np.asarray(got, np.float64) - expected).max(initial=0.0)
    return float(difference / max(np.abs(expected).max(initial=0.0), np.finfo(float).tiny))


@needs_native
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", NETWORKS)
def test_the_compiled_engine_computes_the_same(name: str, dtype: str) -> None:
    a = architecture(name, "modified_softmax")
    plan, w = Plan(a, "crossentropy", dtype, seed=3), parameters(a, dtype)
    engines = [make_engine(a, dtype, kind) for kind in ("numpy", "native")]
    for n, step in product((1, 6, 33, 200, 900), (None, 0, 7)):
        data = Rows(rows(a, n, dtype), np.arange(n) % 4)
        found = []
        for engine in engines:
            v, gradient = w.copy(), np.empty_like(w)
            value = engine.value_and_gradient(v, data, plan, gradient, step)
            found.append((value, gradient, v, engine.outputs(w, data.X), *engine.activations(w, data.X)))
        for got, expected in zip(*found[::-1], strict=True):
            assert far(got, expected) < TOLERANCE[dtype], (n, step)
