"""The network that a recipe describes, as it stands before its first step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from layerloop.csr import Csr
from layerloop.estimators.table_recipe import SCHEDULES
from layerloop.layers import Dense, Embedding, Parametric, Periodic, Scale
from layerloop.network import Chain, params
from layerloop.optim import Adam, Adjusted
from layerloop.plan import Architecture

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import NDArray

    from layerloop.estimators.table_recipe import Recipe
    from layerloop.features import Features, SparseFeatures
    from layerloop.layers import Layer

    Rows = NDArray[Any] | Csr

SLOW = 0.1  # times the rate: biases, parametric activations, frequencies
FAST = 6.0  # times the rate: the scaling of the columns
LEAST = 1e-6  # a unit that varies less is left as it is
LOOK = 1000  # rows that are looked at to set the first biases


def network_for(recipe: Recipe, features: Features | SparseFeatures, X: Rows, outputs: int, seed: int) -> Chain:
    """Return a network of `outputs` scores or probabilities, its first biases set by the rows X.

    Each unit of a hidden layer gets variance 1 over the rows and switches at one of them; the last layer is zero, so
    that training starts from the same prediction for all rows (RealMLP, arXiv 2407.04491).
    """
    rng = np.random.default_rng(seed)
    layers = [*_front(recipe, features, X)]
    width = layers[-1].n_out if layers else X.shape[1]
    if recipe.scaled and not isinstance(X, Csr):
        layers.append(Scale(width))
    for n in recipe.widths:
        layers += _hidden(recipe, width, n)
        width = n
    layers.append(Dense(width, outputs, ntk=True))
    m = Chain(*layers, *(["softmax"] if recipe.kind == "classes" else []), seed=rng)
    if recipe.placed:
        _set_biases(m, X[rng.permutation(len(X))[:LOOK]], rng)
    params(m)[f"layer{len(layers)}.weight"][...] = 0
    return m


def _front(recipe: Recipe, features: Features | SparseFeatures, X: Rows) -> list[Layer]:
    """Return the layers that turn single columns into several numbers: codes first, then numbers."""
    if isinstance(X, Csr):
        return []
    layers: list[Layer] = []
    width, numbers = X.shape[1], features.numbers
    if features.codes:
        layers.append(Embedding(width, features.codes, recipe.embedding))
        numbers = _moved(numbers, [place for place, _ in features.codes])
        width = layers[-1].n_out
    if recipe.frequencies and numbers:
        layers.append(Periodic(width, numbers, recipe.frequencies, recipe.number_width))
    return layers


def _moved(places: Sequence[int], taken: Sequence[int]) -> tuple[int, ...]:
    """Return where columns stand once those of an embedding have gone to the end."""
    return tuple(place - sum(other < place for other in taken) for place in places)


def _hidden(recipe: Recipe, n_in: int, n_out: int) -> list[Layer]:
    affine = Dense(n_in, n_out, "identity" if recipe.parametric else recipe.activation, ntk=True)
    bent = [Parametric(n_out, recipe.activation)] if recipe.parametric else []
    return [affine, *bent]


def _set_biases(m: Chain, rows: Rows, rng: np.random.Generator) -> None:
    """Set scale and bias of every hidden unit by what reaches it from the rows."""
    views, layers = params(m), m.architecture.layers
    for i, layer in enumerate(layers[:-1], start=1):
        if not isinstance(layer, Dense):
            continue
        affine = Dense(layer.n_in, layer.n_out, ntk=True)
        before = Architecture((*layers[: i - 1], affine), "identity", m.architecture.n_in)
        z = Chain.from_parts(before, m.flat[m.architecture.place(0, i)])(rows)
        deviation = z.std(axis=0)
        deviation[deviation < LEAST] = 1
        views[f"layer{i}.weight"][...] /= deviation
        picked = z[rng.integers(len(z), size=layer.n_out), np.arange(layer.n_out)]
        views[f"layer{i}.bias"][...] = -picked / deviation


def rule_for(recipe: Recipe, m: Chain) -> Adjusted:
    """Return the optimiser: Adam along coslog4, with the factors of the rate that the recipe's layers have."""
    factors = {"bias": SLOW}
    for i, layer in enumerate(m.architecture.layers, start=1):
        if isinstance(layer, Scale):
            factors[f"layer{i}"] = FAST
        if isinstance(layer, Parametric | Periodic):
            factors[f"layer{i}"] = SLOW
    rate = SCHEDULES[recipe.schedule](recipe.rate)
    return Adjusted(Adam(rate, betas=(0.9, recipe.beta2)), factors=factors)
