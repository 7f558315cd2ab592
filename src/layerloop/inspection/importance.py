"""How much a model relies on each column: what is lost when the column is shuffled, and how the loss leans on it.

Both take a network or an estimator, and name the columns as the data do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop.errors import ShapeError
from layerloop.frames import Frame, is_frame
from layerloop.inspection.rows import as_table, shuffled, take
from layerloop.inspection.subject import loss_of, subject_of
from layerloop.inspection.trace import trace
from layerloop.network import AnyLoss, Chain, evaluate, make_plan
from layerloop.settings import whole

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

SAMPLES = 200  # rows whose input gradients are averaged by default: about a tenth of a second for small networks


def permutation_importance(
    model: object,
    X: Any,
    y: ArrayLike,
    *,
    columns: Sequence[str] = (),
    repeats: int = 5,
    seed: int = 0,
    loss: AnyLoss | None = None,
    progress: Callable[[float], object] | None = None,
) -> list[dict[str, Any]]:
    """Return by how much a model gets worse when one column's values are shuffled among the rows (Breiman 2001).

    Of a network what is lost is accuracy or R2 and, where its loss has neither, what the loss gains; of an estimator it
    is its `score`. Columns that say the same as each other share their importance, or both seem to have none.

    Parameters
    ----------
    model : Chain, or a fitted estimator
    X : (n, d) array or data frame
    y : (n,)
    columns : sequence of str
        Names; by default those of the data or of the network, or "column 0", ...
    repeats : int
        How often each column is shuffled.
    seed : int
        Shuffles.
    loss : loss or its name
        Of a network; by default that of its training.
    progress : callable
        Called with the share that is done.

    Returns
    -------
    list of dict
        `column`, `importance` (the mean), `spread` (standard deviation over the repeats), most important first.

    Examples
    --------
    >>> from layerloop import Chain, Dense
    >>> m = Chain(Dense(2, 1, "identity"))
    >>> m.flat[...] = [1.0, 0.0, 0.0]
    >>> X = np.array([[1.0, 5.0], [2.0, 1.0], [3.0, 0.0], [4.0, 2.0]])
    >>> [row["column"] for row in permutation_importance(m, X, X[:, 0], columns=("used", "not"))]
    ['used', 'not']
    """
    subject, X = subject_of(model), as_table(X)
    rng, repeats = np.random.default_rng(seed), whole(repeats, "repeats", least=1)
    score = _score(model, loss_of(subject.chain) if loss is None else loss)
    best, d = score(X, y), X.shape[1]
    names = column_names(subject.chain if isinstance(model, Chain) else None, X, columns)
    found = []
    for j in range(d):
        lost = [best - score(shuffled(X, j, rng), y) for _ in range(repeats)]
        found.append({"column": names[j], "importance": float(np.mean(lost)), "spread": float(np.std(lost))})
        if progress is not None:
            progress((j + 1) / d)
    return sorted(found, key=lambda row: -row["importance"])


def gradient_importance(
    model: object,
    X: Any,
    y: ArrayLike,
    *,
    columns: Sequence[str] = (),
    rows: int = SAMPLES,
    seed: int = 0,
    loss: AnyLoss | None = None,
    progress: Callable[[float], object] | None = None,
) -> list[dict[str, Any]]:
    """Return the mean of |q_1,j| over rows: how the loss leans on each number that the first layer sees (section 7.2).

    q_1 is the last of the backward loop, the gradient in the input. Its unit is that of z_1: standardised columns can
    be compared with one another, raw ones only where they have one unit.

    Where an estimator made several numbers of a column, such as one for each category, |q_1,j| is the length of their
    part of q_1, the root of its sum of squares; of an estimator with several networks it is the mean over them too.

    Parameters
    ----------
    model, X, y, columns, seed, loss, progress
        As for :func:`permutation_importance`.
    rows : int
        How many rows are drawn.

    Returns
    -------
    list of dict
        `column` and `importance`, most important first.

    Examples
    --------
    >>> from layerloop import Chain, Dense
    >>> m = Chain(Dense(2, 1, "identity"))
    >>> m.flat[...] = [3.0, 0.0, 0.0]
    >>> gradient_importance(m, np.eye(2), [0.0, 0.5], columns=("used", "not"))  # q_1 = 2 (yhat - y) W
    [{'column': 'used', 'importance': 10.5}, {'column': 'not', 'importance': 0.0}]
    """
    X, subject = as_table(X), subject_of(model)
    parts = tuple(subject.places.values())
    mean = mean_input_gradient(model, X, y, rows=rows, seed=seed, loss=loss, progress=progress, parts=parts)
    names = column_names(subject.chain, X, columns)
    if parts:
        names = _names_of_parts(tuple(subject.places), _own_names(X), names)
    if len(names) != len(mean):  # what an estimator's network sees is not the columns of its data
        names = tuple(f"input {j}" for j in range(len(mean)))
    found = [{"column": name, "importance": float(value)} for name, value in zip(names, mean, strict=True)]
    return sorted(found, key=lambda row: -row["importance"])


def mean_input_gradient(
    model: object,
    X: Any,
    y: ArrayLike,
    *,
    rows: int = SAMPLES,
    seed: int = 0,
    loss: AnyLoss | None = None,
    progress: Callable[[float], object] | None = None,
    parts: Sequence[slice] = (),
) -> NDArray[np.float64]:
    """Return the mean of |q_1| over some rows and all networks, (n_in,); with `parts`, of the length of each."""
    X, subject = as_table(X), subject_of(model)
    n = X.shape[0]
    chosen = np.sort(np.random.default_rng(seed).permutation(n)[: whole(rows, "rows", least=1)])
    targets = np.asarray(y)
    total: Any = 0.0
    for done, i in enumerate(chosen.tolist(), start=1):
        x, target = subject.rows(take(X, [i])), subject.targets(targets[i])
        for m in subject.chains:
            q_1 = trace(m, x, target, loss).backward.q[1]
            total = total + (np.array([np.linalg.norm(q_1[part]) for part in parts]) if parts else np.abs(q_1))
        if progress is not None:
            progress(done / len(chosen))
    return np.asarray(total / (len(chosen) * len(subject.chains)))


def _names_of_parts(trained: tuple[str, ...], own: tuple[str, ...], names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names under which the columns of training are shown: by their own names in X, else by their places."""
    shown = dict(zip(own, names, strict=True)) if own else {}
    return tuple(shown[name] for name in trained) if shown.keys() >= set(trained) else names


