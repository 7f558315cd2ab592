"""Errors that say who, what was expected, what came and what to do: one base, thirteen children.

Every error of the library is a :class:`LayerloopError`, so a program catches them all by one name; each is also the
built-in exception that a caller of NumPy or scikit-learn would expect (`ValueError`, `OSError`, ...).
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Row = TypeVar("Row")


class LayerloopError(Exception):
    """Base of every error that the library raises on purpose."""


class InputError(LayerloopError, ValueError):
    """An array, a label or a row is not what the network can take."""


class ShapeError(InputError):
    """A width or a number of rows does not fit."""


class NonFiniteInputError(InputError):
    """The data hold NaN or infinity."""


class LabelError(InputError):
    """The labels are not classes of this network."""


class SettingError(LayerloopError, ValueError):
    """A setting lies outside its range, such as a negative rate."""


class UnknownNameError(LayerloopError, ValueError):
    """A name stands in none of the tables; the message proposes the nearest ones."""


class NetworkError(LayerloopError, ValueError):
    """Layers, head and loss do not fit together."""


class DataFormatError(LayerloopError, ValueError):
    """A data file is damaged, or is not of the kind that it claims to be."""


class DataNotFoundError(LayerloopError, OSError):
    """A data set or file cannot be had; the message lists what was tried and how to supply it."""


class ModelFileError(LayerloopError, ValueError):
    """A model file is truncated, foreign, damaged or made by a newer version."""


class MissingExtraError(LayerloopError, ImportError):
    """A feature needs libraries of an extra that is not installed; the message says which to install."""


class OutputError(LayerloopError, OSError):
    """A file cannot be written where it was asked for."""


class DivergenceError(LayerloopError, ArithmeticError):
    """The loss or a parameter stopped being finite; the network keeps the last parameters whose loss was finite.

    Attributes
    ----------
    epoch, step : int
        Where it happened, both one-based; `step` counts within the epoch.
    """

    def __init__(self, message: str, *, epoch: int, step: int) -> None:
        super().__init__(message)
        self.epoch = epoch
        self.step = step


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return " Did you mean 'relu'?" for the nearest known name, or the list of known names.

    Examples
    --------
    >>> did_you_mean("sigmoud", ["relu", "sigmoid"])
    " Did you mean 'sigmoid'?"
    >>> did_you_mean(3, ["relu", "sigmoid"])
    ' Known: relu, sigmoid.'
    """
    names = list(known)
    near = get_close_matches(str(name).lower(), names, n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else f" Known: {', '.join(names)}."


def look_up(table: Mapping[str, Row], name: object, what: str) -> Row:
    """Return `table[name]`, or raise an error that names the nearest row.

    Raises
    ------
    UnknownNameError
        When the table has no such row.

    Examples
    --------
    >>> look_up({"relu": 1}, "rely", "activation")
    Traceback (most recent call last):
    layerloop.errors.UnknownNameError: unknown activation 'rely'. Did you mean 'relu'?
    """
    if isinstance(name, str) and name in table:
        return table[name]
    raise UnknownNameError(f"unknown {what} {name!r}.{did_you_mean(name, table)}")


def expect(value: object, kind: type | tuple[type, ...], what: str) -> None:
    """Raise InputError unless `value` is of this kind.

    Examples
    --------
    >>> expect(3, str, "the name")
    Traceback (most recent call last):
    layerloop.errors.InputError: the name must be a str, got int
    """
    if not isinstance(value, kind):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        raise InputError(f"{what} must be a {' or '.join(k.__name__ for k in kinds)}, got {type(value).__name__}")


def short_of_memory(error: MemoryError) -> str:
    """Return what a user is told when memory does not suffice.

    Examples
    --------
    >>> short_of_memory(MemoryError())
    'not enough memory for this; take fewer rows or columns, or smaller layers'
    """
    why = f" ({error})" if str(error) else ""
    return f"not enough memory for this{why}; take fewer rows or columns, or smaller layers"
