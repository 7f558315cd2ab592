"""Training by SciPy's L-BFGS-B on all rows at once, in float64, as scikit-learn's solver "lbfgs" does."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning

from layerloop.data.weights import normalised
from layerloop.engine import Rows
from layerloop.errors import SettingError
from layerloop.estimators.mlp_fit import diverged
from layerloop.estimators.mlp_progress import Reporter, say
from layerloop.estimators.mlp_validation import Validation, engine_rows
from layerloop.network import Chain, layout, make_plan
from layerloop.prediction import blocks
from layerloop.settings import blas_threads
from layerloop.training.quasi_newton import threads_for

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from layerloop.estimators.mlp_losses import Objective

    Vector = NDArray[np.float64]


@dataclass
class Whole:
    """The loss of all rows as a function of the parameters; `network` is in float64."""

    network: Chain
    objective: Objective
    rows: Rows
    penalty: Vector  # alpha / n for each weight, 0 for biases
    constant: float = 0.0

    @classmethod
    def of(cls, network: Chain, objective: Objective, X: Any, Y: Any, weights: Any, alpha: float) -> Whole:
        """Return it for rows with weights, which count by their shares."""
        twin = Chain.from_parts(network.architecture, network.flat.astype(np.float64))
        own = None if weights is None else normalised(weights, len(Y))
        total = len(Y) if weights is None else float(np.sum(weights))
        decays = np.concatenate([np.full(size, name.endswith("weight"), float) for name, size in layout(network)])
        constants = objective.constants(Y)
        constant = 0.0 if constants is None else float(np.average(constants, weights=weights))
        rows = Rows(X, objective.targets(Y, "float64"), weights=own)
        return cls(twin, objective, rows, alpha / total * decays, constant)

    def value_and_gradient(self, w: Vector) -> tuple[float, Vector]:
        """Return loss with penalty, and what scikit-learn takes for its gradient: see mlp_losses.py."""
        m, n, rows = self.network, len(self.rows.targets), self.rows
        m.flat[...] = w
        plan = make_plan(m, self.objective.loss)
        value, gradient, of_block = 0.0, np.zeros_like(w), np.empty_like(w)
        for part in blocks(n):
            X = engine_rows(rows.X[part], "float64")
            own = None if rows.weights is None else rows.weights[part]
            some = Rows(X, rows.targets[part], weights=own)
            share = len(some.targets) / n
            value += share * m.engine.value_and_gradient(m.flat, some, plan, of_block)
            gradient += share / self.objective.unit * of_block
        value = self.objective.factor * value + self.constant + 0.5 * float(self.penalty @ np.square(w))
        return value, gradient + self.penalty * w


@dataclass
class Descent:
    """One call of `fit` with solver "lbfgs"."""

    est: Any
    network: Chain
    whole: Whole
    reporter: Reporter
    validation: Validation | None = None
    iterations: int = 0

    def run(self) -> None:
        """Go down until no component of the gradient is above tol, or max_iter or max_fun is reached."""
        est = self.est
        if np.any(est.dropout):
            raise SettingError('solver="lbfgs" sees all rows at once and drops nothing: dropout=0, or another solver')
        est.stopped_ = ""
        threads = threads_for(len(self.whole.rows.targets), self.network)
        options = {"maxfun": est.max_fun, "maxiter": est.max_iter, "gtol": est.tol}
        with np.errstate(all="ignore"), blas_threads(threads):
            found = minimize(
                self.whole.value_and_gradient,
                self.network.flat.astype(np.float64),
                method="L-BFGS-B",
                jac=True,
                options=options,
                callback=self._iterated if self._heard else None,
            )
        self.network.flat[...] = found.x
        est.n_iter_, est.loss_ = min(int(found.nit), est.max_iter), float(found.fun)
        est.stopped_ = est.stopped_ or str(found.message)
        if not np.isfinite(found.fun) or not np.isfinite(self.network.flat).all():
            raise diverged(est.n_iter_)
        if found.status != 0 and est.stopped_ == str(found.message):
            self._warn(found)

    def _warn(self, found: Any) -> None:
        what = "max_iter or max_fun" if found.status == 1 else "the search for a lower loss"
        warnings.warn(
            f"lbfgs failed to converge after {found.nit} iteration(s) (status={found.status}): {found.message}. It "
            f"ended at {what}: allow more, or scale the columns (StandardScaler).",
            ConvergenceWarning,
            stacklevel=6,
        )

    @property
    def _heard(self) -> bool:
        est, reporter = self.est, self.reporter
        return bool(est.verbose or reporter.functions or reporter.context is not None or self.validation)

    def _iterated(self, intermediate_result: Any) -> None:
        """Tell everybody of an iteration; SciPy ends at StopIteration."""
        est, reporter = self.est, self.reporter
        self.iterations += 1
        est.n_iter_, est.loss_ = self.iterations, float(intermediate_result.fun)
        self.network.flat[...] = intermediate_result.x
        row = {"epoch": float(self.iterations), "loss": est.loss_}
        if est.verbose:
            say(f"Iteration {self.iterations}, loss = {est.loss_:.8f}")
        if self.validation is not None:
            plan = make_plan(self.network, self.whole.objective.loss)
            loss, score = self.validation.figures(est, self.network, plan, self.whole.objective)
            est.validation_loss_curve_.append(loss)
            est.validation_scores_.append(score)
            row |= {"validation_loss": loss, "validation_score": score}
        if reporter.functions:
            seen = self.iterations * len(self.whole.rows.targets)
            stop = reporter.call(self.iterations, 1, 1, est.loss_, seen, row)
            est.stopped_ = stop.reason if stop else ""
        with reporter.task():
            pass
        if reporter.stop and not est.stopped_:
            est.stopped_ = "a callback asked for it"
        if est.stopped_:
            raise StopIteration
