"""The table of losses ell_y of one sample, and of their fused forms with a head.

Letters: z the outputs z_{L+2} of the network, y the label, both of shape (K,).
"""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from layerloop.errors import look_up
from layerloop.maths.deviations import (
    huber,
    huber_gradient,
    mae,
    mae_gradient,
    mse,
    mse_gradient,
    quantile,
    quantile_gradient,
)
from layerloop.maths.likelihoods import (
    binarycrossentropy,
    binarycrossentropy_gradient,
    crossentropy,
    crossentropy_gradient,
    exp_poisson,
    logitbinarycrossentropy,
    logitbinarycrossentropy_gradient,
    logitcrossentropy,
    logitcrossentropy_gradient,
    modified_softmax_crossentropy,
    poisson,
    poisson_gradient,
    sigmoid_binarycrossentropy,
    softmax_crossentropy,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from layerloop.maths.activations import Array


class Loss(NamedTuple):
    """One row of :data:`LOSSES`, or a loss of one's own: two functions of (z, y).

    Attributes
    ----------
    value : callable
        (z, y) -> ell_y(z), a number.
    gradient : callable
        (z, y) -> gradient with respect to z, shape of z.
    """

    value: Callable[[Array, Array], float]
    gradient: Callable[[Array, Array], Array]


LOSSES: Mapping[str, Loss] = MappingProxyType(
    {
        "crossentropy": Loss(crossentropy, crossentropy_gradient),
        "logitcrossentropy": Loss(logitcrossentropy, logitcrossentropy_gradient),
        "binarycrossentropy": Loss(binarycrossentropy, binarycrossentropy_gradient),
        "logitbinarycrossentropy": Loss(logitbinarycrossentropy, logitbinarycrossentropy_gradient),
        "mse": Loss(mse, mse_gradient),
        "mae": Loss(mae, mae_gradient),
        "huber": Loss(huber, huber_gradient),
        "quantile": Loss(quantile, quantile_gradient),
        "poisson": Loss(poisson, poisson_gradient),
    }
)
# (head, loss) -> (scores, y) -> (value, gradient with respect to the scores)
FUSED: Mapping[tuple[str, str], Callable[..., tuple[float, Array]]] = MappingProxyType(
    {
        ("softmax", "crossentropy"): softmax_crossentropy,
        ("modified_softmax", "crossentropy"): modified_softmax_crossentropy,
        ("sigmoid", "binarycrossentropy"): sigmoid_binarycrossentropy,
        ("exp", "poisson"): exp_poisson,
    }
)


def loss_named(name: str, **settings: object) -> Loss:
    """Return a loss of the table with its settings bound.

    Raises
    ------
    UnknownNameError
        When the table has no such loss.

    Examples
    --------
    >>> float(loss_named("huber", delta=2.0).value([3.0], [0.0]))
    4.0
    """
    row = look_up(LOSSES, name, "loss")
    return Loss(partial(row.value, **settings), partial(row.gradient, **settings))
