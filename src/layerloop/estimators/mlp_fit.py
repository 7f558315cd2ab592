"""Training by steps along batches, as scikit-learn's MLP goes through them: what a pass is, and when it was the last.

A pass is a few calls of the engine, each a whole stretch of steps. What scikit-learn does differently from `train`, and
what is kept here: the penalty of a batch of n rows is alpha / (2 n) |W|^2, so that the last, smaller batch has a larger
one; weights of rows are divided by their sum over the batch; the loss of a pass contains the penalty.
"""

from __future__ import annotations

import math
import time
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from layerloop.engine import Rows
from layerloop.errors import DivergenceError
from layerloop.estimators.mlp_progress import Reporter, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from layerloop.estimators.mlp_losses import Objective
    from layerloop.estimators.mlp_solvers import Optimizer
    from layerloop.estimators.mlp_validation import Validation
    from layerloop.network import Chain
    from layerloop.plan import Plan
    from layerloop.training.callbacks import Stop

    Floats = NDArray[np.floating]
    Index = NDArray[np.intp]

STRETCH = 0.05  # seconds between looks at the callbacks and at Ctrl-C


class NonFiniteWeightsError(DivergenceError, ValueError):
    """The loss or a weight stopped being finite: scikit-learn's ValueError, found in the pass where it happens."""


