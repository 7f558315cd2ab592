"""Weights before the first step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from layerloop.layers import BatchNorm, Dense, Embedding, LayerNorm, Parametric, Periodic, PiecewiseLinear, Scale

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from layerloop.layers import Layer
    from layerloop.plan import Architecture

    Vector = NDArray[np.floating]

DRAWN = 1 << 16  # numbers at a time: few enough for the processor's cache


def initialise(flat: Vector, architecture: Architecture, rng: np.random.Generator) -> None:
    """Fill a flat vector of zeros to start from: what a dense layer has is Glorot-uniform, its biases are zero.

    Weights are uniform in [-a, a], a = sqrt(6 / (n_in + n_out)) (Glorot and Bengio 2010, equation 16), or N(0, 1) under
    the NTK scaling; the other kinds start where their papers do. Drawn in float64, layer by layer, so that float32 and
    float64 networks of one seed agree up to rounding.
    """
    for op in architecture.ops:
        if op.layer:
            _start(op.layer, flat[op.part], rng)


def fill_drawn(out: Vector, draw: Callable[[int], Vector]) -> None:
    """Fill `out` with numbers drawn in their order; a long one needs no second array of its length."""
    if not out.flags.c_contiguous:  # the weights of members, between which their biases lie
        for part in out:
            fill_drawn(part, draw)
        return
    flat = out.reshape(-1)
    for at in range(0, len(flat), DRAWN):
        part = flat[at : at + DRAWN]
        part[...] = draw(len(part))


def _start(layer: Layer, w: Vector, rng: np.random.Generator) -> None:
    parts = layer.views(w)
    match layer:
        case Dense():
            bound = np.sqrt(6 / (layer.n_in + layer.n_out))
            draw = rng.standard_normal if layer.ntk else lambda size: rng.uniform(-bound, bound, size)
            fill_drawn(parts["weight"], draw)
        case Scale():
            parts["weight"][...] = _scales(layer.start, parts["weight"].shape, rng)
        case Parametric() | LayerNorm():
            parts["weight"][...] = 1
        case BatchNorm():
            parts["weight"][...] = parts["running_variance"][...] = 1
        case Embedding():
            fill_drawn(w, rng.standard_normal)
        case Periodic() | PiecewiseLinear():
            for name, part in parts.items():
                part[...] = _of_columns(layer, name, part.shape, rng)


def _scales(start: str, shape: tuple[int, ...], rng: np.random.Generator) -> Vector | float:
    if start == "ones":
        return 1.0
    drawn = rng.standard_normal(shape)
    return np.copysign(1.0, drawn) if start == "signs" else drawn


def _of_columns(
    layer: Periodic | PiecewiseLinear, name: str, shape: tuple[int, ...], rng: np.random.Generator
) -> Vector | float:
    """Return where a part of a layer of columns starts: frequencies N(0, sigma^2), phases and maps uniform."""
    if name.startswith("frequency"):
        return layer.sigma * rng.standard_normal(shape)  # type: ignore[union-attr]
    if name.startswith("phase"):
        return rng.uniform(-np.pi, np.pi, shape)
    return rng.uniform(-1, 1, shape) / np.sqrt(shape[0]) if name.startswith("weight") else 0.0
