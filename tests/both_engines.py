"""A random network with rows, targets and weights in both engines, and how far their numbers are from one another."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pytest

from every_loss import last_activation, targets, weights
from layerloop.engine import Rows, make_engine, native
from layerloop.layers import Dense
from layerloop.optim import init
from layerloop.plan import Architecture, Plan

if TYPE_CHECKING:
    from collections.abc import Iterator

needs_native = pytest.mark.skipif(not native.available(), reason="the compiled engine is not built: no C++17 compiler")
ENGINES = ["numpy", pytest.param("native", marks=needs_native)]
TOLERANCE = {"float64": 1e-12, "float32": 1e-5}  # relative to the largest entry of what is compared
ISAS = ("baseline", "v3", "v4")


def far(got: np.ndarray | float, expected: np.ndarray | float) -> float:
    difference = np.abs(np.asarray(got, np.float64) - expected).max(initial=0.0)
    return float(difference / max(np.abs(expected).max(initial=0.0), np.finfo(float).tiny))


class Case:
    """A random network, rows and targets, with both engines."""

    def __init__(
        self,
        widths: tuple[int, ...] = (20, 40, 30, 5),
        activation: str = "tanh",
        head: str = "softmax",
        loss: str = "crossentropy",
        dtype: str = "float64",
        n: int = 128,
    ) -> None:
        rng = np.random.default_rng((*widths, n))
        names = [activation] * (len(widths) - 1)
        names[-1] = last_activation(head, loss, names[-1])
        layers = tuple(Dense(a, b, name) for a, b, name in zip(widths[:-1], widths[1:], names, strict=True))
        self.architecture = a = Architecture(layers, head, widths[0])
        self.plan = Plan(a, loss, dtype)
        self.w = (0.3 * rng.normal(size=a.size)).astype(dtype)
        self.X = rng.normal(size=(n, widths[0])).astype(dtype)
        self.y, self.soft = (targets(loss, n, a.n_out, dtype, soft=soft)[0] for soft in (False, True))
        self.order = rng.permutation(n)
        self.numpy, self.native = (make_engine(a, dtype, name) for name in ("numpy", "native"))

    def rows(self, *, soft: bool = False, weighted: bool = False) -> Rows:
        own = weights(len(self.X), self.plan.dtype) if weighted else None
        return Rows(self.X, self.soft if soft else self.y, None, own)

    def trained(
        self, engine: object, rule: object, batch: int = 32, passes: int = 3, rows: Rows | None = None
    ) -> tuple:
        w, state = self.w.copy(), init(rule, self.w)
        losses = np.empty(-(-len(self.order) // batch))
        for _ in range(passes):
            taken = engine.train(w, state, rows or self.rows(), self.order, self.plan, batch, losses)
            assert taken == len(losses)
        return w, state, losses


@contextmanager
def instructions(isa: str) -> Iterator[None]:
    """Force an instruction set in this process, or skip the test where the machine has none of that name."""
    native._prepare()  # which selects too, when the engine is first used
    if not native._native.select_isa(isa):
        pytest.skip(f"this machine has no {isa}")
    try:
        yield
    finally:
        native._native.select_isa(os.environ.get("LAYERLOOP_ISA", ""))
