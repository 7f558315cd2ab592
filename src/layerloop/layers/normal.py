"""Layers that act in another way while training: dropout and the normalisations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from layerloop.errors import NetworkError, SettingError
from layerloop.layers.base import Kind, Part, number_within, widths


@dataclass(frozen=True, repr=False)
class Dropout(Kind):
    """In training g(z) = m * z / (1 - rate), each m_j 0 with probability `rate` and else 1; in prediction g(z) = z.

    The masks come from the seed of the training and the number of the step, so a run can be repeated and resumed to
    the bit (Srivastava et al. 2014).

    Parameters
    ----------
    rate : float
        In [0, 1).
    n : int, optional
        Width; a chain fills in that of the layer before.

    Examples
    --------
    >>> Dropout(0.5)
    Dropout(0.5)
    """

    kind: ClassVar[str] = "dropout"
    rate: float
    n: int | None = None

    def __post_init__(self) -> None:
        number_within(self, "rate", 0, 1)
        if self.n is not None:
            widths(self, "n")

    @property
    def n_in(self) -> int:
        """The width, once it is known."""
        if self.n is None:
            raise NetworkError(f"{self} does not know its width: give it, Dropout({self.rate}, n=...)")
        return self.n

    n_out = n_in

    def __repr__(self) -> str:
        return f"Dropout({self.rate:g})"


@dataclass(frozen=True, repr=False)
class BatchNorm(Kind):
    """Batch normalisation: g(gamma, beta; z) = gamma * (z - mean) / sqrt(variance + epsilon) + beta.

    In training mean and variance are those of the batch, and running ones follow them: r <- (1 - momentum) r + momentum
    s, the variance with N - 1. In prediction the running ones are used (Ioffe and Szegedy 2015).

    Examples
    --------
    >>> [part.name for part in BatchNorm(8).parts]
    ['weight', 'bias', 'running_mean', 'running_variance']
    """

    kind: ClassVar[str] = "batch_norm"
    n: int
    momentum: float = 0.1
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        widths(self, "n")
        number_within(self, "momentum", 0, math.inf)
        number_within(self, "epsilon", 0, math.inf, ends="()")
        if self.momentum > 1:
            raise SettingError(f"BatchNorm: momentum must be in [0, 1], got {self.momentum!r}")

    @property
    def n_in(self) -> int:
        """The width."""
        return self.n

    n_out = n_in

    @property
    def parts(self) -> tuple[Part, ...]:
        """Gamma, beta, and the running statistics, which are not trained."""
        shape = (self.n,)
        running = Part("running_mean", shape, trained=False), Part("running_variance", shape, trained=False)
        return Part("weight", shape), Part("bias", shape), *running


@dataclass(frozen=True, repr=False)
class LayerNorm(Kind):
    """Layer normalisation: as `BatchNorm`, with mean and variance over the n numbers of one row (Ba et al. 2016).

    Examples
    --------
    >>> LayerNorm(8).size
    16
    """

    kind: ClassVar[str] = "layer_norm"
    n: int
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        widths(self, "n")
        number_within(self, "epsilon", 0, math.inf, ends="()")

    @property
    def n_in(self) -> int:
        """The width."""
        return self.n

    n_out = n_in

    @property
    def parts(self) -> tuple[Part, ...]:
        """Gamma as `weight`, beta as `bias`."""
        return Part("weight", (self.n,)), Part("bias", (self.n,))
