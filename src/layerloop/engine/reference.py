"""The NumPy engine: runs a plan over batches, in buffers made once per batch size.

Letters: layer i has inputs Z_i (n, n_i), weights W (n_i, n_{i+1}) and biases b of its block, pre-activations T and
outputs Z_{i+1} = f(T) (n, n_{i+1}); Q is the gradient of the loss in a layer's output, D = f'(T) * Q in its
pre-activations. Forward: T = Z W + b. Backward: dW = Z^T D, db = sum D, Q = D W^T, last layer first.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop.csr import Csr
from layerloop.engine import sparse
from layerloop.engine.activations import ACTIVATIONS, Activation, ones
from layerloop.engine.heads import HEADS, Head
from layerloop.engine.losses import FUSED, LOSSES
from layerloop.errors import ShapeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from layerloop.optim import State
    from layerloop.plan import Architecture, Plan

    Batch = NDArray[np.floating]
    Vector = NDArray[np.floating]

BLOCK = 1024  # rows up to which buffers are kept for the next call, and at which BLAS is at full speed
KEPT = 4  # batch sizes whose buffers are kept; training uses two, the full one and the last, partial one


@dataclass(frozen=True)
class Rows:
    """Where training rows are gathered from.

    Attributes
    ----------
    X : ndarray or Csr (n, d)
        float rows of the engine's type, sparse ones too, or raw bytes with a scale.
    targets : ndarray
        Class indices (n,) or rows (n, K), as the loss takes them.
    scale : float or None
        What one unit of a raw byte is worth.
    """

    X: NDArray[Any] | Csr
    targets: NDArray[Any]
    scale: float | None = None


class DenseStep:
    """One dense layer at one batch size: its two passes and the buffers they fill."""

    def __init__(self, n: int, width: int, row: Activation, dtype: str, *, class_major: bool) -> None:
        def buffer() -> Batch:
            return np.empty((width, n), dtype).T if class_major else np.empty((n, width), dtype)

        self.row = row
        self.T = buffer()
        self.Z = buffer() if row.keeps_t else self.T
        self.s, self.r, self.D = buffer(), buffer(), buffer()

    def forward(self, Z: Batch | Csr, block: Batch) -> Batch:
        """Fill Z_{i+1} = f(Z_i W + b)."""
        if isinstance(Z, Csr):
            sparse.product(Z, block[:-1], self.T)
        else:
            _product(Z, block[:-1], self.T)
        np.add(self.T, block[-1], out=self.T)
        self.row.f(self.T, self.Z, self.s)
        return self.Z

    def to_scores(self) -> None:
        """Turn D from the gradient in the outputs into the one in the pre-activations: D <- f'(T) * D."""
        if self.row.df is not ones:
            self.row.df(self.T, self.Z, self.s, self.r)
            np.multiply(self.D, self.s, out=self.D)

    def backward(self, Z: Batch | Csr, block: Batch, gradient: Batch, Q: Batch | None) -> None:
        """Fill dW = Z_i^T D, db = sum D and, where it is wanted, Q = D W^T.

        Of sparse rows only the columns that occur are filled in dW: the others are to be 0 before.
        """
        if isinstance(Z, Csr):
            sparse.fill_columns(Z, self.D, gradient[:-1])
        else:
            _product(Z.T, self.D, gradient[:-1])
        np.add.reduce(self.D, axis=0, out=gradient[-1])
        if Q is not None:
            _product(self.D, block[:-1].T, Q)


def _product(A: Batch, B: Batch, out: Batch) -> None:
    """Fill out = A B; a class-major `out` is filled as out^T = B^T A^T, the same product to BLAS."""
    if out.flags.c_contiguous:
        np.dot(A, B, out=out)
    else:
        np.dot(B.T, A.T, out=out.T)


