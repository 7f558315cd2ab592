"""L-BFGS: SciPy's L-BFGS-B on the mean loss of all rows. It is no step rule: each iteration chooses its own length."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop.data.weights import normalised
from layerloop.engine import Rows
from layerloop.errors import DivergenceError, SettingError
from layerloop.network import Chain, evaluate, layout, make_plan, targets_for, weights_for
from layerloop.optim.adjusted import means_part
from layerloop.prediction import blocks
from layerloop.preprocessing import as_rows
from layerloop.settings import blas_threads, whole
from layerloop.training.callbacks import Progress, Stop, as_callbacks, stop_of
from layerloop.training.history import History
from layerloop.training.loop import check_trainable, watched_data
from layerloop.vocabulary import crossentropy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from layerloop.arraylike import Samples
    from layerloop.csr import Csr
    from layerloop.network import AnyLoss
    from layerloop.plan import Plan
    from layerloop.training.callbacks import Callback
    from layerloop.training.loop import Watched

    Vector = NDArray[np.float64]

MEMORY = 10  # pairs of steps and differences of gradients that stand for the Hessian
ALONE = 10**8  # rows times parameters of a gradient up to which one thread is as fast as several
FLAT = 2.0**-52  # relative fall of the loss in an iteration below which it no longer falls: rounding


def lbfgs(
    m: Chain,
    X: Samples,
    y: ArrayLike,
    loss: AnyLoss = crossentropy,
    max_iter: int = 100,
    callbacks: Sequence[Callable[..., object]] | Callable[..., object] = (),
    *,
    l2: float = 0.0,
    undecayed: Sequence[str] = (),
    tolerance: float = 1e-6,
    weights: ArrayLike | None = None,
    validation: Watched | None = None,
    threads: int | None = None,
    deterministic: bool = False,
) -> History:
    """Minimise the mean loss of all rows, plus (l2 / 2) |w|^2, by L-BFGS in float64; w <- w - a H g, H from past steps.

    The gradient is that of all rows together, added up block by block in bounded memory, so it suits smooth problems of
    moderate size: there it needs tens of iterations where step rules need thousands of steps. `Dropout` drops nothing
    and `BatchNorm` keeps its running statistics, as in prediction.

    Parameters
    ----------
    m : Chain
        The network; its parameters change, and are rounded to its type after each iteration.
    X, y : rows (n, n_in), which may be sparse or raw bytes, and their targets
    loss : loss, its name, or a pair (value, gradient)
        `value(outputs, y)` is a mean over rows: rows come in blocks.
    max_iter : int
    callbacks : function or sequence of functions
        Called after each iteration as `train` does after a pass; `Stop(reason)` ends it.
    l2 : float
        Of the penalty, which no figure of the history contains.
    undecayed : sequence of str
        Parts of the network that it leaves out, such as "bias"; names as in `Adjusted`.
    tolerance : float
        The largest component of the gradient at which it has converged.
    weights : (n,), optional
        Of the rows, not negative; divided by their mean, as a `DataLoader` does: the loss is the weighted mean.
    validation : (X, y), or a mapping of names to such pairs, optional
    threads, deterministic : int, bool
        As in `train`; by default one thread for a small problem.

    Returns
    -------
    History
        One row an iteration, and why it ended. The loss never rises.

    Raises
    ------
    InputError
        Data that do not fit the network.
    DivergenceError
        A loss that is not finite. The network keeps the best parameters, as it does at Ctrl-C.

    Examples
    --------
    >>> from layerloop import Chain, Dense, softmax
    >>> m = Chain(Dense(3, 2), softmax)
    >>> history = lbfgs(m, np.eye(3), [0, 1, 1], l2=0.01)
    >>> history.stopped, history["loss"][-1] < 0.2
    ('converged: no component of the gradient is above 1e-06', True)
    """
    called = as_callbacks(callbacks)
    most, penalty = whole(max_iter, "max_iter", least=0), _penalty(m, l2, undecayed)
    run = Descending.begin(m, (X, y, weights), loss, penalty, most, validation)
    if not tolerance >= 0:
        raise SettingError(f"tolerance must be 0 or more, got {tolerance!r}")
    with blas_threads(threads_for(len(run.X), m, threads), deterministic=deterministic):
        run.history.stopped = run.minimise(called, tolerance)
    run.history.seconds = run.clock()
    return run.history


def threads_for(rows: int, m: Chain, asked: int | None = None) -> int | None:
    """Return as many threads as are asked for; otherwise one for a small problem, and as many as there are for others.

    SciPy's sums of short vectors take ten times as long in two threads on a busy machine.
    """
    return 1 if asked is None and rows * m.architecture.size < ALONE else asked


def _penalty(m: Chain, l2: float, undecayed: Sequence[str]) -> Vector:
    """Return the factor of each parameter in the gradient of the penalty."""
    if not 0 <= l2 < np.inf:
        raise SettingError(f"l2 must be 0 or more and finite, got {l2!r}")
    names = (undecayed,) if isinstance(undecayed, str) else tuple(undecayed)
    parts = layout(m)
    for name in names:
        if not any(means_part(name, part) for part, _ in parts):
            raise SettingError(f"undecayed: {name!r} is no part of the network: {[part for part, _ in parts]}")
    kept = [not any(means_part(name, part) for name in names) for part, _ in parts]
    factors = l2 * np.repeat(np.array(kept, float), [size for _, size in parts])
    for stretch in m.architecture.untrained:
        factors[stretch] = 0
    return factors


@dataclass
class Descending:
    """One call to `lbfgs`. `twin` is the network in float64: line searches need losses that differ by 1e-10."""

    m: Chain
    twin: Chain
    plan: Plan
    X: NDArray[np.generic] | Csr
    targets: NDArray[np.generic]
    weights: NDArray[np.floating] | None
    penalty: Vector
    most: int
    watched: Mapping[str, tuple[Samples, ArrayLike]]
    history: History = field(default_factory=History)
    start: float = field(default_factory=time.perf_counter)
    calls: int = 0
    loss: float = np.nan  # of the last point looked at, without the penalty
    stop: Stop | None = None

    @classmethod
    def begin(
        cls,
        m: Chain,
        data: tuple[Samples, ArrayLike, ArrayLike | None],
        loss: AnyLoss,
        penalty: Vector,
        most: int,
        validation: Watched | None,
    ) -> Descending:
        """Check everything that can be checked before the first gradient."""
        plan = make_plan(m, loss)
        check_trainable(m, plan)
        twin = Chain.from_parts(m.architecture, m.flat.astype(np.float64), inputs=m.inputs, classes=m.classes)
        plan = make_plan(twin, loss)
        X, y, weights = data
        rows, _ = as_rows(X, m.architecture.n_in)
        targets = targets_for(twin, np.atleast_1d(np.asarray(y)), plan, len(rows))
        for part in blocks(len(rows)):
            twin.ready(rows[part])
        own = None if weights is None else weights_for(twin, normalised(weights, len(rows)), plan, len(rows))
        return cls(m, twin, plan, rows, targets, own, penalty, most, watched_data(m, validation, plan))

    def clock(self) -> float:
        """Return the seconds since the start."""
        return time.perf_counter() - self.start

    def minimise(self, callbacks: Sequence[Callback], tolerance: float) -> str:
        """Go down; return why it ended."""
        from scipy.optimize import minimize

        if not self.most:
            return "all iterations done"
        options = {"maxiter": self.most, "maxfun": 100 * self.most, "gtol": tolerance, "ftol": FLAT, "maxcor": MEMORY}

        def after(w: Vector) -> None:
            self._end_iteration(w, callbacks)

        result = minimize(
            self.value_and_gradient, self.twin.flat.copy(), jac=True, method="L-BFGS-B", callback=after, options=options
        )
        if self.stop:
            return self.stop.reason
        if result.status == 1:
            return "all iterations done"
        if np.abs(result.jac).max() <= tolerance:
            return f"converged: no component of the gradient is above {tolerance:g}"
        return "converged: the loss no longer falls" if result.status == 0 else "no step lowers the loss any more"

    def value_and_gradient(self, w: Vector) -> tuple[float, Vector]:
        """Return the mean loss of all rows plus the penalty, and the gradient."""
        twin, n = self.twin, len(self.X)
        twin.flat[...] = w
        value, gradient, of_block = 0.0, np.zeros_like(w), np.empty_like(w)
        for part in blocks(n):
            X, scale = twin.inputs.unchecked(self.X[part], "float64")
            share = len(X) / n
            rows = Rows(X, self.targets[part], scale, None if self.weights is None else self.weights[part])
            value += share * twin.engine.value_and_gradient(twin.flat, rows, self.plan, of_block)
            of_block *= share
            gradient += of_block
        self.calls += 1
        self.loss = value
        gradient += self.penalty * w
        penalised = value + 0.5 * float(self.penalty @ np.square(w))
        if not np.isfinite(penalised) or not np.isfinite(gradient).all():
            raise self._diverged()
        return penalised, gradient

    def _diverged(self) -> DivergenceError:
        done = len(self.history)
        cause = "a step went too far: scale inputs to about 1" if self.calls > 1 else "look for large numbers in X or y"
        return DivergenceError(
            f"the loss or its gradient stopped being finite in iteration {done + 1}; {cause}. "
            "The network keeps the best parameters.",
            epoch=done + 1,
            step=1,
        )

    def _end_iteration(self, w: Vector, callbacks: Sequence[Callback]) -> None:
        if not np.array_equal(w, self.twin.flat):  # the search ended at another point than it looked at last
            self.value_and_gradient(w)
        self.m.flat[...] = w
        done, seconds, samples = len(self.history) + 1, self.clock(), self.calls * len(self.X)
        row: dict[str, Any] = {
            "epoch": done, "loss": self.loss, "seconds": seconds, "samples_per_second": samples / seconds}  # fmt: skip
        for name, (X, y) in self.watched.items():
            row |= {f"{name}_{figure}": value for figure, value in evaluate(self.m, X, y, self.plan.loss).items()}
        self.history.epochs.append(row)
        now = Progress(self.m, done, self.most, 1, 1, self.loss, seconds, samples, row)
        stops = list(filter(None, [stop_of(callback(now)) for callback in callbacks]))
        if stops:
            self.stop = stops[0]
            raise StopIteration
