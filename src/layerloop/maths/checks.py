"""The check of a gradient: both loops beside a proof of differences.py, entry by entry, and how near a kink is."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from layerloop.errors import NetworkError, SettingError, look_up
from layerloop.maths.affine import Dense
from layerloop.maths.differences import CENTRAL_STEP, central_differences, chosen_entries, complex_step
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
    positions = [j for j in chosen_entries(w, _selected(w.size, entries, seed)) if j in trained]
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
