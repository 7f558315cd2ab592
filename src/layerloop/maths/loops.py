"""The network, its forward loop and its backward loop, one sample at a time (notes, sections 7.1 and 7.2).

Letters, one-based as in the notes; L layers with parameters, layer L+1 is the head, then comes the loss:

    n_1 = d, n_2, ..., n_{L+1}    widths                w = (w_1; ...; w_L)   all parameters, (sum_i r_i,)
    W_i  weights, bias last       (n_{i+1}, n_i + 1)    w_i                   rows of W_i stacked, (r_i,)
    z_1 = x, ..., z_{L+1}         (n_i,)                t_i = W_i z_i^{;1}    (n_{i+1},)
    z_{L+2}  outputs of the head  (K,)                  z_{L+3} = ell_y       a number
    A_i = A~_i                    (n_{i+1}, r_i)        B_i = B~_i            (n_{i+1}, n_i)
    B_{L+1}  Jacobian of the head (K, n_{L+1})          q_i  gradient in z_i  (n_i,)
    p_i  gradient in w_i          (r_i,)

Two readings of the chapter stand side by side. :func:`notes` follows the formulas: sigma on every layer, the
last included, and the modified softmax of K-1 scores; these are > 0 while class K has score 0, so class K is
never predicted. :func:`program` follows the notes' Flux code: no activation on the last layer, softmax of K
scores.

Exact first, shortcut second: :func:`gradient` is the literal loop, q_{L+2} = -y / z_{L+2} and then B_{L+1}^T, and
so holds infinities or NaN when a probability underflows; :func:`gradient_fused` starts from g - y, always finite.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import index
from typing import TYPE_CHECKING

import numpy as np

from layerloop.errors import NetworkError, ShapeError, look_up
from layerloop.maths.activations import ACTIVATIONS, as_numbers
from layerloop.maths.heads import HEADS, as_vector
from layerloop.maths.jacobians import A_tilde, A_tilde_vjp, B_tilde, B_tilde_vjp, h, rows
from layerloop.maths.losses import FUSED, LOSSES, Loss

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from layerloop.maths.activations import Array


@dataclass(frozen=True)
class Net:
    """A feedforward network as plain data; the parameters are a vector w of their own.

    Attributes
    ----------
    widths : tuple of int
        (n_1, ..., n_{L+1}); a single width is a network without layers, L = 0.
    activations : tuple of str
        One row of ACTIVATIONS for each layer 1..L.
    head : str
        Row of HEADS; the modified softmax has one output more than scores.
    loss : str or Loss
        Row of LOSSES, or a pair of functions (value, gradient) of (z_{L+2}, y).

    Raises
    ------
    NetworkError
        When widths and activations do not fit together.
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

    def __post_init__(self) -> None:
        # The one place where a frozen field is set: lists become tuples, a pair of functions becomes a Loss.
        object.__setattr__(self, "widths", tuple(index(n) for n in self.widths))
        object.__setattr__(self, "activations", tuple(self.activations))
        if not isinstance(self.loss, str):
            object.__setattr__(self, "loss", _own_loss(self.loss))
        _check(self)

    @property
    def L(self) -> int:
        """Number of layers with parameters."""
        return len(self.activations)

    @property
    def K(self) -> int:
        """Number of outputs of the head, the length of y."""
        return self.widths[-1] + HEADS[self.head].extra


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
    """Return r_1, ..., r_L with r_i = n_{i+1} (n_i + 1)."""
    return [m * (n + 1) for n, m in zip(net.widths[:-1], net.widths[1:], strict=True)]


def size(net: Net) -> int:
    """Return the length of w, sum_i n_{i+1} (n_i + 1).

    Examples
    --------
    >>> size(program(784, [32], 10))
    25450
    """
    return sum(_sizes(net))


