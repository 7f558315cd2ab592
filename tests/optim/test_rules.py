"""Every optimiser against numbers worked by hand or taken from PyTorch, never against its own formula."""

from __future__ import annotations

import json
import math
import pickle
from copy import deepcopy
from dataclasses import FrozenInstanceError, replace

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
    LazyAdam,
    Lion,
    Momentum,
    NAdam,
    Nesterov,
    RAdam,
    RMSProp,
    Rule,
    StepDecay,
    as_dict,
    check_rule,
    init,
    resume,
    rule_named,
)

START = np.array([1.0, -2.0, 0.5])
GRADIENTS = np.array([[0.5, -1.0, 0.25], [-0.25, 2.0, 0.125], [1.5, 0.5, -0.75]])

# Parameters after each of three steps from START along GRADIENTS, by PyTorch 2.13.0 on the CPU in float64:
# torch.optim.SGD(lr=0.1, momentum=0.9[, nesterov=True]), RMSprop(lr=0.1, alpha=0.9[, eps=0.5]), Adam(lr=0.1),
# Adam(lr=0.1, betas=(0.8, 0.95), eps=0.5), AdamW(lr=0.1, weight_decay=0.1), Adagrad(lr=0.1[, eps=0.5]),
# AdamHat by scikit-learn 1.9.1: AdamOptimizer(learning_rate_init=0.1[, beta_1=0.8, beta_2=0.95, epsilon=0.5]);
# SparseAdam(lr=0.1, betas=(0.8, 0.95), eps=1e-300), which for an epsilon of 0 is LazyAdam,
# NAdam(lr=0.1[, betas=(0.8, 0.95), eps=0.5, momentum_decay=0.1]), RAdam(lr=0.1), the gradients set by hand.
# Descent has no reference but arithmetic: 1 - 0.1 * 0.5 = 0.95, 0.95 + 0.1 * 0.25 = 0.975, 0.975 - 0.15 = 0.825, ...
# Nor has Lion, with betas (0.5, 0.75): blend c = 0.5 m + 0.5 g, w moves by 0.1 against its sign, m <- 0.75 m + 0.25 g:
# t=1: c = (.25, -.5, .125), w = (.9, -1.9, .4), m = (.125, -.25, .0625)
# t=2: c = (.0625 - .125, -.125 + 1, .03125 + .0625) = (-.0625, .875, .09375), w = (1, -2, .3),
#      m = (.09375 - .0625, -.1875 + .5, .046875 + .03125) = (.03125, .3125, .078125)
# t=3: c = (.015625 + .75, .15625 + .25, .0390625 - .375) = (+, +, -), w = (.9, -2.1, .4)
# With the betas exchanged, c at t=2 would begin with .75 * .25 - .25 * .25 > 0, and w with .8.
TABLE: list[tuple[Rule, list[list[float]]]] = [
    (Descent(0.1), [[0.95, -1.9, 0.475], [0.975, -2.1, 0.4625], [0.825, -2.15, 0.5375]]),
    (
        Momentum(0.1, rho=0.9),
        [[0.95, -1.9, 0.475], [0.9299999999999999, -2.01, 0.44], [0.7619999999999999, -2.159, 0.4835]],
    ),
    (
        Nesterov(0.1, rho=0.9),
        [[0.905, -1.81, 0.4525], [0.912, -2.109, 0.40850000000000003], [0.6108, -2.2931, 0.5226500000000001]],
    ),
    (
        RMSProp(0.1, rho=0.9, epsilon=1e-8),
        [
            [0.6837722539831608, -1.6837722439831617, 0.18377227398315693],
            [0.8312142014424063, -1.9694865256158147, 0.036330335219562054],
            [0.5317378333037395, -2.042731366456484, 0.335806697379156],
        ],
    ),
    (
        RMSProp(0.1, rho=0.9, epsilon=0.5),
        [
            [0.9240253073352043, -1.8774851773445587, 0.45682635297479074],
            [0.9613633582303306, -2.044151844011225, 0.4354507609433398],
            [0.8114943790440442, -2.0864300677693364, 0.5353925125111182],
        ],
    ),
    (
        Adam(0.1),
        [
            [0.900000002, -1.900000001, 0.4000000039999998],
            [0.8733662987078463, -1.9366103534720749, 0.30678204483606464],
            [0.8063162429161115, -1.9781754731467738, 0.34150439478123407],
        ],
    ),
    (
        Adam(0.1, betas=(0.8, 0.95), epsilon=0.5),
        [
            [0.95, -1.9333333333333333, 0.4666666666666667],
            [0.9406601300906186, -1.96518165866041, 0.4407291044638147],
            [0.8946400440826224, -1.9981011594303022, 0.461403328782396],
        ],
    ),
    (
        AdamHat(0.1),
        [
            [0.9000000632455132, -1.9000000316227665, 0.4000001264909464],
            [0.8733663743517929, -1.936610379148348, 0.30678226811598475],
            [0.806316331081773, -1.9781754933974611, 0.3415046050922378],
        ],
    ),
    (
        AdamHat(0.1, betas=(0.8, 0.95), epsilon=0.5),
        [
            [0.9817256002368443, -1.9690983005625053, 0.489943959607596],
            [0.9775453767046453, -1.989967264053175, 0.47989857242095285],
            [0.9482540342334035, -2.012618713721014, 0.4910843992392322],
        ],
    ),
    (
        AdamW(0.1, decay=0.1),
        [
            [0.890000002, -1.880000001, 0.3950000039999998],
            [0.8544662986878463, -1.897810353462075, 0.2978320447960646],
            [0.778871579909233, -1.920397369602153, 0.3295760742932734],
        ],
    ),
    (
        LazyAdam(0.1, betas=(0.8, 0.95), epsilon=0.0),
        [
            [0.9, -1.9, 0.4],
            [0.8787540853600301, -1.9418430609640565, 0.3079343698934637],
            [0.8083254890141517, -1.9872543274155359, 0.3505393232385012],
        ],
    ),
    (
        AdaGrad(0.1),
        [
            [0.90000000002, -1.90000000001, 0.40000000004],
            [0.9447213595619958, -1.9894427191059916, 0.3552786405060042],
            [0.8510171024346858, -2.0112645081286384, 0.4489828976274606],
        ],
    ),
    (
        AdaGrad(0.1, epsilon=0.5),
        [
            [0.95, -1.9333333333333333, 0.4666666666666667],
            [0.9736067977499789, -2.006430932385956, 0.45063092100757385],
            [0.9022047830889057, -2.024343810860735, 0.5083059027059622],
        ],
    ),
    (
        NAdam(0.1),
        [
            [0.8943548242773647, -1.8943548232209129, 0.3943548263902681],
            [0.9354657961611363, -1.985010571915627, 0.34196249900447084],
            [0.8287861248488249, -2.013167002556926, 0.444528259858151],
        ],
    ),
    (
        NAdam(0.1, betas=(0.8, 0.95), epsilon=0.5, momentum_decay=0.1),
        [
            [0.9451881586428792, -1.9269175448571723, 0.46345877242858613],
            [0.9636833446119369, -1.9999203266605317, 0.44662646848809867],
            [0.8880861133440562, -2.024148814638843, 0.5000154914842374],
        ],
    ),
    (
        RAdam(0.1),
        [
            [0.95, -1.9, 0.475],
            [0.9394736842105262, -1.9578947368421051, 0.45657894736842103],
            [0.8774810642843269, -2.0128762866576033, 0.4726306078850262],
        ],
    ),
    (Lion(0.1, betas=(0.5, 0.75)), [[0.9, -1.9, 0.4], [1.0, -2.0, 0.3], [0.9, -2.1, 0.4]]),
]
IDS = [repr(rule) for rule, _ in TABLE]


