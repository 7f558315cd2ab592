"""Training with schedules, clipping, decay and averages: five passes and five are ten, bit for bit."""

from __future__ import annotations

import json

import numpy as np
import pytest

from layerloop import (
    Adam,
    Adjusted,
    Chain,
    Cosine,
    DataLoader,
    Dense,
    Descent,
    FlatCos,
    Nesterov,
    ReduceOnPlateau,
    StepDecay,
    Warmup,
    mse,
    params,
    setup,
    sigmoid,
    softmax,
    train,
    update,
    use_average,
    value_and_gradient,
)
from layerloop.errors import DivergenceError, SettingError, ShapeError, UnknownNameError
from layerloop.network import layout
from layerloop.optim import (
    RULES,
    SCHEDULES,
    Rule,
    Schedule,
    average_of,
    rule_named,
    schedule_named,
    settled,
    state_as_dict,
    state_from_dict,
    watch,
)
from layerloop.training.loop import Run
from layerloop.training.recipe import Recipe

X = np.random.default_rng(5).normal(size=(20, 3))
Y = (X @ [1.0, -2.0, 0.5] > 0.3).astype(int)
STEPS = 5  # in a pass of 20 rows by 4


def network() -> Chain:
    return Chain(Dense(3, 4, sigmoid), Dense(4, 2), softmax, seed=3, dtype="float64")


def loader() -> DataLoader:
    return DataLoader((X, Y), batchsize=4, seed=7)


def plateau() -> ReduceOnPlateau:
    return ReduceOnPlateau(0.5, factor=0.5, patience=0, threshold=0.02)


def every_schedule() -> list[Schedule]:
    return [plateau() if name == "reduce_on_plateau" else schedule_named(name, 0.05) for name in SCHEDULES]


EVERY_RULE: list[Rule] = [rule_named(name, rate=Cosine(0.02)) for name in RULES]
EVERY_SCHEDULE: list[Rule] = [Adam(schedule) for schedule in every_schedule()]
EVERY_ADJUSTMENT: list[Rule] = [
    Adjusted(Adam(0.02), clip_value=0.1, clip_norm=0.2),
    Adjusted(Nesterov(Cosine(0.02)), l2=0.1, decay=FlatCos(0.1), undecayed=["bias"]),
    Adjusted(rule_named("nadam", rate=0.02), factors={"layer1": 0.5, "bias": 0.1}, ema=0.9),
    Adjusted(Adam(Warmup(plateau())), tail=0.7),
]