def parameters(net: Net, w: ArrayLike) -> dict[int, Array]:
    """Return {i: W_i}, one-based views of w = (w_1; ...; w_L).

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
    w = as_vector(w, "w", size(net))
    ends = np.cumsum(_sizes(net))
    return {
        i: rows(w[ends[i - 1] - r : ends[i - 1]], net.widths[i - 1], net.widths[i])
        for i, r in enumerate(_sizes(net), start=1)
    }


def _loss(net: Net) -> Loss:
    return LOSSES[net.loss] if isinstance(net.loss, str) else net.loss


def _layers(net: Net, w: ArrayLike, x: ArrayLike) -> tuple[dict[int, Array], dict[int, Array]]:
    """Return z_1..z_{L+1} and the pre-activations t_1..t_L."""
    W = parameters(net, w)
    z, t = {1: as_vector(x, "x", net.widths[0])}, {}
    for i in range(1, net.L + 1):
        t[i] = h(W[i], z[i])
        z[i + 1] = ACTIVATIONS[net.activations[i - 1]].f(t[i])
    return z, t


def scores(net: Net, w: ArrayLike, x: ArrayLike) -> Array:
    """Return z_{L+1}, what the head takes, shape (n_{L+1},)."""
    return _layers(net, w, x)[0][net.L + 1]


def h_x(net: Net, w: ArrayLike, x: ArrayLike) -> Array:
    """Output of the classifier, h_x(w) = g_{L+1}(g_L(w_L; ... g_1(w_1; x))), shape (K,) (section 7.1).

    Examples
    --------
    >>> h_x(notes(2, [], 2), [0.0, 0.0, 1e4], [5.0, 6.0]).round(4)
    array([0.7311, 0.2689])
    """
    return HEADS[net.head].f(scores(net, w, x))


def f(net: Net, w: ArrayLike, x: ArrayLike, y: ArrayLike) -> float:
    """Loss of one sample, f_{x,y}(w) = ell_y(h_x(w)) (section 7.1).

    Parameters
    ----------
    w : array, shape (size(net),)
    x : array, shape (n_1,)
    y : array, shape (K,)

    Raises
    ------
    ShapeError
        When w, x or y has another shape.

    Examples
    --------
    >>> float(f(program(1, [], 2), [0.0, 1.0, 0.0, 1.0], [3.0], [1, 0])) == float(np.log(2))
    True
    """
    return _loss(net).value(h_x(net, w, x), as_vector(y, "y", net.K))


@dataclass(frozen=True)
class Forward:
    """What the forward loop leaves behind; every dict is keyed as in the notes.

    Attributes
    ----------
    z : dict
        z[1] = x, ..., z[L+1] scores, z[L+2] outputs, z[L+3] the loss.
    t : dict
        t[1..L], the pre-activations W_i z_i^{;1}.
    A, B : dict
        A[1..L] and B[1..L+1], the dense Jacobians; both empty when they were not asked for.
    """

    z: dict[int, Array]
    t: dict[int, Array]
    A: dict[int, Array]
    B: dict[int, Array]


@dataclass(frozen=True)
class Backward:
    """What the backward loop leaves behind; every dict is keyed as in the notes.

    Attributes
    ----------
    q : dict
        q[L+2], ..., q[1]: the gradient with respect to z_i; q[1] belongs to the input x (its saliency).
    p : dict
        p[L], ..., p[1]: the gradient with respect to w_i, rows stacked.
    """

    q: dict[int, Array]
    p: dict[int, Array]


def forward_loop(net: Net, w: ArrayLike, x: ArrayLike, y: ArrayLike, *, dense: bool = True) -> Forward:
    """Forward layer loop: z_{i+1} = g_i(w_i; z_i) and (A_i B_i) = J_{g_i}(w_i; z_i), then head and loss.

    Parameters
    ----------
    dense : bool
        Whether to form the Jacobians A_i and B_i; A_1 of a 784-32-10 network holds 32 x 25,120 numbers.

    Raises
    ------
    ShapeError
        When w, x or y has another shape.

    Notes
    -----
    Section 7.2, "Forward layer loop".
    """
    z, t = _layers(net, w, x)
    A, B = _jacobians(net, w, z) if dense else ({}, {})
    z[net.L + 2] = HEADS[net.head].f(z[net.L + 1])
    z[net.L + 3] = as_numbers(_loss(net).value(z[net.L + 2], as_vector(y, "y", net.K)))[()]
    return Forward(z, t, A, B)


def _jacobians(net: Net, w: ArrayLike, z: dict[int, Array]) -> tuple[dict[int, Array], dict[int, Array]]:
    """Return A_1..A_L and B_1..B_{L+1}."""
    names = dict(enumerate(net.activations, start=1))
    W = parameters(net, w)
    A = {i: A_tilde(W[i], z[i], names[i]) for i in W}
    B = {i: B_tilde(W[i], z[i], names[i]) for i in W}
    return A, {**B, net.L + 1: HEADS[net.head].jacobian(z[net.L + 1])}


@np.errstate(under="ignore", over="ignore", invalid="ignore")  # -y/0 makes infinities and NaN here
def backward_loop(net: Net, w: ArrayLike, forward: Forward, y: ArrayLike) -> Backward:
    """Backward layer loop: q_{L+1} = B_{L+1}^T q_{L+2}, then p_i = A_i^T q_{i+1} and q_i = B_i^T q_{i+1}.

    Runs i = L, ..., 1 and uses the dense A_i and B_i of `forward` where it has them, and the products without
    them otherwise.

    Notes
    -----
    Section 7.2, "Backward layer loop". q_1, the gradient with respect to x, is dropped there and kept here.
    """
    L = net.L
    q = {L + 2: _loss(net).gradient(forward.z[L + 2], as_vector(y, "y", net.K))}
    if forward.B:
        q[L + 1] = forward.B[L + 1].T @ q[L + 2]
    else:
        q[L + 1] = HEADS[net.head].vjp(forward.z[L + 1], q[L + 2])
    return _down(net, w, forward, q)


@np.errstate(under="ignore", over="ignore", invalid="ignore")
def _down(net: Net, w: ArrayLike, forward: Forward, q: dict[int, Array]) -> Backward:
    """Continue from q_{L+1} down to q_1 and p_1."""
    W, p = parameters(net, w), {}
    for i in range(net.L, 0, -1):
        if forward.A:
            p[i] = forward.A[i].T @ q[i + 1]
            q[i] = forward.B[i].T @ q[i + 1]
        else:
            name = net.activations[i - 1]
            p[i] = A_tilde_vjp(W[i], forward.z[i], q[i + 1], name)
            q[i] = B_tilde_vjp(W[i], forward.z[i], q[i + 1], name)
    return Backward(q, p)


def loops(net: Net, w: ArrayLike, x: ArrayLike, y: ArrayLike, *, dense: bool = True) -> tuple[Forward, Backward]:
    """Run both loops and return everything they compute.

    Examples
    --------
    >>> forward, backward = loops(program(1, [], 2), [0.0, 0.0, 0.0, 0.0], [3.0], [1, 0])
    >>> backward.q[3], backward.q[2]
    (array([-2.,  0.]), array([-0.5,  0.5]))
    >>> backward.p[1]
    array([-1.5, -0.5,  1.5,  0.5])
    """
    forward = forward_loop(net, w, x, y, dense=dense)
    return forward, backward_loop(net, w, forward, y)


def _joined(blocks: Sequence[Array]) -> Array:
    return np.concatenate([np.empty(0), *blocks])


def gradient(net: Net, w: ArrayLike, x: ArrayLike, y: ArrayLike) -> Array:
    """Gradient of f_{x,y} in the order of w, (p_1; ...; p_L), by the literal loops without dense matrices.

    Where an output with y_k > 0 underflowed to 0 the result holds infinities or NaN, as the formulas give.

    Returns
    -------
    array, shape (size(net),)

    Raises
    ------
    ShapeError
        When w, x or y has another shape.

    Examples
    --------
    >>> gradient(program(1, [], 2), [0.0, 0.0, 0.0, 0.0], [3.0], [1, 0])
    array([-1.5, -0.5,  1.5,  0.5])
    """
    p = loops(net, w, x, y, dense=False)[1].p
    return _joined([p[i] for i in range(1, net.L + 1)])


def gradient_as_printed(net: Net, w: ArrayLike, x: ArrayLike, y: ArrayLike) -> Array:
    """Gradient in the order that the notes print, (p_L; ...; p_1), although w = (w_1; ...; w_L)."""
    p = loops(net, w, x, y, dense=False)[1].p
    return _joined([p[i] for i in range(net.L, 0, -1)])


def _fused(net: Net, w: ArrayLike, x: ArrayLike, y: ArrayLike) -> tuple[Forward, float, Array]:
    """Return the forward loop's z and t, the loss, and q_{L+1}, the last two by the fused head and loss."""
    if not isinstance(net.loss, str) or (net.head, net.loss) not in FUSED:
        known = ", ".join(" + ".join(names) for names in FUSED)
        raise NetworkError(f"no fused form of {net.head} + {net.loss}; there are: {known}")
    z, t = _layers(net, w, x)
    value, q = FUSED[net.head, net.loss](z[net.L + 1], as_vector(y, "y", net.K))
    return Forward(z, t, {}, {}), value, q


