"""A network's gradient against the loops of the notes, and these against differences: what is false is found."""

from __future__ import annotations

import json

import numpy as np
import pytest

from every_layer import NETWORKS, architecture
from every_layer import parameters as random_parameters
from every_layer import rows as random_rows
from layerloop import Chain, Dense, Inputs, gradient_check, params, value_and_gradient
from layerloop.errors import LabelError, SettingError, ShapeError
from layerloop.gradient_check import check_gradient, notes_net
from layerloop.layers import ACTIVATIONS
from layerloop.losses import spec_of
from layerloop.maths.loops import h_x
from layerloop.maths.net import parameters
from layerloop.settings import FLOATS

X = np.array([0.3, -0.7, 1.1])
FITTING = (
    ("softmax", "crossentropy"),
    ("modified_softmax", "crossentropy"),
    ("identity", "logitcrossentropy"),
    ("identity", "mse"),
    ("softmax", "mse"),
    ("sigmoid", "binarycrossentropy"),
    ("identity", "logitbinarycrossentropy"),
    ("exp", "poisson"),
    ("sigmoid", "mae"),
    ("identity", "huber:delta=0.1"),
    ("identity", "quantile:levels=0.1,0.5,0.9"),
    ("softmax", "crossentropy:smoothing=0.1"),
    ("identity", "logitcrossentropy:smoothing=0.1"),
)


def network(activation: str = "tanh", head: str = "softmax", dtype: str = "float64", **options: object) -> Chain:
    ends = [] if head == "identity" else [head]
    return Chain(Dense(3, 4, activation), Dense(4, 3, activation), *ends, dtype=dtype, seed=1, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("head", "loss"), FITTING)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_network_passes(activation: str, head: str, loss: str, dtype: str) -> None:
    m = network(activation, head, dtype)
    y: object = 1 if spec_of(loss).row.targets == "classes" else np.linspace(0, 1, m.architecture.n_out)
    found = check_gradient(m, X, y, loss)
    assert found.passed, str(found)
    assert (found.loops.checked, found.loops.size) == (m.architecture.size, m.architecture.size)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_kind_of_layer_passes_in_float64(name: str) -> None:
    a = architecture(name)
    m = Chain.from_parts(a, random_parameters(a))
    x = random_rows(a, 3)[2]
    found = check_gradient(m, x, 1)
    assert found.passed, str(found)
    moved = sum(part.stop - part.start for part in a.untrained)
    assert (found.loops.checked, found.loops.size) == (a.size - moved, a.size)
    net, w = notes_net(m)
    np.testing.assert_allclose(h_x(net, w, x), m(x), rtol=1e-12)


@pytest.mark.parametrize("method", ["central", "complex"])
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("sure", [5.0, 12.0, 20.0, 40.0])
def test_a_network_that_is_sure_passes(sure: float, dtype: str, method: str) -> None:
    m = Chain(Dense(3, 4, "tanh"), Dense(4, 3), "softmax", dtype=dtype, seed=1)
    params(m)["layer2.bias"][:] = [0, sure, 0]
    for y in (1, 0):  # right, and wrong
        found = check_gradient(m, X, y, method=method)
        assert found.passed, str(found)


def test_a_wrong_slope_of_a_sure_network_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    m = Chain(Dense(3, 4, "tanh"), Dense(4, 3), "softmax", dtype="float32", seed=1)
    params(m)["layer2.bias"][:] = [0, 12, 0]

    def wrong(*arguments: object) -> object:
        value, gradient = value_and_gradient(*arguments)  # type: ignore[arg-type]
        gradient.flat[:] *= 1.5
        return value, gradient

    monkeypatch.setattr(gradient_check, "value_and_gradient", wrong)
    assert not check_gradient(m, X, 1).passed


@pytest.mark.parametrize("method", ["central", "complex"])
@pytest.mark.parametrize("away", [1e-6, 1e-3, 1.0])
def test_a_value_that_is_nearly_met_passes_in_float32_far_from_zero(away: float, method: str) -> None:
    m = Chain(Dense(3, 4, "tanh"), Dense(4, 1), dtype="float32", seed=1)
    params(m)["layer2.bias"][:] = 100_000
    found = check_gradient(m, X, m(X).astype(np.float64) + away, "mse", method=method)
    assert found.passed, str(found)


