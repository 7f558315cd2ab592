"""Heads, losses, weights and smoothing in the compiled engine: steps, members, instruction sets, edges."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from both_engines import ISAS, TOLERANCE, Case, far, instructions, needs_native
from every_layer import NETWORKS, architecture, parameters
from every_layer import rows as layer_rows
from every_loss import PAIRS, last_activation, targets, weights
from layerloop.engine import Rows, make_engine
from layerloop.optim import Adam
from layerloop.plan import Plan

pytestmark = needs_native

# Without those whose loss wants outputs that an affine layer alone does not give: positive ones, or below 1.
OF_AFFINE = [(head, loss) for head, loss in PAIRS if last_activation(head, loss, "tanh") == "tanh"]


@pytest.mark.parametrize(("head", "loss"), PAIRS, ids=lambda name: name)
def test_with_weights_a_hundred_steps_are_those_of_the_numpy_engine(head: str, loss: str) -> None:
    case = Case((9, 20, 4), "tanh", head, loss, n=100)
    for soft in (False, True):
        ours, theirs = (
            case.trained(engine, Adam(1e-3), passes=25, rows=case.rows(soft=soft, weighted=True))
            for engine in (case.native, case.numpy)
        )
        assert ours[1].t == 100
        assert far(ours[0], theirs[0]) < 1e-10
        assert far(ours[2], theirs[2]) < 1e-10
        plain = case.trained(case.native, Adam(1e-3), passes=25, rows=case.rows(soft=soft))
        assert far(plain[0], ours[0]) > 1e-4  # the weights do matter


@pytest.mark.parametrize("name", [name for name in NETWORKS if architecture(name).members > 1])
def test_every_loss_is_the_mean_over_the_members_with_their_samples_weights(name: str) -> None:
    for (head, loss), (n, step) in product(OF_AFFINE, ((5, None), (70, 3))):
        a = architecture(name, head)
        w, plan = parameters(a), Plan(a, loss, "float64", seed=3)
        y, _ = targets(loss, n, a.n_out, "float64")
        data, found = Rows(layer_rows(a, n), y, None, weights(n)), []
        for kind in ("numpy", "native"):
            gradient, engine = np.empty_like(w), make_engine(a, "float64", kind)
            value = engine.value_and_gradient(w.copy(), data, plan, gradient, step)
            found.append((value, gradient, *engine.outputs_and_loss(w, data, plan)))
        for got, expected in zip(*found, strict=True):
            assert far(got, expected) < 1e-12, (head, loss, n)


@pytest.mark.parametrize("isa", ISAS)
def test_every_instruction_set_has_every_loss(isa: str) -> None:
    with instructions(isa):
        for (head, loss), dtype in product(PAIRS, TOLERANCE):
            case = Case((9, 17, 5), "tanh", head, loss, dtype, 77)
            slopes = [np.empty_like(case.w) for _ in range(2)]
            a, b = (
                engine.value_and_gradient(case.w, case.rows(soft=True, weighted=True), case.plan, slope)
                for engine, slope in zip((case.numpy, case.native), slopes, strict=True)
            )
            assert far(b, a) < TOLERANCE[dtype]
            assert far(slopes[1], slopes[0]) < TOLERANCE[dtype]


def test_a_weight_of_nothing_times_an_infinite_loss_is_no_number_as_in_numpy() -> None:
    case = Case((4, 3), "identity", "identity", "mse", n=40)
    case.X[1, 0] = np.inf  # the sample whose weight is 0
    for engine in (case.numpy, case.native):
        assert np.isnan(engine.outputs_and_loss(case.w, case.rows(weighted=True), case.plan)[1])


def test_what_does_not_fit_the_loss_is_refused_before_memory_is_touched() -> None:
    case = Case(n=20)
    args = case.w, case.X, None
    loss, smoothing, columns, y, own = case.native._wanted(case.rows(weighted=True), case.plan)
    core, into = case.native.core(20), np.empty((20, 5))
    for wanted, what in (
        ((10, smoothing, columns, y, own), "unknown loss"),
        ((loss, smoothing, columns[1:], y, own), "a number for each output"),
        ((loss, smoothing, columns, y[1:], own), "as many targets"),
        ((loss, smoothing, columns, y, own[1:]), "as many weights"),
        ((5, smoothing, columns, y, own), "target rows"),
    ):
        with pytest.raises(ValueError, match=what):
            core.outputs(*args, wanted, into)
