"""NumPy's own files, `.npy` and `.npz`, without pickle."""

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
    NonFiniteInputError,
    ShapeError,
    did_you_mean,
)
from layerloop.finite import all_finite

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

MOST_BYTES = 1 << 32
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


def read_column(path: str | os.PathLike[str], *, max_bytes: int = MOST_BYTES) -> NDArray[np.generic]:
    """Read a `.npy` file with one entry, or a few, for each row of another file.

    Raises
    ------
    DataFormatError
        As :func:`read_npy`.
    DataNotFoundError
        No such file.

    Examples
    --------
    >>> read_column("prices.npy").shape  # doctest: +SKIP
    (506,)
    """
    if not Path(path).is_file():
        raise DataNotFoundError(f"the target file {path} does not exist; name a .npy file with an entry for each row")
    with opened(path) as file:
        array = read_array(file, str(path), max_bytes)
    return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array


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
    if not all_finite(rows):
        row, column = (int(i) for i in np.argwhere(~np.isfinite(rows))[0])
        column += skipped is not None and column >= skipped
        raise NonFiniteInputError(
            f"{name} holds {rows[~np.isfinite(rows)][0]} in row {row}, column {column} (both counted "
            "from 0): remove or fill such rows first"
        )
    return rows


def checked_lengths(X: NDArray[np.generic], y: NDArray[np.generic] | None, name: str) -> NDArray[np.generic] | None:
    """Return y with one entry, or several, a row."""
    if y is None:
        return None
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim not in (1, 2) or len(y) != len(X):
        raise ShapeError(f"{name}: X has {len(X):,} rows, so y must have shape ({len(X)},), got {y.shape}")
    return y
