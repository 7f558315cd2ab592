"""Weights before the first step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from layerloop.plan import Architecture


def glorot_uniform(architecture: Architecture, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a flat vector with weights uniform in [-a, a], a = sqrt(6 / (n_in + n_out)), and zero biases.

    Drawn in float64, layer by layer, so that float32 and float64 networks of one seed agree up to rounding
    (Glorot and Bengio 2010, equation 16).
    """
    flat = np.zeros(architecture.size)
    for layer, block in zip(architecture.layers, architecture.blocks(flat), strict=True):
        bound = np.sqrt(6 / (layer.n_in + layer.n_out))
        block[:-1] = rng.uniform(-bound, bound, size=(layer.n_in, layer.n_out))
    return flat
