"""The network as plain data: its layers, head and loss, and where each layer's parameters stand in w (section 7.1).

Letters as in :mod:`layerloop.maths.loops`.

Two readings of the chapter stand side by side. :func:`notes` follows the formulas: sigma on every layer, the
last included, and the modified softmax of K-1 scores; these are > 0 while class K has score 0, so class K is
never predicted. :func:`program` follows the notes' Flux code: no activation on the last layer, softmax of K
scores.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import index
from typing import TYPE_CHECKING

from layerloop.errors import NetworkError, look_up
from layerloop.maths.activations import ACTIVATIONS
from layerloop.maths.affine import Dense
from layerloop.maths.heads import HEADS
from layerloop.maths.layers import Members, by_blocks, check_widths, split
from layerloop.maths.losses import LOSSES, Loss

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from layerloop.maths.activations import Array
    from layerloop.maths.kind import Layer


@dataclass(frozen=True)
class Net:
    """A feedforward network as plain data; the parameters are a vector w of their own.

    `Net(widths, activations)` has the notes' dense layers; :meth:`Net.of` takes layers of any kind.

    Attributes
    ----------
    widths : tuple of int
        (n_1, ..., n_{L+1}); a single width is a network without layers, L = 0.
    activations : tuple of str
        One row of ACTIVATIONS for each layer 1..L; "identity" for a layer that has none.
    head : str
        Row of HEADS; the modified softmax has one output more than scores.
    loss : str or Loss
        Row of LOSSES, or a pair of functions (value, gradient) of (z_{L+2}, y).
    layers : tuple of Layer
        The layers as maps of whole samples: behind `Members` each acts on its k blocks.

    Raises
    ------
    NetworkError
        When widths and activations, or layers, do not fit together.
    UnknownNameError
        When a name is in no table.

    Examples
    --------
    >>> net = Net((4, 3, 2), ("tanh", "identity"), head="softmax")
    >>> net.L, net.K, size(net)
    (2, 2, 23)
    """

    widths: tuple[int, ...]
    activations: tuple[str, ...]
    head: str = "modified_softmax"
    loss: str | Loss = "crossentropy"
    layers: tuple[Layer, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        # The one place where a frozen field is set: lists become tuples, a pair of functions becomes a Loss.
        object.__setattr__(self, "widths", tuple(index(n) for n in self.widths))
        object.__setattr__(self, "activations", tuple(self.activations))
        if not isinstance(self.loss, str):
            object.__setattr__(self, "loss", _own_loss(self.loss))
        _check(self)
        object.__setattr__(self, "layers", tuple(self.layers) or _dense_layers(self))

    @classmethod
    def of(cls, layers: Sequence[Layer], head: str = "modified_softmax", loss: str | Loss = "crossentropy") -> Net:
        """Return the network of these layers, at least one.

        Examples
        --------
        >>> from layerloop.maths.layers import LayerNorm
        >>> net = Net.of([Dense(4, 3, "tanh"), LayerNorm(3), Dense(3, 2, "identity")], "softmax")
        >>> net.widths, size(net)
        ((4, 3, 3, 2), 29)
        """
        maps = by_blocks(layers)
        if not maps:
            raise NetworkError("layers: expected at least one; Net((n,), ()) is a network without layers")
        check_widths(maps)
        names = tuple(getattr(layer, "activation", "identity") for layer in layers)
        return cls((maps[0].takes, *(layer.gives for layer in maps)), names, head, loss, maps)

    @property
    def L(self) -> int:
        """Number of layers before the head."""
        return len(self.activations)

    @property
    def k(self) -> int:
        """How many networks it is behind `Members`; 1 without."""
        return next((layer.members for layer in self.layers if isinstance(layer, Members)), 1)

    @property
    def K(self) -> int:
        """Number of outputs of the head, the length of y."""
        return self.widths[-1] // self.k + HEADS[self.head].extra


def _dense_layers(net: Net) -> tuple[Layer, ...]:
    sizes = zip(net.widths[:-1], net.widths[1:], net.activations, strict=True)
    return tuple(Dense(n, m, name) for n, m, name in sizes)


def _own_loss(pair: object) -> Loss:
    if not isinstance(pair, tuple) or len(pair) != 2 or not all(callable(part) for part in pair):
        raise NetworkError("loss: expected a name or a pair of functions (value, gradient) of (z, y)")
    return Loss(*pair)


def _check(net: Net) -> None:
    if not net.widths or min(net.widths) < 1:
        raise NetworkError(f"widths: expected n_1, ..., n_(L+1), all at least 1, got {net.widths}")
    if len(net.activations) != len(net.widths) - 1:
        raise NetworkError(
            f"{len(net.widths)} widths {net.widths} make {len(net.widths) - 1} layers, "
            f"but there are {len(net.activations)} activations; give one for each layer"
        )
    for name in net.activations:
        look_up(ACTIVATIONS, name, "activation")
    look_up(HEADS, net.head, "head")
    if isinstance(net.loss, str):
        look_up(LOSSES, net.loss, "loss")


def _widths(d: int, hidden: Sequence[int], last: int) -> tuple[int, ...]:
    if last < 1:
        raise NetworkError("K: a classifier needs at least 2 classes")
    return (d, *hidden, last)


def notes(d: int, hidden: Sequence[int], K: int) -> Net:
    """Return the reading "notes": sigma on every layer, the last included, and K-1 scores (section 7.1).

    All scores lie in (0, 1) while class K has score 0, so class K is never predicted, whatever w is.

    Examples
    --------
    >>> notes(784, [32], 10)
    Net(widths=(784, 32, 9), activations=('sigmoid', 'sigmoid'), head='modified_softmax', loss='crossentropy')
    """
    widths = _widths(d, hidden, K - 1)
    return Net(widths, ("sigmoid",) * (len(widths) - 1), "modified_softmax", "crossentropy")


def program(d: int, hidden: Sequence[int], K: int) -> Net:
    """Return the reading "program": no activation on the last layer and softmax of K scores (section 7.3).

    Examples
    --------
    >>> program(784, [32], 10)
    Net(widths=(784, 32, 10), activations=('sigmoid', 'identity'), head='softmax', loss='crossentropy')
    """
    widths = _widths(d, hidden, K if K > 1 else 0)
    return Net(widths, ("sigmoid",) * len(hidden) + ("identity",), "softmax", "crossentropy")


def _sizes(net: Net) -> list[int]:
    """Return r_1, ..., r_L; r_i = n_{i+1} (n_i + 1) for a dense layer."""
    return [layer.size for layer in net.layers]


def size(net: Net) -> int:
    """Return the length of w, sum_i r_i, r_i = n_{i+1} (n_i + 1) for a dense layer.

    Examples
    --------
    >>> size(program(784, [32], 10))
    25450
    """
    return sum(_sizes(net))


def parameters(net: Net, w: ArrayLike) -> dict[int, Array]:
    """Return {i: W_i}, one-based views of w = (w_1; ...; w_L); of a layer that is not dense, its vector w_i.

    Raises
    ------
    ShapeError
        When w is not a vector of length size(net).

    Examples
    --------
    >>> parameters(Net((1, 2), ("identity",)), [1.0, 2.0, 3.0, 4.0])
    {1: array([[1., 2.],
           [3., 4.]])}
    """
    parts = zip(net.layers, split(net.layers, w), strict=True)
    return {i: layer.shaped(w_i) for i, (layer, w_i) in enumerate(parts, start=1)}


def own_parameters(net: Net, w: ArrayLike) -> dict[int, tuple[Layer, Array]]:
    """Return {i: (layer i, w_i)}."""
    return dict(enumerate(zip(net.layers, split(net.layers, w), strict=True), start=1))


def loss_of(net: Net) -> Loss:
    """Return the loss of the table, or the network's own."""
    return LOSSES[net.loss] if isinstance(net.loss, str) else net.loss
