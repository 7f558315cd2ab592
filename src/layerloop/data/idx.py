"""IDX files, the format of MNIST: two zero bytes, a type code, how many dimensions, the dimensions, the numbers.

The header is checked against the bytes that follow before anything of that size is kept, plain or gzip.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from contextlib import contextmanager
from io import BytesIO
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import numpy as np

from layerloop.errors import DataFormatError, DataNotFoundError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

# Type code -> NumPy's name of the numbers as they lie in the file (big-endian).
TYPES: Mapping[int, str] = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
GZIP = b"\x1f\x8b"
MOST_DIMENSIONS = 32  # what every supported NumPy can hold
PIECE = 1 << 20  # a promise is believed one mebibyte at a time


def read_idx(path: str | os.PathLike[str], *, max_bytes: int = 1 << 30) -> NDArray[np.generic]:
    """Read an IDX file, plain or gzip, as a C-ordered array in the machine's byte order.

    Parameters
    ----------
    path : path
        The file; gzip is recognised by its first bytes, not by its name.
    max_bytes : int
        The largest uncompressed size, in bytes, that is read.

    Returns
    -------
    array
        Shape and type as the header declares them: (n,) labels, (n, h, w) pictures.

    Raises
    ------
    DataFormatError
        A wrong magic number, too few or too many bytes, damaged gzip, a size above `max_bytes`.
    DataNotFoundError
        The file cannot be opened.

    Examples
    --------
    >>> read_idx("t10k-images-idx3-ubyte.gz").shape  # doctest: +SKIP
    (10000, 28, 28)
    """
    return parse_idx(read_idx_bytes(path, max_bytes=max_bytes), str(path))


def read_idx_bytes(path: str | os.PathLike[str], *, max_bytes: int = 1 << 30) -> bytearray:
    """Return the uncompressed bytes of an IDX file, whose number is the one that its header promises.

    Raises
    ------
    DataFormatError, DataNotFoundError
        As :func:`read_idx`.
    """
    with opened(path) as file:
        return exact_bytes(file, str(path), max_bytes)


def unpacked(content: bytes, name: str, *, max_bytes: int = 1 << 30) -> bytearray:
    """Return the uncompressed bytes of an IDX file in memory, plain or gzip; `name` is for the messages."""
    file: BinaryIO = BytesIO(content)
    with read_errors(name):
        return exact_bytes(ungzipped(file), name, max_bytes)


def sha256(content: bytes | bytearray) -> str:
    """Return the SHA-256 of `content` in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def parse_idx(content: bytearray, name: str) -> NDArray[np.generic]:
    """Return the array in the checked bytes of an IDX file; bytes are not copied."""
    dtype, shape, start = parse_header(content, name)
    numbers = np.frombuffer(content, dtype, offset=start).reshape(shape)
    return numbers.astype(dtype.newbyteorder("="), copy=False)


def parse_header(content: bytes | bytearray, name: str) -> tuple[np.dtype[np.generic], tuple[int, ...], int]:
    """Return (type, shape, where the numbers begin)."""
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in TYPES:
        raise DataFormatError(
            f"{name} is not an IDX file: it begins with {bytes(content[:4]).hex(' ') or 'nothing'}, "
            "expected 00 00, a type code (08, 09, 0b to 0e) and the number of dimensions"
        )
    start = 4 + 4 * content[3]
    if not 1 <= content[3] <= MOST_DIMENSIONS:
        raise DataFormatError(f"{name} declares {content[3]} dimensions, expected 1 to {MOST_DIMENSIONS}")
    if len(content) < start:
        raise DataFormatError(f"{name} ends within its header: {len(content)} of {start} bytes")
    shape = tuple(int(n) for n in np.frombuffer(content[4:start], ">u4"))
    if 0 in shape:
        raise DataFormatError(f"{name} holds no numbers: its header declares the shape {shape}")
    return np.dtype(TYPES[content[2]]), shape, start


def exact_bytes(file: BinaryIO, name: str, max_bytes: int) -> bytearray:
    """Read header and numbers, and at most one byte more than the header promises."""
    content = bytearray(file.read(4))
    content += file.read(4 * content[3]) if len(content) == 4 else b""
    dtype, shape, start = parse_header(content, name)
    promised = start + prod(shape) * dtype.itemsize
    if promised > max_bytes:
        raise DataFormatError(
            f"{name} declares {promised:,} bytes (shape {shape}), more than the {max_bytes:,} that are read"
        )
    content += read_at_most(file, promised + 1 - start)
    if len(content) != promised:
        came = "more follow" if len(content) > promised else f"only {len(content):,} are there"
        raise DataFormatError(f"{name} declares {promised:,} bytes (shape {shape}), but {came}; fetch the file anew")
    return content


def read_at_most(file: BinaryIO, most: int) -> bytearray:
    """Read up to `most` bytes; memory grows with what is there, not with what is promised."""
    content = bytearray()
    while piece := file.read(min(PIECE, most - len(content))):
        content += piece
    return content


def ungzipped(file: BinaryIO) -> BinaryIO:
    """Return the stream itself, or its uncompressed twin when it begins as gzip does."""
    begins = file.read(2)
    file.seek(0)
    return cast("BinaryIO", gzip.GzipFile(fileobj=file)) if begins == GZIP else file


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file, uncompressed on the way when it is gzip; damage becomes an error that names it."""
    if not Path(path).is_file():
        what = "is a folder" if Path(path).is_dir() else "does not exist"
        raise DataNotFoundError(f"cannot read {path}: it {what}; name a data file")
    with read_errors(str(path)), Path(path).open("rb") as file:
        yield ungzipped(file)


@contextmanager
def read_errors(name: str) -> Iterator[None]:
    """Turn what a damaged gzip or an unreadable file raises into the library's errors."""
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataFormatError(f"{name} is damaged gzip: {error}; fetch the file anew") from None
    except OSError as error:
        if isinstance(error, DataNotFoundError):
            raise
        raise DataNotFoundError(f"cannot read {name}: {error.strerror or error}") from None
