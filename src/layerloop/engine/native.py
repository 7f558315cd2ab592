"""The compiled engine: the same contract as the NumPy engine, a whole stretch of steps in one call.

What it does not cover is left to the NumPy engine, and `NativeEngine.core` is the one place that says what that is.
"""

from __future__ import annotations

import atexit
import math
import os
import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from layerloop.cores import Limit, core_count, limits, requested
from layerloop.csr import Csr
from layerloop.engine import sparse
from layerloop.engine.blas import candidates
from layerloop.engine.program import compiled
from layerloop.engine.reference import ReferenceEngine, Rows, by_sample, predicted
from layerloop.engine.updates import steps_of_rule
from layerloop.errors import SettingError
from layerloop.layers import Members
from layerloop.optim import Adjusted, base_rule, count_steps, rates, values
from layerloop.optim.compact import CompactSlots, compacted
from layerloop.optim.rules import (
    AdaGrad,
    Adam,
    AdamHat,
    AdamW,
    Descent,
    LazyAdam,
    Lion,
    Momentum,
    NAdam,
    Nesterov,
    RAdam,
    RMSProp,
)
from layerloop.plan import HEADS

try:
    import layerloop.engine._native as _native
except ImportError:  # built without a compiler
    _native = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from layerloop.engine.reference import Batch, Vector
    from layerloop.engine.updates import Sparse
    from layerloop.losses import LossSpec
    from layerloop.optim import State
    from layerloop.plan import Architecture, Op, Plan

    Settings = tuple[int, float, float, float, float, float, float]
    Wanted = tuple[int, float, Vector, NDArray[Any], Vector | None]  # loss, smoothing, columns, targets, weights
    Compact = tuple[NDArray[np.int32], Sequence[Batch], NDArray[np.int64]]  # of CompactSlots: places, near, used

# enum class Loss of native/losses_kernels.h: the forms of head and loss in one, and the losses of outputs.
LOSSES = ("softmax_crossentropy", "sigmoid_binarycrossentropy", "exp_poisson", "crossentropy", "binarycrossentropy",
          "mse", "mae", "huber", "quantile", "poisson")  # fmt: skip
# enum RuleKind of native/kernels.h.
RULES = (Descent, Momentum, Nesterov, RMSProp, AdaGrad, Lion, Adam, AdamW, NAdam, RAdam, AdamHat)
KINDS: dict[type, int] = {rule: place for place, rule in enumerate(RULES)}
KINDS[LazyAdam] = KINDS[Adam]  # which rows take the step is the sparse rows' affair


def available() -> bool:
    """Whether the compiled engine was built."""
    return _native is not None


def facts() -> dict[str, Any]:
    """Return which instruction set, products and number of threads the compiled engine uses, and what limits those."""
    _prepare()
    allowed = _native.blas_threads()
    blas = [Limit(allowed, "what the environment allows BLAS, as OPENBLAS_NUM_THREADS does")] if allowed else []
    least = min([*limits(), *blas], key=lambda limit: limit.threads)
    source = _prepared[0]
    products = f"its own, those of very wide layers {source}" if _native.has_tiles() else source
    return {"instructions": _native.isa(), "products": products, "threads": least.threads, "limited_by": least.why}


def products_bound(widths: Sequence[int], batch: int, steps: int, threads: int = 1, *, halved: bool = False) -> float:
    """Return the seconds that the float32 products of so many steps take alone: the bound in benchmarks/table.py.

    They run on the engine's BLAS in so many of its threads, or the batch halved over two workers of one thread each.
    """
    _prepare()
    return _native.products_bound(list(widths), batch, steps, threads, halved)


_prepared: list[str] = []  # the source of the products, once it has been looked for
_preparing = threading.Lock()  # to look for it lets other threads run, which are not to compute meanwhile


def _prepare() -> None:
    """Choose instruction set and products, once in a process."""
    if _native is None:
        raise SettingError(
            "the compiled engine is not there: this installation was made without a C++17 compiler. Install one and "
            "reinstall layerloop (LAYERLOOP_REQUIRE_NATIVE=1 shows what fails), or use LAYERLOOP_ENGINE=numpy"
        )
    with _preparing:
        if not _prepared:
            _choose()


def _choose() -> None:
    """Do so, and see to the end of the process and to its children."""
    isa = os.environ.get("LAYERLOOP_ISA", "")
    if not _native.select_isa(isa):
        raise SettingError(f"LAYERLOOP_ISA={isa}: this machine or build has no such instruction set; leave it unset")
    found = (blas.source for blas in candidates() if _native.use_blas(*blas[:4]))
    atexit.register(_native.end_calls)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_native.forget_calls)
    _prepared.append(next(found, "plain loops (slow: no BLAS was found)"))


