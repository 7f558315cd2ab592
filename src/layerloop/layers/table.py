"""The table of layers, layers around layers, and all of them as plain data."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar

from layerloop.errors import NetworkError, look_up
from layerloop.layers.affine import Dense, Parametric, Scale
from layerloop.layers.base import Kind, settle, widths
from layerloop.layers.columns import Embedding, Periodic, PiecewiseLinear
from layerloop.layers.normal import BatchNorm, Dropout, LayerNorm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from layerloop.layers.base import Part, Vector


@dataclass(frozen=True, repr=False)
class Members(Kind):
    """From here on the network is `members` networks that share what does not say `members=`: z -> (z; ...; z).

    Prediction is the mean of the members' outputs; the training loss is the mean of their losses, so that each learns
    to be right by itself (TabM, arXiv 2410.24210).

    Examples
    --------
    >>> Members(8, 4)
    Members(8, 4)
    """

    kind: ClassVar[str] = "members"
    n: int
    members: int

    def __post_init__(self) -> None:
        widths(self, "n", "members")

    @property
    def n_in(self) -> int:
        """The width."""
        return self.n

    n_out = n_in


@dataclass(frozen=True, repr=False, init=False)
class Residual(Kind):
    """Layers with a way around them: g(w; z) = z + f(w; z), f the chain of `layers` (He et al. 2016).

    Examples
    --------
    >>> Residual(Dense(8, 16, "relu"), Dense(16, 8)).size
    280
    """

    kind: ClassVar[str] = "residual"
    layers: tuple[Layer, ...]

    def __init__(self, *layers: Layer) -> None:
        if not layers or not all(isinstance(layer, Kind) for layer in layers):
            raise NetworkError(f"Residual goes around layers such as Dense(8, 8, 'relu'), got {layers}")
        if any(isinstance(layer, Members) for layer in layers):
            raise NetworkError("Residual cannot go around Members: the ways would differ in rows")
        settle(self, layers=chained(layers, width_into(layers), "Residual: layer"))
        if self.layers[-1].n_out != self.n_in:
            raise NetworkError(f"{self} takes {self.n_in} numbers but its layers give {self.layers[-1].n_out}")

    @property
    def n_in(self) -> int:
        """The width."""
        return self.layers[0].n_in

    n_out = n_in

    @property
    def parts(self) -> tuple[Part, ...]:
        """Those of the layers, each behind the number of its layer."""
        return tuple(_within(i, part) for i, layer in enumerate(self.layers, start=1) for part in layer.parts)

    @property
    def stretches(self) -> tuple[Part, ...]:
        """Those of the layers."""
        return tuple(_within(i, part) for i, layer in enumerate(self.layers, start=1) for part in layer.stretches)

    def views(self, w: Vector) -> dict[str, Vector]:
        """Return those of the layers."""
        found: dict[str, Vector] = {}
        at = 0
        for i, layer in enumerate(self.layers, start=1):
            found |= {f"{i}.{name}": view for name, view in layer.views(w[at : at + layer.size]).items()}
            at += layer.size
        return found

    def __repr__(self) -> str:
        return f"Residual({', '.join(map(repr, self.layers))})"


def _within(i: int, part: Part) -> Part:
    return part._replace(name=f"{i}.{part.name}")


Layer = (
    Dense
    | Scale
    | Parametric
    | Dropout
    | BatchNorm
    | LayerNorm
    | Residual
    | Embedding
    | Periodic
    | PiecewiseLinear
    | Members
)
LAYERS: Mapping[str, type[Layer]] = {
    kind.kind: kind
    for kind in (
        Dense,
        Scale,
        Parametric,
        Dropout,
        BatchNorm,
        LayerNorm,
        Residual,
        Embedding,
        Periodic,
        PiecewiseLinear,
        Members,
    )
}


def width_into(layers: Sequence[Layer]) -> int:
    """Return the width of what goes into a chain of layers, also where its first ones take any."""
    known = (layer for layer in layers if not (isinstance(layer, Dropout) and layer.n is None))
    return next(known, layers[0]).n_in


def chained(layers: Sequence[Layer], n_in: int, what: str = "layer") -> tuple[Layer, ...]:
    """Return the layers, those that take any width told theirs.

    Raises
    ------
    NetworkError
        When one takes another width than the one before it gives.
    """
    width, found = n_in, []
    for i, layer in enumerate(layers, start=1):
        fitted = replace(layer, n=width) if isinstance(layer, Dropout) and layer.n is None else layer
        if fitted.n_in != width:
            said = "the input has" if i == 1 else f"layer {i - 1} gives"
            raise NetworkError(f"{what} {i}, {layer}, takes {layer.n_in} numbers, but {said} {width}")
        width = fitted.n_out
        found.append(fitted)
    return tuple(found)


def as_plain(layer: Layer) -> dict[str, Any]:
    """Return a layer as plain data that JSON can hold; `from_plain` is its inverse.

    Examples
    --------
    >>> as_plain(Scale(3))
    {'kind': 'scale', 'n': 3, 'activation': 'identity', 'bias': False, 'members': 1, 'start': 'ones'}
    """
    if isinstance(layer, Residual):
        return {"kind": layer.kind, "layers": [as_plain(inner) for inner in layer.layers]}
    return {"kind": layer.kind, **{field.name: getattr(layer, field.name) for field in fields(layer)}}


def from_plain(row: Mapping[str, Any]) -> Layer:
    """Return the layer of `as_plain`; names are looked up in `LAYERS`.

    Raises
    ------
    UnknownNameError, SettingError, NetworkError, TypeError
        When it is not that of a layer.
    """
    settings = {name: value for name, value in row.items() if name != "kind"}
    kind = look_up(LAYERS, row["kind"], "kind of layer")
    if kind is Residual:
        return Residual(*(from_plain(inner) for inner in settings["layers"]))
    return kind(**settings)