class Workspace:
    """All buffers of one batch size; sparse rows need none of their own."""

    def __init__(self, architecture: Architecture, dtype: str, n: int, *, of_sparse: bool = False) -> None:
        layers, head = architecture.layers, HEADS[architecture.head]
        self.n = n
        self.bytes = np.empty((0, 0), np.uint8)  # made at the first gather of raw bytes
        self.X: Batch | Csr = np.empty((0 if of_sparse else n, architecture.n_in), dtype)
        self.steps = [
            DenseStep(n, layer.n_out, ACTIVATIONS[layer.activation], dtype, class_major=layer is layers[-1])
            for layer in layers
        ]
        self.S = self.steps[-1].Z if self.steps else self.X
        self.P = np.empty((architecture.n_scores + head.extra, n), dtype).T
        self.Q = np.empty_like(self.P)
        self.D = np.empty((architecture.n_scores, n), dtype).T if not self.steps else self.steps[-1].D
        self.m = np.empty(n, dtype)

    def gather(self, rows: Rows, index: NDArray[np.intp]) -> None:
        """Fill X with the chosen rows; raw bytes are scaled on the way, so the set itself stays small in memory."""
        if isinstance(rows.X, Csr) or isinstance(self.X, Csr):
            self.X = rows.X[index]
            return
        if rows.scale is None:
            np.take(rows.X, index, axis=0, out=self.X, mode="clip")
            return
        if not self.bytes.size:
            self.bytes = np.empty(self.X.shape, np.uint8)
        np.take(rows.X, index, axis=0, out=self.bytes, mode="clip")
        np.multiply(self.bytes, self.X.dtype.type(rows.scale), out=self.X)


