"""The training loop: stretches of steps in the engine, callbacks between them."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from layerloop import optim
from layerloop.data.batches import DataLoader, Ncycle, check_finite
from layerloop.errors import DivergenceError, InputError, NetworkError, SettingError
from layerloop.network import evaluate, layout, make_plan, make_rows, setup
from layerloop.settings import blas_threads, whole
from layerloop.training.callbacks import Progress, Steps, Stop, as_callbacks, leaves_rows_alone, stop_of
from layerloop.training.history import History
from layerloop.training.savepoint import Savepoint, Stretch, changing, still_finite
from layerloop.vocabulary import crossentropy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from layerloop.arraylike import Samples
    from layerloop.engine import Rows
    from layerloop.network import AnyLoss, Chain
    from layerloop.plan import Plan
    from layerloop.preprocessing import Inputs
    from layerloop.training.callbacks import Callback

Watched: TypeAlias = "tuple[Samples, ArrayLike] | Mapping[str, tuple[Samples, ArrayLike]]"

STRETCH = 0.05  # seconds between looks at the callbacks
ALONE = 5  # times as long without callbacks, since the engine makes itself ready for each stretch, but only
FEW = 1000  # up to so many steps: after a loss that is not finite they are taken again one by one
SHARE = 0.01  # of the time that may go into keeping numbers to go back to


def train(
    m: Chain,
    data: DataLoader | Ncycle,
    loss: AnyLoss = crossentropy,
    optimizer: optim.Rule | str | None = None,
    epochs: int = 1,
    callbacks: Sequence[Callable[..., object]] | Callable[..., object] = (),
    *,
    validation: Watched | None = None,
    state: optim.State | None = None,
    threads: int | None = None,
    deterministic: bool = False,
) -> History:
    """Train a network in place: w <- w - step(gradient of the mean loss of a batch), pass after pass.

    Parameters
    ----------
    m : Chain
        The network; its parameters change.
    data : DataLoader, or ncycle of one
        Rows and targets. Raw bytes keep their scale: it becomes the network's `inputs.scale`. Callbacks may write into
        the rows; nobody else may while this runs.
    loss : loss, its name, or a pair (value, gradient)
        `value(outputs, y)` is the mean loss of a batch, `gradient(outputs, y)` its derivative in the outputs.
    optimizer : Rule, or its name
        Adam(1e-3) by default; a name stands for the rule with its own settings. A schedule in it that does not know how
        many steps there are learns it here: the steps of this call and of the state before it.
    epochs : int
        Passes over the data (times those of an ncycle).
    callbacks : function or sequence of functions
        Each is called between stretches of steps, at the latest every tenth of a second or after each step that is
        longer, and at every end of a pass, with the `Progress` or, if it takes no argument, without. One that
        returns `Stop(reason)` ends training, one that returns `Steps(n)` is called again after n steps at the latest.
    validation : (X, y), or a mapping of names to such pairs, optional
        Data whose figures go into every row of the history, as `validation_loss` or under the names given.
    state : State, optional
        An optimiser's state to go on from: `history.state` of an earlier call.
    threads : int, optional
        The most threads of the compiled engine and of BLAS; by default as many as `layerloop info` tells.
    deterministic : bool
        Whether a seed gives the same bits with any number of threads. The compiled engine's always do; the NumPy
        engine's, and those of a loss of one's own, need BLAS in one thread.

    Returns
    -------
    History
        One row a pass, and why training ended.

    Raises
    ------
    InputError
        Data that do not fit the network; found before the first step. NaN or infinity that was written into X since
        the loader was made is found when a loss or a parameter shows it: a NonFiniteInputError, and the network keeps
        the last parameters that were finite.
    DivergenceError
        A loss that stops being finite. The network then keeps the last parameters whose loss was finite.
    KeyboardInterrupt
        Ctrl-C goes through; the network keeps the steps done, and once the first one has begun the exception's
        `history` has the passes and the state to go on from.

    Examples
    --------
    >>> from layerloop import Chain, Dense, softmax
    >>> m = Chain(Dense(3, 2), softmax)
    >>> history = train(m, DataLoader((np.eye(3), [0, 1, 1]), batchsize=2), epochs=5)
    >>> len(history.epochs), history.stopped
    (5, 'all epochs done')
    """
    called = as_callbacks(callbacks)
    run = Run.begin(m, data, loss, optimizer, epochs, state, validation)
    run.rows = replace(run.rows, steady=run.epochs > 1 and all(map(leaves_rows_alone, called)))
    stopped = None
    try:
        with blas_threads(threads, deterministic=deterministic):
            for epoch in range(1, run.epochs + 1):
                stopped = run.one_pass(epoch, called)
                if stopped:
                    break
            run.check()
    except KeyboardInterrupt as interrupt:
        run.history.stopped, run.history.seconds = "interrupted", run.clock()
        interrupt.history = run.history  # type: ignore[attr-defined]
        raise
    run.history.stopped = stopped.reason if stopped else "all epochs done"
    run.history.seconds = run.clock()
    return run.history


class Fault(NamedTuple):
    """The step at which a number stopped being finite: its loss, or a parameter by its update."""

    epoch: int
    step: int
    by_update: bool = False


@dataclass
class Run:
    """One call to `train`: what it is given and what it has done so far."""

    m: Chain
    plan: Plan
    rows: Rows
    loader: DataLoader
    epochs: int
    state: optim.State
    history: History
    watched: Mapping[str, tuple[Samples, ArrayLike]]
    start: float = field(default_factory=time.perf_counter)
    samples: int = 0
    step_seconds: float = math.inf  # so that the first stretch is a single step, which is timed
    most: float = math.inf  # steps until the callbacks are called again, where one of them said so
    places: NDArray[np.intp] | None = None  # see savepoint.py
    saved: list[Savepoint] = field(default_factory=list)  # at most two, the last one the newest
    saved_at: float = 0.0
    save_seconds: float = 0.0

    @classmethod
    def begin(
        cls,
        m: Chain,
        data: DataLoader | Ncycle,
        loss: AnyLoss,
        optimizer: optim.Rule | str | None,
        epochs: int,
        state: optim.State | None,
        validation: Watched | None,
    ) -> Run:
        """Check everything that can be checked before the first step."""
        loader, cycles = (data.loader, data.n) if isinstance(data, Ncycle) else (data, 1)
        if not isinstance(loader, DataLoader) or loader.y is None:
            got = "one without y" if isinstance(loader, DataLoader) else f"a {type(data).__name__}"
            raise InputError(f"train goes over DataLoader((X, y)), or ncycle of one; got {got}")
        if not isinstance(state, optim.State | None):
            raise SettingError(f"state is history.state of an earlier call, or None; got a {type(state).__name__}")
        rule = optimizer if optimizer is not None else state.rule if state else optim.Adam(1e-3)
        rule = optim.rule_named(rule) if isinstance(rule, str) else rule
        optim.check_rule(rule)
        plan = make_plan(m, loss, loader.seed)
        check_trainable(m, plan)
        total = cycles * whole(epochs, "epochs", least=0)
        rule = optim.settled(rule, max(len(loader) * total + (state.t if state else 0), 1))
        fresh = state is None
        state = optim.resume(state, rule, m.flat, layout(m)) if state else setup(rule, m)
        inputs = m.inputs
        m.inputs = _with_scale(inputs, loader.scale)
        try:
            watched = watched_data(m, validation, plan)
            _check_watched(rule, watched)
            rows = make_rows(m, loader.X, loader.y, plan, loader.weights, finite=True)  # the loader has looked
        except BaseException:
            m.inputs = inputs
            raise
        places = changing(m, state, rows)
        run = cls(m, plan, rows, loader, total, state, History(state=state), watched, places=places)
        run.save(fresh=fresh)
        return run

    def clock(self) -> float:
        """Return the seconds since the start."""
        return time.perf_counter() - self.start

    def one_pass(self, epoch: int, callbacks: Sequence[Callback]) -> Stop | None:
        """Go over the data once, in stretches; return the stop that a callback asked for."""
        order, batch = self.loader.order(self.loader.epoch), self.loader.batchsize
        self.loader.epoch += 1
        steps, done, summed = len(self.loader), 0, 0.0
        while done < steps:
            most = STRETCH / self.step_seconds
            if not callbacks:
                most = max(most, min(most * ALONE, FEW))
            count = int(min(steps - done, max(1, min(most, self.most))))
            part = order[done * batch : (done + count) * batch]
            summed += self._stretch(part, epoch, done)
            done += count
            seen = min(done * batch, len(order))
            self.samples += len(part)
            mean = summed / seen
            row = self._end_pass(epoch, mean) if done == steps else None
            now = Progress(self.m, epoch, self.epochs, done, steps, mean, self.clock(), self.samples, row)
            # All of them are called: the one that stops training may stand first.
            answers = [callback(now) for callback in callbacks]
            self.most = min((answer.count for answer in answers if isinstance(answer, Steps)), default=math.inf)
            stops = list(filter(None, map(stop_of, answers)))
            if stops:
                return stops[0]
        return None

    def _stretch(self, order: NDArray[np.intp], epoch: int, done: int) -> float:
        """Take the steps of one stretch; return the sum of the samples' losses."""
        m, state, batch = self.m, self.state, self.loader.batchsize
        losses = np.empty(math.ceil(len(order) / batch))
        self.saved[-1].since.append(Stretch(epoch, done, order, state.scale, dict(state.numbers)))
        begun = time.perf_counter()
        try:
            taken = m.engine.train(m.flat, state, self.rows, order, self.plan, batch, losses)
        except MemoryError:  # perhaps in the middle of a step
            self._replay(self.saved[-1], self.saved[-1].since, most=0)
            raise
        self.step_seconds = max(time.perf_counter() - begun, 1e-9) / len(losses)  # a coarse clock may show 0
        if taken < len(losses):
            raise self._diverged(self._go_back())
        if time.perf_counter() - self.saved_at >= self.save_seconds / SHARE:
            self.save()
        sizes = np.full(len(losses), batch)
        sizes[-1] = len(order) - batch * (len(losses) - 1)
        return float(losses @ sizes)

    def save(self, *, fresh: bool = False) -> None:
        """Keep the numbers as they are to go back to, once it is checked that they are finite.

        Of two million columns that takes longer than many steps, so it is done only as often as SHARE says.
        """
        begun = time.perf_counter()
        self.check()
        room = self.saved[0] if len(self.saved) > 1 else None
        self.saved = [*self.saved[-1:], Savepoint.of(self.m.flat, self.state, self.places, room, fresh=fresh)]
        self.saved_at = time.perf_counter()
        self.save_seconds = self.saved_at - begun
        if fresh:  # the next copy has the slots too
            self.save_seconds *= 1 + len(self.state.slots)

    def check(self) -> None:
        """Raise DivergenceError if a number that training changes is not finite."""
        if not still_finite(self.m.flat, self.state, self.places):
            raise self._diverged(self._go_back())

    def _go_back(self) -> Fault:
        """Return to the parameters before the last update that was made; return the step at fault.

        The steps are deterministic, so they are taken again, one by one, from where the numbers were last kept: a
        parameter may overflow steps before the loss shows it, and where stretches end is a matter of time. The first
        step's loss may show what the update before it did; then it is the savepoint before that is gone back to.
        """
        for place in reversed(range(len(self.saved))):
            since = [stretch for savepoint in self.saved[place:] for stretch in savepoint.since]
            good, at = self._replay(self.saved[place], since)
            if good >= 0:
                break
        self._replay(self.saved[place], since, max(good, 0))
        return at

    def _replay(self, begin: Savepoint, since: Sequence[Stretch], most: float = math.inf) -> tuple[int, Fault]:
        """Take steps again, at most so many; return how many are good, -1 for not even the start, and the one at fault.

        Good are the steps before the last update that was made.
        """
        w, state, batch, one = self.m.flat, self.state, self.loader.batchsize, np.empty(1)
        begin.restore(w, state)
        step, at = 0, Fault(0, 0)
        for stretch in since:
            state.scale, state.numbers = stretch.scale, dict(stretch.numbers)
            for i, start in enumerate(range(0, len(stretch.order), batch), start=1):
                if step >= most:
                    return step, at
                at, part = Fault(stretch.epoch, stretch.done + i), stretch.order[start : start + batch]
                if not self.m.engine.train(w, state, self.rows, part, self.plan, batch, one):
                    return step - 1, at
                if not still_finite(w, state, self.places):
                    return step, at._replace(by_update=True)
                step += 1
        return step, at

    def _diverged(self, at: Fault) -> DivergenceError:
        if self.rows.scale is None:
            check_finite(self.rows.X)  # which may have been written to since the loader looked
        seen: Any = self.rows.X[: 100 * self.loader.batchsize]
        largest = float(abs(seen).max()) * (self.rows.scale or 1.0)
        if at.by_update and getattr(optim.base_rule(self.state.rule), "epsilon", 1) == 0:
            cause = "with epsilon=0 a gradient of 0 is divided by 0: give the optimizer an epsilon above 0"
        elif (at.epoch, at.step) == (1, 1) and not at.by_update:
            cause = "it was so before the first update: look for very large numbers in X or y"
        elif largest > 100:
            cause = f"inputs reach {largest:.3g}: scale them to about 1"
        else:
            rate = optim.base_of(self.state.rule.rate)
            cause = f"the rate {rate:g} is likely too high: try {rate / 10:g}"
        return DivergenceError(
            f"the loss or a parameter stopped being finite in epoch {at.epoch}, step {at.step}; {cause}. "
            "The network keeps the last parameters whose loss was finite.",
            epoch=at.epoch,
            step=at.step,
        )

    def _end_pass(self, epoch: int, loss: float) -> dict[str, float]:
        seconds = self.clock()
        row = {"epoch": epoch, "loss": loss, "seconds": seconds, "samples_per_second": self.samples / seconds}
        for name, (X, y) in self.watched.items():
            row |= {f"{name}_{figure}": value for figure, value in evaluate(self.m, X, y, self.plan.loss).items()}
        self.history.epochs.append(row)
        optim.watch(self.state, row)
        return row


