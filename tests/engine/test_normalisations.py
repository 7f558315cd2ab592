"""Numbers far from 0 with little spread: what a normalisation takes away must not take its digits along."""

from __future__ import annotations

import numpy as np
import pytest

from both_engines import ENGINES, TOLERANCE, far
from layerloop import BatchNorm, Chain, LayerNorm
from layerloop.engine import make_engine
from layerloop.network import make_plan, make_rows


def worked(kind: type, X: np.ndarray, y: np.ndarray, gamma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Outputs, and the gradient of the mean square in gamma and beta, in extended precision."""
    X, axis = X.astype(np.longdouble), 1 if kind is LayerNorm else 0
    off = X - X.mean(axis=axis, keepdims=True)
    xhat = off / np.sqrt(np.square(off).mean(axis=axis, keepdims=True) + np.longdouble(1e-5))
    outputs = xhat * gamma + 0.5
    D = 2 * (outputs - y) / y.size
    return outputs, np.concatenate([(D * xhat).sum(axis=0), D.sum(axis=0)])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("kind", [LayerNorm, BatchNorm])
@pytest.mark.parametrize("mean", [0, 30, 1000, 30_000])
def test_a_mean_far_above_the_spread_costs_no_digits(mean: float, kind: type, dtype: str, engine: str) -> None:
    rng = np.random.default_rng(0)
    for n, width in ((256, 64), (33, 1024), (1000, 5)):
        signs = rng.choice([-1, 1], (n, 1) if kind is LayerNorm else width)
        X = (rng.standard_normal((n, width)) + mean * signs).astype(dtype)
        y, m = rng.standard_normal((n, width)), Chain(kind(width), dtype=dtype)
        gamma = rng.uniform(0.5, 2, width).astype(dtype)
        m.flat[:width], m.flat[width : 2 * width] = gamma, 0.5
        plan = make_plan(m, "mse")
        rows, gradient = make_rows(m, X, y, plan), np.empty_like(m.flat)
        made = make_engine(m.architecture, dtype, engine)
        made.value_and_gradient(m.flat.copy(), rows, plan, gradient, 1)  # as in training: the batch's own statistics
        outputs, slopes = worked(kind, X, y, gamma)
        assert far(gradient[: 2 * width], slopes) < TOLERANCE[dtype]
        if kind is LayerNorm:
            assert far(made.outputs(m.flat, X), outputs) < TOLERANCE[dtype]
