"""NumPy's own files, `.npy` and `.npz`, without pickle, and what a target column means: classes or values."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import numpy as np
from numpy.lib import format as npy

from layerloop.data.idx import opened, read_at_most
from layerloop.errors import (
    DataFormatError,
    DataNotFoundError,
    InputError,
    LabelError,
    NonFiniteInputError,
    ShapeError,
    did_you_mean,
    look_up,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

MOST_BYTES = 1 << 32
MOST_CLASSES = 20  # whole numbers with more distinct values than this are read as values
KINDS: Mapping[str, str] = {"classes": "classes", "values": "values"}
# The accepted spellings of each array in a .npz, the one to use first.
KEYS: Mapping[str, tuple[str, ...]] = {
    "X": ("X", "x", "data", "x_train", "X_train"),
    "y": ("y", "target", "labels", "y_train"),
    "X_test": ("x_test", "X_test"),
    "y_test": ("y_test",),
}
# All that NumPy's header parser lets through from a hostile header (found by mutating files).
HEADER_ERRORS = (ValueError, TypeError, KeyError, IndexError, AttributeError, SyntaxError, RecursionError,
                 MemoryError, OverflowError, tokenize.TokenError)  # fmt: skip


@dataclass(frozen=True)
class Target:
    """A target column: `kind` "classes" (y: int64 indices, and names) or "values" (y: float64, no names)."""

    kind: str
    y: NDArray[np.generic]
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Arrays:
    """What a `.npy` or `.npz` file holds.

    X is (n, d), float32 or float64, or uint8 when it came as a stack of uint8 pictures; y is as in the file,
    or None; `image` is (h, w) when the rows were pictures; the test arrays are None without a split.
    """

    X: NDArray[np.generic]
    y: NDArray[np.generic] | None = None
    X_test: NDArray[np.generic] | None = None
    y_test: NDArray[np.generic] | None = None
    image: tuple[int, int] | None = None


def read_npy(path: str | os.PathLike[str], *, target: int | None = None, max_bytes: int = MOST_BYTES) -> Arrays:
    """Read a two-dimensional `.npy` file; column number `target` (-1 is the last) becomes y.

    Without `target` every column is a feature, as for prediction.

    Raises
    ------
    DataFormatError
        Not a `.npy` file, damaged, object arrays, more than `max_bytes`.
    ShapeError
        Not two-dimensional, or no such column.
    NonFiniteInputError
        NaN or infinity, with row and column.

    Examples
    --------
    >>> read_npy("houses.npy", target=-1).X.shape  # doctest: +SKIP
    (506, 13)
    """
    with opened(path) as file:
        array = read_array(file, str(path), max_bytes)
    if target is None:
        return Arrays(*as_rows(array, str(path), image=False)[:1])
    column = column_number(array, target, str(path))
    rows, _ = as_rows(np.delete(array, column, axis=1), str(path), image=False, skipped=column)
    return Arrays(rows, np.ascontiguousarray(array[:, column]))


def column_number(array: NDArray[np.generic], target: object, name: str) -> int:
    """Return the target's column counted from 0, after the checks."""
    if array.ndim != 2 or array.shape[1] < 2:
        raise ShapeError(f"{name}: expected rows of features and a target, got shape {array.shape}")
    width: int = array.shape[1]
    if not isinstance(target, int) or isinstance(target, bool) or not -width <= target < width:
        raise ShapeError(f"{name}: target is a column number from {-width} to {width - 1}, got {target!r}")
    return int(target) % width


