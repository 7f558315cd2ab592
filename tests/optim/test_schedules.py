"""Every schedule against numbers worked by hand, and the settings that each refuses."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from layerloop.errors import SettingError, UnknownNameError
from layerloop.optim import (
    SCHEDULES,
    Adam,
    Constant,
    Cosine,
    CosLog4,
    Descent,
    ExponentialDecay,
    FlatCos,
    OneCycle,
    ReduceOnPlateau,
    Schedule,
    StepDecay,
    Warmup,
    as_dict,
    base_of,
    rule_named,
    schedule_named,
    value_at,
)
from layerloop.optim.rate import check_settled, settle_rate
from layerloop.optim.schedules import as_rate, plateau_in, rate_as_plain

HALF = math.sqrt(0.5)  # cos(pi / 4)

# Rates after 0, 1, 2, ... steps; the last ones lie past the end, where the last rate stays.
TABLE: list[tuple[Schedule, list[float]]] = [
    (Constant(0.3), [0.3, 0.3, 0.3]),
    # half, then a quarter, from the shares 1/4 and 3/4 on
    (StepDecay(0.8, factor=0.5, at=(0.25, 0.75), steps=4), [0.8, 0.4, 0.4, 0.2, 0.2, 0.2]),
    (StepDecay(0.8, factor=0.5, at=(), steps=2), [0.8, 0.8, 0.8]),
    # 1/16 in four steps is a half in each
    (ExponentialDecay(0.8, end=1 / 16, steps=4), [0.8, 0.4, 0.2, 0.1, 0.05, 0.05]),
    # 1 + cos of 0, 45, 90, 135, 180 degrees, times 0.4
    (Cosine(0.8, steps=4), [0.8, 0.4 * (1 + HALF), 0.4, 0.4 * (1 - HALF), 0.0, 0.0]),
    # 0.8 down to 0.2: the middle is 0.5, the half width 0.3
    (Cosine(0.8, end=0.25, steps=4), [0.8, 0.5 + 0.3 * HALF, 0.5, 0.5 - 0.3 * HALF, 0.2, 0.2]),
    # up from 0.1 to 1 in two steps (middle 0.55), down to 0.2 in six: cos of 0, 30, 60, ..., 180 degrees around 0.6
    (
        OneCycle(1.0, warm=0.25, start=0.1, end=0.2, steps=8),
        [0.1, 0.55, 1.0, 0.6 + 0.2 * math.sqrt(3), 0.8, 0.6, 0.4, 0.6 - 0.2 * math.sqrt(3), 0.2, 0.2],
    ),
    # 1 + 15 s = 1, 2, 3, 4: log2 = 0, 1, 1.584962500721156, 2; cos(2 pi 0.584962500721156) = -0.860861940862 (bc)
    (CosLog4(2.0, steps=15), [0.0, 0.0, 1.860861940862, 0.0]),
    # flat until the half, then 1 + cos of 0, 45, 90, 135, 180 degrees
    (FlatCos(2.0, steps=8), [2.0, 2.0, 2.0, 2.0, 2.0, 1 + HALF, 1.0, 1 - HALF, 0.0, 0.0]),
    # a ramp of round(0.4 * 10) = 4 steps
    (Warmup(0.4, share=0.4, steps=10), [0.1, 0.2, 0.3, 0.4, 0.4, 0.4]),
    # two steps of ramp, then the cosine over the other four
    (
        Warmup(Cosine(0.8), share=1 / 3, steps=6),
        [0.4, 0.8, 0.8, 0.4 * (1 + HALF), 0.4, 0.4 * (1 - HALF), 0.0, 0.0],
    ),
    (ReduceOnPlateau(0.3), [0.3, 0.3, 0.3]),
]
IDS = [repr(schedule) for schedule, _ in TABLE]


def test_every_row_of_the_table_has_its_numbers() -> None:
    assert {type(schedule) for schedule, _ in TABLE} == set(SCHEDULES.values())


@pytest.mark.parametrize(("schedule", "expected"), TABLE, ids=IDS)
def test_the_rates_are_the_numbers(schedule: Schedule, expected: list[float]) -> None:
    assert [schedule(t) for t in range(len(expected))] == pytest.approx(expected, rel=1e-9, abs=1e-15)


def test_coslog4_has_its_zeros_and_its_tops_where_realmlp_has_them() -> None:
    # 1 + 15 s = 2^k: 0; 1 + 15 s = 2^(k + 1/2): r. With T = 15 * 10^6, t = 10^6 (2^(k + 1/2) - 1) up to rounding
    schedule = CosLog4(0.04, steps=15_000_000)
    for k in range(5):
        assert schedule(10**6 * (2**k - 1)) == pytest.approx(0, abs=1e-15)
    for top in (414_214, 1_828_427, 4_656_854, 10_313_708):
        assert schedule(top) == pytest.approx(0.04, rel=1e-11)


def test_one_cycle_has_the_usual_ends() -> None:
    # r / 25 = 0.02, r / 250000 = 2e-6, top at 0.3 T
    schedule = OneCycle(0.5, steps=10)
    assert [schedule(t) for t in (0, 3, 10)] == pytest.approx([0.02, 0.5, 2e-6], rel=1e-9)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_is_plain_data_and_back_even_through_json(name: str) -> None:
    schedule = settle_rate(schedule_named(name, 0.25), 40)
    assert as_rate(json.loads(json.dumps(rate_as_plain(schedule)))) == schedule
    assert base_of(schedule) == 0.25
    rule = Adam(schedule)
    assert rule_named(**json.loads(json.dumps(as_dict(rule)))) == rule


def test_a_ramp_before_a_cosine_is_plain_data_too() -> None:
    ramp = Warmup(Cosine(0.8, end=0.5), share=0.25, steps=40)
    assert as_rate(json.loads(json.dumps(rate_as_plain(ramp)))) == ramp
    assert ramp.schedule == Cosine(0.8, end=0.5, steps=30)


def test_a_schedule_of_ones_own_serves_but_cannot_be_written_down() -> None:
    class Inverse:
        rate = 0.5

        def __call__(self, t: int) -> float:
            return self.rate / (1 + t)

    assert value_at(Descent(Inverse()).rate, 4) == 0.1
    with pytest.raises(UnknownNameError, match="Inverse is no row of the table of schedules"):
        as_dict(Descent(Inverse()))


@pytest.mark.parametrize("name", [name for name, kind in SCHEDULES.items() if kind not in (Constant, ReduceOnPlateau)])
def test_without_the_number_of_steps_there_are_no_rates(name: str) -> None:
    schedule = schedule_named(name, 0.1)
    for use in (lambda: schedule(0), lambda: check_settled(schedule)):
        with pytest.raises(SettingError, match=r"the number of steps is not known; .*steps=1000"):
            use()
    check_settled(settle_rate(schedule, 3))


@pytest.mark.parametrize("rate", [0.1, Constant(0.1), ReduceOnPlateau(0.1)])
def test_some_need_no_number_of_steps(rate: float | Schedule) -> None:
    check_settled(rate)
    assert settle_rate(rate, 5) is rate


def test_the_shortest_training_has_its_ramp_too() -> None:
    assert Warmup(Cosine(0.8), share=0.9, steps=1)(0) == 0.8


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        *(
            (kind, {"rate": bad}, "rate must be positive and finite")
            for kind in SCHEDULES.values()
            for bad in (0.0, -1.0, math.inf, math.nan, "0.1")
            if kind is not Warmup
        ),
        *(
            (kind, {"rate": 0.1, "steps": bad}, "steps must be a whole number of at least 1")
            for kind in (Cosine, StepDecay, ExponentialDecay, OneCycle, CosLog4, FlatCos)
            for bad in (0, 1.5, "many")
        ),
        (StepDecay, {"rate": 0.1, "factor": 0.0}, "factor must be positive"),
        (StepDecay, {"rate": 0.1, "at": (0.5, 1.0)}, r"at must be in \(0, 1\)"),
        (ExponentialDecay, {"rate": 0.1, "end": 0.0}, "end must be positive"),
        (Cosine, {"rate": 0.1, "end": 1.0}, r"end must be in \[0, 1\)"),
        (OneCycle, {"rate": 0.1, "warm": 0.0}, r"warm must be in \(0, 1\)"),
        (OneCycle, {"rate": 0.1, "start": -0.1}, r"start must be in \[0, 1\)"),
        (OneCycle, {"rate": 0.1, "end": 1.0}, r"end must be in \[0, 1\)"),
        (Warmup, {"schedule": 0.1, "share": 1.0}, r"share must be in \[0, 1\)"),
        (Warmup, {"schedule": 0.1, "steps": 0}, "steps must be a whole number"),
        (ReduceOnPlateau, {"rate": 0.1, "factor": 1.0}, r"factor must be in \(0, 1\)"),
        (ReduceOnPlateau, {"rate": 0.1, "patience": -1}, "patience must be a whole number"),
        (ReduceOnPlateau, {"rate": 0.1, "threshold": -1.0}, "threshold must be in"),
        (ReduceOnPlateau, {"rate": 0.1, "least": -1.0}, "least must be in"),
    ],
)
def test_settings_out_of_range_are_refused(kind: type[Schedule], settings: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=f"{kind.__name__}: {message}"):
        kind(**settings)


def test_a_single_stair_needs_no_tuple() -> None:
    assert StepDecay(0.1, at=0.5) == StepDecay(0.1, at=(0.5,))  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="StepDecay: at must be in"):
        StepDecay(0.1, at="half")  # type: ignore[arg-type]


def test_a_ramp_before_nothing_positive_is_refused() -> None:
    with pytest.raises(SettingError, match="Constant: rate must be positive"):
        Warmup(0.0)


def test_unknown_names_are_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown schedule 'cosin'. Did you mean 'cosine'"):
        schedule_named("cosin", 0.1)
    with pytest.raises(UnknownNameError, match=r"unknown setting of cosine 'ends'. Did you mean 'end'"):
        schedule_named("cosine", 0.1, ends=0.0)
    with pytest.raises(UnknownNameError, match="unknown sense of better 'more'"):
        ReduceOnPlateau(0.1, better="more")
    with pytest.raises(SettingError, match="the schedule cosine needs a rate"):
        schedule_named("cosine")


# -- the plateau ------------------------------------------------------------------------------------------------------


def scales(plateau: ReduceOnPlateau, figures: list[float]) -> list[float]:
    scale, numbers, found = 1.0, {}, []
    for figure in figures:
        scale, numbers = plateau.watched(figure, scale, numbers)
        found.append(scale)
    return found


def test_a_plateau_reduces_as_pytorch_does() -> None:
    # torch.optim.lr_scheduler.ReduceLROnPlateau(SGD(lr=1.0), factor=0.5, patience=1), PyTorch 2.13.0
    figures = [1.0, 0.8, 0.8, 0.79999, 0.5, 0.6, 0.7, 0.4999999, 0.55, 0.4]
    expected = [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]
    assert scales(ReduceOnPlateau(1.0, factor=0.5, patience=1), figures) == expected


def test_a_figure_that_should_rise() -> None:
    # bars to clear: 0.5 * 1.19 = 0.595, then 0.6 * 1.19 = 0.714, which 0.65 does not and 0.8 does
    plateau = ReduceOnPlateau(1.0, factor=0.5, patience=0, threshold=0.19, better="higher")
    assert scales(plateau, [0.5, 0.6, 0.65, 0.8]) == [1.0, 1.0, 0.5, 0.5]


def test_the_rate_is_never_reduced_below_the_least_one() -> None:
    # 0.1 * (0.5, 0.25) = 0.05, 0.025 < 0.03, so the last scale is 0.3
    plateau = ReduceOnPlateau(0.1, factor=0.5, patience=0, least=0.03)
    assert scales(plateau, [1.0, 1.0, 1.0, 1.0]) == pytest.approx([1.0, 0.5, 0.3, 0.3], rel=1e-15)


def test_a_figure_that_is_no_number_is_no_improvement_and_never_the_best() -> None:
    plateau = ReduceOnPlateau(0.1, factor=0.5, patience=1)
    assert scales(plateau, [math.nan, 1.0, math.nan, math.nan]) == [1.0, 1.0, 1.0, 0.5]


def test_a_negative_figure_improves_downwards() -> None:
    assert replace(ReduceOnPlateau(0.1), threshold=0.1).improves(-1.2, -1.0)
    assert not replace(ReduceOnPlateau(0.1), threshold=0.1).improves(-1.05, -1.0)


def test_a_plateau_is_found_behind_a_ramp() -> None:
    plateau = ReduceOnPlateau(0.1)
    assert plateau_in(Warmup(plateau, steps=3)) is plateau
    assert plateau_in(0.1) is plateau_in(Cosine(0.1)) is None
