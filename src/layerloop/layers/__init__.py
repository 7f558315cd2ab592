"""The kinds of layers as plain data: what each computes, how wide it is, and what its parameters are called.

Letters: z the input of a layer, n numbers of one sample; w its own parameters, one stretch of the network's flat
vector, laid out as `parts` says. Behind `Members(n, k)` a sample is k rows, one a member: the row of member j of sample
i of N is row j N + i, layers act on each row by itself, and one with `members=k` has parameters for each member.
"""

from __future__ import annotations

from layerloop.layers.affine import Dense, Parametric, Scale
from layerloop.layers.base import ACTIVATIONS, Kind, Named, Part, activation_name, known_name
from layerloop.layers.columns import Embedding, OfColumns, Periodic, PiecewiseLinear
from layerloop.layers.normal import BatchNorm, Dropout, LayerNorm
from layerloop.layers.table import LAYERS, Layer, Members, Residual, as_plain, chained, from_plain, width_into

__all__ = [
    "ACTIVATIONS", "LAYERS", "BatchNorm", "Dense", "Dropout", "Embedding", "Kind", "Layer", "LayerNorm", "Members",
    "Named", "OfColumns", "Parametric", "Part", "Periodic", "PiecewiseLinear", "Residual", "Scale", "activation_name",
    "as_plain", "chained", "from_plain", "known_name", "width_into",
]  # fmt: skip
