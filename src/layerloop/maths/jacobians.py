"""Jacobians of one layer g_i(w_i; z_i) = sigma(W_i z_i^{;1}), dense as in the notes, and their products.

Letters and shapes of layer i, with n = n_i inputs and m = n_{i+1} outputs:

    z    input                    (n,)             z^{;1}   z with a 1 appended at the end      (n+1,)
    W    weights, bias last       (m, n+1)         w        rows of W stacked, C order          (m(n+1),)
    t    pre-activation W z^{;1}  (m,)             q        what comes back from layer i+1      (m,)
    A~   d g / d w                (m, m(n+1))      B~       d g / d z                           (m, n)

J_g = (A~ B~): parameters first, inputs second. This is the order of the 2020 notes (section
7.2); the book of 2023-25 has inputs first, no bias, and exchanges the letters p and q.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from layerloop.errors import ShapeError, look_up
from layerloop.maths.activations import ACTIVATIONS, as_numbers
from layerloop.maths.heads import as_vector

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from layerloop.maths.activations import Array

ONE = np.ones(1)


def append_one(z: ArrayLike) -> Array:
    """Return z^{;1}, the vector z with a 1 appended at the end.

    Examples
    --------
    >>> append_one([5.0, 6.0])
    array([5., 6., 1.])
    """
    return np.concatenate([as_vector(z), ONE])


def drop_last(w: ArrayLike) -> Array:
    """Return w^{:n}, the vector w in R^{n+1} without its last entry.

    Examples
    --------
    >>> drop_last([5.0, 6.0, 7.0])
    array([5., 6.])
    """
    return as_vector(w, "w")[:-1]


def rows(w: ArrayLike, n_in: int, n_out: int) -> Array:
    """Return W_i, the matrix whose rows are w_i^(1), ..., w_i^(n_out): a view of w_i where w_i is float64.

    Parameters
    ----------
    w : array, shape (n_out * (n_in + 1),)

    Returns
    -------
    array, shape (n_out, n_in + 1)

    Raises
    ------
    ShapeError
        When w has another length.

    Examples
    --------
    >>> rows([1.0, 2.0, 3.0, 4.0], n_in=1, n_out=2)
    array([[1., 2.],
           [3., 4.]])
    """
    return as_vector(w, "w", n_out * (n_in + 1)).reshape(n_out, n_in + 1)


def stack(W: ArrayLike) -> Array:
    """Return w_i, the rows of W_i stacked: the inverse of :func:`rows`.

    Examples
    --------
    >>> stack([[1.0, 2.0], [3.0, 4.0]])
    array([1., 2., 3., 4.])
    """
    return _matrix(W).reshape(-1)


def _matrix(W: ArrayLike, n_in: int | None = None) -> Array:
    W = as_numbers(W)
    if W.ndim != 2 or W.shape[1] < 1 or (n_in is not None and W.shape[1] != n_in + 1):
        columns = "n_in + 1" if n_in is None else n_in + 1
        raise ShapeError(f"W: expected shape (n_out, {columns}), bias last, got {W.shape}")
    return W


@np.errstate(under="ignore", over="ignore", invalid="ignore")
def h(W: ArrayLike, z: ArrayLike) -> Array:
    """Affine part of a layer, h(w; z) = W z^{;1}, shape (n_out,).

    Raises
    ------
    ShapeError
        When W does not have one column per input and one for the bias.

    Examples
    --------
    >>> h([[2.0, 3.0, 1.0]], [10.0, 100.0])
    array([321.])
    """
    z = as_vector(z)
    return np.asarray(_matrix(W, z.size) @ append_one(z))


def g(W: ArrayLike, z: ArrayLike, activation: str = "sigmoid") -> Array:
    """Layer, g(w; z) = sigma(W z^{;1}) componentwise, shape (n_out,); each entry is a neuron (section 7.1).

    Raises
    ------
    UnknownNameError
        When the activation is in no row of ACTIVATIONS.
    ShapeError
        When W and z do not fit.

    Examples
    --------
    >>> g([[1.0, -1.0]], [1.0])
    array([0.5])
    """
    return look_up(ACTIVATIONS, activation, "activation").f(h(W, z))


def J_sigma(t: ArrayLike, activation: str = "sigmoid") -> Array:
    """Jacobian of the componentwise activation, diag(sigma'(t)), shape (n, n)."""
    return np.diag(look_up(ACTIVATIONS, activation, "activation").df(as_vector(t, "t")))


def A(z: ArrayLike, n_out: int) -> Array:
    """Jacobian of h with respect to w, A_{n,m}[z] = ( e_1 (z^{;1})^T ... e_m (z^{;1})^T ).

    The same as the Kronecker product I_m (x) (z^{;1})^T (section 7.2).

    Returns
    -------
    array, shape (n_out, n_out * (n + 1))

    Examples
    --------
    >>> A([5.0], 2)
    array([[5., 1., 0., 0.],
           [0., 0., 5., 1.]])
    """
    z1 = append_one(z)
    return np.hstack([np.outer(e, z1) for e in np.eye(n_out)])


def B(W: ArrayLike) -> Array:
    """Jacobian of h with respect to z, B_{n,m}[w]: rows (w^(k))^{:n}, which is W without its bias column.

    Returns
    -------
    array, shape (n_out, n)

    Examples
    --------
    >>> B([[1.0, 2.0], [3.0, 4.0]])
    array([[1.],
           [3.]])
    """
    return np.array([drop_last(w) for w in _matrix(W)])


def J_h(W: ArrayLike, z: ArrayLike) -> Array:
    """Jacobian of h, (A B): parameters first, inputs second, shape (n_out, n_out * (n + 1) + n)."""
    return np.hstack([A(z, len(_matrix(W))), B(W)])


def _slope(W: ArrayLike, z: ArrayLike, activation: str) -> Array:
    """Return sigma'(W z^{;1}), shape (n_out,)."""
    return look_up(ACTIVATIONS, activation, "activation").df(h(W, z))


@np.errstate(under="ignore", invalid="ignore")
def A_tilde(W: ArrayLike, z: ArrayLike, activation: str = "sigmoid") -> Array:
    """Jacobian of g with respect to w, diag(sigma'(W z^{;1})) A_{n,m}[z], shape (n_out, n_out * (n + 1)).

    Block k of its columns is sigma'((w^(k))^T z^{;1}) e_k (z^{;1})^T (section 7.2).

    Examples
    --------
    >>> A_tilde([[1.0, -1.0]], [1.0])
    array([[0.25, 0.25]])
    """
    slope = _slope(W, z, activation)
    return slope[:, None] * A(z, slope.size)


@np.errstate(under="ignore", invalid="ignore")
def A_tilde_vjp(W: ArrayLike, z: ArrayLike, q: ArrayLike, activation: str = "sigmoid") -> Array:
    """Return p = A~^T q in the order of w, without the dense matrix: the rows of P stacked.

        P = (sigma'(W z^{;1}) o q) (z^{;1})^T,      shape (n_out, n + 1)

    The notes write p_i as "(...) o q_{i+1}", shorthand for block k scaled by the k-th entry of q_{i+1}.

    Examples
    --------
    >>> A_tilde_vjp([[1.0, -1.0]], [1.0], [8.0])
    array([2., 2.])
    """
    slope = _slope(W, z, activation)
    return stack(np.outer(slope * as_vector(q, "q", slope.size), append_one(z)))


@np.errstate(under="ignore", invalid="ignore")
def B_tilde(W: ArrayLike, z: ArrayLike, activation: str = "sigmoid") -> Array:
    """Jacobian of g with respect to z, diag(sigma'(W z^{;1})) B_{n,m}[w], shape (n_out, n).

    Examples
    --------
    >>> B_tilde([[1.0, -1.0]], [1.0])
    array([[0.25]])
    """
    return _slope(W, z, activation)[:, None] * B(W)


@np.errstate(under="ignore", over="ignore", invalid="ignore")
def B_tilde_vjp(W: ArrayLike, z: ArrayLike, q: ArrayLike, activation: str = "sigmoid") -> Array:
    """Return B~^T q = B^T (sigma'(W z^{;1}) o q), shape (n,), without the dense matrix.

    Examples
    --------
    >>> B_tilde_vjp([[1.0, -1.0]], [1.0], [8.0])
    array([2.])
    """
    slope = _slope(W, z, activation)
    return np.asarray(_matrix(W)[:, :-1].T @ (slope * as_vector(q, "q", slope.size)))


def J_g(W: ArrayLike, z: ArrayLike, activation: str = "sigmoid") -> Array:
    """Jacobian of the layer, J_g(w; z) = (A~ B~), shape (n_out, n_out * (n + 1) + n).

    Parameters first, inputs second, as in the 2020 notes (section 7.2); the later book has them the other way
    round.

    Examples
    --------
    >>> J_g([[1.0, -1.0]], [1.0])
    array([[0.25, 0.25, 0.25]])
    """
    return np.hstack([A_tilde(W, z, activation), B_tilde(W, z, activation)])
