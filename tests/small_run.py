"""A small network and its rows, for the tests of training: both are formulas, so that no generator stands between."""

from __future__ import annotations

import numpy as np

from layerloop.data.batches import DataLoader
from layerloop.layers import Dense
from layerloop.network import Chain
from layerloop.vocabulary import softmax, tanh

N, D, H, K = 11, 5, 4, 3
X = np.cos(0.7 * np.arange(N * D).reshape(N, D))
Y = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)

VALUES = X.sum(axis=1)


def network(dtype: str = "float64") -> Chain:
    """A network whose weights are a formula, so that no generator stands between it and its numbers."""
    m = Chain(Dense(D, H, tanh), Dense(H, K), softmax, dtype=dtype)
    m.flat[...] = 0.5 * np.sin(np.arange(1, m.flat.size + 1))
    return m


def loader(**settings: object) -> DataLoader:
    return DataLoader((X, Y), **{"batchsize": 4, "seed": 3, **settings})  # type: ignore[arg-type]


def line(dtype: str = "float64") -> Chain:
    m = Chain(Dense(D, 1), dtype=dtype)
    m.flat[...] = 0.1
    return m
