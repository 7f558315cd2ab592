"""Steady rows that are mostly zeros: what is found in them once is used in every pass, to the same bits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from unittest.mock import Mock

import numpy as np
import pytest

from both_engines import ISAS, TOLERANCE, Case, instructions, needs_native
from layerloop import Adam, Chain, DataLoader, Dense, softmax, train
from layerloop.engine import Rows, native
from layerloop.optim import Adjusted
from layerloop.training.callbacks import leaves_rows_alone, reads_only

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = needs_native
COLUMNS = 83  # no whole number of vectors


def case_of(dtype: str, n: int = 300, share: float = 0.15, columns: int = COLUMNS) -> Case:
    case = Case((columns, 40, 4), "tanh", dtype=dtype, n=n)
    case.X[np.random.default_rng(n).random(case.X.shape) > share] = 0
    return case


def rows_of(case: Case, *, raw: bool) -> Rows:
    return Rows((np.abs(case.X) * 90).astype(np.uint8), case.y, 1 / 255) if raw else case.rows()


def same_bits(case: Case, rows: Rows, rule: object | None = None, batch: int = 100) -> Rows:
    """Train on rows that may change and on steady ones; return these."""
    steady = replace(rows, steady=True)
    plain, kept = (case.trained(case.native, rule or Adam(1e-2), batch, rows=each) for each in (rows, steady))
    for index in (0, 2):
        np.testing.assert_array_equal(plain[index], kept[index])
    return steady


@pytest.mark.parametrize("raw", [False, True], ids=["numbers", "bytes"])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("isa", ISAS)
def test_training_has_the_bits_of_rows_that_are_searched_in_every_step(isa: str, dtype: str, *, raw: bool) -> None:
    with instructions(isa):
        case = case_of(dtype)
        steady = same_bits(case, rows_of(case, raw=raw))
    assert steady.kept[0] is not None


@pytest.mark.parametrize("batch", [3, 64, 1500])
def test_small_and_large_batches_take_them_too(batch: int) -> None:
    case = case_of("float32", n=1600)
    assert same_bits(case, case.rows(), batch=batch).kept[0] is not None


def test_so_do_steps_with_something_around_the_rule() -> None:
    case = case_of("float64")
    assert same_bits(case, case.rows(), Adjusted(Adam(1e-2), clip_norm=0.1, l2=1e-3)).kept[0] is not None


@pytest.mark.parametrize("raw", [False, True], ids=["numbers", "bytes"])
def test_rows_of_every_length_empty_and_full_ones_among_them(*, raw: bool) -> None:
    case = case_of("float32", n=2000)
    for i, row in enumerate(case.X):
        row[i % 7 * 3 :] = 0  # most of them short
    case.X[1] = case.X[-1] = np.arange(1, COLUMNS + 1)
    case.X[::211] = 1
    assert same_bits(case, rows_of(case, raw=raw)).kept[0] is not None


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_entry_that_is_not_finite_is_kept_as_it_is(bad: float) -> None:
    case = case_of("float32")
    case.X[5, 7] = bad
    for rows in (case.rows(), replace(case.rows(), steady=True)):
        losses = np.empty(3)
        state = case.trained(case.native, Adam(1e-2), rows=case_of("float32").rows())[1]
        assert case.native.train(case.w.copy(), state, rows, case.order, case.plan, 100, losses) < 3


@pytest.mark.parametrize(
    ("share", "columns", "n"),
    [(0.4, COLUMNS, 300), (1.0, COLUMNS, 300), (0.1, 63, 300), (0.001, 66_000, 60)],
    ids=["many entries", "dense", "few columns", "columns beyond 2 bytes"],
)
def test_other_rows_are_not_kept(share: float, columns: int, n: int) -> None:
    case = case_of("float32", n, share, columns)
    assert same_bits(case, case.rows()).kept == [None]


@pytest.mark.parametrize("n", [320, 1 << 14])
def test_rows_that_seem_to_be_mostly_zeros_and_are_not_are_given_up(n: int) -> None:
    case = case_of("float32", n=n, share=1.0)
    case.X[:: n // 16] = 0  # those that are looked at first
    assert same_bits(case, case.rows()).kept == [None]


def test_packed_rows_belong_to_their_own() -> None:
    case, other = case_of("float32"), case_of("float32", n=200)
    steady = same_bits(case, case.rows())
    wrong = replace(other.rows(), steady=True)
    wrong.kept.extend(steady.kept)
    with pytest.raises(ValueError, match="packed rows of other ones"):
        other.trained(other.native, Adam(1e-2), rows=wrong)
    assert replace(steady, X=other.X).kept == []


# -- who may change rows -----------------------------------------------------------------------------------------------


def trained_with(callbacks: list[Callable[..., object]], X: np.ndarray, epochs: int = 4) -> np.ndarray:
    m = Chain(Dense(COLUMNS, 40, "tanh"), Dense(40, 4), softmax)
    train(m, DataLoader((X, np.arange(300) % 4), batchsize=100), callbacks=callbacks, epochs=epochs)
    return m.flat


def test_who_merely_has_an_attribute_of_that_name_has_promised_nothing() -> None:
    assert not leaves_rows_alone(Mock())


def test_a_callback_of_ones_own_may_write_into_the_rows() -> None:
    X = case_of("float32").X

    def trained(watch: list[Callable[..., object]]) -> np.ndarray:
        own = X.copy()

        def turned(progress: object) -> None:
            own[:] = own[:, ::-1]

        return trained_with([turned, *watch], own)

    np.testing.assert_array_equal(trained([]), trained([reads_only(lambda _: None)]))
    assert not np.array_equal(trained([]), trained_with([], X.copy()))


def test_they_are_kept_for_several_passes_without_callbacks_or_with_reading_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = []
    packed = native.NativeEngine._packed

    def noted(engine: native.NativeEngine, seen: native.Seen, rows: Rows) -> object:
        found.append(packed(engine, seen, rows))
        return found[-1]

    def kept(callbacks: list[Callable[..., object]], epochs: int = 4) -> tuple[np.ndarray, bool]:
        found.clear()
        flat = trained_with(callbacks, X, epochs)
        return flat, all(each is not None for each in found)

    monkeypatch.setattr(native.NativeEngine, "_packed", noted)
    X = case_of("float32").X
    alone, reading, any_other = kept([]), kept([reads_only(lambda _: None)]), kept([lambda _: None])
    assert (alone[1], reading[1], any_other[1], kept([], 1)[1]) == (True, True, False, False)
    np.testing.assert_array_equal(alone[0], reading[0])
    np.testing.assert_array_equal(alone[0], any_other[0])
