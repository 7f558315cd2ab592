"""The NumPy engine: runs a plan over batches, in buffers made once per batch size.

Letters: layer i has inputs Z_i (n, n_i), weights W (n_i, n_{i+1}) and biases b of its block, pre-activations T and
outputs Z_{i+1} = f(T) (n, n_{i+1}); Q is the gradient of the loss in a layer's output, D = f'(T) * Q in its
pre-activations. Forward: T = Z W + b. Backward: dW = Z^T D, db = sum D, Q = D W^T, last layer first.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop.csr import Csr
from layerloop.engine.columns import COLUMN_STEPS
from layerloop.engine.heads import HEADS, Head
from layerloop.engine.losses import FUSED, LOSSES, Term
from layerloop.engine.steps import PREDICTION, ROW_STEPS, Join, Mode, Step, dense_step
from layerloop.engine.updates import steps_of_rule
from layerloop.errors import ShapeError
from layerloop.finite import all_finite
from layerloop.layers import Dense, Members
from layerloop.losses import LossSpec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from layerloop.engine.updates import Sparse
    from layerloop.optim import State
    from layerloop.plan import Architecture, Op, Pair, Plan

    Batch = NDArray[np.floating]
    Vector = NDArray[np.floating]
    Wanted = tuple[NDArray[Any], Vector | None]  # targets, and weights of the rows

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
    weights : ndarray (n,) or None
        Of the rows, of the engine's type: the mean loss of n rows is sum_i w_i l_i / n. None weighs all alike.
    steady : bool
        Whether X stays as it is, and is gone through several times: then an engine may keep what it finds in it.
    kept : list
        What an engine keeps; its own.
    """

    X: NDArray[Any] | Csr
    targets: NDArray[Any]
    scale: float | None = None
    weights: NDArray[np.floating] | None = None
    steady: bool = False
    kept: list[Any] = field(default_factory=list, init=False, repr=False, compare=False)

    def wanted(self, index: NDArray[np.intp] | slice = slice(None)) -> Wanted:
        """Return what the loss is to know of some rows."""
        return self.targets[index], None if self.weights is None else self.weights[index]


class Workspace:
    """All buffers of one batch size: n samples, which are n k rows behind `Members`; sparse ones need none here."""

    def __init__(self, architecture: Architecture, dtype: str, n: int, *, of_sparse: bool = False) -> None:
        head = HEADS[architecture.head]
        self.n = n
        self.members = architecture.members
        self.bytes = np.empty((0, 0), np.uint8)  # made at the first gather of raw bytes
        self.of_sparse = of_sparse
        self.X: Batch | Csr = np.empty((0 if of_sparse else n, architecture.n_in), dtype)
        self.steps = list(_steps(architecture.ops, n, dtype))
        self.nodes: list[Any] = [self.X]  # what each step takes, the last what the head takes
        self.skips = [op.skip for op in architecture.ops]
        # By the node where a way around begins: the joins that add it, whose D is part of its gradient.
        self.ways = {
            op.skip: [i for i, o in enumerate(architecture.ops) if o.skip == op.skip] for op in architecture.ops
        }
        rows = n * self.members
        self.P = np.empty((architecture.n_scores + head.extra, rows), dtype).T
        self.Q = np.empty_like(self.P)
        self.D = np.empty((architecture.n_scores, rows), dtype).T if not self.steps else self.steps[-1].D
        self.m = np.empty(rows, dtype)

    @property
    def S(self) -> Batch:
        """The scores, of all members."""
        scores: Batch = self.nodes[-1]
        return scores

    def outputs(self) -> Batch:
        """Return the outputs (n, K): the mean over the members of what the head gave."""
        if self.members == 1:
            return self.P.copy(order="C")
        return np.ascontiguousarray(self.P.T.reshape(-1, self.members, self.n).mean(axis=1).T)

    def gather(self, rows: Rows, index: NDArray[np.intp]) -> None:
        """Fill X with the chosen rows; raw bytes are scaled on the way, so the set itself stays small in memory."""
        if isinstance(rows.X, Csr):
            self.X = rows.X[index] if self.of_sparse else rows.X[index].toarray()
            return
        if isinstance(self.X, Csr):
            raise TypeError("a workspace for sparse rows was given dense ones")
        if rows.scale is None:
            np.take(rows.X, index, axis=0, out=self.X, mode="clip")
            return
        if not self.bytes.size:
            self.bytes = np.empty(self.X.shape, np.uint8)
        np.take(rows.X, index, axis=0, out=self.bytes, mode="clip")
        np.multiply(self.bytes, self.X.dtype.type(rows.scale), out=self.X)


