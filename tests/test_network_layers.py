"""Networks of every kind of layer for a user: what they say, how they train, what a file keeps of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from every_layer import NETWORKS, architecture, parameters, rows
from layerloop import (
    Adam,
    AdamW,
    Adjusted,
    BatchNorm,
    Chain,
    DataLoader,
    Dense,
    Descent,
    Dropout,
    Embedding,
    Members,
    Scale,
    activations,
    evaluate,
    load,
    mse,
    params,
    save,
    setup,
    softmax,
    train,
    update,
    value_and_gradient,
)
from layerloop.engine import ReferenceEngine
from layerloop.engine.masks import keeps
from layerloop.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path


def chain(name: str, dtype: str = "float32") -> Chain:
    a = architecture(name)
    return Chain.from_parts(a, parameters(a, dtype))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_learns_keeps_its_bits_and_goes_on_exactly(name: str, tmp_path: Path) -> None:
    m, X = chain(name), rows(architecture(name), 60)
    y = np.argmax(X @ np.random.default_rng(5).normal(size=(5, 3)), axis=1)
    loader = DataLoader((X, y), batchsize=16, seed=2)
    before = evaluate(m, X, y)["loss"]
    history = train(m, loader, optimizer=Adam(0.01), epochs=30)
    assert evaluate(m, X, y)["loss"] < before - 0.1
    again = load(save(m, tmp_path / "m.safetensors"))
    assert repr(again) == repr(m)
    np.testing.assert_array_equal(again(X), m(X))
    train(m, loader, epochs=2, state=history.state)
    other = DataLoader((X, y), batchsize=16, seed=2)
    other.epoch = 30
    train(again, other, epochs=2, state=history.state)
    np.testing.assert_array_equal(again.flat, m.flat)


@pytest.mark.parametrize("name", NETWORKS)
def test_one_sample_is_a_row_of_the_batch(name: str) -> None:
    m, X = chain(name, "float64"), rows(architecture(name), 7)
    P, layers = m(X), activations(m, X)
    np.testing.assert_allclose(m(X[3]), P[3], rtol=1e-12)
    for one, many in zip(activations(m, X[3]), layers, strict=True):
        np.testing.assert_allclose(one, many[3], rtol=1e-10, atol=1e-14)
    np.testing.assert_array_equal(layers[-1], P)


def test_a_network_says_what_it_is_made_of() -> None:
    m = Chain(Dense(4, 8, "relu"), BatchNorm(8), Dropout(0.2), Dense(8, 3, ntk=True), softmax)
    assert (
        repr(m)
        == "Chain(Dense(4, 8, relu), BatchNorm(8), Dropout(0.2), Dense(8, 3, ntk=True), softmax)  # 99 parameters"
    )
    assert list(params(m))[2:6] == ["layer2.weight", "layer2.bias", "layer2.running_mean", "layer2.running_variance"]
    assert m[1].running_variance.tolist() == [1.0] * 8
    with pytest.raises(AttributeError, match=r"has no parameter 'weights'\. Did you mean 'weight'"):
        _ = m[1].weights


def test_the_standard_deviation_of_the_scores_is_about_1_under_the_ntk_scaling() -> None:
    m = Chain(Dense(400, 300, ntk=True), seed=3)
    assert 0.9 < m(np.random.default_rng(0).normal(size=(50, 400))).std() < 1.1


def test_members_are_averaged_in_prediction_and_apart_in_the_loss() -> None:
    m = Chain(Members(2, 3), Dense(2, 2, members=3), softmax, seed=1, dtype="float64")
    X, y = np.random.default_rng(0).normal(size=(5, 2)), np.array([0, 1, 1, 0, 1])
    alone = []
    for j in range(3):
        one = Chain(Dense(2, 2), softmax, dtype="float64")
        params(one)["layer1.weight"][...] = params(m)["layer2.weight"][j]
        alone.append((one(X), evaluate(one, X, y)["loss"]))
    np.testing.assert_allclose(m(X), np.mean([P for P, _ in alone], axis=0), rtol=1e-12)
    assert evaluate(m, X, y)["loss"] == pytest.approx(np.mean([loss for _, loss in alone]), rel=1e-12)


def test_members_start_apart_where_their_scales_are_drawn() -> None:
    m = Chain(Members(6, 4), Scale(6, members=4, start="signs"), Dense(6, 2), softmax)
    scales = params(m)["layer2.weight"]
    assert set(np.abs(scales).ravel()) == {1.0}
    assert len(np.unique(scales, axis=0)) == 4


# -- dropout ---------------------------------------------------------------------------------------------------------


def test_a_dropout_keeps_its_share_evenly_and_anew_at_every_step() -> None:
    masks = np.array([keeps(200, 50, 0.3, (4, step, 1)) for step in range(40)])
    assert abs(masks.mean() - 0.7) < 0.003  # 400,000 entries: a standard error of 0.0007
    spread = np.sqrt(0.7 * 0.3 / 40)
    assert abs(masks.mean(axis=0).std() - spread) < 0.1 * spread  # as independent throws over the steps
    agreement = np.mean(masks[0] == masks[1])
    assert abs(agreement - (0.7**2 + 0.3**2)) < 0.02
    assert (keeps(20, 5, 0.3, (4, 0, 1)) != keeps(20, 5, 0.3, (5, 0, 1))).any()
    assert (keeps(20, 5, 0.3, (4, 0, 1)) != keeps(20, 5, 0.3, (4, 0, 2))).any()


def test_a_dropout_scales_what_it_keeps_and_does_nothing_in_prediction() -> None:
    m = Chain(Dropout(0.5, n=4), Dense(4, 1), dtype="float64")
    params(m)["layer2.weight"][...] = 1
    x = np.array([1.0, 10, 100, 1000])
    assert m(x).item() == 1111
    value, _ = value_and_gradient(m, x[np.newaxis], [[0.0]], mse, step=3, seed=1)
    kept = keeps(1, 4, 0.5, (1, 3, 0))[0]
    assert value == pytest.approx((2 * x * kept).sum() ** 2)


# -- batch normalisation -----------------------------------------------------------------------------------------------


def test_running_statistics_follow_the_batches_and_no_rule_touches_them() -> None:
    m = Chain(BatchNorm(2, momentum=0.25), Dense(2, 1), dtype="float64")
    X = np.array([[1.0, 10], [3, 30], [5, 20]])
    state = setup(AdamW(0.5, decay=0.9), m)
    _, gradient = value_and_gradient(m, X, np.zeros((3, 1)), mse, step=state.t)
    update(m, gradient, state)
    # means 3 and 20; variances with N - 1: 4 and 100; a quarter of the way from 0 and from 1
    np.testing.assert_allclose(params(m)["layer1.running_mean"], [0.75, 5])
    np.testing.assert_allclose(params(m)["layer1.running_variance"], [0.75 + 1, 0.75 + 25])
    moved = m.flat.copy()
    value_and_gradient(m, X, np.zeros((3, 1)), mse)  # without a step nothing moves
    np.testing.assert_array_equal(m.flat, moved)


@pytest.mark.parametrize(
    "rule", [AdamW(0.01, decay=0.5), Adjusted(Descent(0.01), decay=0.5), Adjusted(Descent(0.01), l2=1)]
)
def test_training_leaves_running_statistics_to_the_batches(rule: object) -> None:
    m = Chain(BatchNorm(1, momentum=1.0), Dense(1, 1), dtype="float64")
    X = np.array([[1.0], [3.0]])
    train(m, DataLoader((X, X), 2), mse, rule, epochs=3)
    assert params(m)["layer1.running_mean"].tolist() == [2]
    assert params(m)["layer1.running_variance"].tolist() == [2]


# -- columns -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [-1, 3, 0.5])
def test_what_is_no_code_is_refused_before_anything_is_computed(wrong: float) -> None:
    m = Chain(Embedding(2, [(1, 3)], width=2), Dense(3, 2), softmax)
    X = np.array([[0.5, 2], [0.5, wrong]])
    calls = (
        m,
        lambda X: activations(m, X),
        lambda X: evaluate(m, X, [0, 1]),
        lambda X: train(m, DataLoader((X, [0, 1]))),
    )
    for call in calls:
        with pytest.raises(InputError, match=r"column 1 .* codes of 3 categories, 0 to 2, for an Embedding; got"):
            call(X)


def test_a_code_that_slips_through_gives_nan_in_the_engine() -> None:
    a = architecture("embedding")
    X = rows(a, 2)
    X[1, 3] = 99
    assert np.isnan(ReferenceEngine(a, "float64").outputs(parameters(a), X)).any(axis=1).tolist() == [False, True]