def f_fused(net: Net, w: ArrayLike, x: ArrayLike, y: ArrayLike) -> float:
    """Loss of one sample by the fused head and loss: finite where the literal :func:`f` is infinite.

    Raises
    ------
    NetworkError
        When head and loss have no fused form.
    """
    return _fused(net, w, x, y)[1]


def gradient_fused(net: Net, w: ArrayLike, x: ArrayLike, y: ArrayLike) -> Array:
    """Gradient in the order of w from the fused q_{L+1} = g - y: finite where :func:`gradient` is not.

    Raises
    ------
    NetworkError
        When head and loss have no fused form.

    Examples
    --------
    >>> net, w = program(1, [], 2), [1e4, 0.0, 0.0, 0.0]
    >>> gradient(net, w, [1.0], [0, 1])
    array([nan, nan, nan, nan])
    >>> gradient_fused(net, w, [1.0], [0, 1])
    array([ 1.,  1., -1., -1.])
    """
    forward, _, q = _fused(net, w, x, y)
    p = _down(net, w, forward, {net.L + 1: q}).p
    return _joined([p[i] for i in range(1, net.L + 1)])


def _batch(X: ArrayLike, Y: ArrayLike) -> tuple[Array, Array]:
    X, Y = as_numbers(X), as_numbers(Y)
    if X.ndim != 2 or Y.ndim != 2 or len(X) != len(Y) or len(X) == 0:
        raise ShapeError(f"expected X (N, n_1) and Y (N, K) with the same N >= 1 rows, got {X.shape} and {Y.shape}")
    return X, Y


def mean_f(net: Net, w: ArrayLike, X: ArrayLike, Y: ArrayLike) -> float:
    """Mean loss over the rows of X (N, n_1) and Y (N, K); the notes' columns x and y are rows here."""
    X, Y = _batch(X, Y)
    return sum(f(net, w, x, y) for x, y in zip(X, Y, strict=True)) / len(X)


def mean_gradient(net: Net, w: ArrayLike, X: ArrayLike, Y: ArrayLike) -> Array:
    """Gradient of the mean loss, (1/N) sum of the samples' gradients, shape (size(net),).

    Raises
    ------
    ShapeError
        When X and Y are not matrices with the same number of rows, at least one.
    """
    X, Y = _batch(X, Y)
    return np.asarray(np.mean([gradient(net, w, x, y) for x, y in zip(X, Y, strict=True)], axis=0))
