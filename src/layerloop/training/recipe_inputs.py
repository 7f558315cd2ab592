"""What a recipe does to rows before the first layer: pictures, columns of a table, sparse rows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from layerloop.csr import Csr
from layerloop.errors import InputError
from layerloop.preprocessing import Inputs, standardised

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from layerloop.data import Dataset

PLAIN = 10  # sparse numbers up to this size are trained on as they are
WIDEST = 100_000  # sparse columns that are scaled one by one: the model file keeps a number for each
SEEN = 2000  # pictures that are looked at to learn how large their drawings are
LARGEST = 1e150  # of a column to be standardised: squares beyond have no room in float64


def inputs_for(data: Dataset, X: NDArray[np.generic] | Csr, done: list[str], *, centred: bool = False) -> Inputs:
    """Return what is done to rows before the first layer, fitted to those of training; `done` hears it in sentences.

    Pictures are centred where it is asked for, and photographs always.
    """
    if isinstance(X, Csr):
        return _sparse_inputs(data, X, done)
    if data.scale is not None or data.image is not None:
        box = data.box
        if box is None and data.image is not None and data.fit is None:
            box = _box(X[:SEEN].reshape(-1, *data.image))
        inputs = Inputs(scale=data.scale, image=data.image, box=box, fit=data.fit)
        return _centred(inputs, X, done) if centred or data.fit is not None else inputs
    largest = float(np.abs(X).max())  # of float32, which has no room for the bound itself
    if not largest < LARGEST:
        raise InputError(f"{data.name}: a column reaches {largest:.3g}: rescale it")
    done.append("every column is brought to mean 0 and standard deviation 1, as it is in the training rows")
    return standardised(X, data.columns)


def _sparse_inputs(data: Dataset, X: Csr, done: list[str]) -> Inputs:
    """Return inputs that keep zeros zeros: numbers as they are, or each column divided by its largest."""
    done.append(f"sparse: {X.size / len(X):.3g} of the {X.width:,} numbers of a row are not 0, in the mean")
    largest = float(abs(X).max())
    if largest <= PLAIN:
        return Inputs()
    if X.width > WIDEST:
        raise InputError(
            f"{data.name}: a number reaches {largest:.3g}, of {X.width:,} columns: bring them within {PLAIN}"
        )
    spread = np.zeros(X.width)
    np.maximum.at(spread, X.columns, np.abs(X.values))
    done.append("every column is divided by its largest number in the training rows; zeros stay zeros")
    return Inputs(spread=tuple(np.where(spread > 0, spread, 1.0).tolist()))


def _centred(inputs: Inputs, X: NDArray[np.generic], done: list[str]) -> Inputs:
    """Return inputs that take the mean picture off and divide by one deviation.

    Both matter where few pixels are 0, in photographs and clothes; a digit is read as well without.
    """
    unit = 1.0 if inputs.scale is None else inputs.scale
    deviation = unit * float(X[:: -(-len(X) // SEEN)].std())
    done.append("the mean of the training pictures is taken off each, and one deviation divides all pixels")
    center = unit * X.mean(axis=0, dtype=np.float64)
    return replace(inputs, center=tuple(center.tolist()), spread=(deviation or 1.0,) * len(center))


def _box(pictures: NDArray[np.generic]) -> int:
    """Return the median length of the longer side of the ink, to which a drawing of another size is brought.

    Ink is brighter than a quarter of the brightest: what is fainter does not count in `prepare_image` either.
    """
    values = pictures.astype(np.float64)
    ink = values > 0.25 * values.max()
    sides = [_lengths(ink.any(axis=axis)) for axis in (1, 2)]
    longer = int(np.median(np.maximum(*sides)))
    h, w = ink.shape[1:]
    return int(min(max(longer, 1), h, w))


def _lengths(lines: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the length from the first to the last True of each line, 0 where there is none."""
    ends = lines.shape[1] - lines[:, ::-1].argmax(axis=1)
    return np.where(lines.any(axis=1), ends - lines.argmax(axis=1), 0)