def check_trainable(m: Chain, plan: Plan) -> None:
    """Raise SettingError or NetworkError for a network that cannot be trained under this plan."""
    if not m.architecture.size:
        raise SettingError("this chain has no parameters to train")
    if not still_finite(m.flat):
        raise NetworkError("the network already holds parameters that are not finite: start from another one")
    _check_outputs(m, plan)


def _check_outputs(m: Chain, plan: Plan) -> None:
    """Raise NetworkError where a loss of a head's outputs meets those of an affine map: scores, or any number.

    Outputs of a last layer with an activation, a sigmoid or the like, are left to you.
    """
    row = plan.named.row if plan.named else None
    if not row or row.scores or row.head is None:
        return
    if m.architecture.head == "identity" and m.architecture.last_activation == "identity":
        other = f", or use {row.on_scores}" if row.on_scores else ""
        what = "probabilities" if row.on_scores else "positive rates"
        raise NetworkError(f"{plan.loss} takes {what}, but this chain has no {row.head}: add one{other}")


def _with_scale(inputs: Inputs, scale: float | None) -> Inputs:
    """Return the network's inputs with the loader's scale; one that a network already has is not replaced."""
    if scale is None or inputs.scale == scale:
        return inputs
    if inputs.scale is not None:
        raise InputError(f"the network takes bytes at scale {inputs.scale:g}, the loader gives them at {scale:g}")
    return replace(inputs, scale=scale)


def watched_data(m: Chain, validation: Watched | None, plan: Plan) -> dict[str, tuple[Samples, ArrayLike]]:
    """Return the data to watch by name; a wrong shape or label is found now."""
    named = validation if isinstance(validation, Mapping) else {} if validation is None else {"validation": validation}
    pair: Any
    for name, pair in named.items():
        if not isinstance(pair, tuple) or len(pair) != 2:
            got = f"a tuple of {len(pair)}" if isinstance(pair, tuple) else f"a {type(pair).__name__}"
            raise InputError(f"the data to watch as {name!r} must be a tuple (X, y), got {got}")
        make_rows(m, *pair, plan)
    return dict(named)


def _check_watched(rule: optim.Rule, watched: Mapping[str, object]) -> None:
    """Raise SettingError for a plateau schedule whose figure no row of the history will have."""
    plateau = optim.plateau_in(rule.rate)
    if plateau and plateau.on != "loss" and not any(plateau.on.startswith(f"{name}_") for name in watched):
        had = ", ".join(["loss", *(f"{name}_..." for name in watched)])
        raise SettingError(f"{type(plateau).__name__} watches {plateau.on!r}, but training will have {had}")
