"""Training one network a fold: the best epoch of each is kept, judged on the rows that it was not trained on."""

from __future__ import annotations

import hashlib
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop.cores import core_count
from layerloop.csr import Csr
from layerloop.data.batches import DataLoader
from layerloop.estimators.table_network import network_for, rule_for
from layerloop.losses import LossSpec
from layerloop.training import Stop, train

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from layerloop.estimators.table_recipe import Recipe
    from layerloop.features import Features, SparseFeatures
    from layerloop.metrics import Metric
    from layerloop.network import Chain
    from layerloop.training import Progress

    Fold = tuple[NDArray[np.intp], NDArray[np.intp]]

MOSTLY = 0.25  # of the rows must be distinct for copies to be kept together
LEAST_ROWS = 10  # fewer are not parted: the network is judged on the rows that it is trained on


@dataclass(frozen=True)
class Epoch:
    """A pass of one fold that has ended: `score` is the metric on the rows left out, `seconds` since the start."""

    fold: int
    folds: int
    epoch: int
    epochs: int
    score: float
    seconds: float


@dataclass
class Task:
    """What all folds share: rows, targets, recipe, who judges, and when time is up."""

    recipe: Recipe
    features: Features | SparseFeatures
    X: NDArray[Any] | Csr
    y: NDArray[Any]
    weights: NDArray[np.float64] | None
    outputs: int
    metric: Metric
    seed: int
    limit: float | None = None
    watch: Callable[[Epoch], object] | None = None
    begun: float = field(default_factory=time.perf_counter)
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def seconds(self) -> float:
        """The time since the start."""
        return time.perf_counter() - self.begun


@dataclass(frozen=True)
class Fitted:
    """A fold's network with its best parameters, and its outputs for the rows that it was not trained on.

    Of every epoch there is the metric on these rows, as a gain, and the mean loss of training.
    """

    m: Chain
    left_out: NDArray[np.intp]
    outputs: NDArray[np.floating]
    epoch: int
    scores: tuple[float, ...]
    losses: tuple[float, ...]


