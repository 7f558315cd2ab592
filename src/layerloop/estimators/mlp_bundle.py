"""A fitted MLP as what a model file holds, plain data and its network, and back.

The optimiser's state is left out: `partial_fit` on a loaded estimator begins it anew. So are settings that are no plain
data, functions such as callbacks or a loss of one's own: they come back as their defaults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from layerloop import optim
from layerloop.errors import InputError, ModelFileError
from layerloop.estimators.mlp_losses import HEAD_OF
from layerloop.estimators.mlp_network import architecture_of, hidden_sizes, views
from layerloop.estimators.mlp_targets import binarizer_of
from layerloop.files import Bundle
from layerloop.losses import LossSpec
from layerloop.optim.schedules import as_rate, rate_as_plain

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from layerloop.network import Chain

NUMBERS = ("loss_", "best_loss_", "best_validation_score_", "learning_rate_")
COUNTS = ("n_iter_", "t_", "n_layers_", "n_outputs_", "n_features_in_", "best_iteration_")
CURVES = ("loss_curve_", "validation_scores_", "validation_loss_curve_")
TEXTS = ("out_activation_", "stopped_")
KINDS_OF_LABELS = "biufUS"  # of NumPy, whose values JSON holds; objects are taken where they are all text


def to_bundle(est: Any, kind: str) -> Bundle:
    """Return a fitted estimator as a bundle.

    Raises
    ------
    InputError
        Labels that are neither numbers nor text.
    """
    check_is_fitted(est)
    settings = {
        name: plain for name, value in est.get_params(deep=False).items() if (plain := _plain(value)) is not None
    }
    record = {name: _number(getattr(est, name)) for name in (*NUMBERS, *COUNTS, *TEXTS) if hasattr(est, name)}
    curves = {name: [*map(_number, getattr(est, name))] for name in CURVES if getattr(est, name, None) is not None}
    names = [str(name) for name in getattr(est, "feature_names_in_", ())]
    kept = {"settings": settings, "record": record, "curves": curves, "columns": names}
    if hasattr(est, "classes_"):
        kept |= {"classes": _labels(est.classes_), "labels": est._label_binarizer.y_type_}
    return Bundle(kind, (est.network_,), kept)


def from_bundle(est: Any, bundle: Bundle) -> Any:
    """Fill an estimator from a file's content."""
    kept, m = bundle.settings, bundle.networks[0]
    est.set_params(**{name: _object(name, value) for name, value in kept["settings"].items()})
    for name, value in kept["record"].items():
        setattr(est, name, float(value) if name in NUMBERS and value is not None else value)
    for name in CURVES:
        setattr(est, name, [*map(float, kept["curves"][name])] if name in kept["curves"] else None)
    if kept["columns"]:
        est.feature_names_in_ = np.array(kept["columns"], dtype=object)
    if "classes" in kept:
        classes = kept["classes"]
        est.classes_ = np.array(classes["values"], np.dtype(classes["dtype"]))
        several = kept["labels"] == "multilabel-indicator"
        est._label_binarizer = binarizer_of(np.eye(len(est.classes_), dtype=int) if several else est.classes_)
    est._no_improvement_count = 0
    _take_weights(est, m)
    return est


def _take_weights(est: Any, m: Chain) -> None:
    """Give an estimator the weights of a network that is as its settings say."""
    units = [m.architecture.n_in, *hidden_sizes(est.hidden_layer_sizes), est.n_outputs_]
    out = est.out_activation_
    if architecture_of(units, est.activation, out, HEAD_OF.get(out, "identity")) != m.architecture:
        raise ModelFileError(f"it is damaged: its network is no {type(est).__name__} with these settings")
    est.coefs_, est.intercepts_ = views(m.flat, units)


def _labels(classes: NDArray[Any]) -> dict[str, Any]:
    values = classes.tolist()
    if classes.dtype.kind not in KINDS_OF_LABELS and not all(isinstance(value, str) for value in values):
        raise InputError(f"labels of type {classes.dtype} have no place in a model file: numbers or text do")
    return {"dtype": classes.dtype.str, "values": values}


def _number(value: Any) -> Any:
    """Return a number as JSON holds it; what is not finite goes as text, which `float` reads."""
    if value is None or isinstance(value, str | int):
        return value
    return float(value) if np.isfinite(value) else str(float(value))


def _plain(value: Any) -> Any:
    """Return a setting as plain data, None for what is none."""
    if isinstance(value, optim.Rule):
        return {"rule": optim.as_dict(value)} if type(optim.base_rule(value)) in optim.RULES.values() else None
    if isinstance(value, optim.Schedule):
        return {"schedule": rate_as_plain(value)}
    spec = getattr(value, "spec", value)
    if isinstance(spec, LossSpec):
        return str(spec)
    if isinstance(value, list | tuple | np.ndarray):
        parts = [_plain(one) for one in value]
        return None if None in parts else parts
    if isinstance(value, dict):
        return {"pairs": [[_plain(key), _plain(one)] for key, one in value.items()]}
    value = getattr(value, "name", value)  # an activation of the table
    value = value.item() if isinstance(value, np.generic) else value
    return _number(value) if isinstance(value, str | int | float) else None


def _object(name: str, value: Any) -> Any:
    """Return a setting as it was."""
    if isinstance(value, dict):
        if "rule" in value:
            return optim.rule_named(**value["rule"])
        if "schedule" in value:
            return as_rate(value["schedule"])
        return dict(map(tuple, value["pairs"]))
    if name == "n_iter_no_change":
        return float(value) if isinstance(value, str) else value
    return tuple(value) if isinstance(value, list) and name == "hidden_layer_sizes" else value
