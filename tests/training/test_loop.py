"""The training loop: ten golden losses, exact continuation, figures that mean what they say, and callbacks."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
from itertools import count

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from both_engines import ENGINES
from layerloop.data.batches import DataLoader, ncycle
from layerloop.layers import BatchNorm, Dense
from layerloop.network import Chain, evaluate, make_plan, make_rows, params, setup, update, value_and_gradient
from layerloop.optim import RULES, Adam, Descent, NAdam, Rule, rule_named
from layerloop.preprocessing import Inputs
from layerloop.training import History, Progress, Stop, train
from layerloop.vocabulary import crossentropy, softmax
from small_run import D, N, X, Y, loader, network


def explicit(m: Chain, data: DataLoader, rule: Rule, epochs: int, loss: object = crossentropy) -> list[float]:
    """The loop written out; return the mean loss per sample of each pass."""
    state, means = setup(rule, m), []
    for _ in range(epochs):
        total, rows = 0.0, 0
        for x, y in data:
            value, gradient = value_and_gradient(m, x, y, loss)  # type: ignore[arg-type]
            update(m, gradient, state)
            total, rows = total + value * len(x), rows + len(x)
        means.append(total / rows)
    return means


# -- the numbers ----------------------------------------------------------------------------------------------------

# Mean losses of ten passes in float64 by PyTorch 2.13.0: the same X, Y and initial weights written as formulas, tanh,
# torch.nn.functional.cross_entropy, torch.optim.Adam(lr=0.05), rows 0-3, 4-7, 8-10 in this order, each batch's loss
# (before its update) weighted with its rows. Below them the first two weights and biases of both layers at the end.
GOLDEN = [
    0.9284412584733299,
    0.6174171773078254,
    0.49084341502052625,
    0.425224908821148,
    0.3745621757357751,
    0.330938107750192,
    0.2946754775815989,
    0.2676292562468777,
    0.24713333315844377,
    0.22672922622945066,
]
GOLDEN_END = [
    [1.1003418545897259, 0.3213207060201692],
    [0.359691121465621, 0.059711173388758906],
    [-0.9884194554478664, -0.02494834095258643],
    [-0.3076174166808956, 0.18370826670142862],
]


def test_ten_losses_are_the_golden_ones() -> None:
    m = network()
    history = train(m, loader(shuffle=False), optimizer=Adam(0.05), epochs=10)
    np.testing.assert_allclose(history["loss"], GOLDEN, rtol=1e-10)
    ps = params(m)
    found = [ps["layer1.weight"].T, ps["layer1.bias"], ps["layer2.weight"].T, ps["layer2.bias"]]
    for part, expected in zip(found, GOLDEN_END, strict=True):
        np.testing.assert_allclose(part.ravel()[:2], expected, rtol=1e-9)


def test_float32_follows_the_golden_losses_to_its_precision() -> None:
    history = train(network("float32"), loader(shuffle=False), optimizer=Adam(0.05), epochs=10)
    np.testing.assert_allclose(history["loss"], GOLDEN, rtol=1e-4)


@pytest.mark.parametrize("partial", [True, False])
def test_the_loss_of_a_pass_is_the_mean_per_sample_whatever_the_last_batch_holds(partial: bool) -> None:
    a, b = network(), network()
    history = train(a, loader(partial=partial), optimizer=Descent(0.5), epochs=3)
    means = explicit(b, loader(partial=partial), Descent(0.5), 3)
    np.testing.assert_allclose(history["loss"], means, rtol=1e-14)
    np.testing.assert_array_equal(a.flat, b.flat)


@pytest.mark.parametrize("name", RULES)
def test_five_passes_and_five_more_are_ten_bit_by_bit(name: str) -> None:
    rule = rule_named(name, rate=0.05)
    a, b = network("float32"), network("float32")
    whole = train(a, loader(), optimizer=rule, epochs=10)
    data = loader()
    first = train(b, data, optimizer=rule, epochs=5)
    second = train(b, data, epochs=5, state=first.state)
    np.testing.assert_array_equal(a.flat, b.flat)
    assert first["loss"] + second["loss"] == whole["loss"]
    assert second.state is not None
    assert second.state.t == whole.state.t == 30  # type: ignore[union-attr]
    assert first.state is not None
    assert first.state.t == 15, "the state of the first call is its own and stays"


def test_where_the_stretches_end_changes_no_bit(one_step_stretches: None) -> None:
    a, b = network(), network()
    train(a, loader(), optimizer=Adam(0.05), epochs=4)
    explicit(b, loader(), Adam(0.05), 4)
    np.testing.assert_array_equal(a.flat, b.flat)


def test_a_cycle_of_the_data_is_as_many_passes() -> None:
    a, b = network(), network()
    cycled = train(a, ncycle(loader(), 3), epochs=2, optimizer=Adam(0.05))
    plain = train(b, loader(), epochs=6, optimizer=Adam(0.05))
    np.testing.assert_array_equal(a.flat, b.flat)
    assert cycled["loss"] == plain["loss"]
    assert cycled["epoch"] == [1, 2, 3, 4, 5, 6]


def test_no_passes_change_nothing() -> None:
    m = network()
    history = train(m, loader(), epochs=0)
    np.testing.assert_array_equal(m.flat, network().flat)
    assert (history.epochs, history.stopped) == ([], "all epochs done")
    assert history.state is not None
    assert history.state.t == 0


def test_adam_with_its_usual_rate_is_the_default() -> None:
    a, b = network(), network()
    assert train(a, loader()).state.rule == Adam(1e-3)  # type: ignore[union-attr]
    train(b, loader(), crossentropy, Adam(1e-3), 1)
    np.testing.assert_array_equal(a.flat, b.flat)


def test_raw_bytes_train_as_their_scaled_floats_and_leave_their_scale_to_the_network() -> None:
    raw = np.random.default_rng(0).integers(256, size=(N, D), dtype=np.uint8)
    a, b = network(), network()
    train(a, DataLoader((raw, Y), 4, seed=3, scale=1 / 255), optimizer=Adam(0.05), epochs=3)
    train(b, DataLoader((raw * (1 / 255), Y), 4, seed=3), optimizer=Adam(0.05), epochs=3)
    np.testing.assert_array_equal(a.flat, b.flat)
    assert a.inputs == Inputs(scale=1 / 255)
    np.testing.assert_array_equal(a(raw), b(raw * (1 / 255)))


def test_class_names_train_as_their_indices() -> None:
    a, b = network(), network()
    a.classes = ("low", "mid", "high")
    train(a, DataLoader((X, np.array(a.classes)[Y]), 4, seed=3), optimizer=Adam(0.05))
    train(b, loader(), optimizer=Adam(0.05))
    np.testing.assert_array_equal(a.flat, b.flat)


SEEDED = """
import hashlib
import numpy as np
from layerloop import Adam, Chain, DataLoader, Dense, relu, softmax, train
rng = np.random.default_rng(0)
X, y = rng.normal(size=(300, 20)), rng.integers(5, size=300)
m = Chain(Dense(20, 16, relu), Dense(16, 5), softmax, seed=4)
train(m, DataLoader((X, y), 32, seed=5), optimizer=Adam(0.01), epochs=5)
print(hashlib.sha256(m.flat.tobytes()).hexdigest())
"""


def test_a_seed_gives_the_same_bits_in_every_process() -> None:
    base = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    runs = [
        subprocess.Popen([sys.executable, "-c", SEEDED], env={**base, "PYTHONHASHSEED": seed}, stdout=subprocess.PIPE)
        for seed in ("0", "1", "random")
    ]
    sums = [run.communicate()[0].decode().strip() for run in runs]
    assert len(set(sums)) == 1
    assert len(sums[0]) == hashlib.sha256().digest_size * 2


# -- the history ----------------------------------------------------------------------------------------------------


def test_a_row_a_pass_with_its_figures() -> None:
    history = train(network(), loader(), optimizer=Adam(0.05), epochs=3)
    assert [set(row) for row in history.epochs] == [{"epoch", "loss", "seconds", "samples_per_second"}] * 3
    assert history["epoch"] == [1, 2, 3]
    assert history["seconds"] == sorted(history["seconds"])
    assert 0 < history["seconds"][-1] <= history.seconds
    for row in history.epochs:
        assert row["samples_per_second"] == pytest.approx(N * row["epoch"] / row["seconds"])


def test_validation_figures_are_those_of_the_network_after_the_pass() -> None:
    seen = []
    held = (X[:5], Y[:5])
    m = network()
    history = train(
        m,
        loader(),
        optimizer=Adam(0.05),
        epochs=3,
        validation=held,
        callbacks=[lambda p: seen.append(evaluate(p.model, *held)) if p.epoch_ended else None],
    )
    assert history["validation_loss"] == [figures["loss"] for figures in seen]
    assert history["validation_accuracy"] == [figures["accuracy"] for figures in seen]
    assert len(seen) == 3


def test_several_validation_sets_go_by_their_names() -> None:
    m = network()
    history = train(m, loader(), epochs=1, validation={"train": (X, Y), "test": (X[:2], Y[:2])})
    assert history["train_loss"] == [evaluate(m, X, Y)["loss"]]
    assert history["test_accuracy"] == [evaluate(m, X[:2], Y[:2])["accuracy"]]


def test_looking_at_validation_data_changes_no_bit() -> None:
    a, b = network(), network()
    train(a, loader(), epochs=2, validation=(X[:5], Y[:5]))
    train(b, loader(), epochs=2)
    np.testing.assert_array_equal(a.flat, b.flat)


# -- callbacks ------------------------------------------------------------------------------------------------------


def test_callbacks_see_every_stretch_and_every_end_of_a_pass(one_step_stretches: None) -> None:
    seen: list[Progress] = []
    bare = []
    m = network()
    history = train(m, loader(), epochs=2, callbacks=[seen.append, lambda: bare.append(1)])
    assert [(p.epoch, p.step) for p in seen] == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3)]
    assert len(bare) == 6
    assert all((p.epochs, p.steps, p.model) == (2, 3, m) for p in seen)
    assert [p.samples for p in seen] == [4, 8, 11, 15, 19, 22]
    assert [p.row for p in seen if p.epoch_ended] == history.epochs
    assert [p.epoch_ended for p in seen] == [False, False, True] * 2
    assert [p.loss for p in seen if p.epoch_ended] == history["loss"]


def test_the_running_loss_is_the_mean_so_far(one_step_stretches: None) -> None:
    seen: list[Progress] = []
    train(network(), loader(), optimizer=Descent(0.5), callbacks=[seen.append])
    m, state, total, rows = network(), None, 0.0, 0
    state = setup(Descent(0.5), m)
    for progress, (x, y) in zip(seen, loader(), strict=True):
        value, gradient = value_and_gradient(m, x, y)
        update(m, gradient, state)
        total, rows = total + value * len(x), rows + len(x)
        assert progress.loss == pytest.approx(total / rows, rel=1e-14)


def test_a_callback_sees_the_parameters_as_they_are_now(one_step_stretches: None) -> None:
    seen = []
    m = network()
    train(m, loader(), epochs=2, callbacks=[lambda p: seen.append(p.model.flat.copy())])
    assert len({flat.tobytes() for flat in seen}) == 6
    np.testing.assert_array_equal(seen[-1], m.flat)


def test_a_callback_ends_training_with_its_reason(one_step_stretches: None) -> None:
    m, steps = network(), count(1)
    history = train(m, loader(), epochs=9, callbacks=[lambda: Stop("good enough") if next(steps) == 5 else None])
    assert history.stopped == "good enough"
    assert len(history.epochs) == 1
    assert history.state is not None
    assert history.state.t == 5


def test_when_one_stops_the_others_still_see_the_end_of_the_pass() -> None:
    rows = []
    stop = lambda p: Stop("first") if p.epoch_ended else None  # noqa: E731
    late = lambda p: Stop("second") if p.epoch_ended else None  # noqa: E731
    history = train(
        network(), loader(), epochs=9, callbacks=[stop, late, lambda p: rows.append(p.row) if p.row else None]
    )
    assert history.stopped == "first"
    assert rows == history.epochs
    assert len(rows) == 1


def test_other_answers_of_callbacks_are_ignored() -> None:
    history = train(network(), loader(), epochs=2, callbacks=[lambda: True, lambda: "stop", lambda: 0])
    assert history.stopped == "all epochs done"
    assert len(history) == 2


def test_the_bare_class_stops_too() -> None:
    assert train(network(), loader(), epochs=2, callbacks=lambda: Stop).stopped == "a callback asked for it"


def test_ctrl_c_goes_through_and_keeps_the_steps_done(one_step_stretches: None) -> None:
    def interrupt(progress: Progress) -> None:
        if (progress.epoch, progress.step) == (2, 1):
            signal.raise_signal(signal.SIGINT)

    a, b = network(), network()
    with pytest.raises(KeyboardInterrupt):
        train(a, loader(), optimizer=Adam(0.05), epochs=9, callbacks=[interrupt])
    state = setup(Adam(0.05), b)
    data = loader()
    for x, y in [*data, *data][:4]:
        update(b, value_and_gradient(b, x, y)[1], state)
    np.testing.assert_array_equal(a.flat, b.flat)


def test_after_ctrl_c_training_goes_on_where_it_was(one_step_stretches: None) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.step == progress.steps and progress.epoch == 2:
            raise KeyboardInterrupt

    a, b, data = network(), network(), loader()
    with pytest.raises(KeyboardInterrupt) as caught:
        train(a, data, optimizer=Adam(0.05), epochs=9, callbacks=interrupt)
    history: History = caught.value.history  # type: ignore[attr-defined]
    assert (len(history), history.stopped) == (2, "interrupted")
    train(a, data, state=history.state, epochs=3)
    train(b, loader(), optimizer=Adam(0.05), epochs=5)
    np.testing.assert_array_equal(a.flat, b.flat)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("rule", [Adam(1e-3), NAdam(1e-3)])
def test_after_ctrl_c_at_any_moment_network_and_state_are_of_the_same_step(
    engine: str, rule: Rule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAYERLOOP_ENGINE", engine)
    rng = np.random.default_rng(0)
    rows, labels = rng.normal(size=(500, 60)), rng.integers(3, size=500)

    def made() -> tuple[Chain, DataLoader]:
        m = Chain(Dense(60, 40, "tanh"), BatchNorm(40), Dense(40, 3), softmax, dtype="float64")
        return m, DataLoader((rows, labels), 16)

    for wait in (0.03, 0.071, 0.113, 0.127):
        m, data = made()
        threading.Timer(wait, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt) as caught:
            train(m, data, optimizer=rule, epochs=10**6)
        history: History = getattr(caught.value, "history", History(state=setup(rule, m)))  # none before the start
        assert history.state is not None
        (n, data), steps = made(), history.state.t
        done = train(n, data, optimizer=rule, epochs=steps // len(data)).state
        order, rest = data.order(data.epoch), steps % len(data)
        if rest:
            task = (make_rows(n, rows, labels, plan := make_plan(n, "crossentropy")), order[: 16 * rest], plan, 16)
            n.engine.train(n.flat, done, *task, np.empty(rest))
        assert done.t == steps
        assert done.numbers == history.state.numbers
        for one, other in zip((m.flat, *history.state.slots), (n.flat, *done.slots), strict=True):
            np.testing.assert_array_equal(one, other)


def test_an_error_in_a_callback_goes_through_as_it_is() -> None:
    def fail() -> None:
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        train(network(), loader(), callbacks=[fail])


def test_threads_of_blas_are_set_for_the_run_only() -> None:
    def threads() -> list[int]:
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    before, inside = threads(), []
    train(network(), loader(), threads=1, callbacks=[lambda: inside.append(threads())])
    assert inside[0] == [1] * len(before)
    assert threads() == before


def test_an_optimiser_may_be_named() -> None:
    a, b = network(), network()
    train(a, loader(), optimizer="adam")
    train(b, loader(), optimizer=Adam())
    np.testing.assert_array_equal(a.flat, b.flat)


def test_one_callback_needs_no_list() -> None:
    calls: list[int] = []
    m = Chain(Dense(3, 2), softmax)
    train(m, DataLoader((np.eye(3), [0, 1, 1])), epochs=2, callbacks=lambda: calls.append(1))
    assert len(calls) == 2


def test_a_column_of_class_indices_serves_as_indices() -> None:
    m, n = Chain(Dense(3, 2), softmax), Chain(Dense(3, 2), softmax)
    train(m, DataLoader((np.eye(3), np.array([[0], [1], [1]]))), epochs=2)
    train(n, DataLoader((np.eye(3), [0, 1, 1])), epochs=2)
    np.testing.assert_array_equal(m.flat, n.flat)
