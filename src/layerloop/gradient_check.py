"""A network's gradient held against the notes' loops, and the loops against finite differences."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop.arraylike import Samples, as_array
from layerloop.csr import Csr, is_sparse
from layerloop.errors import ShapeError
from layerloop.layers import Dense, Residual
from layerloop.losses import LossSpec
from layerloop.maths.checks import GradientCheck
from layerloop.maths.checks import check_gradient as check_loops
from layerloop.maths.layers import LAYERS
from layerloop.maths.layers import Residual as AroundNotes
from layerloop.maths.loops import gradient
from layerloop.maths.losses import Loss as OneSampleLoss
from layerloop.maths.losses import loss_named
from layerloop.maths.net import Net, parameters
from layerloop.maths.rounding import rounding
from layerloop.network import AnyLoss, Chain, check_codes, make_plan, targets_for, value_and_gradient
from layerloop.preprocessing import as_rows
from layerloop.vocabulary import crossentropy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike, NDArray

    from layerloop.layers import Layer
    from layerloop.maths.kind import Layer as NotesLayer
    from layerloop.plan import Plan

# What the engine may differ from the loops by, relative to a layer's largest gradient entry.
ENGINE_TOLERANCE = {"float32": 1e-5, "float64": 1e-12}


def notes_net(m: Chain, loss: AnyLoss = crossentropy, y: ArrayLike = 0) -> tuple[Net, NDArray[np.float64]]:
    """Return a network as `layerloop.maths` has it: plain data, and w = (w_1; ...; w_L) in float64.

    A loss of one's own is bound to the target y, which it takes in its own form.

    Examples
    --------
    >>> from layerloop import Chain, Dense, softmax
    >>> net, w = notes_net(Chain(Dense(4, 3, "tanh"), Dense(3, 2), softmax))
    >>> net.widths, net.activations, w.size
    ((4, 3, 2), ('tanh', 'identity'), 23)
    """
    architecture, of_one = m.architecture, _of_one(make_plan(m, loss), y)
    w = np.asarray(architecture.to_notes(m.flat.astype(np.float64)), dtype=np.float64)
    if all(type(layer) is Dense and not layer.ntk and layer.members == 1 for layer in architecture.layers):
        widths = (architecture.n_in, *(layer.n_out for layer in architecture.layers))
        names = tuple(layer.activation for layer in architecture.layers if isinstance(layer, Dense))
        return Net(widths, names, architecture.head, of_one), w
    return Net.of([notes_layer(layer) for layer in architecture.layers], architecture.head, of_one), w


def notes_layer(layer: Layer) -> NotesLayer:
    """Return a layer as `layerloop.maths` has it: the row of the same name, with the settings that enter its formula.

    Examples
    --------
    >>> from layerloop import Scale
    >>> notes_layer(Scale(3, "tanh", start="normal"))
    Scale(n=3, activation='tanh', bias=False, members=1)
    """
    if isinstance(layer, Residual):
        return AroundNotes(tuple(map(notes_layer, layer.layers)))
    row: Any = LAYERS[layer.kind]
    taken = {field.name for field in fields(row)} & {field.name for field in fields(layer)}
    found: NotesLayer = row(**{name: getattr(layer, name) for name in taken})
    return found


def _of_one(plan: Plan, y: ArrayLike) -> str | OneSampleLoss:
    """Return the plan's loss as a loss of one sample; a custom pair sees a batch of one, with y as it is given."""
    if isinstance(plan.loss, LossSpec):
        name = plan.loss.name
        return name if str(plan.loss) == name else loss_named(name, **dict(plan.loss.settings))
    value, slope = plan.loss
    target = as_array(y, "y")[np.newaxis]
    return OneSampleLoss(
        lambda z, _: float(value(z[np.newaxis], target)),
        lambda z, _: np.asarray(slope(z[np.newaxis], target))[0],
    )


@dataclass(frozen=True)
class Finding:
    """What `check_gradient` found.

    Attributes
    ----------
    loops : GradientCheck
        The loops against finite differences, with the worst entry by name.
    engine : str
        Which engine was held against the loops.
    engine_worst, engine_tolerance : float
        Its largest defect relative to the layer's largest entry, and what passes. Where outputs and target
        cancel, so that the engine's type cannot know the slopes to that tolerance, relative to more than that entry.
    """

    loops: GradientCheck
    engine: str
    engine_worst: float
    engine_tolerance: float

    @property
    def passed(self) -> bool:
        """Whether both agree."""
        return self.loops.passed and self.engine_worst <= self.engine_tolerance

    def as_dict(self) -> dict[str, object]:
        """Return the finding as plain data."""
        return {**asdict(self), "passed": self.passed}

    def __str__(self) -> str:
        verdict = "passed" if self.engine_worst <= self.engine_tolerance else "FAILED"
        engine = f"{self.engine} engine against the loops: worst defect {self.engine_worst:.1e}"
        return f"{self.loops}\n{verdict}: {engine} (tolerance {self.engine_tolerance:.0e})"


