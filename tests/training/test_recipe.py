"""From data and a recipe to a task: rows held out, inputs and target described, values in their units."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from layerloop.data import Dataset, read
from layerloop.errors import InputError, LayerloopError, NetworkError, SettingError, UnknownNameError
from layerloop.network import evaluate
from layerloop.optim import LazyAdam
from layerloop.training import Progress, train
from layerloop.training.recipe import Recipe, prepare

RNG = np.random.default_rng(0)


def classes(n: int = 60, k: int = 3) -> Dataset:
    y = np.arange(n) % k
    X = RNG.normal(size=(n, 4)) + y[:, np.newaxis]
    return Dataset("points", X, y, "classes", tuple("abcdefgh"[:k]), columns=("p", "q", "r", "s"))


def values(n: int = 60, center: float = 3e5, spread: float = 1e4) -> Dataset:
    X = RNG.normal(size=(n, 4))
    return Dataset("prices", X, center + spread * X[:, 0], "values", columns=("p", "q", "r", "s"))


def pictures(side: int, drawn: int, n: int = 20) -> Dataset:
    """Pictures with a stroke of `drawn` pixels somewhere on a ground of faint noise."""
    X = RNG.integers(0, 30, size=(n, side, side)).astype(np.uint8)
    for i in range(n):
        top, left = RNG.integers(0, side - drawn + 1), RNG.integers(0, side)
        X[i, top : top + drawn, left] = 250
    return Dataset("strokes", X.reshape(n, -1), np.arange(n) % 2, "classes", ("0", "1"), 1 / 255, (side, side))


# The recipe.


@pytest.mark.parametrize(
    ("setting", "error", "said"),
    [
        ({"reading": "nots"}, UnknownNameError, "Did you mean 'notes'?"),
        ({"activation": "sigmod"}, UnknownNameError, "Did you mean 'sigmoid'?"),
        ({"head": "sofmax"}, UnknownNameError, "Did you mean 'softmax'?"),
        ({"loss": "crosentropy"}, UnknownNameError, "Did you mean 'crossentropy'?"),
        ({"optimizer": "adm"}, UnknownNameError, "Did you mean 'adam'?"),
        ({"dtype": "float16"}, UnknownNameError, "unknown float type"),
        ({"loss": "logitcrossentropy"}, NetworkError, "use crossentropy"),
        ({"head": "identity", "loss": "crossentropy"}, NetworkError, "logitcrossentropy"),
        ({"rate": -1.0}, SettingError, "rate must be positive"),
        ({"rate": float("nan")}, SettingError, "rate must be positive"),
        ({"layers": (3, 0)}, SettingError, "width"),
        ({"batch_size": 0}, SettingError, "batch_size"),
        ({"epochs": -1}, SettingError, "epochs"),
        ({"seed": -1}, SettingError, "seed"),
        ({"validation": 1.0}, SettingError, "held out for validation must be in [0, 1), got 1.0"),
        ({"test": float("nan")}, SettingError, "held out for test"),
    ],
)
def test_a_recipe_that_cannot_be_followed_is_found_before_any_data(
    setting: dict, error: type[LayerloopError], said: str
) -> None:
    with pytest.raises(error) as caught:
        Recipe(**setting)
    assert said in str(caught.value)


def test_the_defaults_are_the_run_of_the_notes() -> None:
    task = prepare(read("digits"), read("digits", "test"), Recipe())
    assert repr(task.m) == "Chain(Dense(64, 32, sigmoid), Dense(32, 10), softmax)  # 2,410 parameters"
    assert (str(task.loss), repr(task.rule)[:5], task.rule.rate) == ("crossentropy", "Adam(", 1e-3)
    assert (task.loader.batchsize, task.done, task.target) == (128, [], (0.0, 1.0))


@pytest.mark.parametrize(
    ("data", "settings", "loss"),
    [
        (classes(), {}, "crossentropy"),
        (classes(), {"reading": "notes"}, "crossentropy"),
        (classes(), {"head": "identity"}, "logitcrossentropy"),
        (values(), {}, "mse"),
        (values(), {"head": "identity"}, "mse"),
    ],
)
def test_the_loss_is_that_of_target_and_head(data: Dataset, settings: dict, loss: str) -> None:
    assert prepare(data, None, Recipe(**settings)).loss.name == loss


@pytest.mark.parametrize(
    ("data", "settings", "error", "said"),
    [
        (classes(), {"loss": "mse"}, NetworkError, "the target of points holds classes, which loss mse does not fit"),
        (values(), {"loss": "crossentropy"}, NetworkError, "holds values, which loss crossentropy does not fit"),
        (values(), {"reading": "notes"}, NetworkError, "neither reading nor head"),
        (values(), {"head": "softmax"}, NetworkError, "neither reading nor head"),
        (classes(k=1), {}, InputError, "points has a single class, a; there is nothing to tell apart"),
        (classes(2), {}, InputError, "points: 2 rows are too few to hold out 20% for test"),
        (classes(4), {"test": 0.0, "validation": 0.1}, InputError, "4 rows are too few to hold out 10% for validation"),
        (values(center=1e9, spread=1), {}, InputError, "too few digits"),
        (values(center=0, spread=1e25), {}, InputError, "too much for float32"),
        (replace(values(), X=np.full((60, 4), 1e200)), {}, InputError, "a column reaches 1e+200"),
    ],
)
def test_data_that_do_not_fit_the_recipe_are_refused(
    data: Dataset, settings: dict, error: type[LayerloopError], said: str
) -> None:
    with pytest.raises(error) as caught:
        prepare(data, None, Recipe(**settings))
    assert said in str(caught.value)


# Rows held out.


@given(counts=st.lists(st.integers(1, 30), min_size=2, max_size=5), share=st.floats(0.05, 0.6), seed=st.integers(0, 9))
def test_every_class_is_held_out_in_its_proportion(counts: list[int], share: float, seed: int) -> None:
    y = np.repeat(np.arange(len(counts)), counts)
    data = Dataset("points", np.arange(len(y), dtype=float)[:, np.newaxis], y, "classes", tuple("abcde"[: len(counts)]))
    assume(1 <= share * len(y) <= len(y) - 1)  # fewer rows are refused
    task = prepare(data, None, Recipe(test=share, seed=seed))
    X, held = task.held["test"]
    assert sorted([*X[:, 0], *task.loader.X[:, 0]]) == list(range(len(y)))
    for k, count in enumerate(counts):
        assert abs(np.sum(held == k) - share * count) <= 1
    np.testing.assert_array_equal(y[X[:, 0].astype(int)], held)


def test_the_test_rows_are_drawn_first_and_do_not_depend_on_the_validation_share() -> None:
    data = classes()
    with_both, alone = (prepare(data, None, Recipe(validation=share)) for share in (0.25, 0.0))
    np.testing.assert_array_equal(with_both.held["test"][0], alone.held["test"][0])
    assert [len(with_both.held[name][0]) for name in ("test", "validation")] == [12, 12]
    assert with_both.done[:2] == [
        "12 of 60 rows (20%) held out for test, drawn by the seed",
        "12 of 48 rows (25%) held out for validation, drawn by the seed",
    ]


def test_another_seed_holds_out_other_rows_and_the_same_seed_the_same() -> None:
    data = classes()
    a, b, c = (prepare(data, None, Recipe(seed=seed)).held["test"][0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


def test_a_test_part_of_the_data_is_used_as_it_is() -> None:
    held = classes(9)
    task = prepare(classes(), held, Recipe())
    assert task.held["test"] == (held.X, held.y)
    assert len(task.loader.X) == 60


def test_values_are_held_out_all_along_their_range() -> None:
    task = prepare(values(500), None, Recipe())
    for quantile in (0.1, 0.5, 0.9):
        assert np.quantile(task.held["test"][1], quantile) == pytest.approx(
            np.quantile(task.loader.y, quantile), abs=0.1
        )


# Inputs.


def test_columns_are_standardised_by_the_training_rows_alone() -> None:
    task = prepare(classes(), None, Recipe())
    np.testing.assert_allclose(task.m.inputs.center, task.loader.X.mean(axis=0))
    assert task.m.inputs.columns == ("p", "q", "r", "s")


@pytest.mark.parametrize("drawn", [8, 20, 28])
def test_pictures_of_an_archive_tell_how_large_their_drawings_are(drawn: int) -> None:
    inputs = prepare(pictures(28, drawn), None, Recipe()).m.inputs
    assert (inputs.scale, inputs.image, inputs.box) == (1 / 255, (28, 28), drawn)


def test_the_box_of_a_named_set_is_kept() -> None:
    assert prepare(read("digits"), None, Recipe()).m.inputs.box == 8


def test_blank_pictures_have_a_box_too() -> None:
    blank = replace(pictures(6, 3), X=np.zeros((20, 36), np.uint8))
    assert prepare(blank, None, Recipe()).m.inputs.box == 1


def test_centred_pictures_have_mean_0_and_one_deviation_and_keep_what_they_are() -> None:
    data = pictures(12, 8, n=400)
    plain, task = prepare(data, None, Recipe()), prepare(data, None, Recipe(centred=True))
    seen = task.m.inputs.apply(task.loader.X, "float64")
    np.testing.assert_allclose(seen.mean(axis=0), 0, atol=1e-12)
    assert len(set(task.m.inputs.spread)) == 1
    assert np.ptp(seen.std(axis=0)) > 0  # no pixel has a deviation of its own
    assert task.m.inputs.spread[0] == pytest.approx(task.loader.X.std() / 255, rel=1e-9)
    assert replace(task.m.inputs, center=(), spread=()) == plain.m.inputs
    assert any("the mean of the training pictures is taken off" in said for said in task.done)


def test_a_table_is_standardised_alike_whether_pictures_are_centred_or_not() -> None:
    data = classes()
    assert prepare(data, None, Recipe(centred=True)).m.inputs == prepare(data, None, Recipe()).m.inputs


# The units of the target.


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layers", [(), (8,)])
def test_finishing_brings_values_and_figures_back_to_their_units(dtype: str, layers: tuple[int, ...]) -> None:
    data = values()
    task = prepare(data, None, Recipe(layers=layers, dtype=dtype, rate=0.05))
    train(task.m, task.loader, task.loss, task.rule, epochs=30, threads=1)
    center, spread = task.target
    inner, before = task.m(data.X), task.figures("test")
    task.finish()
    np.testing.assert_allclose(task.m(data.X), inner * spread + center, rtol=1e-5)
    after = task.figures("test")
    assert after["loss"] == pytest.approx(before["loss"], rel=1e-3)
    assert after == evaluate(task.m, *task.held["test"], loss="mse")
    X, y = task.held["test"]
    rows = [int(np.flatnonzero((x == data.X).all(axis=1))[0]) for x in X]
    np.testing.assert_allclose(y, data.y[rows], rtol=1e-12)


def test_finishing_twice_changes_nothing_more() -> None:
    task = prepare(values(), None, Recipe())
    task.finish()
    flat = task.m.flat.copy()
    task.finish()
    np.testing.assert_array_equal(task.m.flat, flat)


def test_classes_are_finished_as_they_are() -> None:
    task = prepare(classes(), None, Recipe())
    flat = task.m.flat.copy()
    task.finish()
    np.testing.assert_array_equal(task.m.flat, flat)


def test_progress_is_told_in_the_units_of_the_target() -> None:
    task = prepare(values(), None, Recipe())
    unit = task.target[1] ** 2
    row = {"epoch": 1, "loss": 0.5, "test_loss": 0.25, "test_r2": 0.75, "seconds": 2.0}
    now = task.in_units(Progress(task.m, 1, 3, 1, 1, 0.5, 2.0, 10, row))
    assert now.loss == 0.5 * unit
    assert now.row == {"epoch": 1, "loss": 0.5 * unit, "test_loss": 0.25 * unit, "test_r2": 0.75, "seconds": 2.0}
    assert task.in_units(replace(now, row=None)).row is None


def test_a_constant_target_is_learned_as_it_is() -> None:
    task = prepare(replace(values(), y=np.full(60, 3.5)), None, Recipe(layers=()))
    assert task.target == (3.5, 1.0)
    task.m.flat[...] = 0
    task.finish()
    np.testing.assert_allclose(task.m(np.zeros(4)), 3.5)


def test_lazy_adam_takes_nothing_around_it_and_nothing_is_no_setting() -> None:
    assert Recipe(optimizer="lazy_adam", decay=0.0, l2=0.0).rule() == LazyAdam()
    with pytest.raises(SettingError, match="lazy_adam leaves rows alone and takes no clip or decay, which acts on all"):
        Recipe(optimizer="lazy_adam", decay=0.1, clip=1.0).rule()