def _steps(ops: Sequence[Op], n: int, dtype: str) -> Iterator[Step]:
    """Yield the steps of a program for n samples; the last one's rows are class-major."""
    members = 1
    for place, op in enumerate(ops):
        if isinstance(op.layer, Members):
            members = op.layer.members
        yield _kind(op)(op, place, n * members, members, dtype, class_major=place == len(ops) - 1)


def _kind(op: Op) -> type[Step]:
    """Return the class that computes an operation."""
    if op.layer is None:
        return Join
    return dense_step(op.layer) if isinstance(op.layer, Dense) else STEPS[type(op.layer)]


STEPS: Mapping[type, type[Step]] = {**ROW_STEPS, **COLUMN_STEPS}


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
            _scores(space, self._bound(w, space), PREDICTION)
            self.head.forward(space.S, space.P, space.m)
        return space.outputs()

    def predict(self, w: Vector, X: NDArray[Any] | Csr, scale: float | None, into: Batch) -> bool:
        """Fill the outputs (n, K) block by block; return False at rows that are not finite, which end it.

        X is contiguous and, where it has no scale, of the engine's type.
        """
        return predicted(self, w, X, scale, into)

    def activations(self, w: Vector, X: Batch | Csr) -> list[Batch]:
        """Return the output of every layer, (n, k, width) behind `Members`, and last the head's where there is one."""
        with np.errstate(all="ignore"):
            own = Workspace(self.architecture, self.dtype, len(X), of_sparse=self._keeps_sparse(X))
            space = self._loaded(X, None, own)
            _scores(space, self._bound(w, space), PREDICTION)
            results = [by_sample(space.nodes[node], len(X)) for node in self.architecture.ends]
            if self.architecture.head != "identity":
                self.head.forward(space.S, space.P, space.m)
                results.append(space.outputs())
        return results

    def outputs_and_loss(self, w: Vector, rows: Rows, plan: Plan) -> tuple[Batch, float]:
        """Return the outputs (n, K) and the mean loss per sample."""
        with np.errstate(all="ignore"):
            space = self._loaded(rows.X, rows.scale)
            _scores(space, self._bound(w, space), PREDICTION)
            self.head.forward(space.S, space.P, space.m)
            outputs = space.outputs()
            return outputs, self._loss_of(space, rows.wanted(), plan)

    # -- gradient and training ----------------------------------------------------------------------------------

    def value_and_gradient(self, w: Vector, rows: Rows, plan: Plan, gradient: Vector, step: int | None = None) -> float:
        """Return the mean loss of all rows and fill its gradient, both as of one batch.

        With `step` it is that of a training step of this number: dropout drops, and batch normalisation takes the
        batch's statistics and moves the running ones in `w`.
        """
        with np.errstate(all="ignore"):
            space = self._loaded(rows.X, rows.scale)
            weights, into = self._bound(w, space), self._bound(gradient, space)
            if space.of_sparse:
                gradient.fill(0)
            return self._both_loops(space, weights, rows.wanted(), plan, into, Mode(step, plan.seed))

    def train(
        self,
        w: Vector,
        state: State,
        rows: Rows,
        order: NDArray[np.intp],
        plan: Plan,
        batch: int,
        losses: Vector,
        penalties: Vector | None = None,
    ) -> int:
        """Take one step per `batch` entries of `order`; return how many were taken.

        Before each update the batch's mean loss goes into `losses` and, where they are asked for of an `Adjusted` rule,
        the squares of the parameters that decay into `penalties`. A loss that is not finite ends the stretch
        without its update, so the steps taken are then fewer than asked for.
        """
        of_sparse = self._keeps_sparse(rows.X)

        def slopes(index: NDArray[np.intp], gradient: Vector) -> tuple[float, Sparse | None]:
            space = self.workspace(len(index), of_sparse=of_sparse)
            space.gather(rows, index)
            weights, into = self._bound(w, space), self._bound(gradient, space)
            loss = self._both_loops(space, weights, rows.wanted(index), plan, into, Mode(state.t, plan.seed))
            return loss, (space.X, into[0][:-1]) if isinstance(space.X, Csr) else None

        return steps_of_rule(w, state, order, batch, losses, penalties, self.architecture.untrained, slopes)

    def _bound(self, w: Vector, space: Workspace) -> list[Any]:
        """Return each step's stretch of a flat vector, as the step takes it."""
        return [step.bound(w[op.part]) for step, op in zip(space.steps, self.architecture.ops, strict=True)]

    def _both_loops(
        self, space: Workspace, weights: list[Any], wanted: Wanted, plan: Plan, into: list[Any], mode: Mode
    ) -> float:
        """Forward loop, loss, backward loop: return the mean loss and fill the gradient."""
        _scores(space, weights, mode)
        value = self._loss_of(space, wanted, plan)
        for i in reversed(range(len(weights))):
            D = space.steps[i - 1].D if i else None
            space.steps[i].backward(space.nodes[i], weights[i], into[i], D)
            if D is not None:
                for join in space.ways.get(i, ()):
                    np.add(D, space.steps[join].D, out=D)
        return value

    def _loss_of(self, space: Workspace, wanted: Wanted, plan: Plan) -> float:
        """Return the mean loss, over the members too; leave its gradient in the scores in `space.D`."""
        targets, weights = wanted
        if space.members > 1:
            targets = np.concatenate([targets] * space.members)
            weights = None if weights is None else np.concatenate([weights] * space.members)
        if plan.fused:
            return FUSED[plan.fused](space.S, targets, space.P, space.D, space.m, self._term(plan.loss, weights))
        self.head.forward(space.S, space.P, space.m)
        if isinstance(plan.loss, LossSpec):
            value = LOSSES[plan.loss.name](space.P, targets, space.Q, self._term(plan.loss, weights))
        else:
            own = (space.P.copy(order="C"), targets, *([] if weights is None else [weights]))
            value = _own_loss(plan.loss, own, space.Q)
        self.head.backward(space.P, space.Q, space.D, space.m)
        return value

    def _term(self, loss: Any, weights: Vector | None) -> Term:
        return Term(np.asarray(loss.columns(self.architecture.n_out), self.dtype), loss.smoothing, weights)

    def _keeps_sparse(self, X: NDArray[Any] | Csr) -> bool:
        """Whether rows stay sparse: where there is a first layer to take them."""
        return isinstance(X, Csr) and self.architecture.takes_sparse

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


