"""What is looked into: a network, or an estimator around one, taken the same way; and what it was trained for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop.errors import InputError, LabelError
from layerloop.network import Chain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Subject:
    """A network, and how rows and targets of whom it belongs to become its own.

    Attributes
    ----------
    chain : Chain
    classes : tuple of str
        Names of the classes; those of the network or, where an estimator has others, of the estimator.
    rows, targets : callable
        From the rows and targets that the model takes to those that the network takes.
    chains : tuple of Chain
        All networks whose outputs the model averages; `chain` is the first.
    places : dict of slice
        Which of a network's inputs each column of the model's table became, in the order of training; {} where a
        network sees the columns themselves.
    """

    chain: Chain
    classes: tuple[str, ...]
    rows: Callable[[Any], Any]
    targets: Callable[[Any], Any]
    chains: tuple[Chain, ...]
    places: Mapping[str, slice]


def subject_of(model: object) -> Subject:
    """Return the network that a model is or has, with the way to it.

    An estimator is anything fitted that has `network_`, a `Chain`. Where it has `network_rows(X)`, that gives the rows
    that the network takes, and `network_targets(y)` the targets; where it has `classes_` and none such, its labels are
    brought to their places among them. `networks_` are all of its networks, `features_.places` what columns became.

    Raises
    ------
    InputError
        When it is neither, or is not fitted.

    Examples
    --------
    >>> from layerloop import Chain, Dense
    >>> subject_of(Chain(Dense(2, 1))).chain
    Chain(Dense(2, 1))  # 3 parameters
    """
    if isinstance(model, Chain):
        return Subject(model, model.classes, _same, _same, (model,), {})
    chain = getattr(model, "network_", None)
    if not isinstance(chain, Chain):
        raise InputError(
            f"expected a Chain, or a fitted estimator with network_, got {type(model).__name__}"
            + (": call fit first" if hasattr(model, "fit") else "")
        )
    labels = getattr(model, "classes_", None)
    names = chain.classes if labels is None else tuple(map(str, labels))
    targets = _same if labels is None else _places(np.asarray(labels))
    rows = getattr(model, "network_rows", _same)
    return Subject(
        chain,
        names,
        lambda x: rows(_table(x)),
        getattr(model, "network_targets", targets),
        getattr(model, "networks_", (chain,)),
        _places_of(getattr(model, "features_", None)),
    )


def _places_of(features: Any) -> dict[str, slice]:
    """Return which inputs each column became, in the table's order: text, which is sparse, stands last among them."""
    places = getattr(features, "places", {})
    return {feature.name: places[feature.name] for feature in features.columns} if places else {}


def _table(x: Any) -> Any:
    """Return one sample as a table of one row: estimators take tables."""
    return np.asarray(x)[np.newaxis] if isinstance(x, list | tuple | np.ndarray) and np.ndim(x) == 1 else x


def _same(values: Any) -> Any:
    return values


def _places(labels: NDArray[Any]) -> Callable[[Any], Any]:
    """Return the function from labels to their places among sorted labels."""

    def targets(y: Any) -> Any:
        found = np.searchsorted(labels, np.asarray(y))
        if not np.array_equal(labels[np.minimum(found, len(labels) - 1)], np.asarray(y)):
            raise LabelError(f"y is none of the classes {labels.tolist()}: {y!r}")
        return found

    return targets


def loss_of(m: Chain) -> str:
    """Return the loss that a network was trained with, or the one that fits its head.

    Examples
    --------
    >>> from layerloop import Chain, Dense, softmax
    >>> loss_of(Chain(Dense(2, 2), softmax)), loss_of(Chain(Dense(2, 1)))
    ('crossentropy', 'mse')
    """
    by_head = {"sigmoid": "binarycrossentropy", "exp": "poisson"}.get(m.architecture.head, "crossentropy")
    if m.architecture.head == "identity":
        by_head = "logitcrossentropy" if m.classes else "mse"
    return str(m.record.get("loss") or by_head)


def names_of_values(m: Chain, width: int | None = None) -> tuple[str, ...]:
    """Return the names of the values that a network gives: those of the columns it was trained on, or their numbers.

    Examples
    --------
    >>> from layerloop import Chain, Dense
    >>> m = Chain(Dense(2, 2))
    >>> m.record = {"target": "width, height"}
    >>> names_of_values(m), names_of_values(Chain(Dense(2, 3)))
    (('width', 'height'), ('0', '1', '2'))
    """
    width = m.architecture.n_out if width is None else width
    names = tuple(name.strip() for name in str(m.record.get("target") or "").split(","))
    return names if len(names) == width else tuple(map(str, range(width)))


def kind_of(m: Chain) -> str:
    """Return whether a network predicts "classes", "labels" (several yes or no at once) or "values".

    Examples
    --------
    >>> from layerloop import Chain, Dense, sigmoid
    >>> kind_of(Chain(Dense(2, 1), sigmoid)), kind_of(Chain(Dense(2, 3), sigmoid))
    ('classes', 'labels')
    """
    if m.architecture.head == "sigmoid" and m.architecture.n_out > 1:
        return "labels"
    return "classes" if m.classes or m.architecture.head not in ("identity", "exp") else "values"