def stepped(rule: Rule, w: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    w, state = w.copy(), init(rule, w)
    rows = []
    for g in gradients:
        rule.step(w, g, state)
        rows.append(w.copy())
    return np.array(rows)


def test_every_row_of_the_table_has_its_numbers() -> None:
    assert {type(rule) for rule, _ in TABLE} == set(RULES.values())


@pytest.mark.parametrize(("rule", "expected"), TABLE, ids=IDS)
def test_three_steps_give_the_numbers(rule: Rule, expected: list[list[float]]) -> None:
    np.testing.assert_allclose(stepped(rule, START, GRADIENTS), expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(("rule", "expected"), TABLE, ids=IDS)
def test_float32_stays_float32_and_gives_the_numbers_to_its_precision(rule: Rule, expected: list[list[float]]) -> None:
    rows = stepped(rule, START.astype(np.float32), GRADIENTS.astype(np.float32))
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, expected, rtol=1e-5)


def test_adam_by_hand() -> None:
    # w = 1, g = 4 twice, r = 0.1, betas (0.5, 0.75), epsilon 1:
    # t=1: m = 2, v = 4, m^ = 2 / 0.5 = 4, v^ = 4 / 0.25 = 16, w = 1 - 0.1 * 4 / (4 + 1) = 0.92
    # t=2: m = 3, v = 7, m^ = 3 / 0.75 = 4, v^ = 7 / 0.4375 = 16, w = 0.92 - 0.08 = 0.84
    rows = stepped(Adam(0.1, betas=(0.5, 0.75), epsilon=1.0), np.array([1.0]), np.array([[4.0], [4.0]]))
    np.testing.assert_allclose(rows, [[0.92], [0.84]], rtol=1e-15)


# Three rows of two weights, by PyTorch 2.13.0: SparseAdam(lr=0.1, eps=1e-300) with gradients of those rows alone that
# are not 0. Row 2 rests until its first step at t = 3, 0.1 (1 - 0.9) sqrt(1 - 0.999^3) / (sqrt(0.001) (1 - 0.9^3)).
LAZY_GRADIENTS = [[0.5, -1, 0, 0, 0.25, 0.5], [0, 0, 0, 0, -1, 2.0], [1.5, 0.5, 0.125, -0.75, 0, 0]]
LAZY = [
    [0.9, -1.9, 0.5, 0.25, -1.1, 2.9],
    [0.9, -1.9, 0.5, 0.25, -1.044049650596213, 2.811562350942401],
    [
        0.8212119274966874,
        -1.877135962423812,
        0.43611864006014844,
        0.31388135993985156,
        *(-1.044049650596213, 2.811562350942401),
    ],
]


def test_lazy_adam_leaves_rows_without_a_gradient_alone_and_steps_as_adam_elsewhere() -> None:
    rule, w, biases = LazyAdam(0.1, epsilon=0.0), np.array([1.0, -2, 0.5, 0.25, -1, 3, 7, 7]), []
    state = init(rule, w, (("layer1.weight", 6), ("layer1.bias", 2)))
    assert state.rows == (3, 2)
    for g, expected in zip(LAZY_GRADIENTS, LAZY, strict=True):
        rule.step(w, np.array([*g, g[0], 1]), state)
        np.testing.assert_allclose(w[:6], expected, rtol=1e-13)
        biases.append(w[6])
    bias = stepped(Adam(0.1, epsilon=0.0), np.array([7.0]), np.array([[0.5], [0.0], [1.5]]))
    np.testing.assert_allclose(biases, bias[:, 0], rtol=1e-13)  # drifts on at t = 2, as in Adam
    assert LAZY[2][2] == pytest.approx(0.5 - 0.01 * math.sqrt(1 - 0.999**3) / (math.sqrt(0.001) * (1 - 0.9**3)))


def test_a_row_that_occurs_with_a_gradient_in_some_of_its_weights_is_stepped_whole() -> None:
    rule, w = LazyAdam(0.1), np.zeros(6)
    state = init(rule, w, (("layer1.weight", 4), ("layer1.bias", 2)))
    rule.step(w, np.array([1.0, 1, 1, 0, 0, 0]), state)
    before = w.copy()
    rule.step(w, np.array([0.0, 1, 0, 0, 0, 0]), state)
    assert w[0] < before[0]  # along its old moment
    np.testing.assert_array_equal(w[2:4], before[2:4])


@pytest.mark.parametrize("layout", [(), (("layer1.bias", 6),), (("layer1.weight", 3), ("layer2.weight", 3))])
def test_without_a_first_layer_of_rows_every_parameter_is_a_row(layout: tuple) -> None:
    assert init(LazyAdam(), np.zeros(6), layout).rows == (6, 1)
    assert init(Adam(), np.zeros(6), layout).rows == (0, 0)


# RAdam's first five steps are not rectified, so the gradients go round three times; steps 4 to 9, by PyTorch 2.13.0:
# RAdam(lr=0.1) and RAdam(lr=0.1, betas=(0.8, 0.95), eps=0.5).
RECTIFIED = [
    (
        RAdam(0.1),
        [
            [0.8189756848135505, -2.022791959818406, 0.47674517607345307],
            [0.7808618414397623, -2.0791251384953613, 0.476802561729481],
            [0.779130534609115, -2.0801983960423405, 0.47769913121286317],
            [0.7769007435940153, -2.0808440799430543, 0.47831045404817196],
            [0.7747945460895485, -2.082401059103204, 0.47873817972497174],
            [0.7718373131012187, -2.0842342827365234, 0.48026960377612604],
        ],
    ),
    (
        RAdam(0.1, betas=(0.8, 0.95), epsilon=0.5),
        [
            [0.8144331156426318, -2.0321937891510062, 0.4818367097605402],
            [0.7791284987935123, -2.095687363639345, 0.4814975855339814],
            [0.7728026169594926, -2.1004546578788257, 0.48403605588097753],
            [0.764719635464777, -2.102526815762136, 0.4855306250322843],
            [0.7579467054340393, -2.1101867457116423, 0.48630873372657896],
            [0.7461234681703921, -2.1189752697099316, 0.4911879305343418],
        ],
    ),
]


@pytest.mark.parametrize(("rule", "expected"), RECTIFIED, ids=["usual", "other"])
def test_radam_rectifies_from_the_sixth_step_on(rule: Rule, expected: list[list[float]]) -> None:
    rows = stepped(rule, START, np.tile(GRADIENTS, (3, 1)))
    np.testing.assert_allclose(rows[3:], expected, rtol=1e-12)


def test_radam_without_a_second_moment_to_speak_of_is_momentum_for_ever() -> None:
    # b2 = 0.5: rho_inf = 3 < 5; constant gradient 1, so m^ = 1: every step is r
    rows = stepped(RAdam(0.1, betas=(0.5, 0.5)), np.array([1.0]), np.ones((4, 1)))
    np.testing.assert_allclose(rows[:, 0], [0.9, 0.8, 0.7, 0.6], rtol=1e-15)


def test_adagrad_by_hand() -> None:
    # g = 3, 4, 12, so sqrt(v) = 3, 5, 13: 1 - .5 = .5, .5 - .5 * .8 = .1, .1 - .5 * 12 / 13 = -.361538...
    rows = stepped(AdaGrad(0.5, epsilon=0.0), np.array([1.0]), np.array([[3.0], [4.0], [12.0]]))
    np.testing.assert_allclose(rows[:, 0], [0.5, 0.1, 0.1 - 6 / 13], rtol=1e-14)


def test_lion_keeps_nan_and_stands_still_without_a_gradient() -> None:
    rows = stepped(Lion(0.1), np.ones(2), np.array([[0.0, np.nan]]))
    np.testing.assert_array_equal(rows, [[1.0, np.nan]])


def test_the_product_of_nadam_is_in_the_state() -> None:
    # psi = 0: mu_t = 0.5 b1 = 0.4 throughout, so the product after two steps is 0.16
    rule, w = NAdam(0.1, betas=(0.8, 0.9), momentum_decay=0.0), START.copy()
    state = init(rule, w)
    for g in GRADIENTS[:2]:
        rule.step(w, g, state)
    assert state.numbers == {"mu_product": pytest.approx(0.16, rel=1e-15)}


@pytest.mark.parametrize("name", RULES)
def test_a_schedule_gives_each_step_its_rate(name: str) -> None:
    stairs = StepDecay(0.1, factor=0.5, at=(0.5,), steps=2)
    rule, w, v = replace(rule_named(name), rate=stairs), START.copy(), START.copy()  # type: ignore[type-var]
    state, by_hand = init(rule, w), init(replace(rule, rate=0.1), v)
    rule.step(w, GRADIENTS[0], state)
    replace(rule, rate=0.1).step(v, GRADIENTS[0], by_hand)
    np.testing.assert_array_equal(w, v)
    rule.step(w, GRADIENTS[1], state)
    replace(rule, rate=0.05).step(v, GRADIENTS[1], by_hand)
    np.testing.assert_array_equal(w, v)


@pytest.mark.parametrize("name", RULES)
def test_the_scale_of_the_state_multiplies_the_rate(name: str) -> None:
    rule, w, v = replace(rule_named(name), rate=0.5), START.copy(), START.copy()  # type: ignore[type-var]
    state = init(rule, w)
    state.scale = 0.25
    rule.step(w, GRADIENTS[0], state)
    slow = replace(rule, rate=0.125)
    slow.step(v, GRADIENTS[0], init(slow, v))
    np.testing.assert_array_equal(w, v)


def test_the_decay_of_adamw_by_hand() -> None:
    # without a gradient only the decay acts: w <- (1 - 0.5 * 0.25) w = 0.875 w, so 8 becomes 7, then 6.125
    rows = stepped(AdamW(0.5, decay=0.25), np.array([8.0]), np.array([[0.0], [0.0]]))
    np.testing.assert_array_equal(rows, [[7.0], [6.125]])


def test_the_first_step_of_adam_is_the_rate_whatever_the_size_of_the_gradient() -> None:
    rows = stepped(Adam(0.01), np.zeros(4), np.array([[1e-3, -1.0, 1e3, -1e6]]))
    np.testing.assert_allclose(rows[0], [-0.01, 0.01, -0.01, 0.01], rtol=1e-4)


@pytest.mark.parametrize("name", RULES)
def test_the_state_counts_steps_and_has_its_slots_and_the_gradient_is_left_alone(name: str) -> None:
    rule = rule_named(name)
    w = START.copy()
    state = init(rule, w)
    assert state.rule is rule
    assert (state.t, len(state.slots)) == (0, rule.slots)
    assert all(not slot.any() and slot.shape == w.shape and slot.dtype == w.dtype for slot in state.slots)
    g = GRADIENTS[0].copy()
    for t in (1, 2, 3):
        rule.step(w, g, state)
        assert state.t == t
    np.testing.assert_array_equal(g, GRADIENTS[0])
    assert all(slot.any() for slot in state.slots)


def test_a_pickled_state_holds_nothing_of_its_working_memory() -> None:
    w = np.zeros(4)
    state = init(Adjusted(Adam(0.1), clip_norm=1.0), w)
    state.scratch[:] = 1.2345678  # as if something had been there before
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        content = pickle.dumps(state, protocol)
        assert state.scratch[:1].tobytes() not in content
        again = pickle.loads(content)
        assert (again.scratch.shape, again.scratch.dtype) == (state.scratch.shape, state.scratch.dtype)
        for one in (again, deepcopy(state)):
            v = w.copy()
            one.rule.step(v, np.ones(4), one)
            assert one.t == 1
            assert v.all()


@pytest.mark.parametrize("name", RULES)
def test_a_copy_of_the_state_goes_its_own_way(name: str) -> None:
    rule, w = rule_named(name), START.copy()
    state = init(rule, w)
    rule.step(w, GRADIENTS[0], state)
    other, v = state.copy(), w.copy()
    for g in GRADIENTS[1:]:
        rule.step(w, g, state)
    assert (state.t, other.t) == (3, 1)
    for g in GRADIENTS[1:]:
        rule.step(v, g, other)
    np.testing.assert_array_equal(v, w)
    assert not any(np.shares_memory(a, b) for a in state.slots for b in other.slots)
    assert not np.shares_memory(state.scratch, other.scratch)


@pytest.mark.parametrize("name", RULES)
def test_scratch_carries_nothing(name: str) -> None:
    rule = rule_named(name)
    w, v = START.copy(), START.copy()
    clean, soiled = init(rule, w), init(rule, v)
    for g in GRADIENTS:
        soiled.scratch[...] = np.nan
        rule.step(w, g, clean)
        rule.step(v, g, soiled)
    np.testing.assert_array_equal(v, w)


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        *((kind, {"rate": rate}, "rate must be positive and finite") for kind in RULES.values() for rate in (0, -1e-3)),
        *((kind, {"rate": math.nan}, "rate must be positive and finite, got nan") for kind in RULES.values()),
        *((kind, {"rate": math.inf}, "rate must be positive") for kind in RULES.values()),
        *((kind, {"rate": "fast"}, "rate must be positive and finite, got 'fast'") for kind in RULES.values()),
        *(
            (kind, {"rho": rho}, r"rho must be in \[0, 1\)")
            for kind in (Momentum, Nesterov, RMSProp)
            for rho in (1, -0.1)
        ),
        *((kind, {"epsilon": -1e-8}, r"epsilon must be in \[0, inf\)") for kind in (RMSProp, Adam, AdamW)),
        *((kind, {"betas": (0.9, 1.0)}, r"betas must be in \[0, 1\)") for kind in (Adam, AdamW)),
        *((kind, {"betas": (0.9,)}, "betas must be two numbers") for kind in (Adam, AdamW)),
        (AdamW, {"decay": -0.1}, r"decay must be in \[0, inf\)"),
        (AdamW, {"decay": math.nan}, "decay must be in"),
        (NAdam, {"momentum_decay": -1.0}, r"momentum_decay must be in \[0, inf\)"),
        (AdaGrad, {"epsilon": math.inf}, r"epsilon must be in \[0, inf\)"),
        *((kind, {"betas": (0.9, 1.0)}, r"betas must be in \[0, 1\)") for kind in (NAdam, RAdam, Lion)),
        *((kind, {"betas": 0.9}, "betas must be two numbers, got 0.9") for kind in (NAdam, RAdam, Lion)),
        *((kind, {"rate": None}, "rate must be positive and finite") for kind in RULES.values()),
    ],
)
def test_settings_out_of_range_are_refused(kind: type[Rule], settings: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=f"{kind.__name__}: {message}"):
        kind(**settings)


