"""Going back after a divergence: all of the numbers, or those that a lazy rule can have changed."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import sparse

from layerloop import Adam, Chain, DataLoader, Dense, Descent, LazyAdam, mse, train
from layerloop.csr import as_csr
from layerloop.engine import Rows
from layerloop.errors import DivergenceError
from layerloop.network import setup
from layerloop.training.loop import Run
from layerloop.training.savepoint import Savepoint, changing, still_finite

FULL = np.zeros((6, 50))
FULL[range(6), [3, 7, 7, 20, 41, 3]] = 1.0
S = sparse.csr_array(FULL)


def test_of_a_lazy_rule_on_sparse_rows_only_what_occurs_is_kept_and_put_back() -> None:
    m = Chain(Dense(50, 4, "tanh"), Dense(4, 1), dtype="float64")
    state, rows = setup(LazyAdam(0.1), m), Rows(as_csr(S, "X"), np.zeros((6, 1)))
    places = changing(m, state, rows)
    assert places is not None
    assert places.tolist() == [3, 7, 20, 41]
    point, before = Savepoint.of(m.flat, state, places), m.flat.copy()
    assert [part.shape for part in point.vectors[0]] == [(4, 4), (4 + 5,)]
    table = m.flat[:200].reshape(50, 4)
    table[places], m.flat[200:], state.slots[1][12:16], state.t = 9.0, 8.0, 7.0, 5
    point.restore(m.flat, state)
    np.testing.assert_array_equal(m.flat, before)
    assert not state.slots[1].any()
    assert state.t == 0


def test_slots_that_are_zero_are_put_back_without_a_copy() -> None:
    m = Chain(Dense(50, 4, "tanh"), Dense(4, 1), dtype="float64")
    for rule, X in ((Adam(0.1), FULL), (LazyAdam(0.1), as_csr(S, "X"))):
        state = setup(rule, m)
        places = changing(m, state, Rows(X, np.zeros((6, 1))))
        point, before = Savepoint.of(m.flat, state, places, fresh=True), m.flat.copy()
        for vector in (m.flat, *state.slots):
            table = vector[:200].reshape(50, 4)
            table[slice(None) if places is None else places], vector[200:] = 9.0, 8.0
        point.restore(m.flat, state)
        np.testing.assert_array_equal(m.flat, before)
        assert not any(slot.any() for slot in state.slots)


def test_all_may_change_with_another_rule_or_dense_rows() -> None:
    m = Chain(Dense(50, 4), dtype="float64")
    rows = Rows(as_csr(S, "X"), np.zeros((6, 4)))
    assert changing(m, setup(Adam(), m), rows) is None
    assert changing(m, setup(LazyAdam(), m), Rows(FULL, rows.targets)) is None


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_is_found_and_a_large_sum_is_none(bad: float) -> None:
    w = np.full(1000, 3e38, np.float32)
    assert still_finite(w)
    w[500] = bad
    assert not still_finite(w)


@pytest.mark.parametrize("share", [1e-12, 0.05])
def test_however_seldom_numbers_are_kept_the_same_step_is_found(share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(10, 3))
    found = []
    for stretch, seldom in ((0.0, share), (10.0, 0.05)):
        monkeypatch.setattr("layerloop.training.loop.STRETCH", stretch)
        monkeypatch.setattr("layerloop.training.loop.SHARE", seldom)
        m = Chain(Dense(3, 1), dtype="float64")
        with pytest.raises(DivergenceError) as caught:
            train(m, DataLoader((X, X.sum(axis=1)), 1), mse, Descent(3.0), epochs=1000)
        found.append((caught.value.epoch, caught.value.step, m.flat.tobytes()))
        assert np.isfinite(m.flat).all()
    assert found[0] == found[1]


def test_a_lazy_run_on_sparse_rows_that_explodes_keeps_its_last_finite_numbers() -> None:
    m = Chain(Dense(50, 1), dtype="float64")
    with pytest.raises(DivergenceError):
        train(m, DataLoader((S, np.ones(6)), 2), mse, LazyAdam(1e200), epochs=50)
    assert np.isfinite(m.flat).all()


def test_the_next_copy_is_expected_to_take_as_long_for_each_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count()
    monkeypatch.setattr("time.perf_counter", lambda: float(next(ticks)))  # so that the first copy takes 1 s
    m, data = Chain(Dense(3, 1)), DataLoader((np.eye(3), np.eye(3)[:, :1]), 1)
    for rule, vectors in ((Descent(0.1), 1), (Adam(0.1), 3), (LazyAdam(0.1), 3)):
        assert Run.begin(m, data, mse, rule, 1, None, None).save_seconds == vectors