def predicted(engine: Any, w: Vector, X: NDArray[Any] | Csr, scale: float | None, into: Batch) -> bool:
    """`predict` by calls of an engine's `outputs`."""
    for start in range(0, len(X), BLOCK):
        part = X[start : start + BLOCK]
        if scale is None and not all_finite(part.values if isinstance(part, Csr) else part):
            return False
        into[start : start + BLOCK] = engine.outputs(w, part, scale)
    return True


def _scores(space: Workspace, weights: list[Any], mode: Mode) -> None:
    """The forward loop up to the head; a way around hands over the node where it began."""
    space.nodes[:] = [space.X]
    for step, part, skip in zip(space.steps, weights, space.skips, strict=True):
        given = part if skip is None else space.nodes[skip]
        space.nodes.append(step.forward(space.nodes[-1], given, mode))


def by_sample(Z: Batch, n: int) -> Batch:
    """Return a copy of rows: (n, width), or (n, k, width) where each sample has k of them."""
    k = len(Z) // max(n, 1)
    return np.ascontiguousarray(Z if k < 2 else Z.reshape(k, n, -1).transpose(1, 0, 2))


def _own_loss(pair: Pair, own: tuple[Any, ...], Q: Batch) -> float:
    """Return the value of a loss of one's own and put its gradient into Q; the outputs that it sees are a copy."""
    value = _one_number(pair[0](*own))
    slope = np.asarray(pair[1](*own))
    if slope.shape != own[0].shape:  # NumPy would stretch a column over the outputs without a word
        raise ShapeError(f"a loss's gradient is shaped as the outputs, {own[0].shape}; got {slope.shape}")
    np.copyto(Q, slope)
    return value


def _one_number(value: Any) -> float:
    if np.ndim(value):
        raise ShapeError(f"a loss's value is one number, the mean over the batch; got shape {np.shape(value)}")
    return float(value)
