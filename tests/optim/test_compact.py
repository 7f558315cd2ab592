"""Slots whose rows have a place elsewhere: what is read is what one would read without, and the room is kept small."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import sparse

from both_engines import needs_native
from layerloop import Chain, DataLoader, Dense, LazyAdam, softmax, train
from layerloop.csr import as_csr
from layerloop.engine import Rows, native
from layerloop.errors import DivergenceError
from layerloop.estimators import MLPClassifier
from layerloop.network import make_plan, setup
from layerloop.optim import Adam, init, resume
from layerloop.optim.compact import CompactSlots, compacted, held
from layerloop.training.savepoint import Savepoint, changing

if TYPE_CHECKING:
    from layerloop.optim.state import State

D = 2000


def texts(n: int = 64, d: int = D, *, at: int = 0) -> tuple[sparse.csr_array, np.ndarray]:
    rng = np.random.default_rng(at)
    columns = np.sort(rng.integers(d, size=(n, 6)), axis=1)
    starts = np.arange(0, 6 * n + 1, 6)
    X = sparse.csr_array((rng.random(6 * n, dtype=np.float32), columns.ravel(), starts), shape=(n, d))
    X.sum_duplicates()
    return X, rng.integers(3, size=n)


def network(d: int = D, dtype: str = "float32") -> Chain:
    return Chain(Dense(d, 8, "tanh"), Dense(8, 3), softmax, dtype=dtype)


def learned(m: Chain, *, state: State | None = None, at: int = 0, epochs: int = 3, n: int = 64) -> State:
    data = DataLoader(texts(n, m.architecture.n_in, at=at), 16)
    history = train(m, data, optimizer=None if state else LazyAdam(0.01), state=state, epochs=epochs)
    return history.state


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> object:
    """Call it to have the engine use no places from then on."""
    return lambda: monkeypatch.setattr(native, "compacted", lambda slots, rows, met: tuple(slots))


def same(one: State, other: State) -> bool:
    return one.t == other.t and all(map(np.array_equal, one.slots, other.slots))


def some_slots(room: int = 3) -> tuple[CompactSlots, list[np.ndarray]]:
    """Two slots of five rows of two and a rest of three, rows 3 and 0 with a place, and what they are to be."""
    slots = CompactSlots([np.arange(13.0), -np.arange(13.0)], (5, 2), room)
    slots.places[[3, 0]], slots.used[0] = [0, 1], 2
    for near, sign in zip(slots.near, (1, -1), strict=True):
        near[:2] = [[sign * 60, sign * 70], [sign * 80, sign * 90]]
    meant = np.array([80.0, 90, 2, 3, 4, 5, 60, 70, 8, 9, 10, 11, 12])
    return slots, [meant, -meant]


# -- the sequence ----------------------------------------------------------------------------------------------------


def test_a_vector_that_is_read_has_all_rows_and_may_be_changed() -> None:
    slots, meant = some_slots()
    assert len(slots) == 2
    assert slots.held[0][0] == 0
    (m, v), again = slots, slots[:1]
    np.testing.assert_array_equal(m, meant[0])
    np.testing.assert_array_equal(v, meant[1])
    assert again[0] is m is slots[-2]
    m[0] = 5
    assert slots[0][0] == 5
    assert (slots.places == -1).all()
    assert slots.used[0] == 0


def test_rows_are_taken_wherever_they_lie_without_being_put_back() -> None:
    slots, meant = some_slots()
    for rows in ([3, 0], [0, 1, 3, 4], [1, 2], []):
        for i in range(2):
            out = np.full((len(rows), 2), np.nan)
            slots.take(i, np.array(rows, int), out)
            np.testing.assert_array_equal(out, meant[i][:10].reshape(5, 2)[rows])
    assert slots.used[0] == 2
    assert held(slots) is slots.held
    plain = (np.zeros(2),)
    assert held(plain) is plain


def test_threads_that_read_at_once_read_the_same() -> None:
    for _ in range(20):
        rng = np.random.default_rng(0)
        slots = CompactSlots([np.zeros(200_000)], (20_000, 10), 20_000)
        slots.places[:], slots.used[0] = rng.permutation(20_000), 20_000
        slots.near[0][...] = rng.normal(size=(20_000, 10))
        meant = slots.near[0][slots.places].ravel()
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(slots.__getitem__, [0] * 4))
        assert all(np.array_equal(one, meant) for one in found)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda slots: pickle.loads(pickle.dumps(slots))])
def test_copies_have_the_same_rows_and_leave_them_where_they_are(again: object) -> None:
    slots, meant = some_slots()
    copied = again(slots)  # type: ignore[operator]
    assert slots.used[0] == 2
    assert all(map(np.array_equal, copied, meant))
    assert not np.shares_memory(copied[0], slots.held[0])
    assert all(map(np.array_equal, slots, meant))


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda slots: pickle.loads(pickle.dumps(slots))])
def test_copies_of_rows_side_by_side_have_them_side_by_side(again: object) -> None:
    slots = CompactSlots([np.zeros(13), np.zeros(13)], (5, 2), 3, zero=True)
    slots.places[[3, 0]], slots.used[0] = [0, 1], 2
    for near, vector, sign in zip(slots.near, slots.held, (1, -1), strict=True):
        near[:2], vector[10:] = [[sign * 60, sign * 70], [sign * 80, sign * 90]], sign
    copied = again(slots)  # type: ignore[operator]
    for one in (slots, copied):
        assert isinstance(one, CompactSlots)
        assert (one.room, one.used.tolist(), one.places.tolist(), one.untouched) == (
            3,
            [2, 0],
            [1, -1, -1, 0, -1],
            True,
        )
    assert len(pickle.dumps(CompactSlots([np.zeros(10**6)], (10**5, 10), 3, zero=True))) < 1000
    meant = [80, 90, 0, 0, 0, 0, 60, 70, 0, 0, 1, 1, 1]
    assert copied[0].tolist() == meant
    assert slots[1].tolist() == [-x for x in meant]


def test_there_is_room_for_few_rows_of_a_wide_table_alone() -> None:
    plain = (np.zeros(1000 * 2 + 5),) * 2
    for rows, count in (((1000, 2), 251), ((0, 0), 10), ((1000, 2), 0), ((3, 2), 1)):
        assert compacted(plain, rows, np.arange(count)) is plain
    slots = compacted((np.zeros(2005), np.zeros(2005)), (1000, 2), np.arange(20))
    assert isinstance(slots, CompactSlots)
    assert slots.room == 40  # for other data to come
    slots.places[7], slots.used[0], slots.near[0][0] = 0, 1, 3.0
    for count, room in ((39, 40), (40, 40), (41, 82), (900, 250), (1000, 250)):  # row 7 has its place already
        assert compacted(slots, (1000, 2), np.arange(count)) is slots
        assert slots.room == room
    assert not slots.held[0].any()
    assert slots[0][14] == 3.0


# -- training --------------------------------------------------------------------------------------------------------


@needs_native
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_steps_give_the_same_bits_with_places_and_without(dtype: str, without: object) -> None:
    one, other = network(dtype=dtype), network(dtype=dtype)
    state = learned(one)
    assert isinstance(state.slots, CompactSlots)
    assert state.slots.used[0] == len(np.unique(texts()[0].indices))
    assert not any(slot[: D * 8].any() for slot in state.slots.held)
    without()  # type: ignore[operator]
    plain = learned(other)
    assert not isinstance(plain.slots, CompactSlots)
    np.testing.assert_array_equal(one.flat, other.flat)
    assert same(state, plain)


@needs_native
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_rows_for_which_there_is_no_room_stay_in_the_vectors(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "core_count", lambda: threads)
    X, y = texts(512)
    found = []
    for room in (0, 1, 50, 400):
        m = network()
        state = setup(LazyAdam(0.01), m)
        state.slots = CompactSlots(state.slots, state.rows, room)
        monkeypatch.setattr(native, "compacted", lambda slots, rows, met: slots)
        losses = np.empty(2)
        for _ in range(3):
            rows = Rows(as_csr(X, "X"), y)
            assert m.engine.train(m.flat, state, rows, np.arange(512), _plan(m), 256, losses) == 2
        assert state.slots.used.tolist() == [room, 0 < room < len(np.unique(X.indices))]
        found.append((m.flat.tobytes(), *(slot.tobytes() for slot in state.slots)))
    assert len(set(found)) == 1


def _plan(m: Chain) -> object:
    return make_plan(m, "crossentropy")


@needs_native
def test_training_goes_on_from_what_was_read_and_changed_in_between(without: object) -> None:
    def run() -> tuple[Chain, State]:
        m = network()
        state = learned(m)
        state.slots[0][:] *= 0.5
        state.slots[1][5] = 2.0
        for at in (1, 2):
            state = learned(m, state=state, at=at, n=16 * at)
        return m, state

    m, state = run()
    without()  # type: ignore[operator]
    n, plain = run()
    np.testing.assert_array_equal(m.flat, n.flat)
    assert same(state, plain)


@needs_native
def test_the_numpy_engine_goes_on_where_the_compiled_one_was(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for names in (("native", "numpy", "native"), ("numpy",) * 3):
        m, state = network(dtype="float64"), None
        for name in names:
            monkeypatch.setenv("LAYERLOOP_ENGINE", name)
            m = _like(m)
            state = learned(m, state=state)
        assert state is not None
        found.append((m.flat, *state.slots))
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def _like(m: Chain) -> Chain:
    new = network(dtype="float64")
    new.flat[...] = m.flat
    return new


@needs_native
def test_a_point_to_go_back_to_keeps_rows_wherever_they_lie() -> None:
    m = network()
    state = learned(m)
    rows = Rows(as_csr(texts(80)[0], "X"), np.zeros(80, int))  # some of them new
    places = changing(m, state, rows)
    point = Savepoint.of(m.flat, state, places)
    assert isinstance(state.slots, CompactSlots)
    assert state.slots.used[0] > 0
    before = [m.flat.copy(), *(slot.copy() for slot in state.slots)]
    state = learned(m, state=state)
    point.restore(m.flat, state)
    for now, then in zip((m.flat, *state.slots), before, strict=True):
        np.testing.assert_array_equal(now, then)


@needs_native
def test_a_wide_run_that_explodes_keeps_its_last_finite_numbers(without: object) -> None:
    found = []
    for _ in range(2):
        m, (X, y) = Chain(Dense(D, 1), dtype="float64"), texts()
        with pytest.raises(DivergenceError) as caught:
            train(m, DataLoader((X, y.astype(float)), 16), "mse", LazyAdam(1e200), epochs=50)
        assert np.isfinite(m.flat).all()
        found.append((caught.value.epoch, caught.value.step, m.flat.tobytes()))
        without()  # type: ignore[operator]
    assert found[0] == found[1]


@needs_native
def test_what_leads_outside_is_refused() -> None:
    m, (X, y) = network(), texts()
    rows, order, losses = Rows(as_csr(X, "X"), y), np.arange(64), np.empty(4)
    for spoil in (
        lambda slots: setattr(slots, "places", slots.places[:-1].copy()),
        lambda slots: setattr(slots, "near", (slots.near[0], slots.near[1][:-1].copy())),
        lambda slots: setattr(slots, "near", tuple(near[:, :-1].copy() for near in slots.near)),
        lambda slots: setattr(slots, "near", slots.near[:1]),
        lambda slots: slots.used.fill(slots.room + 1),
        lambda slots: slots.used.fill(-1),
        lambda slots: setattr(slots, "used", slots.used[:1].copy()),
    ):
        state = setup(LazyAdam(0.01), m)
        slots = compacted(state.slots, state.rows, as_csr(X, "X").occurring)
        assert isinstance(slots, CompactSlots)
        spoil(slots)
        state.slots = slots
        with pytest.raises(ValueError, match=r"place|rows with a place"):
            m.engine.train(m.flat, state, rows, order, _plan(m), 16, losses)
    state = setup(LazyAdam(0.01), m)  # a place that there is none of counts as none
    slots = compacted(state.slots, state.rows, as_csr(X, "X").occurring)
    assert isinstance(slots, CompactSlots)
    slots.places[:], state.slots = 10**9, slots
    assert m.engine.train(m.flat, state, rows, order, _plan(m), 16, losses) == 4


@needs_native
def test_an_estimator_that_learns_in_parts_does_not_put_rows_back_between_them() -> None:
    est = MLPClassifier((8,), solver=LazyAdam(0.01), alpha=0, batch_size=16, random_state=0)
    seen = []
    for at in range(3):
        X, y = texts(d=20_000, at=at)
        est.partial_fit(X, y, classes=[0, 1, 2])
        seen.append(X.indices)
    slots = est._optimizer.state.slots
    assert isinstance(slots, CompactSlots)
    assert slots.used[0] == len(np.unique(np.concatenate(seen)))


def test_a_state_is_copied_with_its_rows() -> None:
    w = np.zeros(13)
    state = init(LazyAdam(0.1), w, (("a.weight", 10), ("a.bias", 2)))
    state.slots, meant = some_slots()
    assert all(map(np.array_equal, state.copy().slots, meant))


def test_a_copy_leaves_untouched_what_nobody_has_touched() -> None:
    state = init(LazyAdam(0.1), np.zeros(13), (("a.weight", 10), ("a.bias", 2)))
    assert isinstance(state.slots, CompactSlots)
    slots = compacted(state.slots, (5, 2), np.array([3]))
    assert isinstance(slots, CompactSlots)
    slots.grow(2)
    slots.places[3], slots.used[0] = 0, 1
    for near, held_back in zip(slots.near, slots.held, strict=True):
        near[0], held_back[10:] = [6.0, 7.0], 9.0
    meant = [0, 0, 0, 0, 0, 0, 6, 7, 0, 0, 9, 9, 9]
    copied = slots.copy()
    assert copied.untouched
    assert copied.room == 2
    copied.near[0][0] = 5.0  # its own
    assert slots.untouched
    assert slots[0].tolist() == meant
    assert not slots.untouched  # the reader may have written
    assert slots.copy()[1].tolist() == meant
    copied.places[1], copied.used[:] = 1, [2, 1]  # no room: a step may have changed a row where it is
    copied.held[0][4] = 4.0
    copied.grow(4)
    assert copied.copy()[0][4] == 4.0


@needs_native
def test_training_goes_on_from_a_copy_whose_rows_stay_side_by_side() -> None:
    m = network()
    state = learned(m)
    used = state.slots.used[0]  # type: ignore[attr-defined]
    after = learned(m, state=state)
    for slots in (state.slots, after.slots):
        assert isinstance(slots, CompactSlots)
        assert slots.used[0] == used
        assert slots.untouched
    assert after.t == 2 * state.t


@needs_native
def test_the_same_columns_over_and_over_count_once() -> None:
    m, (X, y) = network(), texts(16)
    data = DataLoader((sparse.vstack([X] * 2000).tocsr(), np.tile(y, 2000)), 16_000)
    slots = train(m, data, optimizer=LazyAdam(0.01)).state.slots
    assert isinstance(slots, CompactSlots)
    assert slots.used[0] == len(np.unique(X.indices))


@needs_native
def test_copies_stay_short_where_the_rows_fill_their_places_exactly() -> None:
    state = setup(LazyAdam(0.01), m := network())
    for at in (20, 40, 60):
        X = sparse.csr_array((np.ones(20), np.arange(at - 20, at), np.arange(21)), shape=(20, D))
        rows, losses = Rows(as_csr(X, "X"), np.zeros(20, int)), np.empty(1)
        state = state.copy()
        m.engine.train(m.flat, state, rows, np.arange(20), _plan(m), 20, losses)
        assert isinstance(state.slots, CompactSlots)
        assert (state.slots.used[0], state.slots.untouched) == (at, True)


def test_another_rule_goes_on_from_all_rows() -> None:
    state = init(LazyAdam(0.1), np.zeros(13), (("a.weight", 10), ("a.bias", 2)))
    state.slots, meant = some_slots()
    after = resume(state, Adam(0.1), np.zeros(13), (("a.weight", 10), ("a.bias", 2)))
    assert type(after.slots) is tuple
    assert all(map(np.array_equal, after.slots, meant))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_forked_while_another_thread_has_the_lock_can_read() -> None:
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "7"), done.stderr


FORKED = """
import os, threading
import numpy as np
from layerloop.optim.compact import CompactSlots
slots = CompactSlots([np.zeros(8)], (3, 2), 2)
slots.places[1], slots.near[0][0], slots.used[0] = 0, [4.0, 5.0], 1
taken, over = threading.Event(), threading.Event()
def hold():
    with slots.lock:
        taken.set()
        over.wait()
other = threading.Thread(target=hold)
other.start()
taken.wait()
child = os.fork()
if not child:
    os._exit(7 if slots[0].tolist() == [0, 0, 4, 5, 0, 0, 0, 0] else 1)
_, status = os.waitpid(child, 0)
over.set()
other.join()
print(os.waitstatus_to_exitcode(status))
"""
