"""What every kind of layer has, and the checks of their settings."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

from layerloop.errors import SettingError, UnknownNameError, did_you_mean
from layerloop.settings import whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.floating]

# The names that every table of activations has a row for; a test holds the tables against them.
ACTIVATIONS = (
    "identity",
    "sigmoid",
    "tanh",
    "relu",
    "leaky_relu",
    "elu",
    "selu",
    "gelu",
    "silu",
    "mish",
    "softplus",
    "hard_sigmoid",
)


def known_name(value: object, names: Sequence[str], what: str) -> str:
    """Return the name of a table row, given as its name or as an object that carries it (`sigmoid`).

    Raises
    ------
    UnknownNameError
        When no row has that name; the message proposes the nearest.
    """
    name = getattr(value, "name", value)
    if isinstance(name, str) and name in names:
        return name
    shown = getattr(value, "__name__", name)
    if callable(value) and shown in names:
        raise UnknownNameError(f"{what} {shown} is another library's function: pass {shown!r}, or layerloop.{shown}")
    raise UnknownNameError(f"unknown {what} {shown!r}.{did_you_mean(shown, names)}")


def activation_name(value: object) -> str:
    """Return the name of an activation of the table."""
    return known_name(value, ACTIVATIONS, "activation")


class Named(Protocol):
    """An object that stands for a row of a table, such as `sigmoid`."""

    @property
    def name(self) -> str:
        """The row's name."""
        ...


class Part(NamedTuple):
    """One named part of a layer's parameters; running statistics are moved by training, not trained."""

    name: str
    shape: tuple[int, ...]
    trained: bool = True

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)


class Kind:
    """What every kind of layer has; `n_in` and `n_out` count the numbers of one row.

    Attributes
    ----------
    kind : str
        Its row of `LAYERS`, and its name in a model file.
    """

    kind: ClassVar[str]
    if TYPE_CHECKING:

        @property
        def n_in(self) -> int:  # noqa: D102
            ...

        @property
        def n_out(self) -> int:  # noqa: D102
            ...

    @property
    def parts(self) -> tuple[Part, ...]:
        """Its parameters by name, in the order in which they lie in the flat vector."""
        return ()

    @property
    def size(self) -> int:
        """The number r_i of its parameters."""
        return sum(part.size for part in self.parts)

    @property
    def stretches(self) -> tuple[Part, ...]:
        """The pieces of the flat vector one after another; a name may have several."""
        return self.parts

    def views(self, w: Vector) -> dict[str, Vector]:
        """Return the named parts as views into the layer's stretch of the flat vector."""
        ends = itertools.accumulate((part.size for part in self.parts), initial=0)
        return {p.name: w[at : at + p.size].reshape(p.shape) for p, at in zip(self.parts, ends, strict=False)}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(shown(self))})"


def shown(layer: Any) -> Iterator[str]:
    """Yield the settings of a layer as they are written: those that have a default by name, where they differ."""
    for field in fields(layer):
        value = getattr(layer, field.name)
        if field.default is MISSING:
            yield f"{value}"
        elif value != field.default:
            yield f"{field.name}={value}"


def settle(layer: object, **values: object) -> None:
    """Set fields of a frozen layer to their checked form, in its __post_init__ only."""
    for name, value in values.items():
        object.__setattr__(layer, name, value)


def widths(layer: Any, *names: str) -> None:
    """Check fields that are widths: whole and at least 1."""
    for name in names:
        settle(layer, **{name: whole(getattr(layer, name), f"{type(layer).__name__}: {name}", least=1)})


def number_within(layer: Any, name: str, low: float, high: float, *, ends: str = "[)") -> None:
    """Check a setting against an interval, whose ends belong to it as its brackets say."""
    value = getattr(layer, name)
    good = isinstance(value, int | float) and not isinstance(value, bool)
    good = good and (low <= value if ends[0] == "[" else low < value) and value < high
    if not good:
        raise SettingError(
            f"{type(layer).__name__}: {name} must be in {ends[0]}{low:g}, {high:g}{ends[1]}, got {value!r}"
        )
    settle(layer, **{name: float(value)})


def of_members(members: int, *shape: int) -> tuple[int, ...]:
    """Return the shape of a part that every member has for itself."""
    return shape if members == 1 else (members, *shape)


def whole_all(values: object, name: str, least: int) -> tuple[int, ...]:
    """Return whole numbers of at least `least` as a tuple."""
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise SettingError(f"{name} must be a sequence of whole numbers, got {values!r}")
    return tuple(whole(value, name, least=least) for value in values)
