"""Who is told of a training while it runs: this library's callbacks, scikit-learn's, and the terminal."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from layerloop.training.callbacks import Progress, Stop, as_callbacks, stop_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerloop.network import Chain
    from layerloop.training.callbacks import Callback


def say(text: str) -> None:
    """Print a line of `verbose`."""
    sys.stdout.write(text + "\n")


@dataclass
class Reporter:
    """Callbacks of both protocols.

    Attributes
    ----------
    functions : list of callbacks of this library
        Called with a `Progress` between stretches of steps and at the end of each pass; `Stop` ends training.
    context : CallbackContext or None
        scikit-learn's, of the whole fit. Each pass is a task of its own in it.
    data : dict
        X, y and metadata for scikit-learn's hooks.
    """

    est: Any
    network: Chain
    epochs: int
    functions: list[Callback]
    context: Any = None
    data: dict[str, Any] = field(default_factory=dict)
    start: float = field(default_factory=time.perf_counter)
    task_context: Any = None
    stop: bool = False

    @classmethod
    def of(cls, est: Any, network: Chain, epochs: int, context: Any = None, **data: Any) -> Reporter:
        """Return it for an estimator; scikit-learn's hooks are left out where nobody listens."""
        heard = context if getattr(est, "_skl_callbacks", None) else None
        return cls(est, network, epochs, as_callbacks(est.callbacks), heard, data)

    @property
    def is_heard(self) -> bool:
        """Whether anyone is called while the fit runs."""
        return bool(self.functions) or self.context is not None

    def call(
        self, epoch: int, step: int, steps: int, loss: float, samples: int, row: dict[str, float] | None = None
    ) -> Stop | None:
        """Call all functions; return the first stop that one asks for."""
        seconds = time.perf_counter() - self.start
        if row is not None:
            row = {**row, "seconds": seconds, "samples_per_second": samples / seconds if seconds > 0 else 0.0}
        now = Progress(self.network, epoch, self.epochs, step, steps, loss, seconds, samples, row)
        stops = [stop_of(function(now)) for function in self.functions]
        return next(filter(None, stops), None)

    @contextmanager
    def task(self) -> Iterator[None]:
        """One pass as a task of scikit-learn's callbacks: its beginning, and its end when `asked_to_stop` looks."""
        if self.context is not None:
            self.task_context = self.context.subcontext(task_name="pass")
            self.task_context.call_on_fit_task_begin(estimator=self.est, **self.data, **self._state())
        yield
        self.asked_to_stop()

    def asked_to_stop(self) -> bool:
        """Tell scikit-learn's callbacks of the end of the pass, once; return whether one of them asks to stop."""
        if self.task_context is not None:
            ended, self.task_context = self.task_context, None
            self.stop = ended.call_on_fit_task_end(estimator=self.est, **self.data, **self._state())
        return self.stop

    def _state(self) -> dict[str, Any]:
        est = self.est
        return {
            "reconstruction_attributes": lambda: {
                "coefs_": [part.copy() for part in est.coefs_],
                "intercepts_": [part.copy() for part in est.intercepts_],
            }
        }
