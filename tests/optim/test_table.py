"""States of rules with schedules: beginning, going on, being watched, written down and read back."""

from __future__ import annotations

import json

import numpy as np
import pytest

from layerloop.errors import SettingError, UnknownNameError
from layerloop.optim import (
    RULES,
    Adam,
    Adjusted,
    Cosine,
    CosLog4,
    Descent,
    NAdam,
    ReduceOnPlateau,
    Warmup,
    init,
    rates,
    resume,
    rule_named,
    settled,
    state_as_dict,
    state_from_dict,
    watch,
)

W = np.array([1.0, -2.0, 0.5])
LAYOUT = (("layer1.weight", 2), ("layer1.bias", 1))
PLATEAU = ReduceOnPlateau(0.1, factor=0.5, patience=0)


def test_settling_fills_in_what_is_missing_and_nothing_else() -> None:
    assert settled(Adam(0.1), 7) == Adam(0.1)
    assert settled(Adam(Cosine(0.1, steps=3)), 7) == Adam(Cosine(0.1, steps=3))
    assert settled(Adam(Warmup(Cosine(0.1), share=0.5)), 8).rate == Warmup(Cosine(0.1, steps=4), 0.5, steps=8)
    rule = settled(Adjusted(Adam(CosLog4(0.1)), decay=Cosine(0.2), tail=0.5), 7)
    assert rule == Adjusted(Adam(CosLog4(0.1, steps=7)), decay=Cosine(0.2, steps=7), tail=0.5, steps=7)


def test_a_rule_of_ones_own_needs_no_settings_to_settle() -> None:
    class Own:
        slots, rate = 0, 0.5

        def step(self, w: np.ndarray, g: np.ndarray, state: object) -> None:
            w -= self.rate * g

    own = Own()
    assert settled(own, 7) is own


def test_a_state_needs_to_know_how_many_steps_there_are() -> None:
    with pytest.raises(SettingError, match=r"Cosine\(rate=0.1.*number of steps is not known"):
        init(Adam(Cosine(0.1)), W)
    with pytest.raises(SettingError, match="number of steps is not known"):
        resume(init(Adam(0.1), W), Adam(Cosine(0.1)), W)


def test_the_rates_to_come() -> None:
    state = init(Descent(Cosine(0.8, steps=4)), W)
    state.t, state.scale = 2, 0.5
    # 0.4, then 0.4 (1 - cos 45 degrees), then 0, all of them halved
    np.testing.assert_allclose(rates(state, 3), [0.2, 0.2 * (1 - np.sqrt(0.5)), 0.0], rtol=1e-14, atol=1e-17)


def test_a_plateau_is_watched_through_a_ramp_and_an_adjusted_rule() -> None:
    for rule in (Adam(PLATEAU), Adjusted(Adam(PLATEAU), l2=0.1), Adam(Warmup(PLATEAU, steps=5))):
        state = init(rule, W)
        for loss in (1.0, 1.0, 0.5, 0.6):
            watch(state, {"loss": loss, "other": 0.0})
        assert (state.scale, state.numbers) == (0.25, {"best": 0.5, "waited": 0})


def test_what_is_not_watched_leaves_the_state_alone() -> None:
    state = init(Adam(0.1), W)
    watch(state, {})
    assert (state.scale, state.numbers) == (1.0, {})


def test_a_figure_that_is_missing_is_named() -> None:
    with pytest.raises(UnknownNameError, match="unknown figure to watch 'loss'"):
        watch(init(Adam(PLATEAU), W), {"los": 1.0})


def test_what_a_plateau_has_done_is_kept_under_the_same_plateau_only() -> None:
    state = init(NAdam(PLATEAU), W)
    state.rule.step(W.copy(), W, state)
    for loss in (1.0, 1.0):
        watch(state, {"loss": loss})
    same = resume(state, NAdam(PLATEAU, betas=(0.8, 0.9)), W)
    assert (same.scale, same.numbers) == (0.5, state.numbers)
    other = resume(state, NAdam(0.1), W)
    assert (other.scale, set(other.numbers)) == (1.0, {"mu_product"})
    assert state.scale == 0.5


def test_a_schedule_that_has_ended_at_zero_does_not_go_on_in_silence() -> None:
    rule = Descent(Cosine(0.1, steps=4))
    state = init(rule, W)
    state.t = 3
    resume(state, rule, W)
    state.t = 4
    with pytest.raises(SettingError, match=r"ended after 4 steps with rate 0; .*Cosine\(..., steps=8\)"):
        resume(state, rule, W)
    resume(state, Descent(Cosine(0.1, end=0.5, steps=4)), W)


@pytest.mark.parametrize("name", RULES)
def test_a_state_is_plain_data_and_slots_and_goes_on_to_the_same_bits(name: str) -> None:
    rule = rule_named(name, rate=PLATEAU)
    if name != "lazy_adam":  # which does not go inside
        rule = Adjusted(rule, clip_norm=1.0, l2=0.1, undecayed=["bias"], factors={"bias": 0.5}, ema=0.5)
    w = W.copy()
    state = init(rule, w, LAYOUT)
    rule.step(w, W, state)
    watch(state, {"loss": 1.0})
    watch(state, {"loss": 1.0})
    plain = json.loads(json.dumps(state_as_dict(state), allow_nan=False))
    again, v = state_from_dict(plain, [slot.copy() for slot in state.slots], w, LAYOUT), w.copy()
    assert (again.rule, again.t, again.scale, again.numbers) == (rule, 1, 0.5, state.numbers)
    assert (again.parts, again.rows, again.scratch.shape) == (state.parts, state.rows, state.scratch.shape)
    rule.step(w, W, state)
    again.rule.step(v, W, again)
    np.testing.assert_array_equal(v, w)


def test_unknown_settings_of_an_adjusted_rule_are_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown setting of Adjusted 'clip_nrom'. Did you mean 'clip_norm'"):
        rule_named("adam", adjusted={"clip_nrom": 1.0})
    with pytest.raises(UnknownNameError, match="unknown setting of Adjusted 'rule'"):
        rule_named("adam", adjusted={"rule": Adam()})
