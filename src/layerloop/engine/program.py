"""A network's operations as the compiled engine takes them: plain tuples, in the order of Layer in native/net.h."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from layerloop.engine.activations import ACTIVATIONS
from layerloop.engine.masks import threshold
from layerloop.layers import ACTIVATIONS as NAMES
from layerloop.layers import (
    BatchNorm,
    Dense,
    Dropout,
    Embedding,
    LayerNorm,
    Members,
    OfColumns,
    Parametric,
    Periodic,
    PiecewiseLinear,
    Scale,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from layerloop.layers import Layer
    from layerloop.plan import Architecture, Op

# The places of Kind in native/net.h; a residual is unrolled, and its end is a kind of its own.
KINDS: dict[type | None, int] = {
    Dense: 0, None: 1, Scale: 2, Parametric: 3, Dropout: 4, BatchNorm: 5, LayerNorm: 6, Members: 7, Embedding: 8,
    Periodic: 9, PiecewiseLinear: 10,
}  # fmt: skip


class CompiledOp(NamedTuple):
    """One operation; `numbers`, `places`, `counts` and `rest` mean what `_settings` says of each kind."""

    kind: int
    n_in: int
    n_out: int
    activation: int
    keeps_t: bool
    size: int
    own: int
    skip: int
    numbers: Sequence[float] = ()
    places: Sequence[int] = ()
    counts: Sequence[int] = ()
    rest: Sequence[int] = ()


def compiled(architecture: Architecture) -> list[CompiledOp]:
    """Return the program of a network."""
    found, width = [], architecture.n_in
    for op in architecture.ops:
        found.append(_compiled(op, width))
        width = op.width
    return found


def _compiled(op: Op, n_in: int) -> CompiledOp:
    layer = op.layer
    activation = layer.activation if isinstance(layer, Dense | Scale | Parametric) else "identity"
    # The blend of a parametric activation must not overwrite what f' is formed from: it always has room of its own.
    apart = isinstance(layer, Parametric) or ACTIVATIONS[activation].keeps_t
    return CompiledOp(
        KINDS[type(layer) if layer else None],
        n_in,
        op.width,
        NAMES.index(activation),
        apart,
        layer.size if layer else 0,
        getattr(layer, "members", 1),
        -1 if op.skip is None else op.skip,
        **_settings(layer),
    )


def _settings(layer: Layer | None) -> dict[str, Any]:
    """Return what a kind has besides widths: numbers in its formulas; columns, and codes, bins or waves of each."""
    match layer:
        case Dense():
            return {"numbers": [layer.factor]}
        case Parametric():
            return {"numbers": [float(ACTIVATIONS[layer.activation].keeps_t)]}
        case Dropout():
            return {"numbers": [1 / (1 - layer.rate)], "counts": [threshold(layer.rate)]}
        case BatchNorm():
            return {"numbers": [layer.momentum, layer.epsilon]}
        case LayerNorm():
            return {"numbers": [layer.epsilon]}
        case Embedding() | Periodic() | PiecewiseLinear():
            return {"places": layer.places, "rest": layer.rest, **_of_columns(layer)}
    return {}


def _of_columns(layer: OfColumns) -> dict[str, Any]:
    match layer:
        case Embedding():
            return {"counts": [count for _, count in layer.columns]}
        case PiecewiseLinear():
            edges = [np.array(column) for column in layer.edges]
            pairs = [(e[:-1], 1 / np.diff(e)) for e in edges]  # of each column where its bins begin, and their widths
            return {"counts": layer.bins, "numbers": [float(x) for pair in pairs for part in pair for x in part]}
        case Periodic():
            return {"counts": [layer.frequencies]}
    return {}