@dataclass
class Passes:
    """The rows of training and how a pass goes over them.

    Attributes
    ----------
    network : Chain
        The one that is trained; its vector is that of the estimator.
    rows : Rows
        All rows, those of a validation part too; `members` are the numbers of those to train on.
    weights : ndarray or None
        Of all rows.
    alpha : float
    by_data : bool
        Whether the penalty is divided by the rows of the data rather than by those of the batch.
    """

    network: Chain
    plan: Plan
    objective: Objective
    optimizer: Optimizer
    rows: Rows
    members: Index
    batch: int
    alpha: float
    by_data: bool
    weights: Floats | None = None
    constants: NDArray[np.float64] | None = None
    step_seconds: float = STRETCH  # so that the first stretch is a single step, which is timed
    summed: float = 0.0
    total: float = 1.0  # the sum of the weights

    def __post_init__(self) -> None:
        self.total = len(self.members) if self.weights is None else float(self.weights[self.members].sum())

    @property
    def steps(self) -> int:
        """Steps of a pass."""
        return -(-len(self.members) // self.batch)

    def one_pass(self, order: Index) -> Iterator[int]:
        """Go over the rows once in this order, yielding the steps done after each stretch; the loss is `mean` after."""
        self.summed, done = 0.0, 0
        for part in self.stretches(order):
            begun = time.perf_counter()
            taken = self._take(part)
            self.step_seconds = max(time.perf_counter() - begun, 1e-9) / max(taken, 1)
            done += -(-len(part) // self.batch)
            yield done
            if not math.isfinite(self.summed):
                return

    @property
    def mean(self) -> float:
        """The mean of the batches' losses, each with its penalty and as many times as it has rows."""
        return self.summed / len(self.members)

    def stretches(self, order: Index) -> Iterator[Index]:
        """Cut a pass where the penalty changes, or where it has been long enough."""
        full, n, at = len(order) // self.batch * self.batch, len(order), 0
        while at < n:
            count = 1 if self._by_batches else max(1, int(STRETCH / self.step_seconds))
            stop = min(at + count * self.batch, full if at < full and self.optimizer.penalised else n)
            yield order[at:stop]
            at = stop

    @property
    def _by_batches(self) -> bool:
        """Whether every batch is a stretch of its own: the sum of its weights is its own, and its penalty."""
        return self.weights is not None

    def _take(self, order: Index) -> int:
        """Take the steps of a stretch, and add up the losses of its rows; return how many there were."""
        n, share = min(len(order), self.batch), float(min(len(order), self.batch))
        rows, taken_from = self.rows, order
        if self.weights is not None:
            share = float(self.weights[order].sum())
            if share == 0:
                return 1  # no row of it counts, nor does the batch
            weights = (self.weights[order] * (n / share)).astype(self.network.dtype, copy=False)
            rows, taken_from = Rows(rows.X[order], rows.targets[order], weights=weights), np.arange(n)
        self.optimizer.penalise(self.alpha / (self.total if self.by_data else share))
        losses = np.empty(-(-len(order) // self.batch))
        penalties = np.zeros(len(losses)) if self.optimizer.penalised else None
        engine, state = self.network.engine, self.optimizer.state
        taken = engine.train(self.network.flat, state, rows, taken_from, self.plan, self.batch, losses, penalties)
        if taken < len(losses):
            self.summed = math.nan
            return taken + 1
        self._add(order, losses, penalties, share)
        return taken

    def _add(self, order: Index, losses: Floats, penalties: Floats | None, share: float) -> None:
        sizes = np.full(len(losses), self.batch)
        sizes[-1] = len(order) - self.batch * (len(losses) - 1)
        values = self.objective.factor * losses
        if penalties is not None:
            values += 0.5 * self.alpha / (self.total if self.by_data else share) * penalties
        self.summed += float(values @ sizes)
        if self.constants is not None:
            weights = None if self.weights is None else self.weights[order]
            self.summed += float(np.average(self.constants[order], weights=weights)) * len(order)


@dataclass
class Steps:
    """One call of `fit` or `partial_fit` that takes steps; `est` is the estimator, whose attributes are its memory."""

    est: Any
    passes: Passes
    random: np.random.RandomState
    reporter: Reporter
    validation: Validation | None = None
    incremental: bool = False
    best: Floats | None = None
    best_figure: float = math.inf
    start: float = field(default_factory=time.perf_counter)

    def run(self) -> None:
        """Go over the data until it is enough."""
        est = self.est
        est.n_iter_, est.stopped_ = 0, ""
        try:
            self._run()
        except KeyboardInterrupt:
            est.stopped_ = "interrupted"
            warnings.warn("Training interrupted by user.", stacklevel=5)
        if self.best is not None:
            self.passes.network.flat[...] = self.best

    def _run(self) -> None:
        est, index = self.est, np.arange(len(self.passes.members))
        limit = 1 if self.incremental else est.max_iter
        while not est.stopped_:
            if est.shuffle:
                index = index[shuffled(len(index), self.random)]
            with self.reporter.task():
                self._one_pass(self.passes.members[index])
                self._end_pass()
                if not est.stopped_ and est.n_iter_ == limit:
                    est.stopped_ = "all passes done"
        if est.stopped_ == "all passes done" and not self.incremental:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({est.max_iter}) reached and the optimization hasn't "
                "converged yet.",
                ConvergenceWarning,
                stacklevel=6,
            )

    def _one_pass(self, order: Index) -> None:
        passes, est = self.passes, self.est
        for done in passes.one_pass(order):
            if self.reporter.functions and done < passes.steps and math.isfinite(passes.summed):
                seen = min(done * passes.batch, len(order))
                self._asked(
                    self.reporter.call(est.n_iter_ + 1, done, passes.steps, passes.summed / seen, self.seen(seen))
                )
                if est.stopped_:
                    est.loss_ = passes.summed / seen
                    return

    def seen(self, rows: int) -> int:
        """Return the rows seen in this call, so many of them in this pass."""
        return int(self.est.n_iter_) * len(self.passes.members) + rows

    def _asked(self, stop: Stop | None) -> None:
        if stop:
            self.est.stopped_ = stop.reason

    def _end_pass(self) -> None:
        """Bring the estimator's record up to date, and see whether it was the last pass."""
        est, passes = self.est, self.passes
        if est.stopped_:
            return  # in the middle of a pass, which does not count
        est.n_iter_ += 1
        est.loss_ = passes.mean
        est.t_ += len(passes.members)
        est.loss_curve_.append(est.loss_)
        if est.verbose:
            say(f"Iteration {est.n_iter_}, loss = {est.loss_:.8f}")
        row = {"epoch": float(est.n_iter_), "loss": est.loss_, **self._validated()}
        self._count(row)
        if not math.isfinite(est.loss_):
            self._diverged()
            return
        self._keep(row)
        passes.optimizer.pass_ended(est.t_, row)
        if est._no_improvement_count > est.n_iter_no_change:
            self._tired()
        if self.reporter.functions:
            now = self.reporter.call(est.n_iter_, passes.steps, passes.steps, est.loss_, self.seen(0), row)
            self._asked(None if est.stopped_ else now)
        if self.reporter.asked_to_stop() and not est.stopped_:
            est.stopped_ = "a callback asked for it"

    def _validated(self) -> dict[str, float]:
        """Return the figures of the validation data, and keep them."""
        est, passes = self.est, self.passes
        if self.validation is None:
            return {}
        loss, score = self.validation.figures(est, passes.network, passes.plan, passes.objective)
        est.validation_loss_curve_.append(loss)
        est.validation_scores_.append(score)
        if est.verbose:
            say(f"Validation score: {score:f}")
        return {"validation_loss": loss, "validation_score": score}

    def _count(self, row: dict[str, float]) -> None:
        """Count passes without improvement by tol: of the validation score with early stopping, else of the loss."""
        est = self.est
        score = row.get("validation_score", math.nan)
        if est.early_stopping:
            worse = score < est.best_validation_score_ + est.tol
        else:
            worse = est.loss_ > est.best_loss_ - est.tol
        est._no_improvement_count = est._no_improvement_count + 1 if worse else 0
        if self.validation is not None and score > est.best_validation_score_:
            est.best_validation_score_ = score
        if not est.early_stopping and est.loss_ < est.best_loss_:
            est.best_loss_ = est.loss_

    def _keep(self, row: dict[str, float]) -> None:
        """Keep the best weights where they are asked for."""
        wanted = self.est.restore_best_weights
        if not (self.est.early_stopping if wanted == "auto" else wanted):
            return
        figure = -row["validation_score"] if self.validation is not None else row["loss"]
        if figure < self.best_figure:
            self.best_figure, self.best = figure, self.passes.network.flat.copy()
            self.est.best_iteration_ = self.est.n_iter_

    def _tired(self) -> None:
        """End, or let "adaptive" lower the rate and begin to count anew."""
        est, optimizer = self.est, self.passes.optimizer
        what = "Validation score" if est.early_stopping else "Training loss"
        text = f"{what} did not improve more than tol={est.tol:f} for {est.n_iter_no_change} consecutive epochs."
        if optimizer.gives_up():
            est.stopped_ = text
            small = " Learning rate too small." if optimizer.schedule == "adaptive" else ""
            if est.verbose:
                say(f"{text}{small} Stopping.")
            return
        est._no_improvement_count = 0
        if est.verbose:
            say(f"{text} Setting learning rate to {optimizer.learning_rate:f}")

    def _diverged(self) -> None:
        """End where no later loss could be finite: with the best weights where some were kept, else with an error."""
        est = self.est
        if self.best is None:
            raise diverged(est.n_iter_)
        est.stopped_ = "the loss stopped being finite"
        text = (
            f"the loss stopped being finite in pass {est.n_iter_}; the weights are those of pass {est.best_iteration_}"
        )
        warnings.warn(text, ConvergenceWarning, stacklevel=7)


def shuffled(n: int, random: np.random.RandomState) -> Index:
    """Return a permutation as scikit-learn's `shuffle` draws it."""
    order = np.arange(n)
    random.shuffle(order)
    return order


def diverged(epoch: int) -> NonFiniteWeightsError:
    """Return the error of a training whose numbers stopped being finite."""
    return NonFiniteWeightsError(
        "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
        f"preprocessed. It happened in pass {epoch}: scale the columns (StandardScaler), or lower learning_rate_init.",
        epoch=epoch,
        step=0,
    )
