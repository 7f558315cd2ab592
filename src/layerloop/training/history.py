"""What happened in training, pass by pass."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from layerloop import describe
from layerloop.errors import look_up

if TYPE_CHECKING:
    from layerloop.optim import State


@dataclass
class History:
    """The record of one call to `train`.

    Attributes
    ----------
    epochs : list of dict
        One row a pass: `epoch` (from 1), `loss` (mean loss per sample over the pass, each batch before its update),
        `seconds` since the start, `samples_per_second`, and `validation_...` figures where there is validation data.
    stopped : str
        Why training ended: "all epochs done", or the reason that a callback gave.
    seconds : float
        The whole call.
    state : State
        The optimiser's state at the end; pass it to `train` again to go on exactly.

    Examples
    --------
    >>> History(epochs=[{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}])["loss"]
    [0.5, 0.25]
    """

    epochs: list[dict[str, float]] = field(default_factory=list)
    stopped: str = ""
    seconds: float = 0.0
    state: State | None = None

    def __getitem__(self, name: str) -> list[float]:
        """Return one column, such as history["loss"]; an unknown one raises UnknownNameError."""
        for row in self.epochs:
            look_up(row, name, "column of the history")
        return [row[name] for row in self.epochs]

    def __len__(self) -> int:
        return len(self.epochs)

    def __repr__(self) -> str:
        return f"{self._headline()}\n{describe.table(self.epochs)}"

    def _repr_html_(self) -> str:
        return describe.html_table(self.epochs, caption=self._headline())

    def _headline(self) -> str:
        head = f"History: {describe.count(len(self.epochs), 'epoch')} in {describe.duration(self.seconds)}"
        return f"{head}, {self.stopped or 'not finished'}"
