"""The forward loop and the backward loop, one sample at a time (notes, sections 7.1 and 7.2).

Letters, one-based as in the notes; L layers with parameters, layer L+1 is the head, then comes the loss:

    n_1 = d, n_2, ..., n_{L+1}    widths                w = (w_1; ...; w_L)   all parameters, (sum_i r_i,)
    W_i  weights, bias last       (n_{i+1}, n_i + 1)    w_i                   rows of W_i stacked, (r_i,)
    z_1 = x, ..., z_{L+1}         (n_i,)                t_i = W_i z_i^{;1}    (n_{i+1},)
    z_{L+2}  outputs of the head  (K,)                  z_{L+3} = ell_y       a number
    A_i = A~_i                    (n_{i+1}, r_i)        B_i = B~_i            (n_{i+1}, n_i)
    B_{L+1}  Jacobian of the head (K, n_{L+1})          q_i  gradient in z_i  (n_i,)
    p_i  gradient in w_i          (r_i,)

Layers may be of any kind of :data:`layerloop.maths.layers.LAYERS`; w_i is then the layer's own vector, A_i and B_i its
own Jacobians. Behind `Members` of k a sample is k blocks, n_i counts them all, and head and loss take block by block:
the output is the mean of the blocks' outputs, f the mean of their losses (TabM, arXiv 2410.24210).

Exact first, shortcut second: :func:`gradient` is the literal loop, q_{L+2} = -y / z_{L+2} and then B_{L+1}^T, and
so holds infinities or NaN when a probability underflows; :func:`gradient_fused` starts from g - y, always finite.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from layerloop.errors import NetworkError
from layerloop.maths.activations import as_numbers
from layerloop.maths.heads import HEADS, as_vector
from layerloop.maths.kind import block_diagonal, by_member
from layerloop.maths.losses import FUSED
from layerloop.maths.net import loss_of, own_parameters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from layerloop.maths.activations import Array
    from layerloop.maths.net import Net


@np.errstate(under="ignore", over="ignore", invalid="ignore")
def _nodes(net: Net, w: ArrayLike, x: ArrayLike) -> dict[int, Array]:
    """Return z_1..z_{L+1}."""
    z = {1: as_vector(x, "x", net.widths[0])}
    for i, (layer, w_i) in own_parameters(net, w).items():
        z[i + 1] = layer.g(w_i, z[i])
    return z


@np.errstate(under="ignore", over="ignore", invalid="ignore")
def _pre_activations(net: Net, w: ArrayLike, z: dict[int, Array]) -> dict[int, Array]:
    """Return t_1..t_L."""
    return {i: layer.t(w_i, z[i]) for i, (layer, w_i) in own_parameters(net, w).items()}


def outputs_of(net: Net, scores: Array) -> Array:
    """Return z_{L+2}: the head of each block, one behind another."""
    return np.concatenate([HEADS[net.head].f(block) for block in by_member(scores, net.k)])


def value_of(net: Net, outputs: Array, y: ArrayLike) -> float:
    """Return z_{L+3}, the mean of the blocks' losses."""
    y = as_vector(y, "y", net.K)
    values = [loss_of(net).value(block, y) for block in by_member(outputs, net.k)]
    return sum(values) / net.k if net.k > 1 else values[0]


def back_from_loss(net: Net, outputs: Array, y: ArrayLike) -> Array:
    """Return q_{L+2}, of each block its gradient over k."""
    y = as_vector(y, "y", net.K)
    return np.concatenate([loss_of(net).gradient(block, y) for block in by_member(outputs, net.k)]) / net.k


def back_from_head(net: Net, scores: Array, q: Array) -> Array:
    """Return q_{L+1} = B_{L+1}^T q_{L+2}, block by block without the dense matrix."""
    pairs = zip(by_member(scores, net.k), by_member(q, net.k), strict=True)
    return np.concatenate([HEADS[net.head].vjp(block, q_j) for block, q_j in pairs])


def scores(net: Net, w: ArrayLike, x: ArrayLike) -> Array:
    """Return z_{L+1}, what the head takes, shape (n_{L+1},)."""
    return _nodes(net, w, x)[net.L + 1]


def h_x(net: Net, w: ArrayLike, x: ArrayLike) -> Array:
    """Output of the classifier, h_x(w) = g_{L+1}(g_L(w_L; ... g_1(w_1; x))), shape (K,) (section 7.1).

    Behind `Members` the mean of their outputs.

    Examples
    --------
    >>> from layerloop.maths.net import notes
    >>> h_x(notes(2, [], 2), [0.0, 0.0, 1e4], [5.0, 6.0]).round(4)
    array([0.7311, 0.2689])
    """
    outputs = outputs_of(net, scores(net, w, x))
    return np.asarray(np.mean(by_member(outputs, net.k), axis=0)) if net.k > 1 else outputs


def f(net: Net, w: ArrayLike, x: ArrayLike, y: ArrayLike) -> float:
    """Loss of one sample, f_{x,y}(w) = ell_y(h_x(w)) (section 7.1); of members, the mean of their losses.

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
    >>> from layerloop.maths.net import program
    >>> float(f(program(1, [], 2), [0.0, 1.0, 0.0, 1.0], [3.0], [1, 0])) == float(np.log(2))
    True
    """
    return value_of(net, outputs_of(net, scores(net, w, x)), y)


