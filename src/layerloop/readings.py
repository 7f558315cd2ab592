"""The two readings of the chapter as networks: its formulas (`notes`) and its program (`program`).

The formulas of section 7.1 apply sigma on every layer, the last included, and the modified softmax to K - 1 scores.
Those scores are positive and class K has score 0, so class K is never predicted: mathematics, not an error. The
program of section 7.3 has no activation on its last layer and the ordinary softmax of K scores.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from layerloop.errors import look_up
from layerloop.layers import Dense, Dropout, known_name
from layerloop.network import Chain
from layerloop.plan import HEADS
from layerloop.settings import whole
from layerloop.vocabulary import Head

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from layerloop.preprocessing import Inputs
    from layerloop.vocabulary import Activation


class Reading(NamedTuple):
    """Whether the last layer has an activation too, and which head follows it."""

    last_activation: bool
    head: str


READINGS: Mapping[str, Reading] = {
    "program": Reading(last_activation=False, head="softmax"),
    "notes": Reading(last_activation=True, head="modified_softmax"),
}


def dense_layers(
    widths: Sequence[int], activation: str | Activation, last: str | Activation = "identity"
) -> list[Dense]:
    """Return the layers between widths n_1, ..., n_{L+1}: all with one activation, but the last with its own.

    Examples
    --------
    >>> dense_layers((4, 3, 1), "tanh")
    [Dense(4, 3, tanh), Dense(3, 1)]
    """
    kinds = [*(activation for _ in widths[2:]), last]
    return [Dense(n_in, n_out, kind) for (n_in, n_out), kind in zip(pairwise(widths), kinds, strict=True)]


def dropped(layers: Sequence[Dense], dropout: float = 0.0, input_dropout: float = 0.0) -> list[Dense | Dropout]:
    """Return the layers with a `Dropout` in front and behind every one but the last, where its rate is not 0.

    Examples
    --------
    >>> dropped(dense_layers((4, 3, 1), "relu"), dropout=0.5)
    [Dense(4, 3, relu), Dropout(0.5), Dense(3, 1)]
    """
    found: list[Dense | Dropout] = [Dropout(input_dropout)] if input_dropout else []
    for layer in layers[:-1]:
        found += [layer, Dropout(dropout)] if dropout else [layer]
    return [*found, layers[-1]]


def classifier(
    reading: str,
    n_in: int,
    hidden: Sequence[int],
    n_classes: int,
    *,
    activation: str | Activation = "sigmoid",
    head: str | Head | None = None,
    dropout: float = 0.0,
    input_dropout: float = 0.0,
    seed: int | np.random.Generator = 0,
    dtype: object = "float32",
    inputs: Inputs | None = None,
    classes: Sequence[str] = (),
) -> Chain:
    """Return the classifier of one reading; no hidden layers make it multinomial logistic regression.

    Parameters
    ----------
    reading : "program" or "notes"
    n_in, n_classes : int
        Widths of input and output.
    hidden : sequence of int
        Widths of the hidden layers.
    activation : str or activation
        Of the hidden layers, and in the reading `notes` of the last one too.
    head : str or head, optional
        Another head than the reading's.
    dropout, input_dropout : float
        Rates of `Dropout` behind the hidden layers, and of the input.

    Raises
    ------
    UnknownNameError
        For an unknown reading, activation or head.
    SettingError
        Fewer than two classes, or a width below 1.

    Examples
    --------
    >>> classifier("program", 784, [32], 10)
    Chain(Dense(784, 32, sigmoid), Dense(32, 10), softmax)  # 25,450 parameters
    >>> classifier("notes", 784, [32], 10)
    Chain(Dense(784, 32, sigmoid), Dense(32, 9, sigmoid), modified_softmax)  # 25,417 parameters
    """
    row = look_up(READINGS, reading, "reading")
    name = known_name(row.head if head is None else head, HEADS, "head")
    scores = whole(n_classes, "the number of classes", least=2) - (name == "modified_softmax")
    layers = dense_layers((n_in, *hidden, scores), activation, activation if row.last_activation else "identity")
    ends = [] if name == "identity" else [Head(name)]
    return Chain(
        *dropped(layers, dropout, input_dropout), *ends, seed=seed, dtype=dtype, inputs=inputs, classes=classes
    )