class ReferenceEngine:
    """An engine on NumPy alone, always there; other engines are held against it and it against `layerloop.maths`.

    Several threads may use one engine at once: each has buffers of its own.

    Parameters
    ----------
    architecture : Architecture
        Layers and head.
    dtype : str
        "float32" or "float64"; parameters and rows come in this type.
    """

    name = "numpy"

    def __init__(self, architecture: Architecture, dtype: str) -> None:
        self.architecture = architecture
        self.dtype = dtype
        self.head: Head = HEADS[architecture.head]
        self._own = threading.local()

    def workspace(self, n: int, *, of_sparse: bool = False) -> Workspace:
        """Return the buffers for batches of n rows, the same ones every time while they are among the last used."""
        if n > BLOCK:
            return Workspace(self.architecture, self.dtype, n, of_sparse=of_sparse)
        spaces: dict[tuple[int, bool], Workspace] = self._own.__dict__.setdefault("spaces", {})
        kind = (n, of_sparse)
        found = spaces.pop(kind, None) or Workspace(self.architecture, self.dtype, n, of_sparse=of_sparse)
        spaces[kind] = found
        while len(spaces) > KEPT:
            del spaces[next(iter(spaces))]
        return found

    # -- forward ------------------------------------------------------------------------------------------------

    def outputs(self, w: Vector, X: NDArray[Any] | Csr, scale: float | None = None) -> Batch:
        """Return the outputs (n, K) for rows (n, d): floats, sparse ones too, or raw bytes with their scale."""
        with np.errstate(all="ignore"):
            space = self._loaded(X, scale)
            _scores(space, self.architecture.blocks(w))
            self.head.forward(space.S, space.P, space.m)
        return space.P.copy(order="C")

    def activations(self, w: Vector, X: Batch | Csr) -> list[Batch]:
        """Return the output of every layer, the head's last where there is one."""
        with np.errstate(all="ignore"):
            own = Workspace(self.architecture, self.dtype, len(X), of_sparse=self._keeps_sparse(X))
            space = self._loaded(X, None, own)
            _scores(space, self.architecture.blocks(w))
            results = [np.ascontiguousarray(step.Z) for step in space.steps]
            if self.architecture.head != "identity":
                self.head.forward(space.S, space.P, space.m)
                results.append(np.ascontiguousarray(space.P))
        return results

    def outputs_and_loss(self, w: Vector, rows: Rows, plan: Plan) -> tuple[Batch, float]:
        """Return the outputs (n, K) and the mean loss per sample."""
        with np.errstate(all="ignore"):
            space = self._loaded(rows.X, rows.scale)
            _scores(space, self.architecture.blocks(w))
            self.head.forward(space.S, space.P, space.m)
            outputs = space.P.copy(order="C")
            return outputs, self._loss_of(space, rows.targets, plan)

    # -- gradient and training ----------------------------------------------------------------------------------

    def value_and_gradient(self, w: Vector, rows: Rows, plan: Plan, gradient: Vector) -> float:
        """Return the mean loss of all rows and fill its gradient, both as of one batch."""
        weights, into = self.architecture.blocks(w), self.architecture.blocks(gradient)
        if isinstance(rows.X, Csr):
            gradient.fill(0)
        with np.errstate(all="ignore"):
            return self._both_loops(self._loaded(rows.X, rows.scale), weights, rows.targets, plan, into)

    def train(
        self, w: Vector, state: State, rows: Rows, order: NDArray[np.intp], plan: Plan, batch: int, losses: Vector
    ) -> int:
        """Take one step per `batch` entries of `order`; return how many were taken.

        Before each update the batch's mean loss goes into `losses`. A loss that is not finite ends the stretch
        without its update, so the steps taken are then fewer than asked for.
        """
        of_sparse = isinstance(rows.X, Csr)
        gradient = np.zeros(len(w), w.dtype)
        weights, into = self.architecture.blocks(w), self.architecture.blocks(gradient)
        with np.errstate(all="ignore"):
            for step, start in enumerate(range(0, len(order), batch)):
                index = order[start : start + batch]
                space = self.workspace(len(index), of_sparse=of_sparse)
                space.gather(rows, index)
                value = self._both_loops(space, weights, rows.targets[index], plan, into)
                losses[step] = value
                if not math.isfinite(value):
                    return step
                state.rule.step(w, gradient, state)
                if isinstance(space.X, Csr):
                    into[0][space.X.columns] = 0
        return len(losses)

    def _both_loops(
        self, space: Workspace, weights: list[Batch], targets: NDArray[Any], plan: Plan, into: list[Batch]
    ) -> float:
        """Forward loop, loss, backward loop: return the mean loss and fill the gradient's blocks."""
        _scores(space, weights)
        value = self._loss_of(space, targets, plan)
        for i in reversed(range(len(weights))):
            step, before = space.steps[i], space.steps[i - 1] if i else None
            step.to_scores()
            step.backward(before.Z if before else space.X, weights[i], into[i], before.D if before else None)
        return value

    def _loss_of(self, space: Workspace, targets: NDArray[Any], plan: Plan) -> float:
        """Return the mean loss; leave its gradient in the scores in `space.D`."""
        if plan.fused:
            return FUSED[plan.fused](space.S, targets, space.P, space.D, space.m)
        self.head.forward(space.S, space.P, space.m)
        if isinstance(plan.loss, str):
            value = LOSSES[plan.loss](space.P, targets, space.Q)
        else:
            value_of, gradient_of = plan.loss
            outputs = space.P.copy(order="C")  # what a loss of one's own does to it stays with it
            value = _one_number(value_of(outputs, targets))
            slope = np.asarray(gradient_of(outputs, targets))
            if slope.shape != outputs.shape:  # NumPy would stretch a column over the outputs without a word
                raise ShapeError(f"a loss's gradient is shaped as the outputs, {outputs.shape}; got {slope.shape}")
            np.copyto(space.Q, slope)
        self.head.backward(space.P, space.Q, space.D, space.m)
        return value

    def _keeps_sparse(self, X: NDArray[Any] | Csr) -> bool:
        """Whether rows stay sparse: where there is a first layer to take them."""
        return isinstance(X, Csr) and bool(self.architecture.layers)

    def _loaded(self, X: NDArray[Any] | Csr, scale: float | None, space: Workspace | None = None) -> Workspace:
        space = space or self.workspace(len(X), of_sparse=self._keeps_sparse(X))
        if self._keeps_sparse(X):
            space.X = X
            return space
        dense: Any = X.toarray() if isinstance(X, Csr) else X
        if scale is None:
            np.copyto(space.X, dense)  # type: ignore[arg-type]
        else:
            np.multiply(dense, np.dtype(self.dtype).type(scale), out=space.X)  # type: ignore[arg-type]
        return space


def _scores(space: Workspace, weights: list[Batch]) -> None:
    """The forward loop up to the head."""
    Z: Batch | Csr = space.X
    for step, block in zip(space.steps, weights, strict=True):
        Z = step.forward(Z, block)


def _one_number(value: Any) -> float:
    if np.ndim(value):
        raise ShapeError(f"a loss's value is one number, the mean over the batch; got shape {np.shape(value)}")
    return float(value)