def test_the_edges_of_the_ranges_are_allowed() -> None:
    Momentum(1e-300, rho=0.0)
    Adam(1e3, betas=(0.0, 0.0), epsilon=0.0)
    AdamW(np.float32(0.1), decay=0.0)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_plain_data_and_back_even_through_json(name: str) -> None:
    rule = replace(rule_named(name), rate=0.0625)  # type: ignore[type-var]
    assert rule_named(**as_dict(rule)) == rule  # type: ignore[arg-type]
    assert rule_named(**json.loads(json.dumps(as_dict(rule)))) == rule
    assert as_dict(rule)["name"] == name
    scheduled = replace(rule, rate=Cosine(0.5, end=0.25, steps=7))
    assert rule_named(**json.loads(json.dumps(as_dict(scheduled)))) == scheduled


def test_a_rule_that_is_no_row_cannot_be_named() -> None:
    class Own(Descent):
        pass

    with pytest.raises(UnknownNameError, match="Own is no row of the table"):
        as_dict(Own())


def test_unknown_rules_and_settings_are_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown optimizer 'adan'. Did you mean 'adam'"):
        rule_named("adan")
    with pytest.raises(UnknownNameError, match=r"unknown setting of adam 'beta'. Did you mean 'betas'"):
        rule_named("adam", beta=0.9)


