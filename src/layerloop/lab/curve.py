"""The passes of a run as a curve of bounded length: when it is full, every second point goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

POINTS = 400


class Curve:
    """Points of passes, evenly spaced, and the last one always.

    Examples
    --------
    >>> curve = Curve(most=4)
    >>> for epoch in range(1, 12): curve.add({"epoch": epoch, "loss": 1 / epoch})
    >>> curve.columns()["epoch"]
    [1, 5, 9, 11]
    """

    def __init__(self, most: int = POINTS) -> None:
        self.most = most
        self._every = 1
        self._count = 0
        self._rows: list[Mapping[str, float]] = []
        self._last: Mapping[str, float] | None = None

    def add(self, row: Mapping[str, float]) -> None:
        """Add a pass."""
        if self._count % self._every == 0:
            self._rows.append(row)
        if len(self._rows) >= self.most:
            self._rows, self._every = self._rows[::2], 2 * self._every
        self._count += 1
        self._last = row

    def columns(self) -> dict[str, list[float]]:
        """Return the points by column, with five digits: `epoch`, `loss` and what else was watched."""
        rows = list(self._rows)
        if self._last is not None and rows[-1] is not self._last:
            rows.append(self._last)
        names = [name for name in (rows[0] if rows else {}) if name not in ("seconds", "samples_per_second")]
        return {name: [_short(row[name]) for row in rows] for name in names}


def _short(value: float) -> float:
    return value if isinstance(value, int) else float(f"{value:.5g}")
