"""Files of each kind as data sets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from layerloop.data import named
from layerloop.data.arrays import Arrays, read_npy, read_npz
from layerloop.data.dataset import Dataset
from layerloop.data.sparse_files import SVMLIGHT, read_sparse
from layerloop.data.tables import read_csv
from layerloop.data.target_columns import Target, as_target, as_targets
from layerloop.errors import DataFormatError, DataNotFoundError, InputError, LabelError, UnknownNameError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from layerloop.data.named import PathLike

NAMES = (*named.SOURCES, "digits")
TABLE_ENDINGS = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
ENDINGS = (*TABLE_ENDINGS, ".npy", ".npz", *SVMLIGHT)


def read_table(path: Path, target: object, kind: str | None, classes: Sequence[str] | None) -> Dataset:
    """Return a CSV file as a data set."""
    if target is not None and not isinstance(target, str):
        raise InputError(f"{path}: the target of a table is named by its header, got {target!r}")
    table = read_csv(path, target=target, kind=kind, classes=classes)
    return Dataset(
        str(path),
        table.X,
        table.y,
        table.kind,
        table.classes,
        columns=table.columns,
        target=table.target,
        guessed=table.guessed,
    )


def read_arrays(path: Path, split: str, target: object, kind: str | None, classes: Sequence[str] | None) -> Dataset:
    """Return a .npy or .npz file as a data set; a test split counts in the classes of its training split."""
    arrays = npy_arrays(path, target) if path.suffix.lower() == ".npy" else npz_arrays(path, target)
    if arrays.y is None:
        raise InputError(f"{path} has no array y: save it with np.savez(file, X=X, y=y)")
    read_as = _target(arrays.y, kind, f"{path}: y", classes)
    X, y = arrays.X, read_as.y
    if split == "test" and arrays.X_test is not None and arrays.y_test is not None:
        known = read_as.classes if read_as.kind == "classes" else None
        read_as = _target(arrays.y_test, read_as.kind, f"{path}: y_test", classes or known)
        X, y = arrays.X_test, read_as.y
    scale = 1 / 255 if X.dtype == np.uint8 else None
    named = None if target is None else str(target)
    return Dataset(str(path), X, y, read_as.kind, read_as.classes, scale, arrays.image, target=named)


def _target(y: NDArray[np.generic], kind: str | None, name: str, classes: Sequence[str] | None) -> Target:
    """Return what an array y means; one with several columns is several labels, or values."""
    if y.ndim == 1:
        return as_target(y, kind, where=lambda i: f"{name} in row {i}", classes=classes)
    if classes is not None and len(classes) != y.shape[1]:
        raise LabelError(f"{name} has {y.shape[1]} columns, but the model knows {len(classes)}: {', '.join(classes)}")
    return as_targets(y, kind, where=lambda i: f"{name} in row {i}", names=classes or ())


def read_sparse_rows(
    path: Path, target: object, kind: str | None, classes: Sequence[str] | None, like: tuple[int | None, int] | None
) -> Dataset:
    """Return a file of sparse rows as a data set; `like` is how a model counts columns, and how many it takes."""
    first, width = (None, None) if like is None else like
    found = read_sparse(path, None if target is None else str(target), first, width)
    if found.y is None:
        raise InputError(f"{path} has no array y: put the targets into a .npy file of their own; state target=FILE")
    read_as = _target(found.y, kind, f"{path}: the target", classes)
    named = None if target is None else str(target)
    return Dataset(str(path), found.X, read_as.y, read_as.kind, read_as.classes, target=named, first_column=found.first)


def npy_arrays(path: Path, target: object) -> Arrays:
    """Return a .npy file with its target column."""
    number = int(target) if isinstance(target, str) and target.lstrip("-").isdigit() else target
    if not isinstance(number, int):
        raise InputError(f"{path}: which column is the target? State its number, such as target=-1 for the last")
    return read_npy(path, target=number)


def npz_arrays(path: Path, target: object) -> Arrays:
    """Return a .npz file, whose target is an array of its own."""
    if target is not None:
        raise InputError(f"{path}: the target of a .npz file is its array y; leave out target={target!r}")
    return read_npz(path)


def existing_file(name_or_path: PathLike) -> Path:
    """Return the path of a readable file of a known kind, or raise the error that fits what was meant."""
    path = Path(name_or_path)
    known = f"a data set ({', '.join(NAMES)}) or a file ({', '.join(ENDINGS)})"
    if path.is_file():
        if path.name.lower().endswith(ENDINGS):
            return path
        raise DataFormatError(f"{path} is of an unknown kind; expected {', '.join(ENDINGS)}")
    if path.is_dir():
        raise DataNotFoundError(f"{path} is a folder; expected {known}")
    if str(name_or_path).endswith("/"):
        raise DataNotFoundError(f"the folder {path} does not exist; expected {known}, or a folder of pictures")
    if path.suffix or len(path.parts) > 1:
        raise DataNotFoundError(f"the file {path} does not exist; expected {known}")
    raise UnknownNameError(f"unknown data set {str(name_or_path)!r}.{did_you_mean(name_or_path, NAMES)}")