def read_npz(path: str | os.PathLike[str], *, max_bytes: int = MOST_BYTES) -> Arrays:
    """Read a `.npz` file with the arrays X and y, or x_train, y_train, x_test, y_test; pictures become rows.

    Raises
    ------
    DataFormatError
        Not a `.npz` file, damaged, object arrays, no X, two arrays for one part, above `max_bytes`.
    ShapeError
        X and y differ in their number of rows.
    NonFiniteInputError
        NaN or infinity, with row and column.

    Examples
    --------
    >>> read_npz("mnist.npz").X.shape  # doctest: +SKIP
    (60000, 784)
    """
    found = {part: array for part, (_, array) in read_parts(path, max_bytes).items()}
    name = str(path)
    X, image = as_rows(found["X"], f"{name}: X")
    y = found.get("y")
    if "X_test" not in found or "y_test" not in found:
        return Arrays(X, checked_lengths(X, y, name), image=image)
    X_test, _ = as_rows(found["X_test"], f"{name}: X_test")
    if X_test.shape[1] != X.shape[1]:
        raise ShapeError(f"{name}: X has {X.shape[1]} columns but X_test has {X_test.shape[1]}")
    y_test = checked_lengths(X_test, found["y_test"], name)
    return Arrays(X, checked_lengths(X, y, name), X_test, y_test, image)


def npz_has_test(path: str | os.PathLike[str]) -> bool:
    """Return whether a `.npz` file has a test split of its own (only its table of contents is read)."""
    with opened_zip(path) as archive:
        return {"X_test", "y_test"} <= set(keys_of(archive, str(path)))


def read_parts(path: str | os.PathLike[str], max_bytes: int) -> dict[str, tuple[str, NDArray[np.generic]]]:
    """Return part -> (key, array) for the known parts of a `.npz` file."""
    with opened_zip(path) as archive:
        keys = keys_of(archive, str(path))
        declared = sum(archive.getinfo(f"{key}.npy").file_size for key in keys.values())
        if declared > max_bytes:
            raise DataFormatError(f"{path} unpacks to {declared:,} bytes, more than the {max_bytes:,} that are read")
        return {part: (key, read_member(archive, key, str(path))) for part, key in keys.items()}


def keys_of(archive: zipfile.ZipFile, name: str) -> dict[str, str]:
    """Return part -> key in the file; X must be there, and nothing twice."""
    held = [entry.removesuffix(".npy") for entry in archive.namelist() if entry.endswith(".npy")]
    found: dict[str, str] = {}
    for part, spellings in KEYS.items():
        keys = [key for key in held if key in spellings]
        if len(keys) > 1:
            raise DataFormatError(f"{name} holds {' and '.join(keys)}, which both mean {part}: keep one of them")
        if keys:
            found[part] = keys[0]
    if "X" not in found:
        hint = did_you_mean("X", held) if held else ""
        raise DataFormatError(
            f"{name} has no array X; it holds {', '.join(held) or 'no arrays'}.{hint} "
            "Save with np.savez(file, X=X, y=y)"
        )
    return found


def read_member(archive: zipfile.ZipFile, key: str, name: str) -> NDArray[np.generic]:
    """Return one array of a `.npz`; the declared size of the member bounds what is unpacked."""
    info = archive.getinfo(f"{key}.npy")
    with archive.open(info) as file:
        return read_array(cast("BinaryIO", file), f"{name}: {key}", info.file_size)


@contextmanager
def opened_zip(path: str | os.PathLike[str]) -> Iterator[zipfile.ZipFile]:
    """Open a zip file; damage, encryption and unknown compression become errors that name it."""
    if not Path(path).is_file():
        raise DataNotFoundError(f"cannot read {path}: it does not exist; name a .npz file")
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise DataFormatError(f"{path} is not a sound .npz file: {error}") from None
    except OSError as error:
        if isinstance(error, DataNotFoundError):
            raise
        raise DataFormatError(f"{path} is not a sound .npz file: {error.strerror or error}") from None


