"""Where the products come from: addresses of a BLAS that is in the process already.

NumPy's own is looked up in its loaded library (0.1 ms); where it has none to offer, SciPy's is asked (150 ms).
"""

from __future__ import annotations

import ctypes
import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

# How builds of NumPy name a symbol of their BLAS: bundled OpenBLAS (2.x, 1.26), plain, MKL-like and Accelerate's.
NAMES = ("scipy_{}_64_", "{}_64_", "scipy_{}_", "{}$NEWLAPACK$ILP64", "{}_")
THREADS = ("scipy_openblas_{}_num_threads64_", "openblas_{}_num_threads64_", "scipy_openblas_{}_num_threads",
           "openblas_{}_num_threads")  # fmt: skip


class Blas(NamedTuple):
    """Addresses of the products in both types and of the limit of threads (0 where there is none), and the source."""

    sgemm: int
    dgemm: int
    set_threads: int
    get_threads: int
    source: str


def candidates() -> Iterator[Blas]:
    """Yield what the process offers, NumPy's first."""
    for path in _numpy_libraries():
        library = ctypes.CDLL(path)
        for name in NAMES:
            products = _addresses(library, [name.format("sgemm"), name.format("dgemm")])
            if products:
                yield Blas(*products, *_thread_limit(library), source="NumPy's")
                break
    capsules = _scipy_capsules()
    if capsules:
        yield Blas(*capsules, 0, 0, source="SciPy's")


def _numpy_libraries() -> list[str]:
    """The library whose symbols include those of its BLAS; on Windows the BLAS itself."""
    umath = import_module("numpy._core._multiarray_umath" if np.__version__ >= "2" else "numpy.core._multiarray_umath")
    found = [str(umath.__file__)]
    if os.name == "nt":
        folder = Path(np.__file__).parents[1] / "numpy.libs"
        found += [str(path) for path in folder.glob("*openblas*.dll")]
    return found


def _addresses(library: ctypes.CDLL, names: list[str]) -> tuple[int, int] | None:
    """The addresses of both symbols, or None."""
    try:
        first, second = (ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0 for name in names)
    except AttributeError:
        return None
    return first, second


def _thread_limit(library: ctypes.CDLL) -> tuple[int, int]:
    found = (_addresses(library, [name.format("set"), name.format("get")]) for name in THREADS)
    return next(filter(None, found), (0, 0))


def _scipy_capsules() -> tuple[int, int] | None:
    """SciPy's products, from the table that it keeps for Cython."""
    try:
        table = import_module("scipy.linalg.cython_blas").__pyx_capi__
    except ImportError:
        return None
    name, pointer = ctypes.pythonapi.PyCapsule_GetName, ctypes.pythonapi.PyCapsule_GetPointer
    name.restype, name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    first, second = (pointer(table[key], name(table[key])) or 0 for key in ("sgemm", "dgemm"))
    return first, second