def settings_of(state: State) -> Settings:
    """Return a rule as the compiled engine takes it: kind, rho or beta1, beta2, epsilon, decay, and NAdam's numbers."""
    rule = base_rule(state.rule)
    kind = KINDS[type(rule)]
    match rule:
        case Descent():
            return kind, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        case Momentum(_, rho) | Nesterov(_, rho):
            return kind, rho, 0.0, 0.0, 0.0, 0.0, 0.0
        case RMSProp(_, rho, epsilon):
            return kind, rho, 0.0, epsilon, 0.0, 0.0, 0.0
        case AdaGrad(_, epsilon):
            return kind, 0.0, 0.0, epsilon, 0.0, 0.0, 0.0
        case Lion(_, (beta1, beta2)):
            return kind, beta1, beta2, 0.0, 0.0, 0.0, 0.0
        case (
            Adam(_, (beta1, beta2), epsilon)
            | AdamHat(_, (beta1, beta2), epsilon)
            | LazyAdam(_, (beta1, beta2), epsilon)
            | RAdam(_, (beta1, beta2), epsilon)
        ):
            return kind, beta1, beta2, epsilon, 0.0, 0.0, 0.0
        case AdamW(_, (beta1, beta2), epsilon, decay):
            return kind, beta1, beta2, epsilon, decay, 0.0, 0.0
        case NAdam(_, (beta1, beta2), epsilon, psi):
            return kind, beta1, beta2, epsilon, 0.0, psi, state.numbers.get("mu_product", 1.0)
    raise KeyError(rule)


def fuses(state: State) -> bool:
    """Whether the compiled code takes the steps itself: every rule of the table, and what `Adjusted` puts around it."""
    return type(base_rule(state.rule)) in KINDS


def around_of(state: State, steps: int, size: int) -> tuple[Any, ...] | None:
    """Return what is around the rule as the compiled engine takes it; see native/around.h."""
    rule = state.rule
    if not isinstance(rule, Adjusted):
        return None
    parts = state.parts or rule.parts(size, ())
    bounds = [math.inf if bound is None else bound for bound in (rule.clip_value, rule.clip_norm)]
    return (
        *bounds,
        rule.l2,
        [(part.start, part.stop, part.rate, part.decay) for part in parts],
        values(rule.decay, state.t, steps),
        np.array([rule.share(t) for t in range(state.t + 1, state.t + steps + 1)]),
    )


def _loss(loss: LossSpec, fused: str | None) -> int:
    """Return the place of a loss; which softmax it is, the head says."""
    return LOSSES.index(fused.removeprefix("modified_") if fused else loss.name)


class Seen(NamedTuple):
    """Parameters and rows as the compiled code takes them: `sparse` is (starts, columns, values, W), or None.

    Sparse rows meet the first layer's weights W alone. All that follows, its biases first, is to the compiled code a
    network of its own, whose first layer has no inputs: `core` runs that one, and `w` and `X` (n, 0) are its.
    """

    core: _native.Engine32
    w: Vector
    X: NDArray[Any]
    sparse: tuple[NDArray[np.int64], NDArray[np.int32], NDArray[Any], Batch] | None = None


