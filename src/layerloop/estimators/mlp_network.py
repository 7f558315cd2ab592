"""The network behind `coefs_` and `intercepts_`: its layers, its first weights, and how it follows those lists.

All weights lie in one flat vector, and the two lists hold views of it: writing into one changes the network. Who puts
other arrays into the lists, as scikit-learn allows, is followed as well: the numbers are then gathered anew.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from layerloop.errors import SettingError, ShapeError
from layerloop.estimators.mlp_losses import HEAD_OF
from layerloop.initialise import fill_drawn
from layerloop.layers import ACTIVATIONS, Dense, Dropout, known_name
from layerloop.memory import aligned_zeros
from layerloop.network import Chain
from layerloop.plan import Architecture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from layerloop.layers import Layer

    Floats = NDArray[np.floating]
    Lists = tuple[list[Floats], list[Floats]]


class Held(NamedTuple):
    """A network, and the arrays of `coefs_` and `intercepts_` that are its own."""

    network: Chain
    parts: tuple[Floats, ...]
    made_of: tuple[object, ...]

    def serves(self, parts: Sequence[object], made_of: tuple[object, ...]) -> bool:
        """Whether these lists still hold the network's own arrays, and its layers are those that are asked for."""
        same = len(parts) == len(self.parts) and all(a is b for a, b in zip(parts, self.parts, strict=True))
        return same and made_of == self.made_of


def listed(value: Any, count: int, what: str) -> list[Any]:
    """Return one setting for each of `count` hidden layers: given as one for all, or one by one."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        return [value] * count
    values = list(value)
    if len(values) != count:
        raise SettingError(f"{what} has {len(values)} entries, and there are {count} hidden layers: one for each")
    return values


def hidden_sizes(value: Any) -> list[int]:
    """Return the widths of the hidden layers; a number is one layer of it.

    Raises
    ------
    SettingError
        A width below 1, or none that is whole.
    """
    sizes = list(value) if np.iterable(value) else [value]
    for size in sizes:
        if not isinstance(size, Integral) or size <= 0:
            raise SettingError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    return [int(size) for size in sizes]


def activation_names(value: Any, count: int) -> list[str]:
    """Return our names of the hidden layers' activations; scikit-learn's "logistic" is the sigmoid.

    Examples
    --------
    >>> activation_names("logistic", 2), activation_names(["relu", "tanh"], 2)
    (['sigmoid', 'sigmoid'], ['relu', 'tanh'])
    """
    names = ["sigmoid" if one == "logistic" else one for one in listed(value, count, "activation")]
    return [known_name(name, ACTIVATIONS, "activation") for name in names]


def architecture_of(units: Sequence[int], activation: Any, out: str, head: str, dropout: Any = 0.0) -> Architecture:
    """Return the layers: dense ones, each hidden one followed by its dropout where there is any."""
    hidden = len(units) - 2
    last = "identity" if out in HEAD_OF else out
    layers: list[Layer] = []
    for i, (name, rate) in enumerate(
        zip(activation_names(activation, hidden), listed(dropout, hidden, "dropout"), strict=True)
    ):
        layers.append(Dense(units[i], units[i + 1], name))
        if rate:
            layers.append(Dropout(rate, n=units[i + 1]))
    layers.append(Dense(units[-2], units[-1], last))
    return Architecture(tuple(layers), head, units[0])


def initial(units: Sequence[int], activation: Any, random: np.random.RandomState, dtype: Any) -> Lists:
    """Return first weights and biases, both uniform in [-a, a], a = sqrt(f / (n_in + n_out)), as scikit-learn draws.

    f is 6, and 2 where the layer's activation is the logistic one; the last layer goes by the last hidden one. Drawn
    in float64, layer by layer, weights before biases, so that one random state gives scikit-learn's numbers.
    """
    names = activation_names(activation, len(units) - 2)
    lone = ["sigmoid"] if activation == "logistic" else ["identity"]  # without a hidden layer
    coefs, intercepts = views(aligned_zeros(sum((a + 1) * b for a, b in itertools.pairwise(units)), dtype), units)
    for weights, biases, name in zip(coefs, intercepts, [*names, *(names[-1:] or lone)], strict=True):
        bound = np.sqrt((2.0 if name == "sigmoid" else 6.0) / sum(weights.shape))
        for part in (weights, biases):
            _fill_uniformly(part, bound, random)
    return coefs, intercepts


def _fill_uniformly(part: Floats, bound: float, random: np.random.RandomState) -> None:
    fill_drawn(part, lambda size: random.uniform(-bound, bound, size))


def given(values: Any, drawn: list[Floats], what: str) -> list[Floats]:
    """Return weights to start from: those of the caller where there are any, checked against those drawn."""
    if values is None:
        return drawn
    shapes = [np.shape(value) for value in values]
    if shapes != [part.shape for part in drawn]:
        raise ShapeError(f"{what} must be arrays of shapes {[part.shape for part in drawn]}, got {shapes}")
    return [np.asarray(value, np.float64) for value in values]


def packed(coefs: Sequence[Any], intercepts: Sequence[Any], dtype: Any) -> Floats:
    """Return one flat vector: layer by layer, weights row by row, then biases."""
    parts = [np.ravel(part) for pair in zip(coefs, intercepts, strict=True) for part in pair]
    flat, at = aligned_zeros(sum(map(len, parts)), dtype), 0
    for part in parts:
        flat[at : at + len(part)] = part
        at += len(part)
    return flat


def views(flat: Floats, units: Sequence[int]) -> Lists:
    """Return `coefs_` and `intercepts_` as views of a flat vector; the inverse of `packed`."""
    coefs, intercepts, at = [], [], 0
    for n_in, n_out in itertools.pairwise(units):
        coefs.append(flat[at : at + n_in * n_out].reshape(n_in, n_out))
        intercepts.append(flat[at + n_in * n_out : at + (n_in + 1) * n_out])
        at += (n_in + 1) * n_out
    return coefs, intercepts


def float_type(coefs: Sequence[Any]) -> str:
    """Return the float type of weights: float32 where all are, else float64."""
    return "float32" if all(np.asarray(part).dtype == np.float32 for part in coefs) else "float64"


def units_of(coefs: Sequence[Any]) -> list[int]:
    """Return the widths n_1, ..., n_{L+1} of a network with these weights."""
    return [np.shape(coefs[0])[0], *(np.shape(part)[1] for part in coefs)]


def held(coefs: list[Any], intercepts: list[Any], activation: Any, out: str) -> Held:
    """Return the network of these weights, gathered into a vector of its own, and the arrays that now are its own."""
    units, dtype = units_of(coefs), float_type(coefs)
    flat = packed(coefs, intercepts, dtype)
    network = Chain.from_parts(architecture_of(units, activation, out, HEAD_OF.get(out, "identity")), flat)
    own = views(flat, units)
    return Held(network, (*own[0], *own[1]), made_of(activation, out))


def made_of(activation: Any, out: str) -> tuple[object, ...]:
    """Return what the layers of a network were made of, to compare."""
    return (out, tuple(activation) if isinstance(activation, list) else activation)
