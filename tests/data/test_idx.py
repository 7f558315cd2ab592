"""The IDX reader believes nothing that it has not counted."""

from __future__ import annotations

import gzip
import os
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from layerloop.data.idx import TYPES, read_idx, read_idx_bytes, sha256, unpacked
from layerloop.errors import DataFormatError, DataNotFoundError


def idx(array: np.ndarray, code: int) -> bytes:
    """The bytes of an IDX file, written independently of the reader."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return header + array.astype(TYPES[code]).tobytes()


PICTURES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
GOOD = idx(PICTURES, 0x08)


@pytest.mark.parametrize("code", TYPES)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_every_type_comes_back_in_native_order(tmp_path: Path, code: int, packed: bool) -> None:
    wanted = np.array([[1, 2, 3], [100, 0, 7]]).astype(TYPES[code])
    if code in (0x0D, 0x0E):
        wanted[0, 0] = -0.1
    file = tmp_path / "any-name"
    file.write_bytes(gzip.compress(idx(wanted, code)) if packed else idx(wanted, code))
    got = read_idx(file)
    assert got.dtype.isnative
    assert got.dtype == np.dtype(TYPES[code]).newbyteorder("=")
    assert got.flags.c_contiguous
    assert got.flags.writeable
    np.testing.assert_array_equal(got, wanted)


BAD = {
    "empty": (b"", "nothing"),
    "short magic": (b"\0\0\x08", "not an IDX file"),
    "first bytes not zero": (b"\x01" + GOOD[1:], "begins with 01 00 08 03"),
    "unknown type": (b"\0\0\x0a" + GOOD[3:], "not an IDX file"),
    "a PNG": (b"\x89PNG\r\n\x1a\n" + bytes(100), "89 50 4e 47"),
    "no dimensions": (b"\0\0\x08\0\x05", "0 dimensions"),
    "255 dimensions": (b"\0\0\x08\xff" + bytes(2000), "255 dimensions"),
    "header cut": (GOOD[:10], "ends within its header: 10 of 16 bytes"),
    "a byte short": (GOOD[:-1], "declares 40 bytes (shape (2, 3, 4)), but only 39 are there"),
    "a byte more": (GOOD + b"x", "but more follow"),
    "no rows": (struct.pack(">BBBBI", 0, 0, 8, 1, 0), "holds no numbers"),
    "overflowing product": (struct.pack(">BBBB4I", 0, 0, 8, 4, *[2**31] * 4), "more than the 1,073,741,824"),
    "more than wanted": (struct.pack(">BBBBI", 0, 0, 8, 1, 2**30), "more than the"),
}


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_bad_files_are_refused_with_their_name(tmp_path: Path, content: bytes, message: str, packed: bool) -> None:
    file = tmp_path / "bad.idx"
    file.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(DataFormatError) as caught:
        read_idx(file)
    assert "bad.idx" in str(caught.value)
    assert message in str(caught.value)


PACKED = gzip.compress(GOOD)
BAD_GZIP = {
    "truncated": PACKED[:-12],
    "without its sum": PACKED[:-8],
    "wrong sum": PACKED[:-8] + bytes(8),
    "bits flipped": PACKED[:20] + bytes(b ^ 0xFF for b in PACKED[20:-8]) + PACKED[-8:],
    "rubbish behind": PACKED + b"rubbish",
    "only the magic": b"\x1f\x8b",
}


@pytest.mark.parametrize("content", BAD_GZIP.values(), ids=BAD_GZIP)
def test_damaged_gzip_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "bad.gz"
    file.write_bytes(content)
    with pytest.raises(DataFormatError, match=r"bad\.gz is damaged gzip"):
        read_idx(file)


def test_a_gzip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    file = tmp_path / "bomb.gz"
    file.write_bytes(gzip.compress(GOOD + bytes(200 << 20), 1))
    tracemalloc.start()
    with pytest.raises(DataFormatError, match="but more follow"):
        read_idx(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_a_false_promise_costs_no_memory(tmp_path: Path) -> None:
    file = tmp_path / "promise"
    file.write_bytes(struct.pack(">BBBBI", 0, 0, 8, 1, 10**9) + b"abc")
    tracemalloc.start()
    with pytest.raises(DataFormatError, match="only 11 are there"):
        read_idx(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_max_bytes_counts_the_uncompressed_file(tmp_path: Path) -> None:
    file = tmp_path / "a.gz"
    file.write_bytes(PACKED)
    assert read_idx(file, max_bytes=len(GOOD)).shape == (2, 3, 4)
    with pytest.raises(DataFormatError, match="declares 40 bytes"):
        read_idx(file, max_bytes=len(GOOD) - 1)


def test_bytes_and_sum_are_those_of_the_uncompressed_file(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(PACKED)
    assert read_idx_bytes(file) == GOOD == unpacked(PACKED, "memory") == unpacked(GOOD, "memory")
    assert sha256(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(DataFormatError, match="from afar is damaged gzip"):
        unpacked(PACKED[:-3], "from afar")


def test_what_is_not_there_and_what_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match="does not exist"):
        read_idx(tmp_path / "missing")
    with pytest.raises(DataNotFoundError, match="is a folder"):
        read_idx(tmp_path)


def test_mutated_files_raise_nothing_else(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    file = tmp_path / "fuzz"
    outcomes = set()
    for trial in range(400):
        content = bytearray(PACKED if trial % 2 else GOOD)
        for at in random.integers(0, len(content), random.integers(1, 4)):
            content[at] = random.integers(0, 256)
        file.write_bytes(content[: random.integers(1, len(content) + 1)])
        try:
            outcomes.add(read_idx(file, max_bytes=1 << 20).shape)
        except DataFormatError:
            outcomes.add("refused")
    assert "refused" in outcomes


def test_mnist_as_it_is_distributed() -> None:
    folder = Path(os.environ.get("LAYERLOOP_DATA", ""), "mnist")
    if not (folder / "t10k-images-idx3-ubyte.gz").is_file():
        pytest.skip("LAYERLOOP_DATA does not hold MNIST")
    X, y = read_idx(folder / "t10k-images-idx3-ubyte.gz"), read_idx(folder / "t10k-labels-idx1-ubyte.gz")
    assert X.shape == (10_000, 28, 28)
    assert int(X.astype(np.int64).sum()) == 264_923_200
    assert y[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