def test_settings_cannot_be_changed_under_a_running_state() -> None:
    with pytest.raises(FrozenInstanceError):
        Adam().rate = 1.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("wrong", "shown"), [(Adam, "the class Adam"), ("adam", "'adam'"), (None, "None"), (0.1, "0.1")]
)
def test_what_is_no_rule_is_refused_the_bare_class_too(wrong: object, shown: str) -> None:
    for check in (check_rule, lambda rule: init(rule, START)):
        with pytest.raises(SettingError, match=rf"a rule such as Adam\(1e-3\), got {shown}"):
            check(wrong)


def test_a_resumed_state_is_a_copy_under_new_settings() -> None:
    w = START.copy()
    state = init(Adam(0.1), w)
    Adam(0.1).step(w, GRADIENTS[0], state)
    other = resume(state, Adam(0.01), w)
    assert (other.t, other.rule, state.rule) == (1, Adam(0.01), Adam(0.1))
    Adam(0.01).step(w, GRADIENTS[1], other)
    assert state.t == 1
    assert not any(np.shares_memory(a, b) for a, b in zip(state.slots, other.slots, strict=True))


@pytest.mark.parametrize(
    ("rule", "w"), [(Momentum(0.1), START), (Adam(0.1), START[:2]), (Adam(0.1), START.astype(np.float32))]
)
def test_a_state_of_another_rule_network_or_type_does_not_serve(rule: Rule, w: np.ndarray) -> None:
    with pytest.raises(SettingError, match="does not serve"):
        resume(init(Adam(0.1), START), rule, w)
