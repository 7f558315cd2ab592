"""Settings of the estimators for tables by search: Optuna proposes, the rows left out judge, the hopeless end early."""

from __future__ import annotations

import time
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from layerloop import describe
from layerloop.errors import MissingExtraError, SettingError
from layerloop.settings import whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import ArrayLike

    from layerloop.estimators.table_training import Epoch

    Space = Callable[[Any], Mapping[str, Any]]

WARM = 5  # epochs, and finished trials, before a trial may end early


@dataclass(frozen=True)
class Tuned:
    """What a search found.

    Attributes
    ----------
    best : dict
        The settings of the recipe that were best; empty where the defaults were.
    estimator : estimator
        Fitted with them.
    trials : tuple of dict
        `trial`, `settings`, `state` ("complete" or "pruned"), `score` and `seconds` of each.
    metric : str
        What the score is.
    interrupted : KeyboardInterrupt or None
        What ended the search before its time.
    """

    best: dict[str, Any]
    estimator: Any
    trials: tuple[dict[str, Any], ...]
    metric: str
    interrupted: KeyboardInterrupt | None = None

    def __str__(self) -> str:
        shown = [{**row, "settings": _words(row["settings"])} for row in self.trials]
        return describe.table(shown, left=("state", "settings"))


def check_optuna() -> None:
    """Raise MissingExtraError, with what to install, unless Optuna is there."""
    if find_spec("optuna") is None:
        raise MissingExtraError("the search is Optuna's, which is not installed: pip install 'layerloop[tune]'")


def default_space(trial: Any) -> dict[str, Any]:
    """Return settings of the recipe for a trial of Optuna: widths, activation, rate, batch and others."""
    layers, width = trial.suggest_int("layers", 1, 4), trial.suggest_categorical("width", [64, 128, 256, 512])
    return {
        "widths": (width,) * layers,
        "activation": trial.suggest_categorical("activation", ["selu", "mish", "relu", "silu"]),
        "rate": trial.suggest_float("rate", 0.005, 0.5, log=True),
        "batch": trial.suggest_categorical("batch", [64, 128, 256]),
        "frequencies": trial.suggest_categorical("frequencies", [0, 16]),
        "embedding": trial.suggest_categorical("embedding", [4, 8, 16]),
        "beta2": trial.suggest_categorical("beta2", [0.95, 0.99, 0.999]),
    }


def tune(
    estimator: Any,
    X: Any,
    y: ArrayLike,
    *,
    trials: int = 20,
    time_limit: float | None = None,
    space: Space = default_space,
    seed: int = 0,
    progress: Callable[[dict[str, Any], float], object] | None = None,
    watch: Callable[[Epoch], object] | None = None,
) -> Tuned:
    """Search for settings under which an estimator for tables is best on the rows that its networks leave out.

    The first trial has the estimator's own settings, so that what comes out is never worse there. Ctrl-C ends the
    search and keeps the best so far.

    Parameters
    ----------
    estimator : TabularClassifier or TabularRegressor
        Its `metric` is what is searched for; it stays unfitted.
    X, y
        As for `fit`.
    trials : int
    time_limit : float, optional
        Seconds; the first trial is given all the time that it needs within them.
    space : function, optional
        From a trial of Optuna to settings of the recipe.
    seed : int
        Draws the proposals.
    progress : function, optional
        Called with the row of each trial that ended, and the best score so far.
    watch : function, optional
        Called with an `Epoch` after every pass of a network.

    Raises
    ------
    MissingExtraError
        Without Optuna, which the extra [tune] brings.
    SettingError
        A limit that is not positive.

    Examples
    --------
    >>> tune(TabularRegressor(), X, y, time_limit=60).best  # doctest: +SKIP
    {'widths': (256, 256), 'activation': 'mish', ...}
    """
    check_optuna()
    whole(trials, "trials", least=1)
    if time_limit is not None and not time_limit > 0:
        raise SettingError(f"time_limit must be a positive number of seconds, got {time_limit!r}")
    search = Search(estimator, X, y, space, time_limit, progress, watch)
    interrupted = search.run(trials, seed)
    return Tuned(search.best, search.fitted, tuple(search.rows), search.metric, interrupted)


class Search:
    """A search under way: the best so far, and the row of every trial."""

    def __init__(
        self, estimator: Any, X: Any, y: Any, space: Space, limit: float | None, progress: Any, watch: Any
    ) -> None:
        self.estimator, self.X, self.y, self.space = estimator, X, y, space
        self.limit, self.progress, self.watch = limit, progress, watch
        self.judge = estimator.judge()
        self.metric = self.judge.name
        self.best: dict[str, Any] = {}
        self.fitted: Any = None
        self.score = float("nan")
        self.rows: list[dict[str, Any]] = []
        self.begun = time.monotonic()

    def run(self, trials: int, seed: int) -> KeyboardInterrupt | None:
        """Try; return what interrupted the search, if there is a model by then."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(
            direction="maximize" if self.judge.higher else "minimize",
            sampler=optuna.samplers.TPESampler(seed=seed),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=WARM, n_warmup_steps=WARM),
        )
        try:
            for number in range(trials):
                if self.fitted is not None and self._left() <= 0:
                    break
                trial = study.ask()
                settings = {} if number == 0 else dict(self.space(trial))
                study.tell(trial, *self._tried(trial, number, settings))
        except KeyboardInterrupt as stop:
            if self.fitted is None:
                raise
            return stop
        return None

    def _left(self) -> float:
        return float("inf") if self.limit is None else self.limit - (time.monotonic() - self.begun)

    def _tried(self, trial: Any, number: int, settings: dict[str, Any]) -> tuple[float | None, Any]:
        """Fit with some settings; return the score and the state of the trial."""
        import optuna
        from sklearn.base import clone

        began = time.monotonic()
        model = clone(self.estimator)
        model.set_params(recipe={**(model.recipe or {}), **settings})
        if self.limit is not None and self.fitted is None:
            model.set_params(time_limit=min(self.limit, model.time_limit or self.limit))
        row: dict[str, Any] = {"trial": number, "state": "complete", "score": None, "seconds": 0.0}
        try:
            model.fit(self.X, self.y, watch=lambda now: self._watched(trial, now))
            row["score"] = model.figures_[self.metric]
        except optuna.TrialPruned:
            row["state"] = "pruned"
        row |= {"seconds": round(time.monotonic() - began, 3), "settings": settings}
        self.rows.append(row)
        if row["score"] is not None and self._better(row["score"]):
            self.best, self.fitted, self.score = settings, model, row["score"]
        if self.progress is not None:
            self.progress(row, self.score)
        states = optuna.trial.TrialState
        return (None, states.PRUNED) if row["state"] == "pruned" else (row["score"], states.COMPLETE)

    def _better(self, score: float) -> bool:
        return self.fitted is None or (score > self.score if self.judge.higher else score < self.score)

    def _watched(self, trial: Any, now: Epoch) -> None:
        """Report a pass of the first network, and end the trial where it is hopeless or time is up."""
        import optuna

        if self.watch is not None:
            self.watch(now)
        if self.fitted is None:
            return
        if self._left() <= 0:
            raise optuna.TrialPruned
        if now.fold == 0:
            trial.report(now.score if self.judge.higher else -now.score, now.epoch)
            if trial.should_prune():
                raise optuna.TrialPruned


def _words(settings: Mapping[str, Any]) -> str:
    return "  ".join(f"{name} {describe.figure(value)}" for name, value in settings.items()) or "defaults"
