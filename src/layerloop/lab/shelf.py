"""The data sets that the page offers: a fixed table, made when the command starts. No request names a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layerloop.data import Dataset, has_test, read, status
from layerloop.errors import DataNotFoundError, look_up
from layerloop.lab.planes import PLANES, plane

if TYPE_CHECKING:
    from layerloop.data.named import PathLike


@dataclass
class Shelf:
    """Named sets that are on this machine, sets in the plane, and at most one file that the command named.

    Parameters
    ----------
    file : path, optional
    target : str, optional
        The file's target column.
    data_dir : path, optional

    Examples
    --------
    >>> shelf = Shelf()
    >>> [row["name"] for row in shelf.rows() if row["there"]][:4]
    ['moons', 'circles', 'spirals', 'digits']
    """

    file: str | None = None
    target: str | None = None
    data_dir: PathLike | None = None
    _read: dict[str, tuple[Dataset, Dataset | None]] = field(default_factory=dict, repr=False)

    def rows(self) -> list[dict[str, Any]]:
        """Return a plain dict a set: its name, its kind, whether it is on this machine."""
        named = {row["name"]: row["where"] is not None for row in status(data_dir=self.data_dir)}
        found = [{"name": name, "kind": "plane", "there": True} for name in PLANES]
        found += [{"name": name, "kind": "pictures", "there": named[name]} for name in sorted(named)]
        if self.file:
            found.insert(0, {"name": Path(self.file).name, "kind": "file", "there": True})
        return found

    def read(self, name: object) -> tuple[Dataset, Dataset | None]:
        """Return (training, test) of a set of the table; without a test part None.

        Raises
        ------
        UnknownNameError, DataNotFoundError
            When it is none of them, or is not on this machine: nothing is fetched for a page.
        """
        row: dict[str, Any] = look_up({row["name"]: row for row in self.rows()}, name, "data set")
        if not row["there"]:
            raise DataNotFoundError(f"{name} is not on this machine: layerloop data fetch {name}")
        key = str(name)
        if key not in self._read:
            self._read[key] = self._fresh(key, row["kind"])
        return self._read[key]

    def _fresh(self, name: str, kind: str) -> tuple[Dataset, Dataset | None]:
        if kind == "plane":
            return plane(name), None
        source = str(self.file) if kind == "file" else name
        settings: dict[str, Any] = {"target": self.target} if kind == "file" else {"data_dir": self.data_dir}
        test = read(source, "test", **settings) if has_test(source) else None
        return read(source, "train", **settings), test
