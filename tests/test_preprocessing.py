"""Inputs: what is done to rows before the first layer, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from layerloop.errors import InputError, NonFiniteInputError, SettingError, ShapeError, UnknownNameError
from layerloop.preprocessing import BLOCK, Inputs, as_rows, from_dict, standardised, to_dict


def test_floats_in_the_right_type_and_order_are_not_copied() -> None:
    X = np.ones((3, 2), np.float32)
    assert Inputs().apply(X, "float32") is X


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_kind_of_real_number_arrives_in_the_type_of_the_network(dtype: str) -> None:
    for kind in (np.float16, np.float32, np.float64, np.int8, np.int64, np.uint16, np.bool_, ">f8"):
        rows = Inputs().apply(np.asfortranarray(np.ones((3, 2), kind)), dtype)
        assert rows.dtype == dtype
        assert rows.flags.c_contiguous
        assert (rows == 1).all()


def test_raw_bytes_take_the_scale_and_floats_do_not() -> None:
    inputs = Inputs(scale=0.5)
    np.testing.assert_array_equal(inputs.apply(np.array([[0, 3]], np.uint8), "float64"), [[0, 1.5]])
    np.testing.assert_array_equal(inputs.apply(np.array([[0, 3.0]]), "float64"), [[0, 3]])


def test_raw_bytes_without_a_scale_are_refused_with_what_to_do() -> None:
    with pytest.raises(InputError, match=r"raw bytes \(uint8\).*stores no scale.*convert them"):
        Inputs().apply(np.zeros((1, 2), np.uint8), "float32")


def test_columns_are_centred_and_scaled_after_the_bytes_are_unpacked() -> None:
    inputs = Inputs(scale=0.5, center=(1.0, 2.0), spread=(2.0, 4.0))
    np.testing.assert_array_equal(inputs.apply(np.array([[6, 0]], np.uint8), "float64"), [[1, -0.5]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_more_rows_than_are_standardised_at_once_come_out_as_each_alone(dtype: str) -> None:
    X = np.random.default_rng(0).integers(0, 256, size=(2 * BLOCK + 3, 2), dtype=np.uint8)
    inputs = Inputs(scale=1 / 255, center=(0.5, 0.25), spread=(0.1, 3.0))
    rows = inputs.apply(X, dtype)
    assert rows.dtype == dtype
    for i in (0, BLOCK - 1, BLOCK, 2 * BLOCK, len(X) - 1):
        np.testing.assert_array_equal(rows[i : i + 1], inputs.apply(X[i : i + 1], dtype))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_what_is_not_finite_in_the_networks_type_is_refused(bad: float) -> None:
    with pytest.raises(NonFiniteInputError, match="NaN or infinity, or a number too large for float32"):
        Inputs().apply(np.array([[0.0, bad]]), "float32")


@pytest.mark.parametrize("X", [np.array([["a"]]), np.array([[1j]]), np.array([[None]]), np.array([["2020"]], "M8[D]")])
def test_what_are_no_real_numbers_is_refused(X: np.ndarray) -> None:
    with pytest.raises(InputError, match="takes real numbers, got dtype"):
        Inputs().apply(X, "float32")


def test_no_rows_pass() -> None:
    assert Inputs(scale=1.0).apply(np.zeros((0, 3), np.uint8), "float32").shape == (0, 3)


@pytest.mark.parametrize(
    "settings",
    [
        {"scale": 0.0},
        {"scale": -1.0},
        {"scale": float("nan")},
        {"scale": float("inf")},
        {"center": (1.0,)},
        {"center": (1.0,), "spread": (0.0,)},
        {"center": (1.0,), "spread": (float("inf"),)},
        {"center": (float("nan"),), "spread": (1.0,)},
        {"image": (4,)},
        {"image": (4, 4, 4), "fit": "stretch"},
        {"image": (4, 4, 3)},
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(SettingError, match="Inputs: "):
        Inputs(**settings)  # type: ignore[arg-type]


def test_numbers_of_colour_pixels_are_added_up_and_grey_ones_stay() -> None:
    colour = np.arange(12.0)
    np.testing.assert_array_equal(Inputs(image=(2, 2, 3), fit="stretch").in_plane(colour), [[3, 12], [21, 30]])
    np.testing.assert_array_equal(Inputs(image=(3, 4)).in_plane(colour), colour.reshape(3, 4))
    with pytest.raises(InputError, match="not trained on pictures"):
        Inputs().in_plane(colour)


def test_standardised_columns_have_mean_0_and_deviation_1_and_constant_ones_are_0() -> None:
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(1e6, 3, 500), rng.uniform(0, 1e-6, 500), np.full(500, 0.1), np.zeros(500)])
    Z = standardised(X, ("a", "b", "c", "d")).apply(X, "float64")
    np.testing.assert_allclose(Z.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(Z.std(axis=0), [1, 1, 0, 0], atol=1e-9)


def test_plain_data_and_back_is_the_same() -> None:
    inputs = Inputs(scale=1 / 255, center=(0.1, 0.2), spread=(1.0, 3.0), columns=("a", "b"), image=(1, 2), box=20)
    as_lists = {k: list(v) if isinstance(v, tuple) else v for k, v in to_dict(inputs).items()}
    assert from_dict(as_lists) == inputs
    assert to_dict(Inputs()) == {}


def test_an_unknown_description_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown description of the input 'centre'. Did you mean 'center'"):
        from_dict({"centre": [1.0]})


def test_one_sample_becomes_a_batch_of_one() -> None:
    rows, single = as_rows([1.0, 2.0], 2)
    assert (rows.shape, single) == ((1, 2), True)
    rows, single = as_rows(np.zeros((3, 2)), 2)
    assert (rows.shape, single) == ((3, 2), False)


@pytest.mark.parametrize(
    ("x", "got"),
    [
        (np.zeros(3), r"3 in shape \(3,\)"),
        (np.zeros((2, 3)), r"3 in shape \(2, 3\)"),
        (np.zeros((1, 1, 2)), r"2 in shape \(1, 1, 2\)"),
        (1.0, "a single number"),
    ],
)
def test_a_wrong_width_says_what_was_wanted_and_what_came(x: object, got: str) -> None:
    with pytest.raises(ShapeError, match=rf"takes 2 numbers per sample, as \(2,\) or \(n, 2\); got {got}"):
        as_rows(x, 2)  # type: ignore[arg-type]