def read_array(file: BinaryIO, name: str, max_bytes: int) -> NDArray[np.generic]:
    """Read one array in NumPy's format; its header must promise exactly the bytes that follow."""
    shape, fortran, dtype = read_header(file, name)
    if dtype.hasobject or dtype.kind not in "biufUS":
        raise DataFormatError(
            f"{name} holds {dtype} entries; only whole and real numbers, and text for labels, are read (never pickle)"
        )
    size = prod(shape) * dtype.itemsize
    if size > max_bytes:
        raise DataFormatError(f"{name} declares {size:,} bytes (shape {shape}), more than {max_bytes:,}")
    content = read_at_most(file, size + 1)
    if len(content) != size:
        came = "more follow" if len(content) > size else f"only {len(content):,} are there"
        raise DataFormatError(f"{name} declares {size:,} bytes (shape {shape}), but {came}")
    if not size:
        raise ShapeError(f"{name} is empty: its shape is {shape}")
    array = np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")
    return np.ascontiguousarray(array, dtype.newbyteorder("="))


def read_header(file: BinaryIO, name: str) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    """Return (shape, Fortran order, type) of an array in NumPy's format."""
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    try:
        version = npy.read_magic(file)
        shape, fortran, dtype = readers[version](file)
        if any(n < 0 for n in shape):
            raise ValueError(f"shape {shape}")
    except HEADER_ERRORS as error:
        raise DataFormatError(f"{name} is not an array in NumPy's .npy format: {error}") from None
    return shape, fortran, dtype


def as_rows(
    array: NDArray[np.generic], name: str, *, image: bool = True, skipped: int | None = None
) -> tuple[NDArray[np.generic], tuple[int, int] | None]:
    """Return rows (n, d) and the picture's (h, w), if rows were pictures.

    A stack of uint8 pictures stays bytes; every other array of bytes or whole numbers becomes floats.
    """
    if array.dtype.kind in "US":
        raise InputError(f"{name} holds text; features must be numbers")
    if image and (array.ndim == 3 or (array.ndim == 4 and array.shape[3] == 1)):
        h, w = array.shape[1:3]
        rows = array.reshape(len(array), h * w)
        return (rows if rows.dtype == np.uint8 else floats(rows, name, None)), (h, w)
    if array.ndim != 2:
        raise ShapeError(f"{name} must be (n_samples, n_features), got shape {array.shape}")
    return floats(array, name, skipped), None


def floats(rows: NDArray[np.generic], name: str, skipped: int | None) -> NDArray[np.generic]:
    """Return rows as float32 where that holds them exactly, as float64 otherwise; all finite."""
    small = rows.dtype.kind == "b" or rows.dtype.name in (
        "uint8",
        "int8",
        "uint16",
        "int16",
        "float16",
        "float32",
    )
    rows = np.ascontiguousarray(rows, np.float32 if small else np.float64)
    if not (np.isfinite(rows.min()) and np.isfinite(rows.max())):
        row, column = (int(i) for i in np.argwhere(~np.isfinite(rows))[0])
        column += skipped is not None and column >= skipped
        raise NonFiniteInputError(
            f"{name} holds {rows[~np.isfinite(rows)][0]} in row {row}, column {column} (both counted "
            "from 0): remove or fill such rows first"
        )
    return rows


def checked_lengths(X: NDArray[np.generic], y: NDArray[np.generic] | None, name: str) -> NDArray[np.generic] | None:
    """Return y as a vector with one entry a row."""
    if y is None:
        return None
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1 or len(y) != len(X):
        raise ShapeError(f"{name}: X has {len(X):,} rows, so y must have shape ({len(X)},), got {y.shape}")
    return y


