"""The loss and its gradient of many samples at once: means over the rows of a batch, and what training changes in it.

Letters as in :mod:`layerloop.maths.loops`; a sample is a row here, and Z_i holds the z_i of all of them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from layerloop.errors import NetworkError, ShapeError
from layerloop.maths.activations import as_numbers
from layerloop.maths.layers import backward_batch, forward_batch, in_training, moved
from layerloop.maths.loops import back_from_head, back_from_loss, outputs_of, value_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from layerloop.maths.activations import Array
    from layerloop.maths.net import Net


def _batch(X: ArrayLike, Y: ArrayLike) -> tuple[Array, Array]:
    X, Y = as_numbers(X), as_numbers(Y)
    if X.ndim != 2 or Y.ndim != 2 or len(X) != len(Y) or len(X) == 0:
        raise ShapeError(f"expected X (N, n_1) and Y (N, K) with the same N >= 1 rows, got {X.shape} and {Y.shape}")
    return X, Y


def for_training(net: Net, masks: Sequence[ArrayLike] = ()) -> Net:
    """Return the network as a step of training sees it: batch statistics, and dropouts with these masks.

    Parameters
    ----------
    masks : sequence of array, shape (N, n)
        One for each dropout with a rate above 0, in the order of layers, a sample a row (behind `Members`, its k blocks
        one behind another): 1 where an entry is kept, else 0.

    Raises
    ------
    NetworkError
        When there are fewer or more masks than dropouts.
    """
    left = iter(masks)
    layers = in_training(net.layers, left)
    if next(left, None) is not None:
        raise NetworkError(f"masks: expected one for each dropout, got {len(masks)}, more than there are")
    return replace(net, layers=layers)


def mean_f(
    net: Net, w: ArrayLike, X: ArrayLike, Y: ArrayLike, *, training: bool = False, masks: Sequence[ArrayLike] = ()
) -> float:
    """Mean loss over the rows of X (N, n_1) and Y (N, K); the notes' columns x and y are rows here.

    Parameters
    ----------
    training : bool
        Whether batch normalisation takes the statistics of X as one batch, and dropout its masks.
    masks : sequence of array
        As :func:`for_training` takes them.
    """
    X, Y = _batch(X, Y)
    net = for_training(net, masks) if training else net
    return _mean_value(net, _scores_of_batch(net, w, X)[-1], Y)


@np.errstate(under="ignore", over="ignore", invalid="ignore")
def _scores_of_batch(net: Net, w: ArrayLike, X: Array) -> list[Array]:
    """Return Z_1, ..., Z_{L+1} of a batch."""
    return forward_batch(net.layers, w, X)


def _mean_value(net: Net, S: Array, Y: Array) -> float:
    return sum(value_of(net, outputs_of(net, s), y) for s, y in zip(S, Y, strict=True)) / len(S)


@np.errstate(under="ignore", over="ignore", invalid="ignore")
def mean_gradient(
    net: Net, w: ArrayLike, X: ArrayLike, Y: ArrayLike, *, training: bool = False, masks: Sequence[ArrayLike] = ()
) -> Array:
    """Gradient of :func:`mean_f`, by the loops on the batch as one, shape (size(net),).

    Without batch normalisation in training it is (1/N) times the sum of the samples' gradients.

    Raises
    ------
    ShapeError
        When X and Y are not matrices with the same number of rows, at least one.
    NetworkError
        When there is not one mask for each dropout.
    """
    X, Y = _batch(X, Y)
    net = for_training(net, masks) if training else net
    Zs = forward_batch(net.layers, w, X)
    back = [back_from_head(net, s, back_from_loss(net, outputs_of(net, s), y)) for s, y in zip(Zs[-1], Y, strict=True)]
    return backward_batch(net.layers, w, Zs, np.array(back) / len(X))[0]


def moved_statistics(net: Net, w: ArrayLike, X: ArrayLike, *, masks: Sequence[ArrayLike] = ()) -> Array:
    """Return w after the forward loop of a training step on the batch X: running statistics have moved.

    Examples
    --------
    >>> from layerloop.maths.layers import BatchNorm
    >>> from layerloop.maths.net import Net
    >>> net = Net.of([BatchNorm(1, momentum=0.5)], "identity", "mse")
    >>> moved_statistics(net, [1.0, 0.0, 0.0, 1.0], [[2.0], [6.0]])  # mean 4, variance 8 by N - 1
    array([1. , 0. , 2. , 4.5])
    """
    return moved(for_training(net, masks).layers, w, X)
