# What the compiled module offers: native/module.cpp and engine.h. One class for each float type.
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Sparse: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[Any], NDArray[np.floating]]
Compact: TypeAlias = tuple[NDArray[np.int32], Sequence[NDArray[np.floating]], NDArray[np.int64]]
Wanted: TypeAlias = tuple[int, float, NDArray[np.floating], NDArray[Any], NDArray[np.floating] | None]

class PackedRows: ...

class Engine32:
    def __init__(self, layers: Sequence[tuple[Any, ...]], head: int, threads: int) -> None: ...
    def train(
        self,
        w: NDArray[np.floating],
        settings: tuple[int, float, float, float, float, float, float],
        rates: NDArray[np.floating],
        t: int,
        slots: Sequence[NDArray[np.floating]],
        X: NDArray[Any],
        scale: float | None,
        wanted: Wanted,
        order: NDArray[np.int64],
        batch: int,
        losses: NDArray[np.floating],
        taken: NDArray[np.int64],
        seed: int,
        sparse: Sparse | None = None,
        tables: Sequence[NDArray[np.floating]] = (),
        lazy: bool = False,
        compact: Compact | None = None,
        around: tuple[Any, ...] | None = None,
        average: NDArray[np.floating] | None = None,
        penalties: NDArray[np.floating] | None = None,
        packed: PackedRows | None = None,
        threads: int = 0,
    ) -> BaseException | None: ...
    def pack(self, X: NDArray[Any], scale: float | None, threads: int = 0) -> PackedRows | None: ...
    def gradient(
        self,
        w: NDArray[np.floating],
        X: NDArray[Any],
        scale: float | None,
        wanted: Wanted,
        into: NDArray[np.floating],
        seed: int,
        step: int | None,
        sparse: Sparse | None = None,
        dW: NDArray[np.floating] | None = None,
        threads: int = 0,
    ) -> float: ...
    def outputs(
        self,
        w: NDArray[np.floating],
        X: NDArray[Any],
        scale: float | None,
        wanted: Wanted | None,
        into: NDArray[np.floating],
        sparse: Sparse | None = None,
        threads: int = 0,
    ) -> float: ...
    def predict(
        self,
        w: NDArray[np.floating],
        X: NDArray[Any],
        scale: float | None,
        into: NDArray[np.floating],
        threads: int = 0,
    ) -> bool: ...
    def activations(
        self,
        w: NDArray[np.floating],
        X: NDArray[np.floating],
        into: Sequence[NDArray[np.floating]],
        sparse: Sparse | None = None,
    ) -> None: ...

class Engine64(Engine32): ...

def select_isa(name: str) -> bool: ...
def isa() -> str: ...
def has_tiles() -> bool: ...
def end_calls() -> None: ...
def forget_calls() -> None: ...
def blas_threads() -> int: ...
def use_blas(sgemm: int, dgemm: int, set_threads: int, get_threads: int) -> bool: ...
def products_bound(widths: Sequence[int], batch: int, steps: int, blas_threads: int, halved: bool) -> float: ...
