"""The compiled engine: the same contract as the NumPy engine, a whole stretch of steps in one call.

What it does not cover is left to the NumPy engine, and `NativeEngine.core` is the one place that says what that is.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop.csr import Csr
from layerloop.engine.activations import ACTIVATIONS
from layerloop.engine.blas import candidates
from layerloop.engine.reference import ReferenceEngine, Rows
from layerloop.errors import SettingError
from layerloop.layers import ACTIVATIONS as NAMES
from layerloop.layers import Dense
from layerloop.optim import base_of
from layerloop.optim.rules import Adam, AdamW, Descent, Momentum, Nesterov, RMSProp
from layerloop.plan import HEADS
from layerloop.settings import core_count

try:
    import layerloop.engine._native as _native
except ImportError:  # built without a compiler
    _native = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from layerloop.engine.reference import Batch, Vector
    from layerloop.optim import Rule, State
    from layerloop.plan import Architecture, Plan

    Settings = tuple[int, float, float, float, float, float]

FUSED, CROSSENTROPY, MSE = range(3)  # enum class Loss of native/network.h
# enum class Rule of native/kernels.h; every other rule is left to the NumPy engine.
KINDS = {rule: place for place, rule in enumerate((Descent, Momentum, Nesterov, RMSProp, Adam, AdamW))}


def available() -> bool:
    """Whether the compiled engine was built."""
    return _native is not None


def facts() -> dict[str, str]:
    """Return which instruction set, products and number of threads the compiled engine uses."""
    _prepare()
    return {"instructions": _native.isa(), "products": _prepared[0], "threads": str(core_count())}


_prepared: list[str] = []  # the source of the products, once it has been looked for


def _prepare() -> None:
    """Choose instruction set and products, once in a process."""
    if _native is None:
        raise SettingError(
            "the compiled engine is not there: this installation was made without a C++17 compiler. Install one and "
            "reinstall layerloop (LAYERLOOP_REQUIRE_NATIVE=1 shows what fails), or use LAYERLOOP_ENGINE=numpy"
        )
    if _prepared:
        return
    isa = os.environ.get("LAYERLOOP_ISA", "")
    if not _native.select_isa(isa):
        raise SettingError(f"LAYERLOOP_ISA={isa}: this machine or build has no such instruction set; leave it unset")
    found = (blas.source for blas in candidates() if _native.use_blas(*blas[:4]))
    _prepared.append(next(found, "own, slow: no BLAS was found"))


def settings_of(rule: Rule) -> Settings:
    """Return a rule as the compiled engine takes it: kind, rate, rho or beta1, beta2, epsilon, decay."""
    kind, rate = KINDS[type(rule)], base_of(rule.rate)
    match rule:
        case Descent():
            return kind, rate, 0.0, 0.0, 0.0, 0.0
        case Momentum(_, rho) | Nesterov(_, rho):
            return kind, rate, rho, 0.0, 0.0, 0.0
        case RMSProp(_, rho, epsilon):
            return kind, rate, rho, 0.0, epsilon, 0.0
        case Adam(_, (beta1, beta2), epsilon):
            return kind, rate, beta1, beta2, epsilon, 0.0
        case AdamW(_, (beta1, beta2), epsilon, decay):
            return kind, rate, beta1, beta2, epsilon, decay
    raise KeyError(rule)


def fuses(state: State) -> bool:
    """Whether the compiled code takes the steps itself: six rules, at one rate that does not change."""
    return type(state.rule) in KINDS and not callable(state.rule.rate) and state.scale == 1 and not state.parts


def _loss(plan: Plan) -> int:
    return FUSED if plan.fused else MSE if plan.loss == "mse" else CROSSENTROPY


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
        layers = [
            (layer.n_in, layer.n_out, NAMES.index(layer.activation), ACTIVATIONS[layer.activation].keeps_t)
            for layer in architecture.layers
            if isinstance(layer, Dense) and not layer.ntk and layer.members == 1
        ]
        kind = {"float32": _native.Engine32, "float64": _native.Engine64}[dtype]
        whole = bool(layers) and len(layers) == len(architecture.layers)
        self._core = kind(layers, HEADS.index(architecture.head), core_count()) if whole else None

    def core(self, rows: int, plan: Plan | None = None) -> _native.Engine32 | None:
        """Return the compiled code where it covers this, or None: no layers, no rows, a loss of one's own."""
        own_loss = plan is not None and not isinstance(plan.loss, str)
        return self._core if rows and not own_loss else None

    def _rows(self, X: NDArray[Any], scale: float | None) -> NDArray[Any]:
        return np.ascontiguousarray(X, self.dtype if scale is None else np.uint8)

    def _targets(self, y: NDArray[Any]) -> NDArray[Any]:
        return np.ascontiguousarray(y, np.int64 if y.ndim == 1 and y.dtype.kind in "iub" else self.dtype)

    def outputs(self, w: Vector, X: NDArray[Any] | Csr, scale: float | None = None) -> Batch:
        """Return the outputs (n, K) for rows (n, d): floats, or raw bytes with their scale."""
        core = self.core(len(X))
        if core is None or isinstance(X, Csr):
            return self.reference.outputs(w, X, scale)
        outputs = np.empty((len(X), self.architecture.n_out), self.dtype)
        core.outputs(w, self._rows(X, scale), scale, None, FUSED, outputs)
        return outputs

    def outputs_and_loss(self, w: Vector, rows: Rows, plan: Plan) -> tuple[Batch, float]:
        """Return the outputs (n, K) and the mean loss per sample."""
        core = self.core(len(rows.X), plan)
        if core is None or isinstance(rows.X, Csr):
            return self.reference.outputs_and_loss(w, rows, plan)
        outputs = np.empty((len(rows.X), self.architecture.n_out), self.dtype)
        X, y = self._rows(rows.X, rows.scale), self._targets(rows.targets)
        return outputs, core.outputs(w, X, rows.scale, y, _loss(plan), outputs)

    def activations(self, w: Vector, X: Batch | Csr) -> list[Batch]:
        """Return the output of every layer, the head's last where there is one."""
        core = self.core(len(X))
        if core is None or isinstance(X, Csr):
            return self.reference.activations(w, X)
        results = [np.empty((len(X), layer.n_out), self.dtype) for layer in self.architecture.layers]
        core.activations(w, self._rows(X, None), results)
        return results if self.architecture.head == "identity" else [*results, self.outputs(w, X)]

    def value_and_gradient(self, w: Vector, rows: Rows, plan: Plan, gradient: Vector, step: int | None = None) -> float:
        """Return the mean loss of all rows and fill its gradient; see `ReferenceEngine.value_and_gradient`."""
        core = self.core(len(rows.X), plan)
        if core is None or isinstance(rows.X, Csr):
            return self.reference.value_and_gradient(w, rows, plan, gradient, step)
        X, y = self._rows(rows.X, rows.scale), self._targets(rows.targets)
        return core.gradient(w, X, rows.scale, y, _loss(plan), gradient)

    def train(
        self, w: Vector, state: State, rows: Rows, order: NDArray[np.intp], plan: Plan, batch: int, losses: Vector
    ) -> int:
        """Take one step per `batch` entries of `order`; return how many were taken; see `ReferenceEngine.train`."""
        core = self.core(len(order), plan)
        if core is None or isinstance(rows.X, Csr):
            return self.reference.train(w, state, rows, order, plan, batch, losses)
        if not fuses(state):
            return self._train_by_steps(w, state, rows, order, plan, batch, losses)
        X, y = self._rows(rows.X, rows.scale), self._targets(rows.targets)
        settings, order = settings_of(state.rule), np.ascontiguousarray(order, np.int64)
        taken = core.train(
            w, settings, state.t, state.slots, X, rows.scale, y, order, _loss(plan), batch, losses
        )  # fmt: skip
        state.t += taken
        return taken

    def _train_by_steps(
        self, w: Vector, state: State, rows: Rows, order: NDArray[np.intp], plan: Plan, batch: int, losses: Vector
    ) -> int:
        """Train with a rule that the compiled code does not have: its gradients, and the rule's own steps."""
        gradient = np.empty_like(w)
        for step, start in enumerate(range(0, len(order), batch)):
            index = order[start : start + batch]
            part = Rows(rows.X[index], rows.targets[index], rows.scale)
            losses[step] = self.value_and_gradient(w, part, plan, gradient)
            if not np.isfinite(losses[step]):
                return step
            state.rule.step(w, gradient, state)
        return len(losses)