def test_notes_net_has_the_parameters_in_the_notes_order_and_the_same_output() -> None:
    m = network()
    net, w = notes_net(m)
    assert (net.widths, net.activations, net.head) == ((3, 4, 3), ("tanh", "tanh"), "softmax")
    for i, W in parameters(net, w).items():
        np.testing.assert_array_equal(W, params(m).W(i))
    np.testing.assert_allclose(h_x(net, w, X), m(X), rtol=1e-12)


def test_an_error_in_one_entry_of_the_engine_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    m = network()
    place = 7

    def wrong(*arguments: object) -> object:
        value, gradient = value_and_gradient(*arguments)  # type: ignore[arg-type]
        gradient.flat[place] *= 1 + 1e-9
        return value, gradient

    monkeypatch.setattr(gradient_check, "value_and_gradient", wrong)
    found = check_gradient(m, X, 1)
    assert found.loops.passed
    assert not found.passed
    assert f"FAILED: {m.engine.name} engine against the loops" in str(found)


@pytest.mark.parametrize("place", [0, -1])
def test_a_nan_of_the_engine_in_any_layer_is_found(place: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*arguments: object) -> object:
        value, gradient = value_and_gradient(*arguments)  # type: ignore[arg-type]
        gradient.flat[place] = np.nan
        return value, gradient

    monkeypatch.setattr(gradient_check, "value_and_gradient", wrong)
    assert not check_gradient(network(), X, 1).passed


def test_a_custom_loss_with_a_wrong_gradient_is_found() -> None:
    def value(outputs: np.ndarray, y: np.ndarray) -> float:
        return float(np.mean(np.sum((outputs - y) ** 2, axis=1)))

    def gradient(outputs: np.ndarray, y: np.ndarray) -> np.ndarray:
        return 2 * (outputs - y) / len(outputs)

    def half(outputs: np.ndarray, y: np.ndarray) -> np.ndarray:
        return gradient(outputs, y) / 2

    m, y = network(head="identity"), np.array([0.1, 0.2, 0.3])
    assert check_gradient(m, X, y, (value, gradient)).passed
    found = check_gradient(m, X, y, (value, half))
    assert not found.loops.passed
    assert found.loops.worst == pytest.approx(1, rel=1e-6)  # |g / 2 - g| over g / 2


def test_the_class_may_be_given_by_name_index_or_row() -> None:
    m = network(classes=("a", "b", "c"))
    by_name, by_index, by_row = (check_gradient(m, X, y) for y in ("b", 1, [0.0, 1.0, 0.0]))
    assert by_name == by_index == by_row


def test_standardised_inputs_are_seen_as_the_network_sees_them() -> None:
    inputs = Inputs(center=(10.0, 0.0, -5.0), spread=(2.0, 1.0, 3.0))
    found = check_gradient(network(inputs=inputs), X * [2, 1, 3] + [10, 0, -5], 1)
    assert found.passed
    assert found.loops.by_loops == pytest.approx(check_gradient(network(), X, 1).loops.by_loops, rel=1e-9)


def test_entries_may_be_counted_or_named() -> None:
    assert check_gradient(network(), X, 1, entries=5).loops.checked == 5
    found = check_gradient(network(), X, 1, entries=[3]).loops
    assert (found.layer, found.row, found.column) == (1, 1, 4)  # the bias of the first row of W_1


def test_the_finding_is_plain_data() -> None:
    found = check_gradient(network("relu"), X, 1)
    assert json.loads(json.dumps(found.as_dict()))["passed"] is True


@pytest.mark.parametrize(
    ("x", "y", "options", "error"),
    [
        ([1.0, 2.0], 1, {}, ShapeError),
        (X, 3, {}, LabelError),
        (X, -1, {}, LabelError),
        (X, 1, {"entries": 0}, SettingError),
        (X, 1, {"entries": [999]}, ShapeError),
    ],
)
def test_what_does_not_fit_is_an_error(x: object, y: object, options: dict, error: type[Exception]) -> None:
    with pytest.raises(error):
        check_gradient(network(), x, y, **options)  # type: ignore[arg-type]
