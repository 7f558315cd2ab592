"""CSV in: every slip is named by file, line and column. CSV out: whole or not at all."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from layerloop.data.tables import read_csv, read_csv_rows, write_csv
from layerloop.errors import (
    DataFormatError,
    DataNotFoundError,
    InputError,
    LabelError,
    LayerloopError,
    NonFiniteInputError,
    OutputError,
    ShapeError,
)

GOOD = "a,b,kind\n1,2.5,x\n-3e2,4,y\n"


def write(folder: Path, content: str | bytes, name: str = "t.csv") -> Path:
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


SAME = {
    "plain": GOOD,
    "no last line end": GOOD.rstrip(),
    "CRLF": GOOD.replace("\n", "\r\n"),
    "old Mac": GOOD.replace("\n", "\r"),
    "byte-order mark": "\ufeff" + GOOD,
    "semicolons": GOOD.replace(",", ";"),
    "tabs": GOOD.replace(",", "\t"),
    "quotes": '"a","b","kind"\n"1","2.5","x"\n"-3e2",4,"y"\n',
    "spaces": "a, b ,kind\n 1, 2.5 , x\n-3e2 ,4,y \n",
    "blank lines": GOOD.replace("\n", "\n\n"),
    "gzip": gzip.compress(GOOD.encode()),
}


@pytest.mark.parametrize("content", SAME.values(), ids=SAME)
def test_the_same_table_in_many_spellings(tmp_path: Path, content: str | bytes) -> None:
    table = read_csv(write(tmp_path, content), target="kind")
    assert table.X.tolist() == [[1, 2.5], [-300, 4]]
    assert table.X.dtype == np.float64
    assert table.y.tolist() == [0, 1]
    assert (table.kind, table.classes, table.columns) == ("classes", ("x", "y"), ("a", "b"))
    assert (table.target, table.guessed) == ("kind", False)


def test_quoted_names_may_hold_the_delimiter_and_line_ends(tmp_path: Path) -> None:
    table = read_csv(write(tmp_path, '"size, m2","y"\n1,"two\nlines"\n2,b\n'))
    assert table.columns == ("size, m2",)
    assert table.classes == ("b", "two\nlines")


@pytest.mark.parametrize("name", ["target", "class", "label", "y", "Class"])
def test_a_telling_name_makes_the_target(tmp_path: Path, name: str) -> None:
    table = read_csv(write(tmp_path, f"a,{name},b\n1,0.5,2\n3,1.5,4\n"))
    assert (table.target, table.guessed, table.kind) == (name, True, "values")
    assert table.y.tolist() == [0.5, 1.5]
    assert table.X.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("header", "why"), [("a,b", "none is named"), ("y,label", r"several could be it \(y, label\)")]
)
def test_a_target_that_cannot_be_guessed(tmp_path: Path, header: str, why: str) -> None:
    with pytest.raises(InputError, match=rf"t\.csv: which column is the target\? {why}.*Columns: {header[0]}"):
        read_csv(write(tmp_path, f"{header}\n1,2\n"))


def test_an_unknown_target_is_answered_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"t\.csv has no column 'pric'\. Did you mean 'price'"):
        read_csv(write(tmp_path, "rooms,price\n1,2\n"), target="pric")


BAD = {
    "empty": ("", DataFormatError, "t.csv is empty"),
    "blank": ("\n\n", DataFormatError, "t.csv is empty"),
    "header only": ("a,b,y\n", DataFormatError, "has a header but no rows"),
    "no header": ("1,2,3\n4,5,6\n", DataFormatError, "t.csv:1: expected a line of column names, got the numbers 1, 2"),
    "duplicate": ("a,y,a\n1,2,3\n", DataFormatError, "t.csv:1: two columns are named 'a'"),
    "nameless": (",a,y\n0,1,2\n", DataFormatError, "t.csv:1: column 1 has no name"),
    "short line": ("a,b,y\n1,2,0\n1,2\n", DataFormatError, "t.csv:3: expected 3 cells .* got 2; .* missing is 'y'"),
    "long line": ("a,b,y\n1,2,0,9\n", DataFormatError, "t.csv:2: expected 3 cells .* got 4; the first one too many"),
    "bad number": ("a,b,y\n1,2,0\n1,2x,0\n", DataFormatError, "t.csv:3: column 'b' holds '2x', expected a number"),
    "late text": ("a,y\n" + "1,0\n" * 5000 + "oops,0\n", DataFormatError, "t.csv:5002: column 'a' holds 'oops'"),
    "decimal comma": ("a;y\n1;0\n2,5;0\n", DataFormatError, "t.csv:3: column 'a' holds '2,5'.*decimals with a point"),
    "thousands": ("a,y\n1,0\n1_000,0\n", DataFormatError, "t.csv:3: column 'a' holds '1_000'"),
    "text column": (
        "town,a,y\nBonn,1,0\n",
        DataFormatError,
        "t.csv:2: column 'town' holds text .'Bonn'.*leave the column out",
    ),
    "missing": (
        "a,b,y\n1,2,0\n1,,0\n",
        NonFiniteInputError,
        "t.csv:3: column 'b' has no value .*; tables with missing values come with the est",
    ),
    "NA": ("a,y\nNA,0\n", NonFiniteInputError, "t.csv:2: column 'a' has no value .'NA'"),
    "nan": ("a,y\nnan,0\n", NonFiniteInputError, "t.csv:2: column 'a' has no value"),
    "null": ("a,y\nnull,0\n", NonFiniteInputError, "t.csv:2: column 'a' has no value"),
    "question mark": ("a,y\n?,0\n", NonFiniteInputError, "t.csv:2: column 'a' has no value"),
    "infinity": (
        "a,y\n1,0\n-inf,0\n",
        NonFiniteInputError,
        "t.csv:3: column 'a' holds '-inf'; every number must be finite",
    ),
    "beyond float64": ("a,y\n1e999,0\n", NonFiniteInputError, "t.csv:2: column 'a' holds '1e999'"),
    "missing target": ("a,y\n1,0\n1,\n", NonFiniteInputError, "t.csv:3: the target 'y' has no value"),
    "only a target": ("y\n1\n", ShapeError, "there is no column to learn from"),
    "open quote": ('a,y\n1,"0\n2,0\n', DataFormatError, r"t.csv:\d: unexpected end of data; is a quotation mark open"),
    "quote inside": ('a,y\n1,"0"0\n', DataFormatError, "t.csv:2: .* is a quotation mark open or doubled"),
    "huge cell": ("a,y\n" + "1" * 200_000 + ",0\n", DataFormatError, "t.csv:2: field larger than field limit"),
    "latin-1": ("a,y\n1,0\n2,gr\xfcn\n".encode("latin-1"), DataFormatError, "t.csv:3: byte 0xfc is not UTF-8"),
    "UTF-16": (GOOD.encode("utf-16"), DataFormatError, "t.csv is UTF-16 text; save it as UTF-8"),
    "a picture": (b"a,y\n\0\x01\x02", DataFormatError, "t.csv is not a CSV file"),
    "cut gzip": (gzip.compress(GOOD.encode())[:-5], DataFormatError, "t.csv is damaged gzip"),
    "mixed target": (
        "a,y\n" + "".join(f"1,{i}\n" for i in range(40)) + "1,4o\n",
        DataFormatError,
        "t.csv:42: column 'y' holds '4o', expected a number",
    ),
}


@pytest.mark.parametrize(("content", "error", "message"), BAD.values(), ids=BAD)
def test_slips_are_named_by_file_line_and_column(
    tmp_path: Path, content: str | bytes, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message.replace(".csv", r"\.csv")):
        read_csv(write(tmp_path, content), target=None if content else "y")


def test_line_numbers_count_the_lines_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(DataFormatError, match=r"t\.csv:6: column 'a' holds 'x'"):
        read_csv(write(tmp_path, 'a,y\n\n1,"two\nlines"\n\nx,b\n'))


@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [("values", DataFormatError, r"t\.csv:2: column 'kind' holds 'x'"), ("clases", LayerloopError, "Did you mean")],
)
def test_a_stated_kind_must_fit(tmp_path: Path, kind: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        read_csv(write(tmp_path, GOOD), target="kind", kind=kind)


def test_fractions_are_no_classes(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"t\.csv:3: column 'y' holds 2\.5"):
        read_csv(write(tmp_path, "a,y\n1,1\n1,2.5\n"), kind="classes")


def test_a_table_counts_in_the_classes_of_a_trained_network(tmp_path: Path) -> None:
    table = read_csv(write(tmp_path, GOOD), target="kind", classes=("w", "x", "y"))
    assert (table.y.tolist(), table.classes) == ([1, 2], ("w", "x", "y"))


def test_sizes_are_bounded(tmp_path: Path) -> None:
    bomb = gzip.compress(GOOD.encode() + b"1,2,x\n" * 1_000_000)
    with pytest.raises(DataFormatError, match="larger than 100,000 bytes uncompressed"):
        read_csv(write(tmp_path, bomb, "t.csv.gz"), target="kind", max_bytes=100_000)
    with pytest.raises(DataNotFoundError, match="does not exist"):
        read_csv(tmp_path / "missing.csv")


def test_many_columns(tmp_path: Path) -> None:
    names = ",".join(f"c{i}" for i in range(100_000))
    table = read_csv(write(tmp_path, f"{names},y\n{','.join(['1'] * 100_000)},2\n"))
    assert table.X.shape == (1, 100_000)


def test_sums_that_overflow_are_no_infinity(tmp_path: Path) -> None:
    table = read_csv(write(tmp_path, "a,b,y\n1e308,1e308,0\n"))
    assert table.X.tolist() == [[1e308, 1e308]]


@pytest.mark.parametrize(
    ("name", "target", "kind", "shape"),
    [("letterrecognition", "lettr", "classes", (20_000, 16)), ("car_prices", "Price", "values", (804, 17))],
)
def test_real_tables(name: str, target: str, kind: str, shape: tuple[int, int]) -> None:
    file = Path(os.environ.get("LAYERLOOP_DATA", ""), "tabular", f"{name}.csv.gz")
    if not file.is_file():
        pytest.skip("LAYERLOOP_DATA does not hold the tables")
    table = read_csv(file, target=target)
    assert (table.X.shape, table.kind, len(table.y)) == (shape, kind, shape[0])


# Rows to predict.

NEW = "id,b,a\nr1,2,1\nr2,4,3\n"


def test_rows_come_in_the_order_that_was_trained(tmp_path: Path) -> None:
    rows = read_csv_rows(write(tmp_path, NEW), ("a", "b"))
    assert rows.X.tolist() == [[1, 2], [3, 4]]
    assert rows.header == ("id", "b", "a")
    assert rows.cells == (("r1", "2", "1"), ("r2", "4", "3"))


BAD_ROWS = {
    "missing column": (NEW, ("a", "c", "d"), InputError, "t.csv lacks the columns 'c', 'd'.*trained on a, c, d"),
    "near column": (NEW, ("a", "idd"), InputError, "lacks the column 'idd'. Did you mean 'id'"),
    "text": ("a,b\n1,2\nx,2\n", ("a", "b"), DataFormatError, "t.csv:3: column 'a' holds 'x'"),
    "missing value": ("a,b\n1,\n", ("a", "b"), NonFiniteInputError, "t.csv:2: column 'b' has no value"),
    "ragged": ("a,b\n1,2,3\n", ("a",), DataFormatError, "t.csv:2: expected 2 cells"),
    "no rows": ("a,b\n", ("a",), DataFormatError, "no rows"),
}


@pytest.mark.parametrize(("content", "columns", "error", "message"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_rows_that_do_not_fit(
    tmp_path: Path, content: str, columns: tuple[str, ...], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message.replace(".csv", r"\.csv")):
        read_csv_rows(write(tmp_path, content), columns)


def test_extra_columns_need_not_be_numbers_nor_there(tmp_path: Path) -> None:
    assert read_csv_rows(write(tmp_path, "a,note\n1,\n2,NA\n"), ["a"]).X.tolist() == [[1], [2]]


def test_predictions_are_written_beside_the_original_cells(tmp_path: Path) -> None:
    rows = read_csv_rows(write(tmp_path, 'id;b;a\n"r;1";2;1\nr2;4;3\n'), ("a", "b"))
    out = write_csv(tmp_path / "out.csv", rows, {"prediction": ["x", "y"], "p": np.array([0.1, 0.5], np.float32)})
    assert out.read_bytes() == b'id;b;a;prediction;p\n"r;1";2;1;x;0.1\nr2;4;3;y;0.5\n'
    packed = write_csv(tmp_path / "out.csv.gz", rows, {"p": np.array([1 / 3, 2.0])})
    assert gzip.decompress(packed.read_bytes()).decode().splitlines()[1] == '"r;1";2;1;0.3333333333333333'
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.csv", "out.csv.gz", "t.csv"]


@pytest.mark.parametrize("alias", ["same", "link", "hard link", "dots"])
def test_the_input_is_never_overwritten(tmp_path: Path, alias: str) -> None:
    file = write(tmp_path, NEW)
    place = {"same": file, "dots": tmp_path / ".." / tmp_path.name / "t.csv"}.get(alias, tmp_path / "other.csv")
    if alias == "link":
        place.symlink_to(file)
    if alias == "hard link":
        place.hardlink_to(file)
    with pytest.raises(OutputError, match="is the file that was read"):
        write_csv(place, read_csv_rows(file, ["a"]), {"p": [1, 2]})
    assert file.read_text() == NEW


def test_predictions_that_do_not_fit(tmp_path: Path) -> None:
    rows = read_csv_rows(write(tmp_path, NEW), ["a"])
    with pytest.raises(InputError, match="has a column 'id' already"):
        write_csv(tmp_path / "out.csv", rows, {"id": [1, 2]})
    with pytest.raises(ShapeError, match="'p' has 1 entries for 2 rows"):
        write_csv(tmp_path / "out.csv", rows, {"p": [1]})
    with pytest.raises(OutputError, match="does not exist"):
        write_csv(tmp_path / "no" / "out.csv", rows, {"p": [1, 2]})
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]
