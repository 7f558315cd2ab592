"""Model files of every kind: what was saved, network or estimator, comes back; the table of kinds is here."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from layerloop import files
from layerloop.errors import InputError, look_up
from layerloop.files.model import rebuilt
from layerloop.network import Chain

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from pathlib import Path

# Where the class of a kind lives; it is imported when such a file is read.
KINDS: Mapping[str, tuple[str, str]] = {
    "mlp_classifier": ("layerloop.estimators.mlp_classifier", "MLPClassifier"),
    "mlp_regressor": ("layerloop.estimators.mlp_regressor", "MLPRegressor"),
    "tabular_classifier": ("layerloop.estimators.tabular", "TabularClassifier"),
    "tabular_regressor": ("layerloop.estimators.tabular", "TabularRegressor"),
}


def save(model: Any, path: str | os.PathLike[str]) -> Path:
    """Write a network or a fitted estimator to one file, atomically: the old file stays until the new one is complete.

    What was written is read back and compared before it takes its place.

    Parameters
    ----------
    model : Chain or estimator
    path : path
        By custom `*.safetensors`.

    Returns
    -------
    Path
        Where it is.

    Raises
    ------
    OutputError
        When the file cannot be written; the old one is then untouched.
    NetworkError
        What cannot be kept in a file: numbers that are not finite, records that are not plain data.
    InputError
        Neither a network nor an estimator that has a file.

    Examples
    --------
    >>> save(m, "digits.safetensors")  # doctest: +SKIP
    """
    if isinstance(model, Chain):
        return files.save(model, path)
    if not hasattr(model, "to_bundle"):
        raise InputError(f"a Chain or an estimator of layerloop is saved, got {type(model).__name__}")
    return files.save_bundle(model.to_bundle(), path)


def load(path: str | os.PathLike[str]) -> Any:
    """Return the network or estimator of a model file; it predicts bit by bit as the saved one did.

    Raises
    ------
    ModelFileError
        The file is missing, truncated, damaged, foreign, or made by a newer version.

    Examples
    --------
    >>> m = load("digits.safetensors")  # doctest: +SKIP
    """
    found = files.load_any(path)
    if isinstance(found, Chain):
        return found

    def revived() -> Any:
        module, name = look_up(KINDS, found.kind, "kind of model")
        return getattr(import_module(module), name).from_bundle(found)

    return rebuilt(revived, str(path))
