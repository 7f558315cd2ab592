"""The parameters of a network: one flat vector, and named views into it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from layerloop import describe
from layerloop.errors import NetworkError, did_you_mean
from layerloop.layers import Dense

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from layerloop.plan import Architecture

    Floats = NDArray[np.floating]


class Parameters(Mapping[str, "Floats"]):
    """One flat vector and its parts by name: `layer1.weight` (n_in, n_out), `layer1.bias` (n_out,), ...

    The parts are views: writing into one writes into the vector. Gradients come in the same form.

    Examples
    --------
    >>> from layerloop import Chain, params
    >>> ps = params(Chain(Dense(3, 2)))
    >>> list(ps), ps["layer1.weight"].shape, ps.flat.shape
    (['layer1.weight', 'layer1.bias'], (3, 2), (8,))
    """

    def __init__(self, architecture: Architecture, flat: Floats) -> None:
        self.architecture = architecture
        self.flat = flat
        self._parts = architecture.views(flat)

    def __getitem__(self, name: str) -> Floats:
        if name not in self._parts:
            raise KeyError(f"no parameter {name!r}.{did_you_mean(name, self._parts)}")
        return self._parts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def W(self, i: int) -> Floats:
        """Return the notes' W_i, (n_out, n_in + 1) with the bias as last column, i = 1..L: a view.

        Behind `Members`, where each has weights of its own, (members, n_out, n_in + 1).
        """
        depth = len(self.architecture.layers)
        if not 1 <= i <= depth:
            raise IndexError(f"layers are counted from 1 to {depth} here, as in the notes; got {i}")
        layer = self.architecture.layers[i - 1]
        if not isinstance(layer, Dense):
            raise NetworkError(f"layer {i}, {layer}, is no Dense and has no W: its parameters are named in params(m)")
        W = layer.blocks(self.flat[self.architecture.place(i - 1, i)]).transpose(0, 2, 1)
        return W[0] if layer.members == 1 else W

    @property
    def w(self) -> Floats:
        """The notes' w = (w_1; ...; w_L), the rows of each W_i one after another: a copy in that order."""
        return self.architecture.to_notes(self.flat)

    def __reduce__(self) -> tuple[object, ...]:
        return Parameters, (self.architecture, self.flat)  # a copy has views of its own vector

    def __repr__(self) -> str:
        parts = "".join(f"\n  {name} {part.shape}" for name, part in self.items())
        return f"Parameters({describe.count(self.flat.size)} {self.flat.dtype}){parts}"
