"""Affine layers, diagonals and the parametric activation: g(w; z) and its Jacobians, one sample at a time.

Letters as in `kind`: z (n,), w (r,), A = dg/dw (m, r), B = dg/dz (m, n); `o` is the product entry by entry. With
`members=k` a sample is k blocks, one behind another, and each block meets parameters of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from layerloop.errors import look_up
from layerloop.maths import jacobians
from layerloop.maths.activations import ACTIVATIONS
from layerloop.maths.jacobians import A_tilde, A_tilde_vjp, B_tilde, B_tilde_vjp, h, rows, stack
from layerloop.maths.kind import OfSamples, Part, block_diagonal, by_member

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike

    from layerloop.maths.activations import Array


def kink_distances(t: Array, activation: str) -> Iterator[tuple[float, str]]:
    """Yield how far each entry of t is from each kink of the activation, and which entry it is."""
    kinks = ACTIVATIONS[activation].kinks
    return ((float(abs(t_k - kink)), f"row {k}") for k, t_k in enumerate(t, start=1) for kink in kinks)


@dataclass(frozen=True)
class Dense(OfSamples):
    """Dense layer, g(w; z) = f(c W z + b) with c = 1, or c = 1 / sqrt(n_in) where `ntk` says so (section 7.1).

    w holds the rows of (W b) one after another, the bias last in each; with `members=k`, one member's behind another's.

    Raises
    ------
    UnknownNameError
        When the activation is in no row of ACTIVATIONS.

    Examples
    --------
    >>> Dense(1, 2, "identity").g([2.0, 1.0, 3.0, 0.0], [10.0])
    array([21., 30.])
    >>> Dense(4, 1, "identity", ntk=True).g([2.0, 2.0, 2.0, 2.0, 1.0], [1.0, 1.0, 1.0, 1.0])
    array([5.])
    """

    kind: ClassVar[str] = "dense"
    n_in: int
    n_out: int
    activation: str = "sigmoid"
    ntk: bool = False
    members: int = 1

    def __post_init__(self) -> None:
        look_up(ACTIVATIONS, self.activation, "activation")

    @property
    def takes(self) -> int:
        """The members' n_in together."""
        return self.members * self.n_in

    @property
    def gives(self) -> int:
        """The members' n_out together."""
        return self.members * self.n_out

    @property
    def parts(self) -> tuple[Part, ...]:
        """(W b) of each member."""
        return (Part("W", (self.n_out, self.n_in + 1)),) * self.members

    def shaped(self, w: Array) -> Array:
        """Return (W b), (n_out, n_in + 1), or the members' above one another: a view."""
        own = (self.members,) if self.members > 1 else ()
        return w.reshape(*own, self.n_out, self.n_in + 1)

    @property
    def _factors(self) -> Array:
        """(c, ..., c, 1): what each column of (W b) is multiplied by, (n_in + 1,)."""
        c = 1.0 / np.sqrt(self.n_in) if self.ntk else 1.0
        return np.append(np.full(self.n_in, c), 1.0)

    def _scaled(self, W: Array) -> Array:
        """Return (W b) with its columns times the factors: (c W b)."""
        return W * self._factors if self.ntk else W

    def _blocks(self, w: ArrayLike, z: ArrayLike) -> Iterator[tuple[Array, Array]]:
        """Yield (c W b) and z of each member."""
        w, z = self.pair(w, z)
        return ((self._scaled(W), z_j) for W, z_j in zip(self.split(w), by_member(z, self.members), strict=True))

    def t(self, w: ArrayLike, z: ArrayLike) -> Array:
        """Return c W z + b, (gives,)."""
        return np.concatenate([h(W, z_j) for W, z_j in self._blocks(w, z)])

    def g(self, w: ArrayLike, z: ArrayLike) -> Array:
        """Return f(c W z + b), (gives,)."""
        return np.concatenate([jacobians.g(W, z_j, self.activation) for W, z_j in self._blocks(w, z)])

    def A(self, w: ArrayLike, z: ArrayLike) -> Array:
        """Return A~ of each member along the diagonal, its columns times (c, ..., c, 1)."""
        factors = np.tile(self._factors, self.n_out)
        return block_diagonal([A_tilde(W, z_j, self.activation) * factors for W, z_j in self._blocks(w, z)])

    def B(self, w: ArrayLike, z: ArrayLike) -> Array:
        """Return B~ of each member along the diagonal, diag(f'(t)) c W."""
        return block_diagonal([B_tilde(W, z_j, self.activation) for W, z_j in self._blocks(w, z)])

    def A_vjp(self, w: ArrayLike, z: ArrayLike, q: ArrayLike) -> Array:
        """Return A^T q: of each member the rows of (f'(t) o q) (c z; 1)^T."""
        pairs = zip(self._blocks(w, z), by_member(self.q_of(q), self.members), strict=True)
        products = [A_tilde_vjp(W, z_j, q_j, self.activation) for (W, z_j), q_j in pairs]
        return np.concatenate([stack(self._scaled(rows(p, self.n_in, self.n_out))) for p in products])

    def B_vjp(self, w: ArrayLike, z: ArrayLike, q: ArrayLike) -> Array:
        """Return B^T q: of each member c W^T (f'(t) o q)."""
        pairs = zip(self._blocks(w, z), by_member(self.q_of(q), self.members), strict=True)
        return np.concatenate([B_tilde_vjp(W, z_j, q_j, self.activation) for (W, z_j), q_j in pairs])

    def kinks(self, w: ArrayLike, z: ArrayLike) -> Iterator[tuple[float, str]]:
        """Yield those of the activation at t."""
        return kink_distances(self.t(w, z), self.activation)


