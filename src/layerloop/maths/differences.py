"""Proofs of a derivative: central differences, the complex step, and <u, J v> = <J^T u, v>.

Letters: w the point, shape (r,); f a function to R, F one to R^m; J the Jacobian of F, (m, r); u (m,) and
v (r,) directions; s a step.

    central difference   (f(w + s e_j) - f(w - s e_j)) / 2s   error s^2 f'''/6 + eps f/s, least near eps^(1/3)
    complex step         Im f(w + i s e_j) / s                error s^2 f'''/6, no cancellation: s = 1e-20
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from layerloop.errors import ShapeError
from layerloop.maths.heads import as_vector
from layerloop.maths.rounding import EPS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import ArrayLike

    from layerloop.maths.activations import Array

CENTRAL_STEP = EPS ** (1 / 3)  # balances the two errors, about 6e-6
COMPLEX_STEP = 1e-20  # its square vanishes beside 1, and nothing is subtracted, so smaller is not worse


def chosen_entries(w: Array, entries: Iterable[int] | None) -> list[int]:
    """Return positions in w, by default all of them; ShapeError for one outside."""
    chosen = list(range(w.size)) if entries is None else [int(j) for j in entries]
    if any(not 0 <= j < w.size for j in chosen):
        raise ShapeError(f"entries: expected positions 0 to {w.size - 1} in w, got {chosen}")
    return chosen


def _moved(w: Array, j: int, step: complex) -> Array:
    """Return w + step e_j, complex where step is."""
    moved = w.astype(np.result_type(w, step))
    moved[j] += step
    return moved


def central_differences(
    f: Callable[[Array], ArrayLike],
    w: ArrayLike,
    h: float | None = None,
    entries: Iterable[int] | None = None,
) -> Array:
    """Partial derivatives of f at w by central differences, (f(w + s e_j) - f(w - s e_j)) / 2s.

    Parameters
    ----------
    f : callable
        Takes a vector of shape (r,), returns a number or an array.
    w : array, shape (r,)
    h : float, optional
        Step s; by default eps^(1/3) max(1, |w_j|), coordinate by coordinate.
    entries : iterable of int, optional
        Zero-based positions of w; all by default.

    Returns
    -------
    array, shape (number of entries, *shape of f(w))

    Raises
    ------
    ShapeError
        When w is not a vector or a position is outside it.

    Examples
    --------
    >>> central_differences(lambda w: w[0] ** 2 * w[1], [3.0, 5.0]).round(6)
    array([30.,  9.])
    """
    w = as_vector(w, "w").real
    slopes = []
    for j in chosen_entries(w, entries):
        s = CENTRAL_STEP * max(1.0, abs(w[j])) if h is None else h
        right, left = _moved(w, j, s), _moved(w, j, -s)
        # The distance as rounded, not 2s, so that the step's own rounding does not enter.
        slopes.append((np.asarray(f(right)) - np.asarray(f(left))) / (right[j] - left[j]))
    return np.array(slopes)


def complex_step(f: Callable[[Array], ArrayLike], w: ArrayLike, entries: Iterable[int] | None = None) -> Array:
    """Partial derivatives of an analytic f at w by the complex step, Im f(w + i s e_j) / s with s = 1e-20.

    Exact to rounding, because no two near numbers are subtracted; f must take and return complex numbers.

    Returns
    -------
    array, shape (number of entries, *shape of f(w))

    Raises
    ------
    ShapeError
        When w is not a vector or a position is outside it.

    Examples
    --------
    >>> complex_step(lambda w: w[0] ** 2 * w[1], [3.0, 5.0])
    array([30.,  9.])
    """
    w = as_vector(w, "w").real
    return np.array([np.imag(f(_moved(w, j, 1j * COMPLEX_STEP))) / COMPLEX_STEP for j in chosen_entries(w, entries)])


def dense_jacobian(function: Callable[[Array], ArrayLike], point: ArrayLike) -> Array:
    """Jacobian of F at a point by central differences, column j being dF / dw_j, shape (m, r).

    Examples
    --------
    >>> dense_jacobian(lambda z: np.array([z[0] * z[1], z[0]]), [2.0, 3.0]).round(6)
    array([[3., 2.],
           [1., 0.]])
    """
    return central_differences(function, point).T


def random_direction_identity(
    J: ArrayLike | Callable[[Array], Array], vjp: Callable[[Array], Array], u: ArrayLike, v: ArrayLike
) -> float:
    """Return how far <u, J v> and <J^T u, v> are apart, relative to the lengths of the vectors.

        |<u, J v> - <J^T u, v>| / max(|u| |J v|, |J^T u| |v|)

    Parameters
    ----------
    J : array, shape (m, r), or callable
        The Jacobian, or the function v -> J v.
    vjp : callable
        u -> J^T u.
    u : array, shape (m,)
    v : array, shape (r,)

    Examples
    --------
    >>> J = np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> random_direction_identity(J, lambda u: J.T @ u, [1.0, -1.0], [2.0, 5.0])
    0.0
    """
    u, v = as_vector(u, "u"), as_vector(v, "v")
    Jv = J(v) if callable(J) else np.asarray(J) @ v
    uJ = vjp(u)
    size = max(np.linalg.norm(u) * np.linalg.norm(Jv), np.linalg.norm(uJ) * np.linalg.norm(v))
    defect = abs(u @ Jv - uJ @ v)
    return float(defect / size) if size else 0.0
