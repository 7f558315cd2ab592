"""Three proofs of a derivative: dense differences, <u, J v> = <J^T u, v>, and the check of a gradient.

Letters: w the point, shape (r,); f a function to R, F one to R^m; J the Jacobian of F, (m, r); u (m,) and
v (r,) directions; s a step.

    central difference   (f(w + s e_j) - f(w - s e_j)) / 2s   error s^2 f'''/6 + eps f/s, least near eps^(1/3)
    complex step         Im f(w + i s e_j) / s                error s^2 f'''/6, no cancellation: s = 1e-20
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from layerloop.errors import NetworkError, SettingError, ShapeError, look_up
from layerloop.maths.affine import Dense
from layerloop.maths.heads import as_vector
from layerloop.maths.layers import Blocks, split
from layerloop.maths.loops import f, forward_loop, gradient
from layerloop.maths.net import parameters, size
from layerloop.maths.rounding import EPS, Rounding, rounding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from numpy.typing import ArrayLike

    from layerloop.maths.activations import Array
    from layerloop.maths.net import Net

CENTRAL_STEP = EPS ** (1 / 3)  # balances the two errors, about 6e-6
COMPLEX_STEP = 1e-20  # its square vanishes beside 1, and nothing is subtracted, so smaller is not worse


def _entries(w: Array, entries: Iterable[int] | None) -> list[int]:
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
    for j in _entries(w, entries):
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
    return np.array([np.imag(f(_moved(w, j, 1j * COMPLEX_STEP))) / COMPLEX_STEP for j in _entries(w, entries)])


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


class Method(NamedTuple):
    """One row of :data:`METHODS`: partial derivatives of (f, w, entries), the defect that passes, the divisor."""

    slopes: Callable[[Callable[[Array], ArrayLike], Array, list[int]], Array]
    tolerance: float
    step: float  # infinite where nothing is subtracted


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "central": Method(lambda f, w, entries: central_differences(f, w, entries=entries), 1e-6, CENTRAL_STEP),
        "complex": Method(lambda f, w, entries: complex_step(f, w, entries), 1e-10, np.inf),
    }
)


@dataclass(frozen=True)
class GradientCheck:
    """What :func:`check_gradient` found; plain data.

    Attributes
    ----------
    passed : bool
        Whether `worst` is at most `tolerance`; a NaN never passes.
    worst : float
        Largest defect |by_loops - by_method| over the layer's largest gradient entry, or over as much as rounding needs
        to pass where that is more (`layerloop.maths.rounding`).
    tolerance : float
        1e-6 for central differences, 1e-10 for the complex step.
    method : str
        "central" or "complex".
    checked, size : int
        How many entries were compared, and how many w has; running statistics have no gradient and are left out.
    layer, row, column : int
        Place of the worst entry, all one-based; column n_i + 1 is the bias. In a layer that is not dense the row is 1
        and the column the place in w_i.
    name : str
        The same place in words.
    by_loops, by_method : float
        Both values of the worst entry.
    kink_distance : float
        Distance of the nearest pre-activation from a kink of its activation; infinite where none has one.
        Central differences are not to be trusted unless it is large beside their step of 6e-6; nothing is moved
        to make it so.
    kink_name : str
        Which pre-activation that is; empty where there is none.
    """

    passed: bool
    worst: float
    tolerance: float
    method: str
    checked: int
    size: int
    layer: int
    row: int
    column: int
    name: str
    by_loops: float
    by_method: float
    kink_distance: float
    kink_name: str

    def __str__(self) -> str:
        """Return the finding in two or three lines."""
        verdict = "passed" if self.passed else "FAILED"
        text = (
            f"{verdict}: {self.checked} of {self.size} entries, {self.method}, worst defect {self.worst:.1e} "
            f"(tolerance {self.tolerance:.0e})\nworst at {self.name}: "
            f"loops {self.by_loops:.10g}, {self.method} {self.by_method:.10g}"
        )
        kink = f"\nnearest kink: {self.kink_distance:.1e} from {self.kink_name}"
        return text + kink if self.kink_name else text


def _method(net: Net, method: str) -> str:
    """Return "complex" or "central"; only a loss of one's own may be closed to complex numbers."""
    if method == "auto":
        return "complex" if isinstance(net.loss, str) else "central"
    look_up(METHODS, method, "method")
    return method


def _selected(n: int, entries: int | Iterable[int] | None, seed: int) -> list[int] | None:
    """Return the positions to check: all, a sample without replacement, or those given."""
    if not isinstance(entries, int | np.integer):
        return None if entries is None else list(entries)
    if entries < 1:
        raise SettingError(f"entries: expected at least 1 to check, got {entries}")
    return sorted(np.random.default_rng(seed).choice(n, size=min(entries, n), replace=False).tolist())


def _places(net: Net) -> Array:
    """Return one row (layer, row, column), one-based, for each entry of w, shape (size(net), 3)."""
    blocks = [np.empty((0, 3), np.intp)]
    for i, W_i in parameters(net, np.zeros(size(net))).items():
        rows = W_i.reshape(-1, max(W_i.shape[-1], 1))
        blocks.append(np.column_stack([np.full(rows.size, i), *(ij.ravel() + 1 for ij in np.indices(rows.shape))]))
    return np.concatenate(blocks)


def _place_name(net: Net, layer: int, row: int, column: int) -> str:
    """Return the place in words; in a layer that is not dense, the part and the entry's number in it."""
    found = net.layers[layer - 1]
    found = found.layer if isinstance(found, Blocks) else found
    if isinstance(found, Dense):
        last = "bias" if column == found.n_in + 1 else f"column {column}"
        return f"layer {layer}, row {row}, {last}"
    at = column
    for part in found.parts:
        if at <= part.size:
            return f"layer {layer}, {part.name}, entry {at}"
        at -= part.size
    raise AssertionError(f"column {column} lies outside layer {layer}")