@dataclass(frozen=True)
class Scale(OfSamples):
    """Learnable diagonal, g(s, b; z) = f(s o z + b); without `bias`, b = 0.

    w = (s; b), (n,) each. With `members=k`, z is k blocks of n, and s and b are (k, n), row after row: the same as a
    diagonal of k n numbers.

    Examples
    --------
    >>> Scale(2, bias=True).g([2.0, 3.0, 1.0, 0.0], [10.0, 100.0])
    array([ 21., 300.])
    """

    kind: ClassVar[str] = "scale"
    n: int
    activation: str = "identity"
    bias: bool = False
    members: int = 1

    def __post_init__(self) -> None:
        look_up(ACTIVATIONS, self.activation, "activation")

    @property
    def takes(self) -> int:
        """The members' n together."""
        return self.members * self.n

    gives = takes

    @property
    def parts(self) -> tuple[Part, ...]:
        """`s` and, where there is one, `b`."""
        shape = (self.n,) if self.members == 1 else (self.members, self.n)
        return (Part("s", shape), Part("b", shape))[: 1 + self.bias]

    def _s_b(self, w: ArrayLike) -> tuple[Array, Array]:
        s, *b = (part.ravel() for part in self.split(w))
        return s, b[0] if b else np.zeros(self.takes)

    def _slope(self, w: ArrayLike, z: ArrayLike) -> Array:
        return ACTIVATIONS[self.activation].df(self.t(w, z))

    def t(self, w: ArrayLike, z: ArrayLike) -> Array:
        """Return s o z + b, (n,)."""
        w, z = self.pair(w, z)
        s, b = self._s_b(w)
        return s * z + b

    def g(self, w: ArrayLike, z: ArrayLike) -> Array:
        """Return f(s o z + b), (n,)."""
        return ACTIVATIONS[self.activation].f(self.t(w, z))

    def A(self, w: ArrayLike, z: ArrayLike) -> Array:
        """Return (diag(f'(t) o z)  diag(f'(t))), the second with a bias only."""
        w, z = self.pair(w, z)
        slope = self._slope(w, z)
        return np.hstack([np.diag(slope * z), np.diag(slope)][: 1 + self.bias])

    def B(self, w: ArrayLike, z: ArrayLike) -> Array:
        """Return diag(f'(t) o s)."""
        return np.diag(self._slope(w, z) * self._s_b(w)[0])

    def A_vjp(self, w: ArrayLike, z: ArrayLike, q: ArrayLike) -> Array:
        """Return (f'(t) o z o q; f'(t) o q)."""
        w, z = self.pair(w, z)
        back = self._slope(w, z) * self.q_of(q)
        return np.concatenate([back * z, back][: 1 + self.bias])

    def B_vjp(self, w: ArrayLike, z: ArrayLike, q: ArrayLike) -> Array:
        """Return f'(t) o s o q."""
        return self._slope(w, z) * self._s_b(w)[0] * self.q_of(q)

    def kinks(self, w: ArrayLike, z: ArrayLike) -> Iterator[tuple[float, str]]:
        """Yield those of the activation at t."""
        return kink_distances(self.t(w, z), self.activation)


@dataclass(frozen=True)
class Parametric(OfSamples):
    """Parametric activation, g(a; z) = (1 - a) o z + a o f(z), w = a (n,) (RealMLP, arXiv 2407.04491).

    Examples
    --------
    >>> Parametric(2, "relu").g([0.25, 1.0], [-4.0, -4.0])
    array([-3.,  0.])
    """

    kind: ClassVar[str] = "parametric"
    n: int
    activation: str

    def __post_init__(self) -> None:
        look_up(ACTIVATIONS, self.activation, "activation")

    @property
    def takes(self) -> int:
        """The width n."""
        return self.n

    gives = takes

    @property
    def parts(self) -> tuple[Part, ...]:
        """`a`."""
        return (Part("a", (self.n,)),)

    def t(self, w: ArrayLike, z: ArrayLike) -> Array:
        """Return z, what f is applied to."""
        return self.pair(w, z)[1]

    def g(self, w: ArrayLike, z: ArrayLike) -> Array:
        """Return (1 - a) o z + a o f(z), (n,)."""
        a, z = self.pair(w, z)
        return np.asarray((1 - a) * z + a * ACTIVATIONS[self.activation].f(z))

    def _da(self, z: Array) -> Array:
        return ACTIVATIONS[self.activation].f(z) - z

    def _dz(self, a: Array, z: Array) -> Array:
        return np.asarray((1 - a) + a * ACTIVATIONS[self.activation].df(z))

    def A(self, w: ArrayLike, z: ArrayLike) -> Array:
        """Return diag(f(z) - z)."""
        return np.diag(self._da(self.pair(w, z)[1]))

    def B(self, w: ArrayLike, z: ArrayLike) -> Array:
        """Return diag(1 - a + a o f'(z))."""
        return np.diag(self._dz(*self.pair(w, z)))

    def A_vjp(self, w: ArrayLike, z: ArrayLike, q: ArrayLike) -> Array:
        """Return (f(z) - z) o q."""
        return self._da(self.pair(w, z)[1]) * self.q_of(q)

    def B_vjp(self, w: ArrayLike, z: ArrayLike, q: ArrayLike) -> Array:
        """Return (1 - a + a o f'(z)) o q."""
        return self._dz(*self.pair(w, z)) * self.q_of(q)

    def kinks(self, w: ArrayLike, z: ArrayLike) -> Iterator[tuple[float, str]]:
        """Yield those of the activation at z."""
        return kink_distances(self.t(w, z), self.activation)