def as_target(
    cells: Sequence[str] | NDArray[np.generic],
    kind: str | None = None,
    *,
    where: Callable[[int], str],
    classes: Sequence[str] | None = None,
) -> Target:
    """Return a target column as class indices or values.

    Text means classes; whole numbers with at most 20 distinct values mean classes; all else means values.
    `kind` and `classes` (the names of a trained network's classes, in its order) overrule that.

    Parameters
    ----------
    cells : n texts or numbers
    kind : "classes", "values" or None
    where : row number -> "file:line: column 'name'", for the messages
    classes : names, optional

    Raises
    ------
    LabelError
        `kind="classes"` with fractions; a label that is not among `classes`.
    DataFormatError
        Text where values are expected.
    NonFiniteInputError
        NaN or infinity.

    Examples
    --------
    >>> as_target(["no", "yes", "no"], where=str)
    Target(kind='classes', y=array([0, 1, 0]), classes=('no', 'yes'))
    """
    if kind is not None:
        look_up(KINDS, kind, "kind of target")
    if classes is not None:
        return known_classes(cells, tuple(classes), where)
    numbers, bad = as_numbers(cells)
    if bad:
        return text_target([str(cell) for cell in cells], kind, where, bad[0])
    check_finite(numbers, where)
    fractions = np.flatnonzero(numbers != np.rint(numbers))
    if kind == "classes" and len(fractions):
        first = int(fractions[0])
        raise LabelError(
            f"{where(first)} holds {numbers[first]!s}, which is no class: classes are text or whole numbers; "
            "for values use kind='values'"
        )
    if kind == "values" or len(fractions):
        return Target("values", numbers, ())
    distinct, y = np.unique(numbers, return_inverse=True)
    if kind is None and len(distinct) > MOST_CLASSES:
        return Target("values", numbers, ())
    return Target("classes", y.astype(np.int64), tuple(str(int(value)) for value in distinct))


def as_numbers(cells: Sequence[str] | NDArray[np.generic]) -> tuple[NDArray[np.float64], list[int]]:
    """Return the cells as numbers, and where the first cell stands that is none."""
    if isinstance(cells, np.ndarray) and cells.dtype.kind not in "US":
        return cells.astype(np.float64), []
    numbers = np.empty(len(cells))
    for i, cell in enumerate(cells):
        number = as_number(str(cell))
        if number is None:
            return numbers, [i]
        numbers[i] = number
    return numbers, []


def as_number(cell: str) -> float | None:
    """Return the number that a cell spells, or None; Python's own 1_000 is no number in a table."""
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


def check_finite(numbers: NDArray[np.float64], where: Callable[[int], str]) -> None:
    """Raise NonFiniteInputError with the place of the first NaN or infinity in a target."""
    bad = np.flatnonzero(~np.isfinite(numbers))
    if len(bad):
        raise NonFiniteInputError(f"{where(int(bad[0]))} holds {numbers[bad[0]]}: every target must be finite")


def text_target(cells: list[str], kind: str | None, where: Callable[[int], str], bad: int) -> Target:
    """Return a target that holds text; many numbers with a text among them are a slip, not classes."""
    names, y = np.unique(np.array(cells), return_inverse=True)
    slip = kind is None and len(names) > MOST_CLASSES and sum(as_number(cell) is None for cell in cells) * 2 < len(y)
    if kind == "values" or slip:
        raise DataFormatError(
            f"{where(bad)} holds {cells[bad]!r}, expected a number; if these are names of classes, use kind='classes'"
        )
    return Target("classes", y.astype(np.int64), tuple(str(name) for name in names))


def known_classes(
    cells: Sequence[str] | NDArray[np.generic], classes: tuple[str, ...], where: Callable[[int], str]
) -> Target:
    """Return the indices of labels in the classes of a trained network."""
    index = {name: i for i, name in enumerate(classes)}
    y = np.empty(len(cells), np.int64)
    for i, cell in enumerate(cells):
        name = str(cell) if str(cell) in index else whole_name(str(cell))
        if name not in index:
            raise LabelError(f"{where(i)} holds {str(cell)!r}, which is not a class here.{did_you_mean(cell, classes)}")
        y[i] = index[name]
    return Target("classes", y, classes)


def whole_name(cell: str) -> str:
    """Return "3" for "3.0" and "03", the cell itself for all else."""
    number = as_number(cell)
    return str(int(number)) if number is not None and number.is_integer() else cell