def _trained(net: Net) -> list[int]:
    """Return the positions in w that are trained: running statistics have no gradient."""
    parts = [np.full(part.size, part.trained) for layer in net.layers for part in layer.parts]
    return [int(j) for j in np.flatnonzero(np.concatenate(parts))]


def _layer_scale(net: Net, gradient: Array) -> Array:
    """Return for each entry of w the largest gradient entry of its layer, shape (size(net),)."""
    blocks = parameters(net, gradient).values()
    return np.concatenate([np.full(W.size, np.abs(W).max(initial=0.0)) for W in blocks])


def _scale(net: Net, gradient: Array, method: Method, found: Rounding) -> Array:
    """Return for each entry what its defect is relative to: its layer's largest, or what rounding needs to pass."""
    blur = max(EPS / method.tolerance * found.cancellation, 1.0)
    return np.maximum(_layer_scale(net, gradient) * blur, found.last_digit / method.step / method.tolerance)


@np.errstate(divide="ignore", invalid="ignore")
def _defects(by_loops: Array, by_method: Array, scale: Array) -> Array:
    """Return |difference| / scale; equal values have no defect even in a layer whose gradient is all 0."""
    difference = np.abs(by_loops - by_method)
    return np.where(difference == 0, 0.0, difference / scale)


def kink_distance(net: Net, w: ArrayLike, x: ArrayLike) -> tuple[float, str]:
    """Return how far the nearest pre-activation t_i,k is from a kink of its activation, and its name.

    Returns
    -------
    float, str
        (inf, "") for a network without kinks.

    Examples
    --------
    >>> from layerloop.maths.net import Net
    >>> kink_distance(Net((1, 2), ("relu",), "softmax"), [1.0, 0.0, 0.0, -0.25], [1.0])
    (0.25, 'layer 1, row 2')
    """
    forward = forward_loop(net, w, x, np.zeros(net.K), dense=False)
    found = [
        (distance, f"layer {i}, {name}")
        for i, (layer, w_i) in enumerate(zip(net.layers, split(net.layers, w), strict=True), start=1)
        for distance, name in layer.kinks(w_i, forward.z[i])
    ]
    return min(found, default=(float("inf"), ""))


def check_gradient(
    net: Net,
    w: ArrayLike,
    x: ArrayLike,
    y: ArrayLike,
    *,
    entries: int | Iterable[int] | None = None,
    method: str = "auto",
    seed: int = 0,
) -> GradientCheck:
    """Compare the loops' gradient of f_{x,y} at w with differences that know nothing of the loops.

    Parameters
    ----------
    net : Net
    w : array, shape (size(net),)
    x : array, shape (n_1,)
    y : array, shape (K,)
    entries : int or iterable of int, optional
        How many entries of w to draw, or which (zero-based positions); all by default.
    method : {"auto", "central", "complex"}
        "auto" takes the complex step, but central differences for a loss of one's own. Central differences carry
        a rounding error near 1e-10 of the loss, and so fail a layer whose whole gradient is below 1e-4 of it;
        the complex step does not, but sees only the side of a kink on which the pre-activation lies.
    seed : int
        Seeds the drawing of entries.

    Returns
    -------
    GradientCheck
        With the worst entry's name, both its values, and the distance to the nearest kink.

    Raises
    ------
    NetworkError
        When the network has no parameters.
    SettingError
        When no entry is asked for.
    UnknownNameError
        When the method is not one of the three.
    ShapeError
        When w, x, y or a position does not fit.

    Examples
    --------
    >>> from layerloop.maths.net import notes, size
    >>> net = notes(3, [2], 3)
    >>> check = check_gradient(net, np.linspace(-1, 1, size(net)), [1.0, 0.0, -1.0], [0, 1, 0])
    >>> check.passed, check.method, check.checked
    (True, 'complex', 14)
    """
    if size(net) == 0:
        raise NetworkError("the network has no parameters to check")
    w = as_vector(w, "w", size(net)).real
    name = _method(net, method)
    trained = set(_trained(net))
    positions = [j for j in _entries(w, _selected(w.size, entries, seed)) if j in trained]
    if not positions:
        raise SettingError("entries: expected at least 1 to check, got none")
    by_loops = gradient(net, w, x, y)
    by_method = METHODS[name].slopes(lambda v: f(net, v, x, y), w, positions)
    scale = _scale(net, by_loops, METHODS[name], rounding(net, w, x, y))
    defects = _defects(by_loops[positions], by_method, scale[positions])
    at = int(np.argmax(defects))  # the first NaN, where there is one
    values = float(by_loops[positions[at]]), float(by_method[at])
    return _finding(net, name, positions, at, float(defects[at]), values, kink_distance(net, w, x))


def _finding(
    net: Net,
    method: str,
    positions: list[int],
    at: int,
    worst: float,
    values: tuple[float, float],
    kink: tuple[float, str],
) -> GradientCheck:
    layer, row, column = (int(part) for part in _places(net)[positions[at]])
    return GradientCheck(
        passed=worst <= METHODS[method].tolerance,
        worst=worst,
        tolerance=METHODS[method].tolerance,
        method=method,
        checked=len(positions),
        size=size(net),
        layer=layer,
        row=row,
        column=column,
        name=_place_name(net, layer, row, column),
        by_loops=values[0],
        by_method=values[1],
        kink_distance=kink[0],
        kink_name=kink[1],
    )
