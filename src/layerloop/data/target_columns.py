"""What a target means: classes, several labels at once, or values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from layerloop.errors import DataFormatError, InputError, LabelError, NonFiniteInputError, did_you_mean, look_up

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

MOST_CLASSES = 20  # whole numbers with more distinct values than this are read as values
KINDS: Mapping[str, str] = {"classes": "classes", "values": "values"}


@dataclass(frozen=True)
class Target:
    """A target: `kind` "classes" (y: int64 indices, and names) or "values" (y: float64, no names).

    Of several columns it is "labels" (y: int64 of 0 and 1, and the columns' names), or "values".
    """

    kind: str
    y: NDArray[np.generic]
    classes: tuple[str, ...]


def as_target(
    cells: Sequence[str] | NDArray[np.generic],
    kind: str | None = None,
    *,
    where: Callable[[int], str],
    classes: Sequence[str] | None = None,
) -> Target:
    """Return a target column as class indices or values.

    Text means classes; whole numbers with at most 20 distinct values mean classes; all else means values.
    `kind` and `classes` (the names of a trained network's classes, in its order) overrule that.

    Parameters
    ----------
    cells : n texts or numbers
    kind : "classes", "values" or None
    where : row number -> "file:line: column 'name'", for the messages
    classes : names, optional

    Raises
    ------
    LabelError
        `kind="classes"` with fractions; a label that is not among `classes`.
    DataFormatError
        Text where values are expected.
    NonFiniteInputError
        NaN or infinity.

    Examples
    --------
    >>> as_target(["no", "yes", "no"], where=str)
    Target(kind='classes', y=array([0, 1, 0]), classes=('no', 'yes'))
    """
    if kind == "labels":
        raise LabelError(f"{where(0)} is one target, but the model says of several labels whether they are there")
    if kind is not None:
        look_up(KINDS, kind, "kind of target")
    if classes is not None:
        return known_classes(cells, tuple(classes), where)
    numbers, bad = as_numbers(cells)
    if bad:
        return text_target([str(cell) for cell in cells], kind, where, bad[0])
    check_finite(numbers, where)
    fractions = np.flatnonzero(numbers != np.rint(numbers))
    if kind == "classes" and len(fractions):
        first = int(fractions[0])
        raise LabelError(
            f"{where(first)} holds {numbers[first]!s}, which is no class: classes are text or whole numbers; "
            "for values use kind='values'"
        )
    if kind == "values" or len(fractions):
        return Target("values", numbers, ())
    distinct, y = np.unique(numbers, return_inverse=True)
    if kind is None and len(distinct) > MOST_CLASSES:
        return Target("values", numbers, ())
    return Target("classes", y.astype(np.int64), tuple(str(int(value)) for value in distinct))


def as_targets(
    y: NDArray[np.generic],
    kind: str | None = None,
    *,
    where: Callable[[int], str],
    names: Sequence[str] = (),
) -> Target:
    """Return a target of several columns (n, k): labels where all are 0 or 1, else values; one 1 a row means classes.

    Parameters
    ----------
    y : (n, k) numbers
    kind : "classes", "labels", "values" or None
        With the first two every entry must be 0 or 1.
    where : row number -> its name, for the messages
    names : of the columns; by default their numbers

    Raises
    ------
    LabelError
        `kind="classes"` with something else than 0 and 1.
    InputError, NonFiniteInputError
        Text, NaN or infinity.

    Examples
    --------
    >>> as_targets(np.array([[1, 0, 1], [0, 0, 1]]), where=str).kind, as_targets(np.eye(3), where=str).kind
    ('labels', 'classes')
    """
    if y.dtype.kind in "US":
        raise InputError(f"{where(0)} holds text: several targets at once are numbers, 0 and 1 for labels")
    numbers = y.astype(np.float64)
    names = tuple(names) or tuple(map(str, range(y.shape[1])))
    for name, column in zip(names, numbers.T, strict=True):
        check_finite(column, lambda i, name=name: f"{where(i)}: column {name!r}")  # type: ignore[misc]
    wrong = np.flatnonzero(((numbers != 0) & (numbers != 1)).any(axis=1))
    if len(wrong) and kind in ("classes", "labels"):
        raise LabelError(f"{where(int(wrong[0]))} holds {numbers[wrong[0]].tolist()}: labels are 0 or 1")
    if len(wrong) or kind == "values":
        return Target("values", numbers, ())
    if kind != "labels" and (numbers.sum(axis=1) == 1).all():
        return Target("classes", numbers.argmax(axis=1), names)
    return Target("labels", numbers.astype(np.int64), names)


def as_numbers(cells: Sequence[str] | NDArray[np.generic]) -> tuple[NDArray[np.float64], list[int]]:
    """Return the cells as numbers, and where the first cell stands that is none."""
    if isinstance(cells, np.ndarray) and cells.dtype.kind not in "US":
        return cells.astype(np.float64), []
    numbers = np.empty(len(cells))
    for i, cell in enumerate(cells):
        number = as_number(str(cell))
        if number is None:
            return numbers, [i]
        numbers[i] = number
    return numbers, []


def as_number(cell: str) -> float | None:
    """Return the number that a cell spells, or None; Python's own 1_000 is no number in a table."""
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


def check_finite(numbers: NDArray[np.float64], where: Callable[[int], str]) -> None:
    """Raise NonFiniteInputError with the place of the first NaN or infinity in a target."""
    bad = np.flatnonzero(~np.isfinite(numbers))
    if len(bad):
        raise NonFiniteInputError(f"{where(int(bad[0]))} holds {numbers[bad[0]]}: every target must be finite")


def text_target(cells: list[str], kind: str | None, where: Callable[[int], str], bad: int) -> Target:
    """Return a target that holds text; many numbers with a text among them are a slip, not classes."""
    names, y = np.unique(np.array(cells), return_inverse=True)
    slip = kind is None and len(names) > MOST_CLASSES and sum(as_number(cell) is None for cell in cells) * 2 < len(y)
    if kind == "values" or slip:
        raise DataFormatError(
            f"{where(bad)} holds {cells[bad]!r}, expected a number; if these are names of classes, use kind='classes'"
        )
    return Target("classes", y.astype(np.int64), tuple(str(name) for name in names))


def known_classes(
    cells: Sequence[str] | NDArray[np.generic], classes: tuple[str, ...], where: Callable[[int], str]
) -> Target:
    """Return the indices of labels in the classes of a trained network."""
    index = {name: i for i, name in enumerate(classes)}
    y = np.empty(len(cells), np.int64)
    for i, cell in enumerate(cells):
        name = str(cell) if str(cell) in index else whole_name(str(cell))
        if name not in index:
            raise LabelError(f"{where(i)} holds {str(cell)!r}, which is not a class here.{did_you_mean(cell, classes)}")
        y[i] = index[name]
    return Target("classes", y, classes)


def whole_name(cell: str) -> str:
    """Return "3" for "3.0" and "03", the cell itself for all else."""
    number = as_number(cell)
    return str(int(number)) if number is not None and number.is_integer() else cell