@pytest.mark.parametrize("rule", [*EVERY_RULE, *EVERY_SCHEDULE, *EVERY_ADJUSTMENT], ids=repr)
def test_five_passes_and_five_are_ten_even_through_plain_data(rule: Rule) -> None:
    a, b = network(), network()
    whole = train(a, loader(), optimizer=rule, epochs=10).state
    data = loader()
    first = train(b, data, optimizer=settled(rule, 10 * STEPS), epochs=5).state
    assert first is not None
    plain = json.loads(json.dumps(state_as_dict(first)))
    read = state_from_dict(plain, [slot.copy() for slot in first.slots], b.flat, layout(b))
    second = train(b, data, epochs=5, state=read).state
    np.testing.assert_array_equal(b.flat, a.flat)
    assert second is not None
    assert whole is not None
    for mine, theirs in zip(second.slots, whole.slots, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert state_as_dict(second) == state_as_dict(whole)
    assert (first.t, second.t) == (25, 50)


@pytest.mark.parametrize("rule", [*EVERY_SCHEDULE, *EVERY_ADJUSTMENT], ids=repr)
def test_where_stretches_end_changes_no_bit(rule: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = network(), network()
    train(a, loader(), optimizer=rule, epochs=4)
    monkeypatch.setattr("layerloop.training.loop.STRETCH", 0.0)  # every stretch is one step
    train(b, loader(), optimizer=rule, epochs=4)
    np.testing.assert_array_equal(b.flat, a.flat)


def test_training_learns_the_number_of_steps_from_the_call_and_the_state() -> None:
    m, data = network(), loader()
    first = train(m, data, optimizer=Adam(Cosine(0.1)), epochs=4)
    assert first.state is not None
    assert first.state.rule == Adam(Cosine(0.1, steps=20))
    second = train(m, data, optimizer=Adam(Cosine(0.1)), epochs=2, state=first.state)
    assert second.state is not None
    assert second.state.rule == Adam(Cosine(0.1, steps=30))
    with pytest.raises(SettingError, match="ended after 20 steps with rate 0"):
        train(m, data, epochs=1, state=first.state)


def test_the_steps_of_a_scheduled_training_are_those_of_a_loop_of_ones_own() -> None:
    a, b = network(), network()
    train(a, loader(), optimizer=Descent(StepDecay(0.5, factor=0.5)), epochs=2)
    rates = [0.5] * 5 + [0.25] * 3 + [0.125] * 2  # shares 1/2 and 3/4 of ten steps
    steps = [(x, y) for data in [loader()] for _ in range(2) for x, y in data]
    for rate, (x, y) in zip(rates, steps, strict=True):
        _, gradient = value_and_gradient(b, x, y)
        b.flat -= rate * gradient.flat
    np.testing.assert_allclose(a.flat, b.flat, rtol=1e-13)


def test_a_loop_of_ones_own_gives_the_number_of_steps() -> None:
    m = network()
    with pytest.raises(SettingError, match="number of steps is not known"):
        setup(Adam(Cosine(0.1)), m)
    state = setup(Adjusted(Adam(Cosine(0.1, steps=3)), factors={"layer2.bias": 0.0}), m)
    before = params(m)["layer2.bias"].copy()
    for x, y in loader():
        update(m, value_and_gradient(m, x, y)[1], state)
    assert state.t == 5
    np.testing.assert_array_equal(params(m)["layer2.bias"], before)


def test_a_plateau_reduces_the_rate_in_training() -> None:
    m = network()
    rule = Descent(ReduceOnPlateau(1.0, factor=0.5, patience=1, threshold=0.9))  # no loss falls to a tenth
    state = train(m, loader(), optimizer=rule, epochs=7).state
    assert state is not None
    assert state.scale == 0.125  # the first is the best; after passes 3, 5 and 7
    assert state.numbers["waited"] == 0


def test_a_plateau_watches_validation_data() -> None:
    figures = ReduceOnPlateau(0.1, factor=0.5, patience=0, on="held_accuracy", better="higher")
    history = train(network(), loader(), optimizer=Adam(figures), epochs=6, validation={"held": (X, Y)})
    accuracies = history["held_accuracy"]
    falls = sum(now <= max(accuracies[:i]) * 1.0001 for i, now in enumerate(accuracies) if i)
    assert history.state is not None
    assert history.state.scale == 0.5**falls


def test_a_figure_that_no_row_will_have_is_found_before_the_first_step() -> None:
    m = network()
    before = m.flat.copy()
    with pytest.raises(SettingError, match="watches 'validation_loss', but training will have loss"):
        train(m, loader(), optimizer=Adam(ReduceOnPlateau(0.1, on="validation_loss")))
    np.testing.assert_array_equal(m.flat, before)
    assert m.inputs.scale is None


def test_a_name_that_stands_for_no_part_is_found_before_the_first_step() -> None:
    with pytest.raises(UnknownNameError, match="no part of the parameters is 'layer3'"):
        train(network(), loader(), optimizer=Adjusted(Adam(), undecayed=["layer3"]))


# -- averages ---------------------------------------------------------------------------------------------------------


def test_the_average_is_swapped_in_on_request_and_out_again() -> None:
    m, watched = network(), []
    one_step = DataLoader((X, Y), batchsize=20)
    history = train(
        m,
        one_step,
        optimizer=Adjusted(Adam(0.1), tail=0.5),
        epochs=4,
        callbacks=lambda now: watched.append(now.model.flat.copy()),
    )
    assert history.state is not None
    last = m.flat.copy()
    old = use_average(m, history.state)
    np.testing.assert_array_equal(old, last)
    np.testing.assert_allclose(m.flat, (watched[2] + watched[3]) / 2, rtol=1e-15)
    np.testing.assert_array_equal(average_of(history.state), m.flat)
    m.flat[...] = old
    np.testing.assert_array_equal(m.flat, last)


def test_the_average_of_another_network_is_refused() -> None:
    other = Chain(Dense(3, 2), softmax, dtype="float64")
    state = train(network(), loader(), optimizer=Adjusted(Adam(), ema=0.9)).state
    assert state is not None
    with pytest.raises(ShapeError, match="the network has 8 parameters, the average 26"):
        use_average(other, state)


# -- divergence -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stretch", [0.0, 10.0])
@pytest.mark.parametrize(
    "rule",
    [
        Descent(Warmup(50.0, share=0.5)),
        Adjusted(Descent(ReduceOnPlateau(50.0, factor=0.9, patience=0)), ema=0.9),
        Adjusted(rule_named("nesterov", rate=50.0), l2=0.1, factors={"bias": 0.5}),
    ],
    ids=["warmup", "plateau", "factors"],
)
def test_after_a_divergence_network_and_state_are_those_of_the_last_good_step(
    rule: Rule, stretch: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("layerloop.training.loop.STRETCH", stretch)
    line = Chain(Dense(3, 1), dtype="float64", seed=1)
    data = DataLoader((X, X @ [1.0, -2.0, 0.5]), batchsize=4, seed=7)
    run = Run.begin(line, data, mse, rule, 200, None, None)
    with pytest.raises(DivergenceError, match=r"the rate 50 is likely too high: try 5") as raised:
        [run.one_pass(epoch, []) for epoch in range(1, 201)]
    taken = (raised.value.epoch - 1) * STEPS + raised.value.step - 1
    assert run.state.t in (taken - 1, taken)
    again = Chain(Dense(3, 1), dtype="float64", seed=1)
    state = setup(settled(rule, 1000), again)
    data.epoch = 0
    batches, losses = (batch for _ in range(200) for batch in list(data)), []
    for _, (x, y) in zip(range(run.state.t), batches, strict=False):
        with np.errstate(all="ignore"):
            loss, gradient = value_and_gradient(again, x, y, mse)
            update(again, gradient, state)
        losses.append(loss)
        if len(losses) % STEPS == 0:
            watch(state, {"loss": float(np.mean(losses[-STEPS:]))})
    np.testing.assert_array_equal(line.flat, again.flat)
    assert np.isfinite(line.flat).all()
    for mine, theirs in zip(run.state.slots, state.slots, strict=True):
        np.testing.assert_array_equal(mine, theirs)


# -- the recipe of the command ----------------------------------------------------------------------------------------


def test_the_recipe_makes_the_rule() -> None:
    assert Recipe().rule() == Adam(1e-3)
    assert Recipe(optimizer="nadam", schedule="cosine").rule() == rule_named("nadam", rate=Cosine(0.002))
    assert Recipe(rate=0.1, schedule="warmup").rule() == Adam(Warmup(0.1))
    assert Recipe(optimizer="adamw", decay=0.5).rule() == rule_named("adamw", decay=0.5)
    assert Recipe(decay=0.5, clip=1.0).rule() == Adjusted(Adam(), decay=0.5, clip_norm=1.0)
    assert Recipe(optimizer="adamw", decay=0.5, clip=1.0).rule() == Adjusted(
        rule_named("adamw", decay=0.5), clip_norm=1.0
    )


def test_a_recipe_that_cannot_be_followed_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="unknown schedule 'cosinus'"):
        Recipe(schedule="cosinus").rule()
    with pytest.raises(SettingError, match="clip_norm must be positive"):
        Recipe(clip=0.0).rule()
    with pytest.raises(SettingError, match="decay must be in"):
        Recipe(decay=-1.0).rule()