@dataclass(frozen=True)
class Forward:
    """What the forward loop leaves behind; every dict is keyed as in the notes.

    Attributes
    ----------
    z : dict
        z[1] = x, ..., z[L+1] scores, z[L+2] outputs, z[L+3] the loss.
    t : dict
        t[1..L], the pre-activations W_i z_i^{;1}; what a layer of another kind applies its activation to.
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
    z = _nodes(net, w, x)
    t = _pre_activations(net, w, z)
    A, B = _jacobians(net, w, z) if dense else ({}, {})
    z[net.L + 2] = outputs_of(net, z[net.L + 1])
    z[net.L + 3] = as_numbers(value_of(net, z[net.L + 2], y))[()]
    return Forward(z, t, A, B)


@np.errstate(under="ignore", over="ignore", invalid="ignore")
def _jacobians(net: Net, w: ArrayLike, z: dict[int, Array]) -> tuple[dict[int, Array], dict[int, Array]]:
    """Return A_1..A_L and B_1..B_{L+1}."""
    own = own_parameters(net, w)
    A = {i: layer.A(w_i, z[i]) for i, (layer, w_i) in own.items()}
    B = {i: layer.B(w_i, z[i]) for i, (layer, w_i) in own.items()}
    head = block_diagonal([HEADS[net.head].jacobian(block) for block in by_member(z[net.L + 1], net.k)])
    return A, {**B, net.L + 1: head}


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
    q = {L + 2: back_from_loss(net, forward.z[L + 2], y)}
    if forward.B:
        q[L + 1] = forward.B[L + 1].T @ q[L + 2]
    else:
        q[L + 1] = back_from_head(net, forward.z[L + 1], q[L + 2])
    return _down(net, w, forward, q)


@np.errstate(under="ignore", over="ignore", invalid="ignore")
def _down(net: Net, w: ArrayLike, forward: Forward, q: dict[int, Array]) -> Backward:
    """Continue from q_{L+1} down to q_1 and p_1."""
    p = {}
    for i, (layer, w_i) in reversed(own_parameters(net, w).items()):
        if forward.A:
            p[i] = forward.A[i].T @ q[i + 1]
            q[i] = forward.B[i].T @ q[i + 1]
        else:
            p[i] = layer.A_vjp(w_i, forward.z[i], q[i + 1])
            q[i] = layer.B_vjp(w_i, forward.z[i], q[i + 1])
    return Backward(q, p)


def backward_from_scores(net: Net, w: ArrayLike, forward: Forward, q: ArrayLike) -> Backward:
    """Run the backward loop from q_{L+1} on, where head and loss were taken together, as a fused form has it.

    Raises
    ------
    ShapeError
        When q is not as long as z_{L+1}.

    Examples
    --------
    >>> from layerloop.maths.net import program
    >>> net, w = program(1, [], 2), [0.0, 0.0, 0.0, 0.0]
    >>> forward = forward_loop(net, w, [3.0], [1, 0], dense=False)
    >>> backward_from_scores(net, w, forward, [-0.5, 0.5]).p[1]
    array([-1.5, -0.5,  1.5,  0.5])
    """
    return _down(net, w, forward, {net.L + 1: as_vector(q, "q", net.widths[-1])})


def loops(net: Net, w: ArrayLike, x: ArrayLike, y: ArrayLike, *, dense: bool = True) -> tuple[Forward, Backward]:
    """Run both loops and return everything they compute.

    Examples
    --------
    >>> from layerloop.maths.net import program
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


def _own_gradients(net: Net, w: ArrayLike, x: ArrayLike, y: ArrayLike) -> dict[int, Array]:
    """Return p_1..p_L by both loops, of which the forward one keeps no more than the backward one needs."""
    z = _nodes(net, w, x)
    z[net.L + 2] = outputs_of(net, z[net.L + 1])
    return backward_loop(net, w, Forward(z, {}, {}, {}), y).p


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
    >>> from layerloop.maths.net import program
    >>> gradient(program(1, [], 2), [0.0, 0.0, 0.0, 0.0], [3.0], [1, 0])
    array([-1.5, -0.5,  1.5,  0.5])
    """
    p = _own_gradients(net, w, x, y)
    return _joined([p[i] for i in range(1, net.L + 1)])


def gradient_as_printed(net: Net, w: ArrayLike, x: ArrayLike, y: ArrayLike) -> Array:
    """Gradient in the order that the notes print, (p_L; ...; p_1), although w = (w_1; ...; w_L)."""
    p = _own_gradients(net, w, x, y)
    return _joined([p[i] for i in range(net.L, 0, -1)])


def _fused(net: Net, w: ArrayLike, x: ArrayLike, y: ArrayLike) -> tuple[Forward, float, Array]:
    """Return the forward loop's z and t, the loss, and q_{L+1}, the last two by the fused head and loss."""
    if not isinstance(net.loss, str) or (net.head, net.loss) not in FUSED:
        known = ", ".join(" + ".join(names) for names in FUSED)
        raise NetworkError(f"no fused form of {net.head} + {net.loss}; there are: {known}")
    z = _nodes(net, w, x)
    y = as_vector(y, "y", net.K)
    pairs = [FUSED[net.head, net.loss](block, y) for block in by_member(z[net.L + 1], net.k)]
    value = sum(v for v, _ in pairs) / net.k if net.k > 1 else pairs[0][0]
    return Forward(z, _pre_activations(net, w, z), {}, {}), value, np.concatenate([q for _, q in pairs]) / net.k


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
    >>> from layerloop.maths.net import program
    >>> net, w = program(1, [], 2), [1e4, 0.0, 0.0, 0.0]
    >>> gradient(net, w, [1.0], [0, 1])
    array([nan, nan, nan, nan])
    >>> gradient_fused(net, w, [1.0], [0, 1])
    array([ 1.,  1., -1., -1.])
    """
    forward, _, q = _fused(net, w, x, y)
    p = backward_from_scores(net, w, forward, q).p
    return _joined([p[i] for i in range(1, net.L + 1)])