def check_gradient(
    m: Chain,
    x: Samples,
    y: ArrayLike,
    loss: AnyLoss = crossentropy,
    *,
    entries: int | Iterable[int] | None = None,
    method: str = "central",
    seed: int = 0,
) -> Finding:
    """Check the gradient of one sample's loss: loops against finite differences, engine against loops.

    Parameters
    ----------
    x : (n_in,)
        One sample, as the network takes it; a sparse matrix of one row.
    y : int, str or (K,)
        Its class, or its target row.
    entries : int or iterable of int, optional
        How many entries of w to draw, or which; all by default.
    method : "central", "complex" or "auto"
        As in `layerloop.maths.checks.check_gradient`.

    Raises
    ------
    ShapeError, LabelError, UnknownNameError, SettingError
        As the network and the check raise them.

    Examples
    --------
    >>> from layerloop import Chain, Dense, softmax
    >>> check_gradient(Chain(Dense(4, 3, "tanh"), Dense(3, 2), softmax), [1.0, -1.0, 0.5, 0.0], 1).passed
    True
    """
    net, w = notes_net(m, loss, y)
    z_1 = seen_by_notes(m, x)
    target = target_row(m, y, loss)
    found = check_loops(net, w, z_1, target, entries=entries, method=method, seed=seed)
    wanted = as_array(y if isinstance(loss, tuple) else target, "y")
    _, by_engine = value_and_gradient(m, x, wanted[np.newaxis] if is_sparse(x) else wanted, loss)
    tolerance = ENGINE_TOLERANCE[m.dtype]
    blur = float(np.finfo(m.dtype).eps) / tolerance * rounding(net, w, z_1, target).cancellation
    worst = _worst(net, gradient(net, w, z_1, target), by_engine.w.astype(np.float64), max(blur, 1.0))
    return Finding(found, m.engine.name, worst, tolerance)


def seen_by_notes(m: Chain, x: Samples) -> NDArray[np.float64]:
    """Return z_1 of one sample: what the first layer sees, in float64.

    Raises
    ------
    ShapeError, InputError
        When it is not one row that the network takes.

    Examples
    --------
    >>> from layerloop import Chain, Dense, Inputs
    >>> m = Chain(Dense(2, 1), inputs=Inputs(scale=0.5))
    >>> seen_by_notes(m, np.array([2, 3], np.uint8))
    array([1. , 1.5])
    """
    rows, _ = as_rows(x, m.architecture.n_in)
    if len(rows) != 1:
        raise ShapeError(f"expected one sample, got {len(rows)}")
    check_codes(m, seen := m.inputs.apply(rows, m.dtype))
    dense: NDArray[np.generic] = seen.toarray() if isinstance(seen, Csr) else seen
    z_1: NDArray[np.float64] = dense.astype(np.float64)[0]
    return z_1


def target_row(m: Chain, y: ArrayLike, loss: AnyLoss) -> NDArray[np.float64]:
    """Return the target as a row (K,); a loss of one's own has y already, and its row is not looked at.

    Examples
    --------
    >>> from layerloop import Chain, Dense, softmax
    >>> target_row(Chain(Dense(2, 3), softmax), 1, crossentropy)
    array([0., 1., 0.])
    """
    if isinstance(loss, tuple):
        return np.zeros(m.architecture.n_out)
    found = targets_for(m, as_array(y, "y")[np.newaxis], make_plan(m, loss), 1)
    if found.ndim == 1:  # the index of a class
        found = np.eye(m.architecture.n_out)[found]
    return np.asarray(found[0], dtype=np.float64)


def _worst(net: Net, loops: NDArray[np.float64], engine: NDArray[np.float64], blur: float) -> float:
    """Return the largest difference relative to the largest entry of its layer, times `blur`."""
    pairs = zip(parameters(net, loops).values(), parameters(net, engine).values(), strict=True)
    defects = [np.abs(P - E).max() / (np.abs(P).max() * blur or 1.0) for P, E in pairs if P.size]
    return float(np.max(defects))  # max() would drop a NaN
