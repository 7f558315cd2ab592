"""Training that stops being finite: where, why, and with which parameters it leaves the network."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest

import layerloop.training.loop
from layerloop.data.batches import DataLoader
from layerloop.errors import DivergenceError, NonFiniteInputError
from layerloop.layers import Dense
from layerloop.network import Chain, setup, update, value_and_gradient
from layerloop.optim import Adam, Descent, Rule, rule_named
from layerloop.training import train
from layerloop.vocabulary import mse
from small_run import VALUES, X, Y, line, network


def until_it_breaks(m: Chain, data: DataLoader, rule: Rule, loss: object) -> tuple[int, int, np.ndarray]:
    """The loop written out: where it stops being finite, and the parameters before the last update that was made."""
    state, kept = setup(rule, m), m.flat.copy()
    for epoch in count(1):
        for step, (x, y) in enumerate(data, start=1):
            value, gradient = value_and_gradient(m, x, y, loss)  # type: ignore[arg-type]
            if not np.isfinite(value):
                return epoch, step, kept
            kept = m.flat.copy()
            with np.errstate(all="ignore"):
                update(m, gradient, state)
            if not np.isfinite(m.flat).all():
                return epoch, step, kept
    raise AssertionError


# A loss that stays finite while its gradient drives the parameters over the edge of the numbers.
CALM = (lambda P, y: 1.0, lambda P, y: np.ones_like(P) / len(P))


@pytest.mark.parametrize("stretch", [0, 0.05, 10])
@pytest.mark.parametrize(
    ("rule", "loss", "dtype"),
    [
        (Descent(3.0), mse, "float64"),
        (Descent(30.0), mse, "float32"),
        (Descent(1e100), mse, "float64"),
        (rule_named("momentum", rate=5.0), mse, "float64"),
        (Descent(1e307), CALM, "float64"),
        (Adam(1e307), CALM, "float64"),
        (Descent(1e38), CALM, "float32"),
    ],
    ids=lambda value: "calm" if value is CALM else str(value),
)
def test_an_exploding_run_says_where_and_keeps_the_last_finite_parameters(
    stretch: float, rule: Rule, loss: object, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layerloop.training.loop, "STRETCH", stretch)

    def data() -> DataLoader:
        return DataLoader((X, VALUES), 1, seed=3)

    epoch, step, kept = until_it_breaks(line(dtype), data(), rule, loss)
    m = line(dtype)
    with pytest.raises(
        DivergenceError, match=f"in epoch {epoch}, step {step}; the rate .* is likely too high"
    ) as caught:
        train(m, data(), loss, rule, epochs=1000)  # type: ignore[arg-type]
    assert (caught.value.epoch, caught.value.step) == (epoch, step)
    assert np.isfinite(m.flat).all()
    np.testing.assert_array_equal(m.flat, kept)
    assert (epoch, step) != (1, 1)
    assert loss is not CALM or step not in (1, 11), "a parameter is to overflow in the middle of a stretch"


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_rows_spoilt_after_the_loader_has_looked_are_named_and_the_network_kept(wrong: float) -> None:
    rows = np.ones((6, 2), np.float32)
    loader = DataLoader((rows, np.zeros(6)), batchsize=2)
    rows[4, 1] = wrong
    m = Chain(Dense(2, 3, "relu"), Dense(3, 1))
    with pytest.raises(NonFiniteInputError, match="row 4, column 1"):
        train(m, loader, mse, epochs=3)
    assert np.isfinite(m.flat).all()


def test_the_cases_of_divergence_fail_at_the_beginning_and_the_end_of_a_pass_and_within() -> None:
    found = {until_it_breaks(line(), DataLoader((X, VALUES), 4, seed=s), Descent(3.0), mse)[1] for s in range(6)}
    assert found == {1, 2, 3}


@pytest.mark.parametrize("seed", range(6))
def test_a_failure_at_any_step_of_a_pass_is_undone(seed: int, one_step_stretches: None) -> None:
    epoch, step, kept = until_it_breaks(line(), DataLoader((X, VALUES), 4, seed=seed), Descent(3.0), mse)
    m = line()
    with pytest.raises(DivergenceError) as caught:
        train(m, DataLoader((X, VALUES), 4, seed=seed), mse, Descent(3.0), epochs=1000)
    assert (caught.value.epoch, caught.value.step) == (epoch, step)
    np.testing.assert_array_equal(m.flat, kept)


def test_a_failure_on_the_very_first_step_leaves_the_network_as_it_was() -> None:
    m = line()
    with pytest.raises(DivergenceError, match="in epoch 1, step 1") as caught:
        train(m, DataLoader((X, VALUES * 1e200), 4), mse, Descent(0.1))
    assert (caught.value.epoch, caught.value.step) == (1, 1)
    np.testing.assert_array_equal(m.flat, line().flat)


def test_an_epsilon_of_0_is_named_as_the_likely_cause() -> None:
    m = network()
    with pytest.raises(DivergenceError, match="with epsilon=0 a gradient of 0 is divided by 0"):
        train(m, DataLoader((np.zeros_like(X), Y)), optimizer=Adam(0.1, epsilon=0))
    assert np.isfinite(m.flat).all()
    with pytest.raises(DivergenceError, match="it was so before the first update"):
        train(line(), DataLoader((X * 1e200, VALUES)), mse, optimizer=Adam(0.1, epsilon=0))


def test_large_inputs_are_named_as_the_likely_cause() -> None:
    with pytest.raises(DivergenceError, match=r"inputs reach 1e\+06: scale them to about 1"):
        train(line(), DataLoader((X * 0 + 1e6, VALUES), 4), mse, Descent(1.0), epochs=1000)


def test_the_first_loss_that_is_not_finite_does_not_blame_the_rate() -> None:
    m = Chain(Dense(2, 1))
    with pytest.raises(DivergenceError, match="before the first update"):
        train(m, DataLoader((np.full((2, 2), 1e30), [1.0, 2.0])), loss=mse)