class NativeEngine:
    """The compiled engine. Several threads may use one at once; each has buffers of its own.

    Parameters
    ----------
    architecture : Architecture
        Layers and head.
    dtype : str
        "float32" or "float64"; parameters and rows come in this type.

    Raises
    ------
    SettingError
        When it was not built, or cannot run as the environment asks.
    """

    name = "native"

    def __init__(self, architecture: Architecture, dtype: str) -> None:
        _prepare()
        self.architecture = architecture
        self.dtype = dtype
        self.reference = ReferenceEngine(architecture, dtype)
        program = compiled(architecture)
        kind = {"float32": _native.Engine32, "float64": _native.Engine64}[dtype]
        seen = [program] if program else []
        if architecture.takes_sparse:  # what sparse rows meet is the network behind its first weights; see Seen
            seen.append([program[0]._replace(n_in=0, size=program[0].n_out), *program[1:]])
        head, threads = HEADS.index(architecture.head), core_count()
        self._cores = tuple(kind(these, head, threads) for these in seen)

    def core(self, rows: int, plan: Plan | None = None) -> _native.Engine32 | None:
        """Return the compiled code where it covers this, or None: no layers, no rows, a loss of one's own."""
        return self._cores[0] if self._cores and rows and (plan is None or plan.named) else None

    def _seen(self, w: Vector, X: NDArray[Any] | Csr, scale: float | None = None) -> Seen:
        """Return parameters and rows as the compiled code takes them."""
        if isinstance(X, Csr) and not self.architecture.takes_sparse:
            X = X.toarray()
        if not isinstance(X, Csr):
            return Seen(self._cores[0], w, np.ascontiguousarray(X, self.dtype if scale is None else np.uint8))
        starts, columns = np.ascontiguousarray(X.starts, np.int64), np.ascontiguousarray(X.columns, np.int32)
        W, rest = self._split(w)
        entries = (starts, columns, np.ascontiguousarray(X.values, self.dtype), W)
        return Seen(self._cores[1], rest, np.empty((len(X), 0), self.dtype), entries)

    def _split(self, flat: Vector) -> tuple[Batch, Vector]:
        """Return the first layer's weights (n_in, n_out), and all that follows them in the flat vector: views."""
        first = self.architecture.layers[0]
        cut = first.n_in * first.n_out
        return flat[:cut].reshape(first.n_in, first.n_out), flat[cut:]

    def _wanted(self, rows: Rows, plan: Plan) -> Wanted:
        """Return what the loss is to know as the compiled code takes it; see Wanted in native/net.h."""
        y, loss, weights = rows.targets, plan.named, rows.weights
        if loss is None:
            raise TypeError("a loss of one's own is computed by the NumPy engine")
        targets = np.ascontiguousarray(y, np.int64 if y.ndim == 1 and y.dtype.kind in "iub" else self.dtype)
        columns = np.array(loss.columns(self.architecture.n_out), self.dtype)
        own = None if weights is None else np.ascontiguousarray(weights, self.dtype)
        return _loss(loss, plan.fused), loss.smoothing, columns, targets, own

    def outputs(self, w: Vector, X: NDArray[Any] | Csr, scale: float | None = None) -> Batch:
        """Return the outputs (n, K) for rows (n, d): floats, or raw bytes with their scale."""
        if self.core(len(X)) is None:
            return self.reference.outputs(w, X, scale)
        outputs, seen = np.empty((len(X), self.architecture.n_out), self.dtype), self._seen(w, X, scale)
        seen.core.outputs(seen.w, seen.X, scale, None, outputs, seen.sparse, requested.get())
        return outputs

    def predict(self, w: Vector, X: NDArray[Any] | Csr, scale: float | None, into: Batch) -> bool:
        """Fill the outputs (n, K) block by block; see `ReferenceEngine.predict`."""
        if isinstance(X, Csr) or self.core(len(X)) is None:
            return predicted(self, w, X, scale, into)
        return self._cores[0].predict(w, X, scale, into, requested.get())

    def outputs_and_loss(self, w: Vector, rows: Rows, plan: Plan) -> tuple[Batch, float]:
        """Return the outputs (n, K) and the mean loss per sample."""
        if self.core(len(rows.X), plan) is None:
            return self.reference.outputs_and_loss(w, rows, plan)
        outputs = np.empty((len(rows.X), self.architecture.n_out), self.dtype)
        seen, wanted = self._seen(w, rows.X, rows.scale), self._wanted(rows, plan)
        value = seen.core.outputs(seen.w, seen.X, rows.scale, wanted, outputs, seen.sparse, requested.get())
        return outputs, value

    def activations(self, w: Vector, X: Batch | Csr) -> list[Batch]:
        """Return the output of every layer, the head's last where there is one."""
        if self.core(len(X)) is None:
            return self.reference.activations(w, X)
        seen = self._seen(w, X)
        nodes = [np.empty((rows, op.width), self.dtype) for rows, op in self._rows_behind(len(X))]
        seen.core.activations(seen.w, seen.X, nodes, seen.sparse)
        results = [by_sample(nodes[end - 1], len(X)) for end in self.architecture.ends]
        return results if self.architecture.head == "identity" else [*results, self.outputs(w, X)]

    def _rows_behind(self, n: int) -> Iterator[tuple[int, Op]]:
        """Yield each operation with the rows behind it: n, or n of each member."""
        for op in self.architecture.ops:
            n *= op.layer.members if isinstance(op.layer, Members) else 1
            yield n, op

    def value_and_gradient(self, w: Vector, rows: Rows, plan: Plan, gradient: Vector, step: int | None = None) -> float:
        """Return the mean loss of all rows and fill its gradient; see `ReferenceEngine.value_and_gradient`."""
        if self.core(len(rows.X), plan) is None:
            return self.reference.value_and_gradient(w, rows, plan, gradient, step)
        if isinstance(rows.X, Csr):
            gradient.fill(0)
        return self._gradient(w, rows, plan, gradient, step)

    def _gradient(self, w: Vector, rows: Rows, plan: Plan, gradient: Vector, step: int | None) -> float:
        """Return the mean loss and fill its gradient, of sparse rows only where their columns occur."""
        seen, wanted = self._seen(w, rows.X, rows.scale), self._wanted(rows, plan)
        dW, rest = (None, gradient) if seen.sparse is None else self._split(gradient)
        return seen.core.gradient(
            seen.w, seen.X, rows.scale, wanted, rest, plan.seed, step, seen.sparse, dW, requested.get()
        )

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
        """Take one step per `batch` entries of `order`; return how many were taken; see `ReferenceEngine.train`."""
        if self.core(len(order), plan) is None:
            return self.reference.train(w, state, rows, order, plan, batch, losses, penalties)
        # Sparse rows that the first layer does not take are made dense: a batch at a time.
        made_dense = isinstance(rows.X, Csr) and not self.architecture.takes_sparse
        if made_dense or not fuses(state) or not self._keeps_rule(state, rows):
            return self._train_by_steps(w, state, rows, order, plan, batch, losses, penalties)
        seen, wanted = self._seen(w, rows.X, rows.scale), self._wanted(rows, plan)
        settings, order, tables = settings_of(state), np.ascontiguousarray(order, np.int64), []
        slots, compact = self._slots(state, rows)
        if seen.sparse is not None:
            pairs = [self._split(vector) for vector in (w, *slots)]
            tables, slots = [table for table, _ in pairs], tuple(rest for _, rest in pairs[1:])
        averages = isinstance(state.rule, Adjusted) and state.rule.averages
        average, slots = (slots[-1], slots[:-1]) if averages else (None, slots)
        packed = self._packed(seen, rows)
        taken = np.zeros(1, np.int64)  # filled, so that what a signal's handler raises at the call's end loses no step
        with state.slots.lock if isinstance(state.slots, CompactSlots) else nullcontext():
            try:
                raised = seen.core.train(
                    seen.w, settings, rates(state, len(losses)), state.t, slots, seen.X, rows.scale, wanted, order,
                    batch, losses, taken, plan.seed, seen.sparse, tables, isinstance(state.rule, LazyAdam), compact,
                    around_of(state, len(losses), len(w)), average, penalties, packed, requested.get(),
                )  # fmt: skip
            finally:
                count_steps(state, int(taken[0]))
        if raised is not None:  # by the handler of a signal, such as Ctrl-C, between two layers of a step
            raise raised
        return int(taken[0])

    def _slots(self, state: State, rows: Rows) -> tuple[tuple[Vector, ...], Compact | None]:
        """Return the slots' vectors, and the places of their rows where a lazy rule has some elsewhere."""
        if isinstance(state.rule, LazyAdam) and isinstance(rows.X, Csr):
            state.slots = compacted(state.slots, state.rows, rows.X.occurring)
            if isinstance(state.slots, CompactSlots) and state.slots.room:
                return state.slots.held, (state.slots.places, state.slots.near, state.slots.used)
        return tuple(state.slots), None

    def _packed(self, seen: Seen, rows: Rows) -> _native.PackedRows | None:
        """Return the entries of steady rows that are mostly zeros, found once; None for others."""
        if not rows.steady or seen.sparse is not None:
            return None
        if not rows.kept:
            rows.kept.append(seen.core.pack(seen.X, rows.scale, requested.get()))
        return rows.kept[0]  # type: ignore[no-any-return]

    def _keeps_rule(self, state: State, rows: Rows) -> bool:
        """Whether the compiled step is the rule's: a lazy one needs to know which columns occur."""
        if isinstance(state.rule, Adjusted):
            return not (isinstance(rows.X, Csr) and self.architecture.takes_sparse)
        if not isinstance(state.rule, LazyAdam):
            return True
        keeps = isinstance(rows.X, Csr) and self.architecture.takes_sparse
        return keeps and sparse.is_lazy(state, self._split(state.scratch)[0].shape)

    def _train_by_steps(
        self,
        w: Vector,
        state: State,
        rows: Rows,
        order: NDArray[np.intp],
        plan: Plan,
        batch: int,
        losses: Vector,
        penalties: Vector | None,
    ) -> int:
        """Train with a rule that the compiled code does not have: its gradients, and the rule's own steps."""

        def slopes(index: NDArray[np.intp], gradient: Vector) -> tuple[float, Sparse | None]:
            part = Rows(rows.X[index], rows.targets[index], rows.scale, rows.wanted(index)[1])
            loss = self._gradient(w, part, plan, gradient, state.t)
            if isinstance(part.X, Csr) and self.architecture.takes_sparse:
                return loss, (part.X, self._split(gradient)[0])
            return loss, None

        return steps_of_rule(w, state, order, batch, losses, penalties, self.architecture.untrained, slopes)