def folds_of(X: NDArray[Any] | Csr, y: NDArray[Any], kind: str, folds: int, seed: int) -> list[Fold]:
    """Return (rows to train on, rows to judge on) of each fold; a single one is judged on a fifth of the rows.

    Rows that are the same stay together: on copies of what it has learned, no network would ever seem to overfit.

    Examples
    --------
    >>> [len(left_out) for _, left_out in folds_of(np.eye(50), np.zeros(50), "values", 5, seed=0)]
    [10, 10, 10, 10, 10]
    """
    from sklearn.model_selection import KFold, StratifiedKFold

    if len(y) < LEAST_ROWS:
        return [(np.arange(len(y)), np.arange(len(y)))]
    first, group = _distinct(X)
    labels = y[first]
    enough = kind == "classes" and np.bincount(labels).max() >= max(folds, 5)  # of some class, as scikit-learn wants it
    parts = (StratifiedKFold if enough else KFold)(max(folds, 5), shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of classes with fewer rows than folds: they are trained on
        left_out = [np.isin(group, part) for _, part in parts.split(np.empty((len(first), 0)), labels)]
    return [(np.flatnonzero(~out), np.flatnonzero(out)) for out in left_out[:folds]]


def _distinct(X: NDArray[Any] | Csr) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return a row of each kind, and the kind of each row; every row its own where few distinct ones make the table."""
    if isinstance(X, Csr):
        keys = np.array([_digest(X, slice(*ends)) for ends in pairwise(X.starts.tolist())])
    else:
        keys = np.ascontiguousarray(X).view(np.dtype((np.void, X.dtype.itemsize * X.shape[1]))).ravel()
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    if len(first) < max(LEAST_ROWS, MOSTLY * len(X)):
        return np.arange(len(X)), np.arange(len(X))
    return first, group


def digest_of(X: NDArray[Any] | Csr, y: NDArray[Any]) -> str:
    """Return a few characters that other rows or targets would have others of.

    Examples
    --------
    >>> digest_of(np.eye(2), np.arange(2)) == digest_of(np.eye(2), np.array([0, 2]))
    False
    """
    parts = (X.starts, X.columns, X.values, y) if isinstance(X, Csr) else (X, y)
    hashed = hashlib.blake2b(digest_size=16)
    for part in parts:
        hashed.update(np.ascontiguousarray(part).tobytes())
    return hashed.hexdigest()


def _digest(X: Csr, part: slice) -> bytes:
    """Return a row's entries as a few bytes, the same in every process."""
    return hashlib.blake2b(X.columns[part].tobytes() + X.values[part].tobytes(), digest_size=16).digest()


def fit_folds(task: Task) -> list[Fitted]:
    """Train a network on every fold, as many at once as there are cores; Ctrl-C stops them all."""
    parts = folds_of(task.X, task.y, task.recipe.kind, task.recipe.folds, task.seed)
    with ThreadPoolExecutor(min(len(parts), core_count())) as workers:
        futures = [workers.submit(_fit_fold, task, i, parts) for i in range(len(parts))]
        try:
            return [future.result() for future in futures]
        except BaseException:
            task.stopped.set()
            workers.shutdown(wait=True, cancel_futures=True)
            raise


def _fit_fold(task: Task, i: int, parts: Sequence[Fold]) -> Fitted:
    rows, left_out = parts[i]
    recipe = task.recipe
    m = network_for(recipe, task.features, task.X[rows], task.outputs, seed=_seed(task.seed, i))
    weights = None if task.weights is None else task.weights[rows]
    loader = DataLoader(
        (task.X[rows], task.y[rows]),
        min(recipe.batch, len(rows)),
        shuffle=True,
        seed=_seed(task.seed, i),
        weights=weights,
    )
    best = Best(task, i, len(parts), left_out)
    history = train(m, loader, loss_of(recipe), rule_for(recipe, m), recipe.epochs, [best], threads=1)
    m.flat[...] = best.flat
    return Fitted(m, left_out, best.outputs, best.epoch, tuple(best.scores), tuple(history["loss"]))


def _seed(seed: int, i: int) -> int:
    """Return a fold's own seed."""
    return int(np.random.SeedSequence([seed, i]).generate_state(1)[0])


def loss_of(recipe: Recipe) -> LossSpec:
    """Return the loss of a recipe."""
    return LossSpec(recipe.loss, (("levels", recipe.levels),) if recipe.levels else ())


class Best:
    """A callback that judges every epoch on the rows left out, keeps the best, and says when to stop."""

    def __init__(self, task: Task, fold: int, folds: int, rows: NDArray[np.intp]) -> None:
        self.task, self.fold, self.folds, self.rows = task, fold, folds, rows
        self.X, self.y = task.X[rows], task.y[rows]
        self.weights = None if task.weights is None else task.weights[rows]
        self.score, self.epoch = -np.inf, 0
        self.scores: list[float] = []
        self.flat: Any = None
        self.outputs: Any = None

    def __call__(self, now: Progress) -> Stop | None:
        """Judge the pass that has just ended."""
        task = self.task
        if task.stopped.is_set():
            return Stop("another fold was stopped")
        if not now.epoch_ended:
            return None
        outputs = now.model(self.X)
        seen = outputs if outputs.shape[1] > 1 else outputs[:, 0]
        score = task.metric.gain(self.y.reshape(len(self.y)), seen, self.weights)
        self.scores.append(score)
        if self.flat is None or score >= self.score:  # the last of equals: it has seen most
            self.score, self.epoch, self.flat, self.outputs = score, now.epoch, now.model.flat.copy(), outputs
        if task.watch:
            task.watch(Epoch(self.fold, self.folds, now.epoch, now.epochs, score, task.seconds))
        return self._stop(now)

    def _stop(self, now: Progress) -> Stop | None:
        if self.task.limit is not None and self.task.seconds > self.task.limit:
            return Stop("time is up")
        if now.epoch - self.epoch > self.task.recipe.patience * now.epochs:
            return Stop("no epoch was better for long")
        return None
