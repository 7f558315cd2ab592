"""Tables of every kind of file: what a column is read as, which rows can be learned from, and what is written."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import ipc

from layerloop import table_files
from layerloop.errors import (
    DataFormatError,
    DataNotFoundError,
    InputError,
    LabelError,
    MissingExtraError,
    NonFiniteInputError,
    OutputError,
)
from layerloop.table_files import learnable, read_table_file, write_table_file

if TYPE_CHECKING:
    from pathlib import Path


def csv(tmp_path: Path, text: str, name: str = "t.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def kinds(path: Path) -> dict[str, str]:
    return {series.name: series.kind for series in read_table_file(path).frame.series}


def test_a_column_is_numbers_where_its_cells_are_and_text_where_not(tmp_path: Path) -> None:
    table = read_table_file(csv(tmp_path, "a,b,c\n1,x,\n,y,2.5\n3, z ,?\n"))
    a, b, c = table.frame.series
    assert (a.kind, b.kind, c.kind) == ("number", "text", "number")
    assert np.array_equal(a.values, [1, np.nan, 3], equal_nan=True)
    assert np.array_equal(c.values, [np.nan, 2.5, np.nan], equal_nan=True)
    assert b.values.tolist() == ["x", "y", "z"]


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_the_delimiter_is_found_and_gzip_is_read(mark: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(f"a{mark}b\n1{mark}x\n".encode()))
    assert kinds(path) == {"a": "number", "b": "text"}


def test_decimal_commas_are_read_and_said(tmp_path: Path) -> None:
    table = read_table_file(csv(tmp_path, "a;b\n1,5;x\n2;y\n"))
    assert table.frame.series[0].values.tolist() == [1.5, 2.0]
    assert table.said == ("column 'a': decimal commas are read as points",)


def test_a_late_text_among_many_numbers_is_a_gap_and_among_few_makes_a_column_of_text(tmp_path: Path) -> None:
    many = read_table_file(csv(tmp_path, "a\n" + "".join(f"{i}.5\n" for i in range(60)) + "unknown\n"))
    assert many.frame.series[0].missing.sum() == 1
    assert many.said == ("column 'a': 1 of its cells are no number, such as 'unknown': taken as missing",)
    assert kinds(csv(tmp_path, "a\n" + "1\n2\n" * 30 + "unknown\n")) == {"a": "text"}


def test_infinity_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(NonFiniteInputError, match=r"t\.csv:3: column 'a' holds '-inf'"):
        read_table_file(csv(tmp_path, "a,b\n1,2\n-inf,3\n"))


@pytest.mark.parametrize("ending", [".parquet", ".feather", ".arrow"])
def test_the_files_of_arrow_keep_the_types_of_their_columns(ending: str, tmp_path: Path) -> None:
    frame = pd.DataFrame({"n": [1, 2], "t": ["x", None], "f": [True, False], "d": pd.to_datetime(["2024-01-01"] * 2)})
    path = tmp_path / f"t{ending}"
    frame.to_parquet(path) if ending == ".parquet" else frame.to_feather(path)
    assert kinds(path) == {"n": "number", "t": "text", "f": "flag", "d": "date"}


def test_a_stream_of_arrow_is_read_too(tmp_path: Path) -> None:
    table = pa.table({"n": [1.5, None]})
    with ipc.new_stream(tmp_path / "t.arrow", table.schema) as stream:
        stream.write_table(table)
    assert kinds(tmp_path / "t.arrow") == {"n": "number"}


def test_what_is_no_table_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataNotFoundError, match=r"no\.csv does not exist"):
        read_table_file(tmp_path / "no.csv")
    with pytest.raises(DataFormatError, match="no table of a known kind"):
        read_table_file(csv(tmp_path, "a\n1\n", "t.xlsx"))
    broken = csv(tmp_path, "PAR1 nothing", "t.parquet")
    with pytest.raises(DataFormatError, match=r"t\.parquet cannot be read"):
        read_table_file(broken)
    monkeypatch.setattr(table_files, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'layerloop\[tables\]'"):
        read_table_file(broken)


@pytest.mark.parametrize(
    ("cells", "kind", "labels"),
    [
        ("no yes no", "classes", ["no", "yes", "no"]),
        ("0 1 1", "classes", [0, 1, 1]),
        ("3.0 4 3", "classes", [3, 4, 3]),
        ("0.5 1 2", "values", [0.5, 1.0, 2.0]),
    ],
)
def test_text_and_few_whole_numbers_are_classes(cells: str, kind: str, labels: list[Any], tmp_path: Path) -> None:
    data = learnable(read_table_file(csv(tmp_path, "a,y\n" + "".join(f"1,{cell}\n" for cell in cells.split()))))
    assert (data.kind, data.y.tolist(), data.X.names) == (kind, labels, ("a",))
    assert data.said == ("target: column 'y', by its name",)


def test_rows_without_a_target_are_left_out_and_said(tmp_path: Path) -> None:
    data = learnable(read_table_file(csv(tmp_path, "a,b\n1,x\n2,\n3,y\n")), "b")
    assert data.X.column("a").values.tolist() == [1, 3]
    assert data.rows.tolist() == [0, 2]
    assert data.said == ("1 of 3 rows have no 'b' and are left out",)


def test_labels_are_brought_to_those_of_a_model(tmp_path: Path) -> None:
    table = read_table_file(csv(tmp_path, "a,y\n1,2\n2,3\n"))
    assert learnable(table, "y", classes=[2.0, 3.0]).y.tolist() == [2.0, 3.0]
    with pytest.raises(LabelError, match=r"t\.csv:3: column 'y' holds '3', which is not a class here"):
        learnable(table, "y", classes=[1, 2])


def test_a_target_of_truths_stays_one(tmp_path: Path) -> None:
    pd.DataFrame({"a": [1, 2], "y": [True, False]}).to_parquet(tmp_path / "t.parquet")
    assert learnable(read_table_file(tmp_path / "t.parquet")).y.tolist() == [True, False]


@pytest.mark.parametrize("ending", [".csv", ".tsv.gz", ".parquet", ".feather"])
@pytest.mark.parametrize("source", ["t.csv", "t.parquet"])
def test_the_same_rows_are_written_with_more_columns(source: str, ending: str, tmp_path: Path) -> None:
    frame = pd.DataFrame({"n": [1.5, None], "t": ["x", None], "u": ["p,q", "r"]})
    frame.to_csv(tmp_path / source, index=False) if source == "t.csv" else frame.to_parquet(tmp_path / source)
    out = write_table_file(tmp_path / f"out{ending}", read_table_file(tmp_path / source), {"p": np.array([0.25, 1.0])})
    back = read_table_file(out).frame
    assert back.names == ("n", "t", "u", "p")
    assert back.column("p").values.tolist() == [0.25, 1.0]
    assert back.column("u").values.tolist() == ["p,q", "r"]
    assert back.column("n").missing.tolist() == [False, True]


def test_a_table_is_not_written_over_itself_nor_a_column_over_another(tmp_path: Path) -> None:
    table = read_table_file(csv(tmp_path, "a,p\n1,2\n"))
    with pytest.raises(OutputError, match="it is the file that was read"):
        write_table_file(tmp_path / "t.csv", table, {"q": np.ones(1)})
    with pytest.raises(InputError, match="has a column 'p' already"):
        write_table_file(tmp_path / "out.csv", table, {"p": np.ones(1)})
    with pytest.raises(InputError, match=r"predictions of a table go to \.csv"):
        write_table_file(tmp_path / "out.xlsx", table, {"q": np.ones(1)})
