"""One small network for each kind of layer, for the tests that walk over all of them."""

from __future__ import annotations

import numpy as np

from layerloop.layers import (
    BatchNorm,
    Dense,
    Dropout,
    Embedding,
    Layer,
    LayerNorm,
    Members,
    Parametric,
    Periodic,
    PiecewiseLinear,
    Residual,
    Scale,
)
from layerloop.plan import Architecture

EDGES = ((-1.0, -0.25, 0.5, 1.25), (-2.0, 2.0))
# Columns 0 and 3 of the input hold codes, of 3 and 4 categories, where a network begins with an embedding.
NETWORKS: dict[str, tuple[Layer, ...]] = {
    "dense": (Dense(5, 7, "tanh"), Dense(7, 3)),
    "dense, ntk": (Dense(5, 7, "tanh", ntk=True), Dense(7, 3, ntk=True)),
    "dense, members": (Members(5, 3), Dense(5, 7, "silu", members=3), Dense(7, 3, members=3, ntk=True)),
    "scale": (Scale(5), Dense(5, 7, "gelu"), Scale(7, "mish", bias=True), Dense(7, 3)),
    "scale, members": (
        Members(5, 4),
        Scale(5, members=4, start="signs"),
        Dense(5, 7),
        Scale(7, "tanh", bias=True, members=4, start="normal"),
        Dense(7, 3, members=4),
    ),
    "parametric": (Dense(5, 7), Parametric(7, "mish"), Dense(7, 3), Parametric(3, "selu")),
    "dropout": (Dropout(0.3), Dense(5, 7, "tanh"), Dropout(0.5), Dense(7, 3)),
    "dropout, members": (Members(5, 3), Dense(5, 7, "tanh"), Dropout(0.5), Dense(7, 3)),
    "batch_norm": (Dense(5, 7), BatchNorm(7), Parametric(7, "tanh"), Dense(7, 3)),
    "batch_norm, first and last": (BatchNorm(5, momentum=0.3), Dense(5, 3), BatchNorm(3, epsilon=0.1)),
    "batch_norm, members": (Members(5, 2), Scale(5, members=2, start="normal"), BatchNorm(5), Dense(5, 3)),
    "layer_norm": (Dense(5, 7), LayerNorm(7), Dense(7, 3)),
    "layer_norm, members": (Members(5, 3), Dense(5, 7, members=3), LayerNorm(7), Dense(7, 3)),
    "residual": (
        Dense(5, 7),
        Residual(LayerNorm(7), Dense(7, 4, "tanh"), Dropout(0.2), Dense(4, 7)),
        Residual(Scale(7), Residual(Dense(7, 7, "silu"))),
        Dense(7, 3),
    ),
    "residual, first and last": (Residual(Dense(5, 5, "tanh")), Dense(5, 3), Residual(Dense(3, 3, "tanh"))),
    "embedding": (Embedding(5, [(3, 4), (0, 3)], width=2), Dense(7, 6, "tanh"), Dense(6, 3)),
    "periodic": (Periodic(5, [1, 4], frequencies=6, width=3), Dense(9, 6, "tanh"), Dense(6, 3)),
    "periodic, embedding": (
        Periodic(5, [4], frequencies=3, width=2, sigma=1.0),
        Embedding(6, [(0, 3), (3, 4)], width=3),
        Dense(10, 3),
    ),
    "piecewise_linear": (PiecewiseLinear(5, [2, 0], EDGES), Dense(7, 3)),
    "piecewise_linear, width": (
        Scale(5),
        PiecewiseLinear(5, [2, 0], EDGES, width=4),
        Dense(11, 6, "tanh"),
        Dense(6, 3),
    ),
    "members": (Dense(5, 6, "tanh"), Members(6, 3), Scale(6, members=3, start="normal"), Dense(6, 3)),
}


def architecture(name: str, head: str = "softmax") -> Architecture:
    return Architecture(NETWORKS[name], head, 5)


def parameters(a: Architecture, dtype: str = "float64") -> np.ndarray:
    """Random parameters; running variances stay positive."""
    rng = np.random.default_rng(a.size)
    w = 0.6 * rng.normal(size=a.size)
    for name, view in a.views(w).items():
        if name.endswith("running_variance"):
            view[...] = rng.uniform(0.5, 2, size=view.shape)
    return w.astype(dtype)


def rows(a: Architecture, n: int, dtype: str = "float64") -> np.ndarray:
    rng = np.random.default_rng(n)
    X = rng.normal(size=(n, a.n_in))
    for column, count in a.codes:
        X[:, column] = rng.integers(count, size=n)
    return X.astype(dtype)
