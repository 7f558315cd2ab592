"""Outputs for any number of rows: in blocks, in bounded memory, and for a single row with little around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop.data.batches import check_finite
from layerloop.engine import BLOCK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from layerloop.csr import Csr
    from layerloop.engine import Engine
    from layerloop.preprocessing import Inputs

    Ready = Callable[[NDArray[np.generic] | Csr], tuple[NDArray[Any] | Csr, float | None]]

STRETCH = 32 * BLOCK  # rows for one call of an engine where nothing is converted; Ctrl-C is heard in between


def predict(
    engine: Engine,
    w: NDArray[np.floating],
    inputs: Inputs,
    rows: NDArray[np.generic] | Csr,
    into: NDArray[np.floating],
    ready: Ready | None = None,
) -> None:
    """Fill `into` (n, K) with the outputs for rows (n, d) of any type; what has to be converted is so block by block.

    `ready` stands for a network whose rows are to be looked at more closely than for numbers that are not finite.

    Raises
    ------
    InputError, NonFiniteInputError
        As `Inputs.apply`, with the place among all rows.
    """
    plain = isinstance(rows, np.ndarray) and rows.flags.c_contiguous and not inputs.standardises and ready is None
    as_they_are = plain and (rows.dtype == engine.dtype or inputs.keeps_bytes(rows.dtype))
    if as_they_are and 0 < len(rows) <= STRETCH:  # for one row, cutting blocks would take a third of the time
        if not engine.predict(w, rows, inputs.scale if rows.dtype == np.uint8 else None, into):
            check_finite(rows)
        return
    for part in blocks(len(rows), STRETCH if as_they_are else BLOCK):
        X, scale = ready(rows[part]) if ready else inputs.unchecked(rows[part], engine.dtype)
        if not engine.predict(w, X, scale, into[part]):
            check_finite(X, first=part.start)


def blocks(n: int, size: int = BLOCK) -> Iterator[slice]:
    """Blocks of rows: BLAS is at full speed in them, and memory stays bounded however many rows there are."""
    return (slice(start, start + size) for start in range(0, n, size))
