"""Batches: their order is a function of seed and pass, and nothing is lost or doubled."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerloop.data.batches import DataLoader, ncycle
from layerloop.errors import InputError, LabelError, NonFiniteInputError, SettingError, ShapeError

X = np.arange(14.0).reshape(7, 2)
Y = np.arange(7)


def orders(loader: DataLoader, passes: int) -> list[list[int]]:
    return [[int(label) for _, y in loader for label in y] for _ in range(passes)]


@given(n=st.integers(1, 30), batchsize=st.integers(1, 40), partial=st.booleans(), shuffle=st.booleans())
def test_a_pass_holds_every_row_once_and_as_many_batches_as_it_says(
    n: int, batchsize: int, partial: bool, shuffle: bool
) -> None:
    rows = np.arange(n)
    loader = DataLoader((np.column_stack([rows, -rows]), rows), batchsize, shuffle=shuffle, partial=partial)
    batches = list(loader)
    assert len(batches) == len(loader)
    sizes = [len(y) for _, y in batches]
    assert all(size == min(batchsize, n) for size in sizes[:-1])
    seen = np.concatenate([y for _, y in batches])
    assert len(set(seen.tolist())) == len(seen) == sum(sizes)
    assert len(seen) == (n if partial or batchsize > n else n - n % batchsize)
    for x, y in batches:
        np.testing.assert_array_equal(x, np.column_stack([y, -y]))


def test_every_pass_has_its_own_order_and_a_seed_repeats_them_all() -> None:
    first = orders(DataLoader((X, Y), 3, seed=5), 4)
    assert len({tuple(order) for order in first}) == 4
    assert all(sorted(order) == list(range(7)) for order in first)
    assert orders(DataLoader((X, Y), 3, seed=5), 4) == first
    assert orders(DataLoader((X, Y), 3, seed=6), 4) != first


def test_the_order_of_a_pass_does_not_depend_on_what_was_done_before() -> None:
    loader = DataLoader((X, Y), 3, seed=5)
    third = loader.order(2)
    first = orders(loader, 3)
    np.testing.assert_array_equal(loader.order(2), third)
    assert first[2] == third.tolist()
    loader.epoch = 2
    assert orders(loader, 1)[0] == third.tolist()


def test_without_shuffling_rows_come_in_their_order_every_time() -> None:
    assert orders(DataLoader((X, Y), 3, shuffle=False), 2) == [list(range(7))] * 2


def test_rows_left_over_are_dropped_from_a_pass_but_not_from_all() -> None:
    loader = DataLoader((X, Y), 3, partial=False)
    assert len(loader) == 2
    assert [len(order) for order in orders(loader, 3)] == [6, 6, 6]
    assert {row for order in orders(loader, 20) for row in order} == set(range(7))


def test_a_batch_is_never_larger_than_the_data_nor_is_a_pass_empty() -> None:
    for partial in (True, False):
        loader = DataLoader((X, Y), 128, partial=partial)
        assert (loader.batchsize, len(loader), [len(y) for _, y in loader]) == (7, 1, [7])


def test_the_pass_number_goes_on_and_can_be_read() -> None:
    loader = DataLoader((X, Y), 3)
    assert loader.epoch == 0
    orders(loader, 2)
    assert loader.epoch == 2


def test_x_alone_gives_batches_of_x() -> None:
    for data in (X, (X,)):
        assert [len(batch) for batch in DataLoader(data, 4)] == [1, 1]
        assert sum(len(x) for (x,) in DataLoader(data, 4)) == 7


def test_bytes_stay_bytes_and_other_whole_numbers_become_floats() -> None:
    raw = DataLoader((X.astype(np.uint8), Y), 4, scale=1 / 255)
    assert raw.X.dtype == np.uint8
    assert next(iter(raw))[0].dtype == np.uint8
    assert DataLoader((X.astype(np.int16), Y), 4).X.dtype == np.float64
    assert DataLoader((X.astype(bool), Y), 4).X.dtype == np.float64
    assert DataLoader((X.astype(np.float32), Y), 4).X.dtype == np.float32


def test_data_in_any_order_and_without_write_access_serve() -> None:
    strided = np.asfortranarray(np.repeat(X, 2, axis=0))[::2]
    strided.flags.writeable = False
    batches = [x for x, _ in DataLoader((strided, Y), 3, shuffle=False)]
    np.testing.assert_array_equal(np.concatenate(batches), X)


def test_ncycle_is_that_many_passes_each_in_its_own_order() -> None:
    stream = ncycle(DataLoader((X, Y), 3, seed=5), 4)
    assert len(stream) == 12
    seen = [int(label) for _, y in stream for label in y]
    assert [seen[i : i + 7] for i in range(0, 28, 7)] == orders(DataLoader((X, Y), 3, seed=5), 4)


def test_the_repr_says_what_it_holds() -> None:
    assert repr(DataLoader((X, Y), 3)) == "DataLoader(7 rows x 2 float64, batchsize=3, 3 batches, shuffle=True)"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_place_of_the_first_number_that_is_not_finite_is_named(value: float) -> None:
    bad = X.copy()
    bad[3, 1] = bad[5, 0] = value
    with pytest.raises(NonFiniteInputError, match=f"{value} in row 3, column 1"):
        DataLoader((bad, Y))


@pytest.mark.parametrize(
    ("data", "scale", "kind", "message"),
    [
        ((X, Y[:3]), None, ShapeError, "X has 7 rows but y has 3"),
        ((X, 1), None, ShapeError, "X has 7 rows but y has none"),
        ((X[:0], Y[:0]), None, ShapeError, r"at least one of each, got shape \(0, 2\)"),
        ((X[:, :0], Y), None, ShapeError, r"at least one of each, got shape \(7, 0\)"),
        ((X[0], 1), None, ShapeError, r"must be \(n_samples, n_features\)"),
        ((X.reshape(7, 2, 1), Y), None, ShapeError, r"got shape \(7, 2, 1\)"),
        ((X, Y, Y), None, InputError, "a tuple of 3"),
        ((), None, InputError, "a tuple of 0"),
        ((X.astype(str), Y), None, InputError, "X must hold real numbers, got dtype <U"),
        ((X.astype(complex), Y), None, InputError, "got dtype complex128"),
        ((X.astype(object), Y), None, InputError, "got dtype object"),
        ((X.astype(np.uint8), Y), None, InputError, r"raw bytes \(uint8\).*state it \(scale=1/255 for images\)"),
        ((X, Y), 1 / 255, InputError, "scale is the positive worth of one unit of uint8 data"),
        ((X.astype(np.uint8), Y), 0.0, InputError, "got scale=0.0"),
        ((X.astype(np.uint8), Y), np.inf, InputError, "got scale=inf"),
    ],
)
def test_data_that_cannot_be_used_are_refused_at_once(
    data: tuple[object, ...], scale: float | None, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        DataLoader(data, scale=scale)  # type: ignore[arg-type]


@pytest.mark.parametrize("batchsize", [0, -1, 1.5, None, "128"])
def test_a_batch_holds_at_least_one_row(batchsize: object) -> None:
    with pytest.raises(SettingError, match="batchsize must be a whole number of at least 1"):
        DataLoader((X, Y), batchsize)  # type: ignore[arg-type]


def test_other_settings_out_of_range_are_refused() -> None:
    with pytest.raises(SettingError, match="seed must be a whole number of at least 0"):
        DataLoader((X, Y), seed=-1)
    with pytest.raises(SettingError, match="the number of passes n must be a whole number of at least 1"):
        ncycle(DataLoader((X, Y)), 0)
    with pytest.raises(SettingError, match="ncycle goes over a DataLoader, got list"):
        ncycle([X], 2)  # type: ignore[arg-type]


def test_a_pair_may_come_as_a_list() -> None:
    loader = DataLoader([np.eye(3), [0, 1, 2]], batchsize=3, shuffle=False)
    assert loader.y is not None
    assert loader.y.tolist() == [0, 1, 2]


def test_two_rows_in_a_list_are_rows() -> None:
    assert DataLoader([[1.0, 2.0], [3.0, 4.0]]).y is None


# -- weights -----------------------------------------------------------------------------------------------------------


def test_weights_are_divided_by_their_mean_and_go_with_their_rows() -> None:
    loader = DataLoader((np.eye(4), [0, 1, 2, 3]), 3, seed=1, weights=[1, 3, 0, 4])
    np.testing.assert_array_equal(loader.weights, [0.5, 1.5, 0, 2])
    for X, y, w in loader:
        np.testing.assert_array_equal(w, np.array([0.5, 1.5, 0, 2])[y])
        np.testing.assert_array_equal(X, np.eye(4)[y])
    assert DataLoader((np.eye(2), [0, 1])).weights is None
    assert np.isfinite(DataLoader((np.eye(2), [0, 1]), weights=[1e308, 1e308]).weights).all()


def test_class_weights_by_index_name_and_one_hot_row() -> None:
    # balanced: n / (classes x count) = 4 / (2 x 3) and 4 / (2 x 1), of mean 1
    for y in ([0, 0, 1, 0], np.array([[0.0], [0.0], [1.0], [0.0]]), ["a", "a", "b", "a"], np.eye(2)[[0, 0, 1, 0]]):
        loader = DataLoader((np.eye(4), y), class_weight="balanced")
        np.testing.assert_allclose(loader.weights, [2 / 3, 2 / 3, 2, 2 / 3], rtol=1e-15)
    by_name = DataLoader((np.eye(4), ["a", "a", "b", "a"]), class_weight={"b": 3})
    by_place = DataLoader((np.eye(4), [0, 0, 1, 0]), class_weight=[1, 3])
    np.testing.assert_allclose(by_name.weights, np.array([1, 1, 3, 1]) / 1.5)
    np.testing.assert_array_equal(by_place.weights, by_name.weights)
    both = DataLoader((np.eye(4), [0, 0, 1, 0]), class_weight=[1, 3], weights=[2, 1, 1, 0])
    np.testing.assert_allclose(both.weights, np.array([2, 1, 3, 0]) / 1.5)


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"weights": [1, 2]}, ShapeError, r"4 rows want as many weights, got weights of shape \(2,\)"),
        ({"weights": [1, -2, 1, 1]}, InputError, "not negative, got -2"),
        ({"weights": [1, np.nan, 1, 1]}, InputError, "finite and not negative, got nan"),
        ({"weights": [0, 0, 0, 0]}, InputError, "every weight is 0"),
        ({"weights": ["a", "b", "c", "d"]}, InputError, "weights must be numbers"),
        ({"class_weight": "balance"}, SettingError, "must be 'balanced', a mapping or a sequence, got 'balance'"),
        ({"class_weight": 3}, SettingError, "must be 'balanced', a mapping or a sequence, got 3"),
        ({"class_weight": [1.0]}, LabelError, "class_weight has 1 entries, for the classes 0 to 0; y holds 1"),
        ({"class_weight": {7: 1.0}}, LabelError, "class_weight names 7, which is no label of y"),
        ({"class_weight": {0: 0.0, 1: 0.0}}, InputError, "every weight is 0"),
    ],
)
def test_weights_that_do_not_fit_are_named(settings: dict, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        DataLoader((np.eye(4), [0, 0, 1, 0]), **settings)


@pytest.mark.parametrize("y", [[0.5, 1, 2, 0], np.ones((4, 2)), np.full((4, 2), 0.5)])
def test_class_weights_want_classes(y: object) -> None:
    with pytest.raises(LabelError, match="give weights="):
        DataLoader((np.eye(4), y), class_weight="balanced")