def column_names(m: Chain | None, X: Any, columns: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the names of the columns of X: those given, those of a data frame, those of the network, or numbers.

    Raises
    ------
    ShapeError
        When there are not as many names as columns.
    """
    d = X.shape[1]
    own = _own_names(X) or (m.inputs.columns if m is not None else ())
    names = tuple(map(str, columns)) or (own if len(own) == d else tuple(f"column {j}" for j in range(d)))
    if len(names) != d:
        raise ShapeError(f"X has {d} columns, but there are {len(names)} names")
    return names


def _own_names(X: Any) -> tuple[str, ...]:
    """Return the names of a data frame's columns; none of an array."""
    if isinstance(X, Frame):
        return X.names
    if not is_frame(X):
        return ()
    import narwhals

    return tuple(map(str, narwhals.from_native(X, eager_only=True).columns))


def figure_lost(model: object, loss: AnyLoss | None = None) -> str:
    """Return the figure that :func:`permutation_importance` measures: accuracy, R2, loss, or what `score` gives.

    Examples
    --------
    >>> from layerloop import Chain, Dense, softmax
    >>> figure_lost(Chain(Dense(2, 2), softmax)), figure_lost(Chain(Dense(2, 1)))
    ('accuracy', 'R2')
    """
    if not isinstance(model, Chain):
        return _of_estimator(model)
    named = make_plan(model, loss_of(model) if loss is None else loss).named
    figure = named.row.figure if named is not None else None
    return {"r2": "R2"}.get(figure or "", figure or "loss")


def _of_estimator(model: object) -> str:
    """Return what `score` gives, as scikit-learn has it for classifiers and regressors."""
    if not hasattr(model, "__sklearn_tags__"):
        return "score"
    from sklearn.base import is_classifier, is_regressor

    return "accuracy" if is_classifier(model) else "R2" if is_regressor(model) else "score"


def _score(model: object, loss: AnyLoss) -> Callable[[Any, ArrayLike], float]:
    """Return the function of (X, y) that says how good a model is, more being better."""
    if not isinstance(model, Chain):
        return model.score  # type: ignore[attr-defined, no-any-return]

    def score(X: Any, y: ArrayLike) -> float:
        figures = evaluate(model, X, y, loss)
        return next((figures[name] for name in ("accuracy", "r2") if name in figures), -figures["loss"])

    return score
