"""A trace holds the numbers of the notes' loops, and its gradient is the engine's: for every layer, head and loss."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from every_layer import NETWORKS, architecture
from every_layer import parameters as random_parameters
from every_layer import rows as random_rows
from every_loss import PAIRS, infinite, last_activation, targets
from layerloop import Chain, Dense, Inputs, maths, trace, value_and_gradient
from layerloop.errors import InputError, LabelError, ShapeError, UnknownNameError
from layerloop.gradient_check import ENGINE_TOLERANCE, notes_net
from layerloop.inspection import formulas
from layerloop.layers import LAYERS
from layerloop.losses import LOSSES
from layerloop.plan import HEADS
from layerloop.settings import FLOATS

if TYPE_CHECKING:
    from layerloop.inspection import Trace

X = np.array([0.3, -0.7, 1.1])


def close(found: np.ndarray, wanted: np.ndarray) -> None:
    """Within 1e-12 of the largest entry."""
    assert found.shape == np.shape(wanted)
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12 * max(1.0, np.abs(wanted).max(initial=0.0)))


def network(name: str, dtype: str = "float64") -> Chain:
    a = architecture(name)
    return Chain.from_parts(a, random_parameters(a, dtype))


def classifier(head: str = "softmax", activation: str = "tanh", last: str = "identity", **options: object) -> Chain:
    ends = [] if head == "identity" else [head]
    return Chain(Dense(3, 4, activation), Dense(4, 3, last), *ends, seed=1, **{"dtype": "float64", **options})  # type: ignore[arg-type]


def check_against_maths(t: Trace) -> None:
    """Every value of the trace is the one of the dense loops of `maths`."""
    forward, backward = maths.loops.loops(t.net, t.w, t.forward.z[1], t.y)
    for letter, values in (("z", forward.z), ("A", forward.A), ("B", forward.B), ("q", backward.q), ("p", backward.p)):
        for i, wanted in values.items():
            close(t.value(f"{letter}_{i}"), np.asarray(wanted))
            assert t.steps[f"{letter}_{i}"].shape == np.shape(wanted)
            assert t.steps[f"{letter}_{i}"].norm == pytest.approx(float(np.linalg.norm(wanted)), rel=1e-12, abs=1e-12)
    assert {name for name in t.steps if name[0] not in "ts"} == {
        f"{letter}_{i}"
        for letter, values in zip("zABqp", (forward.z, forward.A, forward.B, backward.q, backward.p), strict=True)
        for i in values
    }


@pytest.mark.parametrize("name", NETWORKS)
def test_every_kind_of_layer_has_the_numbers_of_the_notes(name: str) -> None:
    m = network(name)
    x = random_rows(m.architecture, 4)[3]
    t = trace(m, x, 1)
    check_against_maths(t)
    close(t.gradient, maths.gradient(t.net, t.w, x, t.y))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", NETWORKS)
def test_the_gradient_is_that_of_the_engine(name: str, dtype: str) -> None:
    m = network(name, dtype)
    x = random_rows(m.architecture, 4, dtype)[3]
    value, by_engine = value_and_gradient(m, x, 1)
    t = trace(m, x, 1)
    bound = ENGINE_TOLERANCE[dtype]
    assert t.forward.z[t.net.L + 3] == pytest.approx(value, rel=bound)
    assert np.abs(t.gradient - by_engine.w).max() <= bound * np.abs(t.gradient).max()


@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
@pytest.mark.parametrize(("head", "loss"), PAIRS)
def test_every_head_and_loss_has_them_too(head: str, loss: str, soft: bool) -> None:
    last = last_activation(head, loss, "identity")
    m = classifier(head, last=last)
    K = m.architecture.n_out
    assert not infinite(head, loss, K)
    y = targets(loss, 3, K, "float64", soft=soft)[0][2]
    t = trace(m, X, y, loss)
    check_against_maths(t)
    close(t.gradient, value_and_gradient(m, X, y, loss)[1].w)


def test_every_row_of_every_table_has_a_formula() -> None:
    assert {name.partition(",")[0] for name in formulas.LAYERS} == set(LAYERS)
    assert set(formulas.HEADS) == set(HEADS)
    assert set(formulas.LOSSES) == set(LOSSES)
    assert set(formulas.FUSED) == set(maths.FUSED)


def test_the_steps_stand_in_the_order_in_which_they_are_computed() -> None:
    names = list(trace(classifier(), X, 1).steps)
    forward = "z_1 t_1 s_1 z_2 A_1 B_1 t_2 s_2 z_3 A_2 B_2 z_4 B_3 z_5"
    assert " ".join(names) == f"{forward} q_4 q_3 p_2 q_2 p_1 q_1"


def test_what_enters_a_step_was_computed_before_it() -> None:
    for name in NETWORKS:
        m = network(name)
        t = trace(m, random_rows(m.architecture, 1)[0], 1)
        known = {"y", *t.weights.values()}
        for step in t.steps.values():
            assert set(step.sources) <= known, step
            known.add(step.name)


def test_z_1_is_what_the_network_sees() -> None:
    inputs = Inputs(scale=0.5, center=(1.0, 0.0, 0.0), spread=(2.0, 1.0, 4.0))
    t = trace(classifier(inputs=inputs), np.array([4, 6, 8], np.uint8), 1)
    np.testing.assert_array_equal(t.value("z_1"), [0.5, 3.0, 1.0])
    assert t.as_dict()["sample"]["x"] == [4, 6, 8]


def test_an_output_that_underflows_leaves_a_gradient_that_is_finite_and_says_so() -> None:
    m = classifier()
    m.flat *= 1e5
    t = trace(m, X, int(np.argmin(m(X))))
    assert t.fused
    assert t.value("q_4").min() == -np.inf
    _, by_engine = value_and_gradient(m, X, int(np.argmin(m(X))))
    close(t.gradient, by_engine.w)
    assert "underflowed" in t.as_dict()["notes"][0]
    assert "note: an output with y_k > 0 underflowed" in str(t)


def test_a_loss_of_ones_own_is_traced() -> None:
    def value(outputs: np.ndarray, y: np.ndarray) -> float:
        return float(np.mean(np.sum((outputs - y) ** 2, axis=1)))

    def slope(outputs: np.ndarray, y: np.ndarray) -> np.ndarray:
        return 2 * (outputs - y) / len(outputs)

    m, y = classifier("identity"), np.array([0.1, 0.2, 0.3])
    t = trace(m, X, y, (value, slope))
    close(t.gradient, value_and_gradient(m, X, y, (value, slope))[1].w)
    assert t.as_dict()["loss"] == "a loss of one's own"


def test_the_class_may_be_given_by_name_index_or_row_or_is_the_one_predicted() -> None:
    m = classifier(classes=("a", "b", "c"))
    found = [trace(m, X, y).as_dict() for y in ("b", 1, [0.0, 1.0, 0.0])]
    assert found[0] == found[1] == found[2]
    assert found[0]["sample"]["label"] == "b"
    assert trace(m, X).as_dict()["sample"]["label"] == m.classes[int(m(X).argmax())]


def test_an_estimator_is_taken_by_its_network_and_its_labels() -> None:
    class Estimator:
        classes_ = np.array([10, 20, 30])
        network_ = classifier()

        def network_rows(self, X: np.ndarray) -> np.ndarray:
            return X - 1

    t = trace(Estimator(), X + 1, 20)
    close(t.gradient, trace(Estimator.network_, X, 1).gradient)
    assert t.as_dict()["sample"]["label"] == "20"
    with pytest.raises(LabelError, match="none of the classes"):
        trace(Estimator(), X, 25)


def test_the_loss_is_by_default_that_of_the_training() -> None:
    m = classifier("identity")
    assert trace(m, X, [1.0, 2.0, 3.0]).loss == "mse"
    m.record["loss"] = "huber:delta=0.5"
    assert trace(m, X, [1.0, 2.0, 3.0]).loss == "huber:delta=0.5"


def test_the_dict_is_plain_and_holds_large_values_only_when_asked_to() -> None:
    m = Chain(Dense(50, 30, "tanh"), Dense(30, 3), "softmax")
    t = trace(m, np.linspace(-1, 1, 50), 1)
    by_default, some, everything = (t.as_dict(full) for full in ((), ("A_1",), True))
    for found in (by_default, some, everything):
        assert json.loads(json.dumps(found)) == found
    large = {name for name, step in t.steps.items() if math.prod(step.shape) > 1000}
    assert large == {"A_1", "B_1", "p_1"}
    assert entries(by_default) == {*t.steps, "W_2"} - large
    assert entries(some) - entries(by_default) == {"A_1"}
    assert entries(everything) == {*t.steps, *t.weights.values(), "G"}


def entries(found: dict) -> set[str]:
    rows = [*found["steps"], *found["weights"], found["gradient"]]
    return {row["name"] for row in rows if row["entries"] is not None}


def test_numbers_of_the_dict_are_those_of_the_trace() -> None:
    t = trace(classifier(), X, 1)
    for row in t.as_dict(full=True)["steps"]:
        np.testing.assert_array_equal(np.array(row["entries"]), t.value(row["name"]))
        assert row["least"] == t.value(row["name"]).min()


def test_a_check_sets_differences_beside_each_layer() -> None:
    m = Chain(Dense(3, 4, "tanh"), Dense(4, 3), "softmax", dtype="float64")
    found = trace(m, X, 1, check=True).as_dict()["check"]
    assert found["passed"] is True
    assert [(row["name"], row["checked"]) for row in found["layers"]] == [("p_1", 16), ("p_2", 15)]
    for row in found["layers"]:
        np.testing.assert_allclose(row["by_loops"], row["by_differences"], rtol=0, atol=1e-8)
    few = trace(m, X, 1, check=5).as_dict()["check"]
    assert [row["checked"] for row in few["layers"]] == [5, 5]


def test_a_check_leaves_out_running_statistics() -> None:
    m = network("batch_norm")
    found = trace(m, random_rows(m.architecture, 1)[0], 1, check=True)
    assert found.check is not None
    assert found.check.entries.size == m.architecture.size - 14
    assert found.check.finding.passed


def test_the_text_and_the_html_have_a_line_for_every_step() -> None:
    t = trace(classifier(), X, 1, check=True)
    text, html = str(t), t._repr_html_()
    for step in t.steps.values():
        assert f"\n{step.name}  " in text
        assert f">{step.name}</td>" in html
    assert "gradient (p_1; p_2), in the order of w: 31 entries" in text
    assert "passed: " in html
    assert repr(t).startswith("Trace of Chain(Dense(3, 4, tanh)")


@pytest.mark.parametrize(
    ("model", "x", "y", "error", "words"),
    [
        (classifier(), [1.0, 2.0], 1, ShapeError, "takes 3 numbers"),
        (classifier(), np.zeros((2, 3)), 1, ShapeError, "one sample, got 2"),
        (classifier(), X, 3, LabelError, "3"),
        (classifier("identity"), X, None, InputError, "pass the target y"),
        ("model.safetensors", X, 1, InputError, "expected a Chain"),
    ],
)
def test_what_does_not_fit_is_an_error(model: object, x: object, y: object, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        trace(model, x, y)  # type: ignore[arg-type]


def test_an_unknown_value_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="unknown value of the loops 'z_9'"):
        trace(classifier(), X, 1).value("z_9")


def test_the_networks_of_maths_and_of_the_trace_are_one() -> None:
    m = classifier()
    net, w = notes_net(m)
    t = trace(m, X, 1)
    assert t.net == net
    np.testing.assert_array_equal(t.w, w)
