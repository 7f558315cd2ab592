"""What is done to a column, against numbers by hand; and what is decided for a column, by looking at it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from layerloop.csr import Csr
from layerloop.errors import InputError, UnknownNameError
from layerloop.estimators.table_features import fit_features
from layerloop.features import (
    Codes,
    Date,
    Features,
    Flag,
    Left,
    Number,
    OneHot,
    SparseFeatures,
    Text,
    as_plain,
    from_plain,
)
from layerloop.frames import Frame, read_cells, read_frame


def table(**columns: list[object]) -> Frame:
    series = tuple(read_cells(cells, name) for name, cells in columns.items())
    return Frame(series, len(series[0].values))


def test_numbers_are_centred_scaled_and_clipped() -> None:
    # u = (x - 10) / 2: 0, 3, -6; u / sqrt(1 + (u / 3)^2): 0, 3 / sqrt 2, -6 / sqrt 5
    block = Number("x", 10.0, 2.0, gaps=True).encode(read_cells([10, 16, -2, None], "x"))
    expected = [[0, 0], [3 / math.sqrt(2), 0], [-6 / math.sqrt(5), 0], [0, 1]]
    assert np.allclose(block, expected, rtol=1e-15)


def test_huge_numbers_stay_finite() -> None:
    block = Number("x", 0.0, 1e-300).encode(read_cells([1e308, -1e308], "x"))
    assert np.allclose(block, [[3], [-3]], rtol=1e-12)


def test_levels_become_signs_columns_and_codes() -> None:
    series = read_cells(["a", "b", None, "z"], "c")
    assert Flag("c", ("a", "b")).encode(series).tolist() == [[-1], [1], [0], [0]]
    assert Flag("c", ("a", None)).encode(series).tolist() == [[-1], [0], [1], [0]]
    assert OneHot("c", ("a", "b", None)).encode(series).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]]
    assert Codes("c", ("a", "b")).encode(series).tolist() == [[1], [2], [0], [0]]


def test_a_date_is_its_moment_and_its_place_in_a_period() -> None:
    # 1970-01-02 is day 1, a seventh of a week after the start: angle 2 pi / 7
    block = Date("d", 1.0, 1.0, ("week",), gaps=True).encode(read_cells([np.datetime64("1970-01-02"), None], "d"))
    angle = 2 * math.pi / 7
    assert np.allclose(block, [[0, math.sin(angle), math.cos(angle), 0], [0, 0, 0, 1]])


def test_text_is_hashed_and_comes_last() -> None:
    features = Features((Text("t", 64), Number("x", 0.0, 1.0)))
    rows = features.apply(table(t=["a red house", None], x=[1.0, 2.0]))
    assert isinstance(rows, Csr)
    dense = rows.toarray()
    assert dense.shape == (2, 65)
    assert np.allclose(np.linalg.norm(dense[:, 1:], axis=1), [1, 0])  # words stand for themselves, a gap for none


def test_columns_are_found_by_name_or_by_place() -> None:
    features = Features((Number("a", 0.0, 1.0), Left("b", "constant"), Number("c", 0.0, 1.0)))
    turned = features.apply(table(c=[1e-3], b=[0.0], a=[2e-3], further=["x"]))
    assert turned.tolist() == features.apply(read_frame([[2e-3, 9.0, 1e-3]])).tolist()
    with pytest.raises(InputError, match="lacks the column 'b'"):
        features.apply(table(a=[1.0], c=[1.0]))
    with pytest.raises(InputError, match="trained on 3 columns, this table has 1"):
        features.apply(read_frame([[1.0]]))


def test_places_numbers_and_codes_say_where_things_went() -> None:
    features = Features((OneHot("a", ("x", "y", "z")), Number("b", 0.0, 1.0, gaps=True), Codes("c", ("u", "v"))))
    assert features.places == {"a": slice(0, 3), "b": slice(3, 5), "c": slice(5, 6)}
    assert (features.numbers, features.codes, features.width) == ((3,), ((5, 3),), 6)


def test_a_table_of_nothing_still_has_a_column() -> None:
    assert Features((Left("a", "constant"),)).apply(table(a=[1.0, 1.0])).tolist() == [[0.0], [0.0]]


def test_sparse_rows_are_scaled_by_one_number() -> None:
    from scipy.sparse import csr_array

    from layerloop.csr import as_csr

    rows = as_csr(csr_array([[0.0, 2.0], [1.0, 0.0]]), "X")
    assert SparseFeatures(2, 0.5).apply(rows).toarray().tolist() == [[0, 1], [0.5, 0]]
    assert SparseFeatures(2, 0.5).apply(read_frame([[0.0, 2.0]])).toarray().tolist() == [[0, 1]]
    with pytest.raises(InputError, match="trained on 3 columns, these rows have 2"):
        SparseFeatures(3, 1.0).apply(rows)


KEPT = (Number("a", 1.0, 2.0, gaps=True), Flag("b", ("x", None)), OneHot("c", ("x", "y", None)), Codes("d", ("q", "r")),
        Date("e", 0.0, 1.0, ("year", "day")), Text("f", 32), Left("g", "constant"))  # fmt: skip


def test_features_come_back_from_plain_data() -> None:
    import json

    for features in (Features(KEPT), Features(KEPT[:2], named=False), SparseFeatures(7, 0.25)):
        assert from_plain(json.loads(json.dumps(as_plain(features)))) == features
    with pytest.raises(UnknownNameError, match="kind of feature 'numbr'"):
        from_plain({"named": True, "columns": [{"kind": "numbr", "name": "a"}]})


LETTERS = [chr(97 + i % 10) for i in range(40)]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([1.0, 2.0, 3.0, 4.0, 5.0], Number("x", 3.0, 2.0)),  # quartiles 2 and 4
        ([1.0, 2.0, 3.0, 4.0, 5.0, None], Number("x", 3.0, 2.0, gaps=True)),
        ([0.0] * 9 + [4.0], Number("x", 0.0, 2.0)),  # quartiles meet: half the range
        ([7.0, 7.0, 7.0], Left("x", "it is constant")),
        ([7.0, None, 7.0], Number("x", 7.0, 1.0, gaps=True)),
        ([None, None], Left("x", "it has no value at all")),
        ([True, False, True], Flag("x", ("0", "1"))),
        (["a", "b", "a", None], OneHot("x", ("a", "b", None))),
        (["a", None, "a"], Flag("x", ("a", None))),
        (["a", "a"], Left("x", "it is constant")),
        (LETTERS, Codes("x", tuple("abcdefghij"))),
        ([*LETTERS, "once"], Codes("x", tuple("abcdefghij"))),
        ([f"id{i}" for i in range(30)], Left("x", "every row has a value of its own")),
        ([str(i / 4) for i in range(41)], Number("x", 5.0, 5.0)),
        ([f"the house number {i} here" for i in range(30)], Text("x", 2**14)),
    ],
)
def test_a_column_is_looked_at(cells: list[object], expected: object) -> None:
    assert fit_features(table(x=cells)).columns == (expected,)


def test_dates_in_words_are_dates() -> None:
    (feature,) = fit_features(table(x=[f"2024-{month:02}-01" for month in range(1, 13)])).columns
    assert isinstance(feature, Date)
    assert feature.periods == ("year", "week")  # no time of day
