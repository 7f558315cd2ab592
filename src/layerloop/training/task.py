"""A network with its data: trained in the units that suit it, judged in those of the target."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from layerloop.figures import figures_of
from layerloop.network import Chain, evaluate, params
from layerloop.training.callbacks import reads_only
from layerloop.training.loop import train
from layerloop.training.quasi_newton import lbfgs
from layerloop.training.standard import AS_IT_IS, Standard
from layerloop.vocabulary import Loss

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from layerloop import optim
    from layerloop.data.batches import DataLoader
    from layerloop.losses import LossSpec
    from layerloop.training.callbacks import Callback, Progress
    from layerloop.training.history import History

    Data = tuple[Any, NDArray[np.generic]]  # rows, an array or sparse, and their targets

HELD = ("validation", "test")  # the names of data that are held out


@dataclass
class Task:
    """A network and the data it is trained, watched and tested on.

    Attributes
    ----------
    m : Chain
    loader : DataLoader
    loss : LossSpec
        As it is reported, in the units of the target.
    rule : Rule or None
        None for L-BFGS, which is no step rule.
    held : dict
        Data by name, "validation" and "test", as `train` and `evaluate` take them.
    done : list of str
        What was done to the data, in sentences.
    target : Standard
        Center and spread of the values while training, of several each its own; (0, 1) for classes.
    smoothing : float
        Of the labels, in training.
    l2 : float
        Of L-BFGS's penalty; that of a step rule is in the rule.
    first_column : int or None
        As in the `Dataset`.
    """

    m: Chain
    loader: DataLoader
    loss: LossSpec
    rule: optim.Rule | None
    held: dict[str, Data]
    done: list[str] = field(default_factory=list)
    target: Standard = AS_IT_IS
    smoothing: float = 0.0
    l2: float = 0.0
    first_column: int | None = None

    def train(self, epochs: int, callbacks: Sequence[Callback] = (), watched: Sequence[str] = HELD) -> History:
        """Train the network: in steps over batches, or by L-BFGS, where `epochs` are iterations over all rows at once.

        `watched` are the names of the held-out data whose figures are taken after each of them. The callbacks are this
        library's own, which write nothing into the rows.
        """
        held = {name: self.held[name] for name in watched if name in self.held}
        if self.rule is not None:
            own = [reads_only(callback) for callback in callbacks]
            return train(self.m, self.loader, self.trained_loss, self.rule, epochs, own, validation=held)
        rows: Any = self.loader
        return lbfgs(
            self.m, rows.X, rows.y, self.trained_loss, epochs, callbacks,
            l2=self.l2, weights=rows.weights, validation=held,
        )  # fmt: skip

    @property
    def trained_loss(self) -> LossSpec:
        """What training makes small: the loss, with smoothing where the recipe has it."""
        own = self._own_loss
        return own.with_(smoothing=self.smoothing) if self.smoothing else own

    def figures(self, name: str, *, passing: bool = False) -> dict[str, float]:
        """Return the figures of held-out data, in the units of the target.

        Of several values a row every one has its own; `passing` asks for the loss in units of their deviations, as
        that of the passes is: a sum over columns cannot be brought to the units of each.
        """
        X, y = self.held[name]
        if self.target.several and not passing:
            outputs, values = self.target.undone(self.m(X)), self.target.undone(y)
            return {"loss": Loss(self.loss)(outputs, values), **figures_of(self.loss, outputs, values, None)}
        return self._in_units(evaluate(self.m, X, y, loss=self._own_loss))

    def in_units(self, now: Progress) -> Progress:
        """Return the progress of training with every loss in the units of the target, of several in deviations."""
        row = None if now.row is None else self._in_units(now.row)
        return replace(now, loss=now.loss * self._unit, row=row)

    @property
    def _own_loss(self) -> LossSpec:
        """The loss of the target as it is while training."""
        return self.loss.in_units(*self.target.spreads)

    @property
    def _unit(self) -> float:
        """What the loss is multiplied by: a mean of squares has the unit of the target squared; classes have none."""
        return 1.0 if self.target.several else float(self.target.spread ** (self.loss.row.unit or 0))

    def _in_units(self, figures: Mapping[str, float]) -> dict[str, float]:
        return {name: value * self._unit if name.endswith("loss") else value for name, value in figures.items()}

    def finish(self) -> None:
        """Bring network and data back to the units of the target, once training is over.

        The last layer is affine and the head the identity, so spread * (W z + b) + center is folded into W and b.
        """
        if not self.target.several and self.target == AS_IT_IS:
            return
        parts = params(self.m)
        weight, bias = (parts[f"layer{len(self.m.architecture.layers)}.{name}"] for name in ("weight", "bias"))
        self.target.fold(weight, bias)
        self.held = {name: (X, self.target.undone(y)) for name, (X, y) in self.held.items()}
        self.target = AS_IT_IS
