"""The optimisers by name: how a step turns the gradient g into new parameters w, both flat vectors.

A rule is a frozen dataclass of settings; what its steps change is in the `State`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerloop.optim.adaptive import AdaGrad, Adam, AdamHat, AdamW, LazyAdam, NAdam, RAdam, RMSProp
from layerloop.optim.descent import Descent, Lion, Momentum, Nesterov

if TYPE_CHECKING:
    from collections.abc import Mapping

    from layerloop.optim.state import Rule

__all__ = [
    "RULES",
    "AdaGrad",
    "Adam",
    "AdamHat",
    "AdamW",
    "Descent",
    "LazyAdam",
    "Lion",
    "Momentum",
    "NAdam",
    "Nesterov",
    "RAdam",
    "RMSProp",
]

RULES: Mapping[str, type[Rule]] = {
    "descent": Descent,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "adagrad": AdaGrad,
    "rmsprop": RMSProp,
    "adam": Adam,
    "adam_hat": AdamHat,
    "adamw": AdamW,
    "lazy_adam": LazyAdam,
    "nadam": NAdam,
    "radam": RAdam,
    "lion": Lion,
}
