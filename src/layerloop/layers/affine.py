"""Affine maps, diagonals and the parametric activation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from layerloop.layers.base import Kind, Part, activation_name, known_name, of_members, settle, shown, widths

if TYPE_CHECKING:
    from layerloop.layers.base import Named, Vector

STARTS = ("ones", "signs", "normal")


@dataclass(frozen=True, repr=False, init=False)
class Dense(Kind):
    """An affine map and an activation: g(W; z) = sigma(W z^{;1}), section 7.1; with `ntk`, sigma(W z / sqrt(n_in) + b).

    Parameters
    ----------
    n_in, n_out : int
        Widths.
    activation : str or activation
        A row of the table, by name or as the object (`sigmoid`); none by default, as in the notes' program.
    ntk : bool
        The NTK scaling, with weights that start at standard deviation 1: the step of a weight then does not depend on
        the width (Jacot, Gabriel and Hongler 2018).
    members : int
        Behind `Members`: each member has weights of its own.

    Raises
    ------
    SettingError
        A width below 1.
    UnknownNameError
        An unknown activation.

    Examples
    --------
    >>> Dense(784, 32, "sigmoid")
    Dense(784, 32, sigmoid)
    """

    kind: ClassVar[str] = "dense"
    n_in: int
    n_out: int
    activation: str = "identity"
    ntk: bool = False
    members: int = 1

    def __init__(
        self, n_in: int, n_out: int, activation: str | Named = "identity", *, ntk: bool = False, members: int = 1
    ) -> None:
        settle(self, n_in=n_in, n_out=n_out, activation=activation_name(activation), ntk=bool(ntk), members=members)
        widths(self, "n_in", "n_out", "members")

    @property
    def factor(self) -> float:
        """What W z is multiplied by."""
        return 1 / math.sqrt(self.n_in) if self.ntk else 1.0

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of a member's block of the flat vector: (n_in + 1, n_out), biases last."""
        return self.n_in + 1, self.n_out

    @property
    def parts(self) -> tuple[Part, ...]:
        """Weights (n_in, n_out) and biases (n_out,), of each member where there are several."""
        return (
            Part("weight", of_members(self.members, self.n_in, self.n_out)),
            Part("bias", of_members(self.members, self.n_out)),
        )

    @property
    def stretches(self) -> tuple[Part, ...]:
        """Weights and biases of one member after another."""
        return (Part("weight", (self.n_in, self.n_out)), Part("bias", (self.n_out,))) * self.members

    def blocks(self, w: Vector) -> Vector:
        """Return the layer's stretch as its members' blocks, (members, n_in + 1, n_out): a view."""
        return w.reshape(self.members, *self.shape)

    def views(self, w: Vector) -> dict[str, Vector]:
        """Return weights and biases as views; a block's last row holds the biases."""
        blocks = self.blocks(w)
        blocks = blocks[0] if self.members == 1 else blocks
        return {"weight": blocks[..., :-1, :], "bias": blocks[..., -1, :]}

    def __repr__(self) -> str:
        activation = "" if self.activation == "identity" else f", {self.activation}"
        rest = "".join(f", {text}" for text in shown(self) if text.startswith(("ntk", "members")))
        return f"Dense({self.n_in}, {self.n_out}{activation}{rest})"


@dataclass(frozen=True, repr=False, init=False)
class Scale(Kind):
    """A learnable diagonal: g(s, b; z) = f(s * z + b), entry by entry; without `bias`, b is 0.

    At the front of a network it weighs the columns (RealMLP, arXiv 2407.04491); behind `Members`, with `members=k`, it
    is what makes them differ (TabM, arXiv 2410.24210).

    Parameters
    ----------
    n : int
        Width.
    activation : str or activation
    bias : bool
    members : int
    start : "ones", "signs" or "normal"
        The first s: 1, +-1 at random, or N(0, 1).

    Examples
    --------
    >>> Scale(8), Scale(8, bias=True).size
    (Scale(8), 16)
    """

    kind: ClassVar[str] = "scale"
    n: int
    activation: str = "identity"
    bias: bool = False
    members: int = 1
    start: str = "ones"

    def __init__(
        self,
        n: int,
        activation: str | Named = "identity",
        *,
        bias: bool = False,
        members: int = 1,
        start: str = "ones",
    ) -> None:
        settle(self, n=n, activation=activation_name(activation), bias=bool(bias), members=members, start=start)
        widths(self, "n", "members")
        known_name(self.start, STARTS, "start of Scale")

    @property
    def n_in(self) -> int:
        """The width."""
        return self.n

    n_out = n_in

    @property
    def parts(self) -> tuple[Part, ...]:
        """`weight` and, with a bias, `bias`, of each member where there are several."""
        shape = of_members(self.members, self.n)
        return (Part("weight", shape), Part("bias", shape))[: 1 + self.bias]


@dataclass(frozen=True, repr=False, init=False)
class Parametric(Kind):
    """A parametric activation: g(a; z) = (1 - a) * z + a * f(z), entry by entry, a starting at 1 (arXiv 2407.04491).

    Examples
    --------
    >>> Parametric(8, "mish").size
    8
    """

    kind: ClassVar[str] = "parametric"
    n: int
    activation: str

    def __init__(self, n: int, activation: str | Named) -> None:
        settle(self, n=n, activation=activation_name(activation))
        widths(self, "n")

    @property
    def n_in(self) -> int:
        """The width."""
        return self.n

    n_out = n_in

    @property
    def parts(self) -> tuple[Part, ...]:
        """`weight`, the a of the formula."""
        return (Part("weight", (self.n,)),)
