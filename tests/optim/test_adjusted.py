"""Clipping, both decays, rate factors and averages around rules, against PyTorch and against arithmetic."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from layerloop.errors import SettingError, UnknownNameError
from layerloop.optim import (
    RULES,
    AdaGrad,
    Adam,
    AdamHat,
    AdamW,
    Adjusted,
    Cosine,
    Descent,
    FlatCos,
    Lion,
    Momentum,
    NAdam,
    Nesterov,
    Part,
    RAdam,
    ReduceOnPlateau,
    RMSProp,
    Rule,
    State,
    StepDecay,
    as_dict,
    average_of,
    init,
    resume,
    rule_named,
    settled,
)

START = np.array([1.0, -2.0, 0.5])
GRADIENTS = np.array([[0.5, -1.0, 0.25], [-0.25, 2.0, 0.125], [1.5, 0.5, -0.75]])
LAYOUT = (("layer1.weight", 2), ("layer1.bias", 1), ("layer2.weight", 2), ("layer2.bias", 1))
ADJUSTABLE = [name for name in RULES if name != "lazy_adam"]  # which is refused; see below


def stepped(rule: Rule, w: np.ndarray, gradients: np.ndarray, layout: tuple[tuple[str, int], ...] = ()) -> np.ndarray:
    w, state = w.copy(), init(rule, w, layout)
    rows = []
    for g in gradients:
        rule.step(w, g, state)
        rows.append(w.copy())
    return np.array(rows)


# -- weight decay -----------------------------------------------------------------------------------------------------

# Parameters after three steps with l2 = 0.1 and rate 0.1, by PyTorch 2.13.0 with weight_decay=0.1 (coupled there);
# AdamHat, in both tables, by scikit-learn 1.9.1's AdamOptimizer along g + 0.1 w, and after w *= 0.99.
COUPLED: list[tuple[Rule, list[float]]] = [
    (Descent(0.1), [0.7960439999999999, -2.090588, 0.523272]),
    (Momentum(0.1), [0.708024, -2.0495479999999997, 0.45676199999999995]),
    (Nesterov(0.1), [0.535906146, -2.1378972920000003, 0.486105573]),
    (AdaGrad(0.1), [0.8325980789944929, -1.9971053451580707, 0.4419964215200112]),
    (RMSProp(0.1), [0.4822889952041666, -1.9989422120037301, 0.3345652548171664]),
    (Adam(0.1), [0.7821194045854705, -1.953127270691488, 0.33171854388145383]),
    (AdamHat(0.1), [0.7821194896087271, -1.9531272887335038, 0.3317187169747876]),
    (NAdam(0.1), [0.8085137965540269, -1.9959893921417982, 0.4364253509123332]),
    (RAdam(0.1), [0.8482920955525344, -1.9542070304913575, 0.45808467663624]),
]
# The same with decoupled decay, where PyTorch has it: AdamW, NAdam and RAdam(decoupled_weight_decay=True).
DECOUPLED: list[tuple[Rule, list[float]]] = [
    (Adam(0.1), [0.778871579909233, -1.920397369602153, 0.3295760742932734]),
    (AdamHat(0.1), [0.7788716667121245, -1.9203973892929123, 0.32957628115881754]),
    (NAdam(0.1), [0.8007763541268675, -1.9549607840878827, 0.4323040220868426]),
    (RAdam(0.1), [0.8488803274422216, -1.9548853392891823, 0.458461818411342]),
]


@pytest.mark.parametrize(("rule", "expected"), COUPLED, ids=repr)
def test_coupled_decay_gives_pytorchs_numbers(rule: Rule, expected: list[float]) -> None:
    np.testing.assert_allclose(stepped(Adjusted(rule, l2=0.1), START, GRADIENTS)[-1], expected, rtol=1e-12)


@pytest.mark.parametrize(("rule", "expected"), DECOUPLED, ids=repr)
def test_decoupled_decay_gives_pytorchs_numbers(rule: Rule, expected: list[float]) -> None:
    np.testing.assert_allclose(stepped(Adjusted(rule, decay=0.1), START, GRADIENTS)[-1], expected, rtol=1e-12)


# One parameter that starts at 1, rate 0.1, decay 0.1, so that 0.99 w is what the decay leaves; gradients and results.
BY_HAND: list[tuple[Rule, list[float], list[float]]] = [
    # .99 - .05, .9306 + .025, .946044 - .15
    (Descent(0.1), [0.5, -0.25, 1.5], [0.94, 0.9556, 0.796044]),
    # v = .5, .2, 1.68: .99 - .05, .9306 - .02, .901494 - .168
    (Momentum(0.1), [0.5, -0.25, 1.5], [0.94, 0.9106, 0.733494]),
    # g + .9 v = .95, -.07, 3.012: .99 - .095, .88605 + .007, .8841195 - .3012
    (Nesterov(0.1), [0.5, -0.25, 1.5], [0.895, 0.89305, 0.5829195]),
    # sqrt(v) = 3, 5: .99 - .1, .8811 - .08
    (AdaGrad(0.1, epsilon=0.0), [3.0, 4.0], [0.89, 0.8011]),
    # rho = 0, so every step is the rate: .99 - .1, .8811 - .1
    (RMSProp(0.1, rho=0.0, epsilon=0.0), [3.0, 4.0], [0.89, 0.7811]),
    # signs +, -, + as in test_rules.py: .99 - .1, .8811 + .1, .971289 - .1
    (Lion(0.1, betas=(0.5, 0.75)), [0.5, -0.25, 1.5], [0.89, 0.9811, 0.871289]),
]


@pytest.mark.parametrize(("rule", "gradients", "expected"), BY_HAND, ids=[repr(row[0]) for row in BY_HAND])
def test_decoupled_decay_by_hand(rule: Rule, gradients: list[float], expected: list[float]) -> None:
    rows = stepped(Adjusted(rule, decay=0.1), np.array([1.0]), np.array(gradients)[:, np.newaxis])
    np.testing.assert_allclose(rows[:, 0], expected, rtol=1e-13)


def test_coupled_decay_of_lion_by_hand() -> None:
    # l2 = 0.2, betas (.5, .75): g + l2 w = .7, -.25 + .18 = -.07, 1.5 + .16; m = .175, .11375
    # blends .35, .0875 - .035 > 0, > 0: the second step goes the other way than without l2
    rows = stepped(Adjusted(Lion(0.1, betas=(0.5, 0.75)), l2=0.2), np.array([1.0]), GRADIENTS[:, :1])
    np.testing.assert_allclose(rows[:, 0], [0.9, 0.8, 0.7], rtol=1e-14)


def test_both_decays_stand_in_the_tables_for_every_rule() -> None:
    tabled = {AdamW} | {type(row[0]) for row in [*DECOUPLED, *BY_HAND]}
    assert tabled == {RULES[name] for name in ADJUSTABLE}
    assert {type(row[0]) for row in COUPLED} | {Lion, AdamW} == {RULES[name] for name in ADJUSTABLE}


def test_coupled_decay_on_adamw_acts_beside_its_own() -> None:
    # no gradient but l2 w = 0.5: Adam's first step is the rate, 0.1; its own decay takes 0.1 * 0.2 of 1 before
    rows = stepped(Adjusted(AdamW(0.1, epsilon=0.0, decay=0.2), l2=0.5), np.array([1.0]), np.zeros((1, 1)))
    np.testing.assert_allclose(rows, [[0.88]], rtol=1e-14)


def test_decay_has_a_schedule_of_its_own_and_is_multiplied_by_the_rate() -> None:
    # no gradient; rates 0.5, 0.5, 0.25, 0.25 and decays 0.4, 0.4, 0.4, 0.2 (FlatCos at shares 0, 1/4, 1/2, 3/4)
    rule = settled(Adjusted(Descent(StepDecay(0.5, 0.5, at=(0.5,))), decay=FlatCos(0.4)), 4)
    rows = stepped(rule, np.array([1.0]), np.zeros((4, 1)))
    np.testing.assert_allclose(rows[:, 0], [0.8, 0.64, 0.576, 0.5472], rtol=1e-14)


# -- clipping ---------------------------------------------------------------------------------------------------------


def test_clipping_by_value_bounds_each_component() -> None:
    rows = stepped(Adjusted(Descent(1.0), clip_value=2.0), np.zeros(4), np.array([[3.0, -5.0, 0.5, -2.0]]))
    np.testing.assert_array_equal(rows, [[-2.0, 2.0, -0.5, 2.0]])


def test_clipping_by_norm_keeps_the_direction() -> None:
    # |(3, 4)| = 5 becomes 2.5; |(0.3, 0.4)| = 0.5 stays
    rows = stepped(Adjusted(Descent(1.0), clip_norm=2.5), np.zeros(2), np.array([[3.0, 4.0], [0.3, 0.4]]))
    np.testing.assert_allclose(rows, [[-1.5, -2.0], [-1.8, -2.4]], rtol=1e-15)


def test_by_value_comes_first_then_by_norm_then_coupled_decay() -> None:
    # (30, -40) -> (3, -4) -> norm 5 to 1: (.6, -.8) -> + 0.1 * (10, 20): (1.6, 1.2)
    rule = Adjusted(Descent(1.0), clip_value=4.0, clip_norm=1.0, l2=0.1)
    rows = stepped(rule, np.array([10.0, 20.0]), np.array([[3.0, -40.0]]))
    np.testing.assert_allclose(rows, [[8.4, 18.8]], rtol=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_norm_does_not_overflow_or_vanish(dtype: str) -> None:
    for size in (np.finfo(dtype).max / 8, np.finfo(dtype).tiny * 8):
        g = np.array([[3.0, 4.0]], dtype) * size / np.array(4, dtype)
        rows = stepped(Adjusted(Descent(1.0), clip_norm=float(size) / 8), np.zeros(2, dtype), g)
        np.testing.assert_allclose(rows / -float(size), [[0.6 / 8, 0.8 / 8]], rtol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_clipping_does_not_hide_what_is_not_finite(bad: float) -> None:
    with np.errstate(invalid="ignore"):
        rows = stepped(Adjusted(Descent(1.0), clip_norm=1.0), np.zeros(2), np.array([[bad, 1.0]]))
    assert np.isnan(rows[0, 0])


def test_a_gradient_of_zero_is_no_division_by_zero() -> None:
    np.testing.assert_array_equal(stepped(Adjusted(Descent(1.0), clip_norm=1.0), START, np.zeros((1, 3))), [START])


# -- parts ------------------------------------------------------------------------------------------------------------


def test_factors_give_the_numbers_of_pytorchs_groups() -> None:
    # NAdam([dict(params=w[:2], lr=0.05), dict(params=w[2:], lr=0.2)]), PyTorch 2.13.0
    rule = Adjusted(NAdam(0.1), factors={"weight": 0.5, "bias": 2.0})
    rows = stepped(rule, START, GRADIENTS, LAYOUT[:2])
    expected = [
        [0.9471774121386825, -1.9471774116104565, 0.28870965278053623],
        [0.9677328980805683, -1.9925052859578136, 0.1839249980089418],
        [0.9143930624244125, -2.006583501278463, 0.38905651971630206],
    ]
    np.testing.assert_allclose(rows, expected, rtol=1e-12)


@pytest.mark.parametrize("name", ADJUSTABLE)
def test_factors_of_one_change_no_bit(name: str) -> None:
    rule = rule_named(name)
    plain = stepped(rule, START, GRADIENTS)
    parted = stepped(Adjusted(rule, factors={"weight": 1.0}, undecayed=["bias"]), START, GRADIENTS, LAYOUT[:2])
    np.testing.assert_array_equal(parted, plain)


def test_factors_multiply_and_parts_with_equal_ones_are_joined() -> None:
    rule = Adjusted(Descent(), factors={"layer2": 0.5, "bias": 0.1, "layer1.weight": 3.0}, undecayed="bias")
    assert init(rule, np.zeros(6), LAYOUT).parts == (
        Part(0, 2, rate=3.0, decay=1.0),
        Part(2, 3, rate=0.1, decay=0.0),
        Part(3, 5, rate=0.5, decay=1.0),
        Part(5, 6, rate=0.05, decay=0.0),
    )
    assert init(Adjusted(Descent(), factors={"layer1": 3.0}), np.zeros(6), LAYOUT).parts == (
        Part(0, 3, rate=3.0),
        Part(3, 6),
    )


def test_neither_decay_acts_on_what_is_not_to_decay() -> None:
    # weights: l2 0.1 and rate 0.5: 1 - 0.05 = 0.95; decoupled 0.2: 0.9 * 1 - 0.05 = 0.85
    for settings, left in (({"l2": 0.1}, 0.95), ({"decay": 0.2}, 0.9), ({"l2": 0.1, "decay": 0.2}, 0.85)):
        rows = stepped(Adjusted(Descent(0.5), undecayed=["bias"], **settings), np.ones(6), np.zeros((1, 6)), LAYOUT)
        np.testing.assert_allclose(rows[0], [left, left, 1, left, left, 1], rtol=1e-15)


def test_the_factor_of_a_part_is_in_its_decoupled_decay_too() -> None:
    # rates 0.5 and 0.05, decay 0.2, no gradient
    rule = Adjusted(Descent(0.5), decay=0.2, factors={"bias": 0.1})
    np.testing.assert_allclose(stepped(rule, np.ones(3), np.zeros((1, 3)), LAYOUT[:2]), [[0.9, 0.9, 0.99]], rtol=1e-15)


def test_a_factor_of_zero_freezes() -> None:
    rows = stepped(Adjusted(Adam(0.1), decay=0.5, factors={"bias": 0.0}), START, GRADIENTS, LAYOUT[:2])
    assert (rows[:, 2] == 0.5).all()
    assert (rows[:, :2] != START[:2]).all()


def test_names_that_stand_for_nothing_are_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"no part of the parameters is 'biass'. Did you mean 'bias'"):
        init(Adjusted(Adam(), factors={"biass": 0.1}), np.zeros(6), LAYOUT)
    with pytest.raises(UnknownNameError, match=r"'layer3.weight'. Did you mean 'layer\d.weight'"):
        init(Adjusted(Adam(), undecayed=["layer3.weight"]), np.zeros(6), LAYOUT)
    with pytest.raises(SettingError, match=r"name parts of a network; setup\(rule, m\) knows them"):
        init(Adjusted(Adam(), undecayed=["bias"]), np.zeros(6))


# -- averages ---------------------------------------------------------------------------------------------------------

# Descent at rate 1 from 10 along 1, 2, 3: the parameter is 9, 7, 4.
WALK = np.array([[1.0], [2.0], [3.0]])


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"tail": 0.0}, 20 / 3),  # (9 + 7 + 4) / 3
        ({"tail": 1 / 3}, 5.5),  # (7 + 4) / 2
        ({"tail": 0.67}, 4.0),
        ({"ema": 0.5}, 39 / 7),  # weights 1/4, 1/2, 1: (9/4 + 7/2 + 4) / (7/4)
        ({"ema": 0.0}, 4.0),
    ],
)
def test_averages_by_hand(settings: dict[str, float], expected: float) -> None:
    rule = settled(Adjusted(Descent(1.0), **settings), 3)
    w = np.array([10.0])
    state = init(rule, w)
    for g in WALK:
        rule.step(w, g, state)
    assert w[0] == 4.0
    np.testing.assert_allclose(average_of(state), [expected], rtol=1e-15)
    assert not np.shares_memory(average_of(state), state.slots[-1])


def test_an_average_changes_no_step() -> None:
    for settings in ({"ema": 0.9}, {"tail": 0.5, "steps": 3}):
        np.testing.assert_array_equal(
            stepped(Adjusted(Adam(0.1), **settings), START, GRADIENTS), stepped(Adam(0.1), START, GRADIENTS)
        )


def test_an_average_that_is_not_there_is_refused() -> None:
    w = np.array([10.0])
    with pytest.raises(SettingError, match="keeps no average"):
        average_of(init(Adjusted(Adam()), w))
    with pytest.raises(SettingError, match="keeps no average"):
        average_of(init(Adam(), w))
    with pytest.raises(SettingError, match=r"no parameters have been averaged after 0 of 4 steps: tail is 0\.5"):
        average_of(init(Adjusted(Adam(), tail=0.5, steps=4), w))
    with pytest.raises(SettingError, match="no parameters have been averaged"):
        average_of(init(Adjusted(Adam(), ema=0.5), w))


# -- as every rule ----------------------------------------------------------------------------------------------------

FULL = {
    "clip_value": 0.8,
    "clip_norm": 1.5,
    "l2": 0.01,
    "decay": 0.1,
    "undecayed": ["bias"],
    "factors": {"bias": 0.5},
    "ema": 0.5,
}


def full(name: str) -> Adjusted:
    return Adjusted(rule_named(name, rate=0.1), **({**FULL, "decay": 0.0} if name == "adamw" else FULL))


@pytest.mark.parametrize("name", ADJUSTABLE)
def test_the_gradient_is_left_alone_and_scratch_carries_nothing(name: str) -> None:
    rule = full(name)
    w, v = START.copy(), START.copy()
    clean, soiled = init(rule, w, LAYOUT[:2]), init(rule, v, LAYOUT[:2])
    for t, g in enumerate(GRADIENTS, start=1):
        kept = g.copy()
        soiled.scratch[...] = np.nan
        rule.step(w, g, clean)
        rule.step(v, g, soiled)
        np.testing.assert_array_equal(g, kept)
        assert clean.t == t
    np.testing.assert_array_equal(v, w)
    assert np.isfinite(w).all()
    assert len(clean.slots) == rule.slots == RULES[name].slots + 1


@pytest.mark.parametrize("name", ADJUSTABLE)
def test_a_copy_and_a_resumed_state_go_on_alike(name: str) -> None:
    rule, w = full(name), START.copy()
    state = init(rule, w, LAYOUT[:2])
    rule.step(w, GRADIENTS[0], state)
    others = [(state.copy(), w.copy()), (resume(state, rule, w, LAYOUT[:2]), w.copy())]
    for g in GRADIENTS[1:]:
        rule.step(w, g, state)
        for other, v in others:
            rule.step(v, g, other)
    for other, v in others:
        np.testing.assert_array_equal(v, w)
        np.testing.assert_array_equal(average_of(other), average_of(state))
        assert other.numbers == state.numbers


@pytest.mark.parametrize("name", ADJUSTABLE)
def test_float32_stays_float32(name: str) -> None:
    rows = stepped(full(name), START.astype(np.float32), GRADIENTS.astype(np.float32), LAYOUT[:2])
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, stepped(full(name), START, GRADIENTS, LAYOUT[:2]), rtol=1e-5)


@pytest.mark.parametrize("name", ADJUSTABLE)
def test_it_is_plain_data_and_back_even_through_json(name: str) -> None:
    rule = full(name)
    assert rule_named(**json.loads(json.dumps(as_dict(rule)))) == rule
    assert as_dict(rule)["name"] == name
    if name != "adamw":
        scheduled = settled(replace(rule, decay=FlatCos(0.1), rule=rule_named(name, rate=Cosine(0.5))), 9)
        assert rule_named(**json.loads(json.dumps(as_dict(scheduled)))) == scheduled


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        *(({"clip_value": bad}, "clip_value must be positive and finite") for bad in (0.0, -1.0, math.nan, math.inf)),
        *(({"clip_norm": bad}, "clip_norm must be positive and finite") for bad in (0.0, -1.0, math.nan, math.inf)),
        *(({"l2": bad}, r"l2 must be in \[0, inf\)") for bad in (-0.1, math.nan, math.inf)),
        *(({"decay": bad}, r"decay must be in \[0, inf\)") for bad in (-0.1, math.nan, math.inf)),
        *(({name: bad}, rf"{name} must be in \[0, 1\)") for name in ("ema", "tail") for bad in (-0.1, 1.0, math.nan)),
        ({"ema": 0.9, "tail": 0.5}, "one average is kept, ema or tail"),
        ({"factors": {"bias": -1.0}}, r"the factor of bias must be in \[0, inf\), got -1.0"),
        ({"factors": {"bias": "0.1"}}, "the factor of bias must be in"),
        ({"decay": ReduceOnPlateau(0.1)}, "a plateau lowers the rate, and the decay with it"),
        ({"undecayed": 3}, "undecayed takes names"),
        ({"factors": [("bias", 0.1)]}, "undecayed takes names, factors a dict of names"),
        ({"tail": 0.5, "steps": 0}, "steps must be a whole number of at least 1"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=f"Adjusted: {message}"):
        Adjusted(Adam(), **settings)


def test_lazy_adam_does_not_go_inside() -> None:
    with pytest.raises(SettingError, match=r"every parameter, LazyAdam leaves rows alone: use Adjusted\(Adam"):
        Adjusted(rule_named("lazy_adam"))


@pytest.mark.parametrize("wrong", [Adam, "adam", None, Adjusted(Adam())])
def test_it_goes_around_one_rule(wrong: object) -> None:
    with pytest.raises(SettingError, match=r"Adjusted goes around one rule such as Adam\(1e-3\), got"):
        Adjusted(wrong)  # type: ignore[arg-type]


def test_adamw_gets_no_second_decay() -> None:
    with pytest.raises(SettingError, match="AdamW has a decay of its own"):
        Adjusted(AdamW(), decay=0.1)
    Adjusted(AdamW(), l2=0.1, clip_norm=1.0)


def test_what_depends_on_the_number_of_steps_waits_for_it() -> None:
    with pytest.raises(SettingError, match="tail is a share of all steps"):
        init(Adjusted(Adam(), tail=0.5), START)
    with pytest.raises(SettingError, match="the number of steps is not known"):
        init(Adjusted(Adam(), decay=FlatCos(0.1)), START)
    with pytest.raises(SettingError, match="the number of steps is not known"):
        init(Adjusted(Adam(Cosine(0.1))), START)
    init(Adjusted(Adam(), tail=0.0), START)


def test_a_state_made_by_hand_gets_its_parts_at_the_first_step() -> None:
    rule, w = Adjusted(Descent(0.5), decay=0.2), np.ones(3)
    state = State(rule, 0, (), np.empty(3))
    rule.step(w, np.zeros(3), state)
    np.testing.assert_allclose(w, [0.9, 0.9, 0.9], rtol=1e-15)
    assert (state.t, state.parts) == (1, (Part(0, 3),))


def test_a_plateau_inside_keeps_its_rate() -> None:
    plateau = ReduceOnPlateau(0.1)
    assert Adjusted(Descent(plateau)).rate is plateau
