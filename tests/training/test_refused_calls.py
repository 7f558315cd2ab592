"""Calls of train that are wrong: refused before the first step, and nothing is changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from layerloop.data.batches import DataLoader
from layerloop.errors import (
    InputError,
    LabelError,
    LayerloopError,
    NetworkError,
    NonFiniteInputError,
    SettingError,
    ShapeError,
    UnknownNameError,
)
from layerloop.layers import Dense
from layerloop.network import Chain
from layerloop.optim import Adam, Descent
from layerloop.training import History, train
from layerloop.vocabulary import mse, softmax
from small_run import VALUES, D, K, X, Y, line, loader, network


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        ({"epochs": -1}, SettingError, "epochs must be a whole number of at least 0, got -1"),
        ({"epochs": 1.5}, SettingError, "epochs must be a whole number of at least 0, got 1.5"),
        ({"optimizer": Adam}, SettingError, r"a rule such as Adam\(1e-3\), got the class Adam"),
        ({"optimizer": "adm"}, UnknownNameError, "Did you mean 'adam'"),
        ({"loss": "crosentropy"}, UnknownNameError, "unknown loss 'crosentropy'. Did you mean 'crossentropy'"),
        ({"loss": "logitcrossentropy"}, NetworkError, "use crossentropy"),
        ({"loss": mse}, ShapeError, r"y must be \(11, 3\), got \(11,\); onehotbatch"),
        ({"data": [(X, Y)]}, InputError, r"train goes over DataLoader\(\(X, y\)\), or ncycle of one"),
        ({"data": DataLoader(X)}, InputError, r"train goes over DataLoader\(\(X, y\)\)"),
        ({"data": DataLoader((X[:, :4], Y))}, ShapeError, "the network takes 5 numbers per sample"),
        ({"data": DataLoader((X, Y + 1))}, LabelError, "y holds class 3, but the network has 3 outputs"),
        ({"data": DataLoader((X * 1e300, Y))}, NonFiniteInputError, "too large for float32"),
        ({"validation": (X[:, :4], Y)}, ShapeError, "the network takes 5 numbers per sample"),
        ({"validation": (X, Y + 1)}, LabelError, "y holds class 3"),
        ({"validation": (X[:0], Y[:0])}, ShapeError, "X has no rows"),
        ({"validation": {"test": (X, Y[:3])}}, ShapeError, "11 rows of X want as many targets"),
        ({"validation": 0}, InputError, r"to watch as 'validation' must be a tuple \(X, y\), got a int"),
        ({"validation": ()}, InputError, "got a tuple of 0"),
        ({"optimizer": 0}, SettingError, r"a rule such as Adam\(1e-3\), got 0"),
        ({"state": {}}, SettingError, "state is history.state of an earlier call, or None; got a dict"),
        ({"state": History()}, SettingError, "got a History"),
        ({"callbacks": [3]}, SettingError, "a callback is a function, got 3"),
        ({"callbacks": 3}, SettingError, "callbacks are a function or a sequence of functions, got 3"),
        ({"callbacks": [lambda a, b: None]}, SettingError, "a callback takes the progress or nothing"),
        ({"threads": 0}, SettingError, "threads must be a whole number of at least 1"),
    ],
)
def test_a_wrong_call_is_refused_before_the_first_step(
    settings: dict[str, object], kind: type[Exception], message: str
) -> None:
    m = network("float32")
    with pytest.raises(kind, match=message):
        train(m, **{"data": loader(), **settings})  # type: ignore[arg-type]
    np.testing.assert_array_equal(m.flat, network("float32").flat)


@pytest.mark.parametrize("wrong", [{"callbacks": 5}, {"validation": 5}, {"epochs": -1}, {"state": 5}])
def test_a_refused_call_leaves_the_scale_of_bytes_to_the_next(wrong: dict[str, Any]) -> None:
    m, pictures = Chain(Dense(3, 2), softmax), np.ones((3, 3), np.uint8)
    with pytest.raises(LayerloopError):
        train(m, DataLoader((pictures, [0, 1, 1]), scale=1 / 255), **wrong)
    train(m, DataLoader((pictures, [0, 1, 1]), scale=1 / 128))


def test_what_has_nothing_to_train_is_refused() -> None:
    with pytest.raises(SettingError, match="this chain has no parameters to train"):
        train(network()[-1:], DataLoader((X[:, :3], Y)))
    with pytest.raises(InputError, match="must be a Chain, got str"):
        train("m", loader())  # type: ignore[arg-type]


def test_a_state_of_another_network_or_rule_is_refused() -> None:
    state = train(network(), loader()).state
    with pytest.raises(SettingError, match="does not serve"):
        train(line(), DataLoader((X, VALUES)), mse, state=state)
    with pytest.raises(SettingError, match="does not serve"):
        train(network(), loader(), optimizer=Descent(0.1), state=state)
    with pytest.raises(SettingError, match="does not serve"):
        train(network("float32"), loader(), state=state)


def test_another_scale_than_the_networks_is_refused_and_nothing_changes() -> None:
    X = np.arange(6, dtype=np.uint8).reshape(2, 3)
    m = Chain(Dense(3, 2), softmax)
    train(m, DataLoader((X, [0, 1]), scale=0.5))
    with pytest.raises(InputError, match=r"at scale 0\.5, the loader gives them at 0\.25"):
        train(m, DataLoader((X, [0, 1]), scale=0.25))
    assert m.inputs.scale == 0.5


def test_a_failed_check_leaves_the_inputs_as_they_were() -> None:
    m = Chain(Dense(3, 2), softmax)
    with pytest.raises(LayerloopError):
        train(m, DataLoader((np.zeros((2, 3), np.uint8), [0, 7]), scale=0.5))
    assert m.inputs.scale is None


def test_a_forgotten_softmax_is_found_before_the_first_step() -> None:
    m = Chain(Dense(D, K))
    before = m.flat.copy()
    with pytest.raises(NetworkError, match="this chain has no softmax: add one, or use logitcrossentropy"):
        train(m, loader(), epochs=10)
    np.testing.assert_array_equal(m.flat, before)


def test_parameters_that_are_not_finite_are_found_before_the_first_step() -> None:
    m = network()
    m.flat[3] = np.nan
    with pytest.raises(NetworkError, match="already holds parameters that are not finite"):
        train(m, loader())
