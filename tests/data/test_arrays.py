"""NumPy's files are read without pickle and without trust; a target's meaning follows one rule."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest

from layerloop.data.arrays import npz_has_test, read_npy, read_npz
from layerloop.data.target_columns import as_target
from layerloop.errors import (
    DataFormatError,
    DataNotFoundError,
    InputError,
    LabelError,
    NonFiniteInputError,
    ShapeError,
    UnknownNameError,
)

if TYPE_CHECKING:
    from pathlib import Path

X = np.arange(12.0).reshape(4, 3)
Y = np.array([0, 1, 1, 0])


def npy_header(text: str, *, version: int = 1) -> bytes:
    content = text.encode("latin1") + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H", len(content)) + content


def save_npy(path: Path, array: np.ndarray, **options: bool) -> Path:
    np.save(path, array, **options)
    return path


@pytest.mark.parametrize(
    "array",
    [
        X,
        np.asfortranarray(X),
        X[::2, ::-1],
        X.astype(">f8"),
        X.astype(np.float32),
        X.astype(np.int16),
        X.astype(np.uint8),
        X > 3,
    ],
    ids=["float64", "fortran", "strided", "big-endian", "float32", "int16", "uint8", "bool"],
)
def test_npy_rows_come_back_whatever_their_layout(tmp_path: Path, array: np.ndarray) -> None:
    got = read_npy(save_npy(tmp_path / "a.npy", array))
    assert got.y is None
    assert got.X.dtype == (np.float64 if array.dtype.itemsize == 8 else np.float32)
    assert got.X.flags.c_contiguous
    assert got.X.dtype.isnative
    np.testing.assert_array_equal(got.X, array)


@pytest.mark.parametrize(("target", "column"), [(-1, 2), (0, 0), (2, 2), (-3, 0)])
def test_npy_target_is_a_column_number(tmp_path: Path, target: int, column: int) -> None:
    got = read_npy(save_npy(tmp_path / "a.npy", X), target=target)
    assert got.y is not None
    assert got.y.tolist() == X[:, column].tolist()
    np.testing.assert_array_equal(got.X, np.delete(X, column, axis=1))


@pytest.mark.parametrize("target", [3, -4, "y", 1.0, True])
def test_npy_without_such_a_column(tmp_path: Path, target: object) -> None:
    with pytest.raises(ShapeError, match=r"a\.npy: target is a column number from -3 to 2"):
        read_npy(save_npy(tmp_path / "a.npy", X), target=target)  # type: ignore[arg-type]


def with_nan(value: float) -> np.ndarray:
    bad = X.copy()
    bad[2, 1] = value
    return bad


BAD_NPY = {
    "one dimension": (X[0], ShapeError, r"shape \(3,\)"),
    "three dimensions": (np.zeros((2, 3, 4)), ShapeError, r"shape \(2, 3, 4\)"),
    "no rows": (np.zeros((0, 3)), ShapeError, "is empty"),
    "text": (np.array([["a", "b"]]), InputError, "holds text"),
    "complex": (X + 1j, DataFormatError, "complex128"),
    "dates": (np.array([["2020-01-01"]], "datetime64[D]"), DataFormatError, "datetime64"),
    "records": (np.zeros(3, [("a", "f4")]), DataFormatError, "entries"),
    "nan": (with_nan(np.nan), NonFiniteInputError, "nan in row 2, column 1"),
    "infinity": (with_nan(-np.inf), NonFiniteInputError, "-inf in row 2, column 1"),
}


@pytest.mark.parametrize(("array", "error", "message"), BAD_NPY.values(), ids=BAD_NPY)
def test_npy_of_the_wrong_kind(tmp_path: Path, array: np.ndarray, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        read_npy(save_npy(tmp_path / "a.npy", array))
    assert "a.npy" in str(caught.value)


@pytest.mark.parametrize(("target", "column"), [(0, 1), (1, 1), (2, 1)])
def test_a_bad_number_is_named_by_its_column_in_the_file(tmp_path: Path, target: int, column: int) -> None:
    if target == column:
        bad = X.copy()
        bad[2, 2] = np.nan
        column = 2
    else:
        bad = with_nan(np.nan)
    with pytest.raises(NonFiniteInputError, match=f"row 2, column {column}"):
        read_npy(save_npy(tmp_path / "a.npy", bad), target=target)


class Trap:
    def __reduce__(self) -> tuple[object, ...]:
        return (pytest.fail, ("a pickle was run",))


def test_pickles_are_never_run(tmp_path: Path) -> None:
    objects = np.array([[Trap()]], dtype=object)
    with pytest.raises(DataFormatError, match="never pickle"):
        read_npy(save_npy(tmp_path / "a.npy", objects, allow_pickle=True))
    np.savez(tmp_path / "a.npz", X=objects, allow_pickle=True)
    with pytest.raises(DataFormatError, match=r"a\.npz"):
        read_npz(tmp_path / "a.npz")


def sound(shape: str = "(2, 3)", descr: str = "'<f8'", order: str = "False") -> bytes:
    return npy_header(f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}")


BAD_BYTES = {
    "empty": b"",
    "not numpy": b"hello, this is no array at all",
    "future version": npy_header("{}", version=9),
    "version 3": npy_header("{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1), }", version=3),
    "header cut": sound()[:30],
    "no dict": npy_header("[1, 2]"),
    "open bracket": npy_header("{'descr': ("),
    "deep brackets": npy_header("(" * 5000),
    "negative shape": sound("(-1, 3)") + bytes(48),
    "huge shape": sound("(1000000000000, 1000000000000)"),
    "shape of text": sound("('a', 3)"),
    "unknown type": sound(descr="'<q77'"),
    "odd type": sound(descr="[('a', '<f8', 'x')]"),
    "object type": sound(descr="'|O'") + b"cos\nsystem\n",
    "a byte short": sound() + bytes(47),
    "a byte more": sound() + bytes(49),
}


@pytest.mark.parametrize("content", BAD_BYTES.values(), ids=BAD_BYTES)
def test_hostile_npy_headers(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "bad.npy"
    file.write_bytes(content)
    with pytest.raises(DataFormatError, match=r"bad\.npy"):
        read_npy(file, max_bytes=1 << 30)


def test_a_false_promise_costs_no_memory(tmp_path: Path) -> None:
    file = tmp_path / "promise.npy"
    file.write_bytes(sound("(1000, 100000)") + b"abc")
    tracemalloc.start()
    with pytest.raises(DataFormatError, match="only 3 are there"):
        read_npy(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


@pytest.mark.filterwarnings("ignore:Reading .npy. or .npz. file required additional header parsing")
def test_mutated_files_raise_nothing_else(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    plain, packed = io.BytesIO(), io.BytesIO()
    np.save(plain, X)
    np.savez_compressed(packed, X=X, y=Y)
    refused = 0
    for trial in range(600):
        content = bytearray((packed if trial % 2 else plain).getvalue())
        for at in random.integers(0, len(content), random.integers(1, 5)):
            content[at] = random.integers(0, 256)
        file = tmp_path / "fuzz"
        file.write_bytes(content)
        try:
            (read_npz if trial % 2 else read_npy)(file, max_bytes=1 << 20)
        except (DataFormatError, InputError):
            refused += 1
    assert refused > 100


NAMES = [("X", "y"), ("x", "target"), ("data", "labels"), ("x_train", "y_train")]


@pytest.mark.parametrize(("x", "y"), NAMES)
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_spellings(tmp_path: Path, x: str, y: str, save: object) -> None:
    save(tmp_path / "a.npz", **{x: X, y: Y, "notes": np.zeros(2)})  # type: ignore[operator]
    got = read_npz(tmp_path / "a.npz")
    np.testing.assert_array_equal(got.X, X)
    assert got.y is not None
    assert got.y.tolist() == Y.tolist()
    assert got.X_test is None
    assert not npz_has_test(tmp_path / "a.npz")


def test_npz_of_pictures_in_keras_style(tmp_path: Path) -> None:
    pictures = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)
    file = tmp_path / "mnist.npz"
    test = {"x_test": pictures[:2, :, :, None], "y_test": np.arange(2)[:, None]}
    np.savez(file, x_train=pictures, y_train=np.arange(5), **test)
    got = read_npz(file)
    assert npz_has_test(file)
    assert got.image == (4, 3)
    assert got.X.dtype == np.uint8
    assert got.X_test is not None
    assert got.y_test is not None
    np.testing.assert_array_equal(got.X, pictures.reshape(5, 12))
    np.testing.assert_array_equal(got.X_test, pictures[:2].reshape(2, 12))
    assert got.y_test.tolist() == [0, 1]


def test_float_pictures_are_rows_of_floats(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", X=np.ones((3, 2, 2), np.float32), y=np.zeros(3))
    got = read_npz(tmp_path / "a.npz")
    assert (got.X.shape, got.X.dtype, got.image) == ((3, 4), np.float32, (2, 2))


BAD_NPZ = {
    "no X": ({"xs": X, "y": Y}, DataFormatError, r"no array X; it holds xs, y.*np\.savez"),
    "X twice": ({"X": X, "data": X, "y": Y}, DataFormatError, "X and data, which both mean X"),
    "lengths": ({"X": X, "y": Y[:3]}, ShapeError, r"X has 4 rows, so y must have shape \(4,\), got \(3,\)"),
    "y of cubes": ({"X": X, "y": np.zeros((4, 2, 2))}, ShapeError, r"got \(4, 2, 2\)"),
    "test width": (
        {"x_train": X, "y_train": Y, "x_test": X[:, :2], "y_test": Y},
        ShapeError,
        "3 columns but X_test has 2",
    ),
    "nan": ({"X": with_nan(np.nan), "y": Y}, NonFiniteInputError, "X holds nan in row 2, column 1"),
    "nan in test": (
        {"x_train": X, "y_train": Y, "x_test": with_nan(np.nan), "y_test": Y},
        NonFiniteInputError,
        "X_test holds nan",
    ),
}


@pytest.mark.parametrize(("held", "error", "message"), BAD_NPZ.values(), ids=BAD_NPZ)
def test_npz_that_does_not_fit(
    tmp_path: Path, held: dict[str, np.ndarray], error: type[Exception], message: str
) -> None:
    np.savez(tmp_path / "bad.npz", **held)
    with pytest.raises(error, match=message) as caught:
        read_npz(tmp_path / "bad.npz")
    assert "bad.npz" in str(caught.value)


def test_the_nearest_key_is_proposed(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", X_=X, y=Y)
    with pytest.raises(DataFormatError, match="it holds X_, y"):
        read_npz(tmp_path / "a.npz")


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    file = tmp_path / "bomb.npz"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("X.npy", sound("(100, 100000)") + bytes(80_000_000))
    assert file.stat().st_size < 100_000
    tracemalloc.start()
    with pytest.raises(DataFormatError, match=r"unpacks to 80,000,0.. bytes, more than the 1,000,000"):
        read_npz(file, max_bytes=1_000_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 nothing", b"x" * 1000], ids=["empty", "cut", "rubbish"])
def test_what_is_no_zip(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "bad.npz"
    file.write_bytes(content)
    with pytest.raises(DataFormatError, match=r"bad\.npz is not a sound"):
        read_npz(file)
    with pytest.raises(DataNotFoundError, match="does not exist"):
        read_npz(tmp_path / "missing.npz")


# The rule of targets.


def where(row: int) -> str:
    return f"file:{row + 2}: column 'y'"


RULE = {
    "text": (["no", "yes", "no"], None, "classes", [0, 1, 0], ("no", "yes")),
    "whole numbers": (["3", "1", "3.0"], None, "classes", [1, 0, 1], ("1", "3")),
    "sorted as numbers": (["10", "9", "-2"], None, "classes", [2, 1, 0], ("-2", "9", "10")),
    "fractions": (["0.5", "1"], None, "values", [0.5, 1.0], ()),
    "twenty": ([str(i) for i in range(20)], None, "classes", list(range(20)), tuple(map(str, range(20)))),
    "twenty-one": ([str(i) for i in range(21)], None, "values", [float(i) for i in range(21)], ()),
    "forced classes": ([str(i) for i in range(21)], "classes", "classes", list(range(21)), tuple(map(str, range(21)))),
    "forced values": (["1", "2", "1"], "values", "values", [1.0, 2.0, 1.0], ()),
    "mixed, few": (["1", "2", "none"], None, "classes", [0, 1, 2], ("1", "2", "none")),
    "array of ints": (np.array([5, 7, 5], np.uint8), None, "classes", [0, 1, 0], ("5", "7")),
    "array of floats": (np.array([5.5, 7, 5]), None, "values", [5.5, 7.0, 5.0], ()),
    "array of text": (np.array(["b", "a"]), None, "classes", [1, 0], ("a", "b")),
    "booleans": (np.array([True, False]), None, "classes", [1, 0], ("0", "1")),
}


@pytest.mark.parametrize(("cells", "kind", "as_kind", "y", "classes"), RULE.values(), ids=RULE)
def test_the_rule_of_targets(cells: list[str], kind: str | None, as_kind: str, y: list, classes: tuple) -> None:
    got = as_target(cells, kind, where=where)
    assert (got.kind, got.y.tolist(), got.classes) == (as_kind, y, classes)
    assert got.y.dtype == (np.int64 if as_kind == "classes" else np.float64)


BAD_TARGETS = {
    "values of text": (["1", "x"], "values", DataFormatError, "file:3: column 'y' holds 'x', expected a number"),
    "classes of fractions": (["1", "2.5"], "classes", LabelError, "file:3: column 'y' holds 2.5, which is no class"),
    "a slip": ([*map(str, range(30)), "3O"], None, DataFormatError, "holds '3O', expected a number"),
    "infinity": (["1", "inf"], None, NonFiniteInputError, "file:3: column 'y' holds inf"),
    "unknown kind": (["1"], "clases", UnknownNameError, "Did you mean 'classes'"),
}


@pytest.mark.parametrize(("cells", "kind", "error", "message"), BAD_TARGETS.values(), ids=BAD_TARGETS)
def test_targets_that_do_not_fit(cells: list[str], kind: str | None, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        as_target(cells, kind, where=where)


def test_labels_count_in_the_classes_of_a_trained_network() -> None:
    assert as_target(["b", "b"], where=where, classes=("a", "b")).y.tolist() == [1, 1]
    assert as_target(np.array([7.0, 2.0]), where=where, classes=("2", "5", "7")).y.tolist() == [2, 0]
    sentence = r"file:2: column 'y' holds 'cats', which is not a class here\. Did you mean 'cat'"
    with pytest.raises(LabelError, match=sentence):
        as_target(["cats"], where=where, classes=("cat", "dog"))
