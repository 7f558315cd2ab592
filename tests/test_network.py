"""Chain: what it computes and shares, how it is seeded, copied, cut and used by threads, and what it refuses."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest

from layerloop import maths
from layerloop.data.batches import DataLoader
from layerloop.engine import BLOCK
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
from layerloop.network import (
    Chain,
    Layer,
    Parameters,
    accuracy,
    activations,
    evaluate,
    params,
    setup,
    update,
    value_and_gradient,
)
from layerloop.optim import Adam, Descent
from layerloop.plan import Architecture
from layerloop.preprocessing import Inputs, standardised
from layerloop.training import train
from layerloop.vocabulary import (
    crossentropy,
    logitcrossentropy,
    modified_softmax,
    mse,
    quantile,
    relu,
    sigmoid,
    softmax,
    tanh,
)

if TYPE_CHECKING:
    from collections.abc import Callable

X = np.random.default_rng(0).normal(size=(6, 4))


def small(**settings: object) -> Chain:
    return Chain(Dense(4, 5, tanh), Dense(5, 3), softmax, **{"dtype": "float64", **settings})  # type: ignore[arg-type]


# -- what it is -----------------------------------------------------------------------------------------------------


def test_the_notes_network_has_25450_parameters() -> None:
    m = Chain(Dense(28 * 28, 32, sigmoid), Dense(32, 10), softmax)
    assert repr(m) == "Chain(Dense(784, 32, sigmoid), Dense(32, 10), softmax)  # 25,450 parameters"
    assert m.flat.shape == (25450,)
    assert m.flat.dtype == np.float32
    assert len(m) == 3


def test_a_notebook_shows_a_row_for_each_layer() -> None:
    html = small(classes=("a", "b", "<c>"))._repr_html_()
    assert html.count("<tr>") == 3
    assert ">Dense(4, 5, tanh)</td>" in html
    assert "43 parameters, float64\nthen softmax\nclasses: a, b, &lt;c&gt;</div>" in html


def test_the_repr_of_other_chains() -> None:
    assert repr(Chain(Dense(1, 1), dtype="float64")) == "Chain(Dense(1, 1))  # 4 parameters, float64".replace(
        "4", "2", 1
    )
    assert repr(small()[0]) == "Dense(4, 5, tanh)"
    assert repr(small()[-1]) == "softmax"
    assert repr(small()[-1:]) == "Chain(softmax)  # 0 parameters, float64"
    assert repr(params(Chain(Dense(2, 1)))) == "Parameters(3 float32)\n  layer1.weight (2, 1)\n  layer1.bias (1,)"


def test_names_serve_as_well_as_objects() -> None:
    named = Chain(Dense(4, 5, "tanh"), Dense(5, 3), "softmax", dtype=np.float64)
    assert named.architecture == small().architecture
    np.testing.assert_array_equal(named.flat, small().flat)


@pytest.mark.parametrize("head", [softmax, modified_softmax, "identity"])
def test_one_sample_and_a_batch_give_the_formula(head: object) -> None:
    m = Chain(Dense(4, 5, tanh), Dense(5, 3), head, dtype="float64")  # type: ignore[arg-type]
    net = maths.Net((4, 5, 3), ("tanh", "identity"), m.architecture.head, "mse")
    expected = np.array([maths.h_x(net, params(m).w, x) for x in X])
    np.testing.assert_allclose(m(X), expected, rtol=1e-13)
    np.testing.assert_allclose(m(X[0]), expected[0], rtol=1e-13)
    assert (m(X).shape, m(X[0]).shape) == ((6, m.architecture.n_out), (m.architecture.n_out,))
    assert m(X.tolist()).dtype == np.float64


def test_more_rows_than_a_block_come_out_in_their_places() -> None:
    m = small()
    many = np.resize(X, (2 * BLOCK + 3, 4))
    np.testing.assert_allclose(m(many), np.resize(m(X), (2 * BLOCK + 3, 3)), rtol=1e-12)


def test_no_rows_give_no_outputs() -> None:
    assert small()(np.zeros((0, 4))).shape == (0, 3)


def test_activations_are_the_outputs_of_all_layers() -> None:
    m = small()
    z2, z3, z4 = activations(m, X)
    np.testing.assert_allclose(z2, np.tanh(X @ m[0].weight + m[0].bias), rtol=1e-12)  # type: ignore[union-attr]
    np.testing.assert_allclose(z3, z2 @ m[1].weight + m[1].bias, rtol=1e-12)  # type: ignore[union-attr]
    np.testing.assert_array_equal(z4, m(X))
    np.testing.assert_allclose(activations(m, X[0])[1], z3[0], rtol=1e-12)
    assert len(activations(Chain(Dense(4, 2)), X)) == 1


# -- its numbers ----------------------------------------------------------------------------------------------------


def test_parameters_are_views_that_write_through() -> None:
    m = small()
    ps = params(m)
    assert list(ps) == ["layer1.weight", "layer1.bias", "layer2.weight", "layer2.bias"]
    assert [ps[name].shape for name in ps] == [(4, 5), (5,), (5, 3), (3,)]
    for part in (*ps.values(), ps.W(1), ps.W(2), ps.flat):
        assert np.shares_memory(part, m.flat)
    ps["layer2.bias"][1] = 7
    assert m.flat[-2] == 7
    ps.W(2)[1, -1] = 8
    assert ps["layer2.bias"][1] == 8
    with pytest.raises(KeyError, match=r"no parameter 'layer1.weights'. Did you mean 'layer1.weight'"):
        ps["layer1.weights"]


def test_W_is_that_of_the_notes_with_the_bias_last() -> None:
    m = small()
    m.flat[...] = np.arange(m.flat.size)
    W1, W2 = params(m).W(1), params(m).W(2)
    assert (W1.shape, W2.shape) == ((5, 5), (3, 6))
    np.testing.assert_array_equal(W1[:, -1], params(m)["layer1.bias"])
    np.testing.assert_array_equal(W1[:, :-1], params(m)["layer1.weight"].T)
    np.testing.assert_array_equal(params(m).w, [*W1.ravel(), *W2.ravel()])
    np.testing.assert_array_equal(params(m).w, np.concatenate([m[0].W.ravel(), m[1].W.ravel()]))  # type: ignore[union-attr]
    net = maths.Net((4, 5, 3), ("tanh", "identity"), "softmax")
    for i, W in maths.parameters(net, params(m).w).items():
        np.testing.assert_array_equal(W, params(m).W(i))


@pytest.mark.parametrize("i", [0, 3, -1])
def test_layers_are_counted_from_one_in_the_notes_letters(i: int) -> None:
    with pytest.raises(IndexError, match=f"counted from 1 to 2 here, as in the notes; got {i}"):
        params(small()).W(i)


def test_the_same_seed_gives_the_same_bits_and_another_one_others() -> None:
    np.testing.assert_array_equal(small(seed=3).flat, small(seed=3).flat)
    np.testing.assert_array_equal(small(seed=np.random.default_rng(3)).flat, small(seed=3).flat)
    assert not np.array_equal(small(seed=3).flat, small(seed=4).flat)


def test_float32_and_float64_of_one_seed_agree_to_rounding() -> None:
    wide, narrow = small(seed=3).flat, small(seed=3, dtype="float32").flat
    np.testing.assert_array_equal(narrow, wide.astype(np.float32))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_long_weights_are_drawn_in_parts_and_are_those_of_one_draw(dtype: str) -> None:
    rng, bound = np.random.default_rng(5), np.sqrt(6 / 3064)
    m = Chain(Dense(3000, 64), Dense(64, 9, ntk=True), dtype=dtype, seed=5)
    np.testing.assert_array_equal(params(m)["layer1.weight"], rng.uniform(-bound, bound, (3000, 64)).astype(dtype))
    np.testing.assert_array_equal(params(m)["layer2.weight"], rng.standard_normal((64, 9)).astype(dtype))


def test_weights_fill_their_glorot_bounds_and_biases_are_zero() -> None:
    m = Chain(Dense(300, 200, relu), Dense(200, 100), seed=1, dtype="float64")
    for layer, a in ((m[0], np.sqrt(6 / 500)), (m[1], np.sqrt(6 / 300))):
        assert np.abs(layer.weight).max() <= a  # type: ignore[union-attr]
        assert np.abs(layer.weight).max() > 0.999 * a  # type: ignore[union-attr]
        assert layer.weight.var() == pytest.approx(a**2 / 3, rel=0.02)  # type: ignore[union-attr]
        assert not layer.bias.any()  # type: ignore[union-attr]


def test_a_vector_of_ones_own_is_used_without_a_copy() -> None:
    flat = np.zeros(43)
    m = Chain.from_parts(small().architecture, flat)
    assert m.flat is flat
    with pytest.raises(ShapeError, match=r"has 43 parameters, the vector \(42,\)"):
        Chain.from_parts(small().architecture, flat[:-1])
    with pytest.raises(ShapeError, match="with gaps"):
        Chain.from_parts(small().architecture, np.zeros(86)[::2])


# -- its parts ------------------------------------------------------------------------------------------------------


def test_a_cut_shares_its_numbers_and_computes_its_part() -> None:
    m = small()
    front, back = m[0:1], m[1:]
    assert np.shares_memory(front.flat, m.flat)
    assert np.shares_memory(back.flat, m.flat)
    np.testing.assert_allclose(back(front(X)), m(X), rtol=1e-13)
    np.testing.assert_allclose(m[0:2](X), activations(m, X)[1], rtol=1e-13)
    front.flat[0] = 9
    assert m.flat[0] == 9
    assert repr(m[0:2]) == "Chain(Dense(4, 5, tanh), Dense(5, 3))  # 43 parameters, float64"
    np.testing.assert_allclose(m[-1:](X[:, :3]), softmax(X[:, :3]), rtol=1e-13)


def test_a_layer_is_callable_and_shares_its_numbers() -> None:
    m = small()
    first, last = m[0], m[-1]
    assert isinstance(first, Layer)
    np.testing.assert_allclose(first(X), activations(m, X)[0], rtol=1e-13)
    for part in (first.weight, first.bias, first.W):
        assert np.shares_memory(part, m.flat)
    assert first.spec == Dense(4, 5, "tanh")
    assert last == softmax
    assert [repr(layer) for layer in m] == ["Dense(4, 5, tanh)", "Dense(5, 3)", "softmax"]
    assert repr(m[-3]) == repr(m[0])
    with pytest.raises(IndexError):
        m[3]
    assert repr(Chain(Dense(4, 2))[-1]) == "Dense(4, 2)"


def test_only_the_front_keeps_the_inputs_and_only_the_end_the_classes() -> None:
    m = small(inputs=standardised(X), classes=["a", "b", "c"])
    assert m[0:2].inputs == m.inputs
    assert m[0:2].classes == ()
    assert m[1:].inputs == Inputs()
    assert m[1:].classes == ("a", "b", "c")
    np.testing.assert_allclose(m[1:](m[0:1](X)), m(X), rtol=1e-13)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["copy", "pickle"])
def test_a_copy_is_equal_and_independent(duplicate: object) -> None:
    m = small(inputs=standardised(X), classes=["a", "b", "c"])
    m.record["test accuracy"] = 0.5
    before = m(X)
    twin = duplicate(m)  # type: ignore[operator]
    np.testing.assert_array_equal(twin(X), before)
    assert (twin.architecture, twin.inputs, twin.classes, twin.dtype) == (m.architecture, m.inputs, m.classes, m.dtype)
    assert twin.record == m.record
    twin.flat[...] = 0
    twin.record.clear()
    np.testing.assert_array_equal(m(X), before)
    assert m.record


def test_a_cut_is_pickled_without_the_rest() -> None:
    big = Chain(Dense(2000, 100), Dense(100, 2))
    assert len(pickle.dumps(big[1:])) < 10_000


def test_four_threads_at_once_get_the_same_bits() -> None:
    m = Chain(Dense(64, 48, relu), Dense(48, 32, tanh), Dense(32, 10), softmax)
    rng = np.random.default_rng(0)
    batches = [rng.normal(size=(n, 64)).astype(np.float32) for n in (1, 7, 64, 300)] * 20
    alone = [m(batch) for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(copy.deepcopy(m), batches))
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_array_equal(a, b)


# -- gradients and steps --------------------------------------------------------------------------------------------


def test_the_gradient_is_laid_out_as_the_parameters() -> None:
    m = small()
    value, gradient = value_and_gradient(m, X, [0, 1, 2, 0, 1, 2])
    assert type(value) is float
    assert list(gradient) == list(params(m))
    assert gradient.flat.shape == m.flat.shape
    assert not np.shares_memory(gradient.flat, m.flat)
    net = maths.Net((4, 5, 3), ("tanh", "identity"), "softmax")
    for i, P in maths.parameters(net, gradient.w).items():
        np.testing.assert_array_equal(P, gradient.W(i))


def test_one_sample_is_a_batch_of_one() -> None:
    m = small()
    a, b = value_and_gradient(m, X[0], 2), value_and_gradient(m, X[:1], [2])
    assert a[0] == b[0]
    np.testing.assert_array_equal(a[1].flat, b[1].flat)
    assert value_and_gradient(m, X[0], [0, 0, 1])[0] == a[0]


def test_an_update_is_one_step_of_the_rule() -> None:
    m = small()
    before = m.flat.copy()
    state = setup(Descent(0.5), m)
    _, gradient = value_and_gradient(m, X, np.arange(6) % 3)
    update(m, gradient, state)
    np.testing.assert_array_equal(m.flat, before - 0.5 * gradient.flat)
    assert state.t == 1
    with pytest.raises(ShapeError, match="the network has 43 parameters, the gradient 25"):
        update(m, value_and_gradient(m[0:1], X, np.zeros((6, 5)), mse)[1], state)
    with pytest.raises(SettingError, match="got the class Adam"):
        setup(Adam, m)  # type: ignore[arg-type]


# -- figures --------------------------------------------------------------------------------------------------------


def test_accuracy_counts_the_rows_whose_largest_output_is_right() -> None:
    m = Chain.from_parts(Architecture((Dense(2, 2),), "softmax", 2), np.array([1.0, 0, 0, 1, 0, 0]), classes=["a", "b"])
    rows = [[1, 0], [0, 1], [3, 2], [2, 3]]
    assert accuracy(m, rows, [0, 1, 1, 1]) == 0.75
    assert accuracy(m, rows, ["a", "b", "b", "b"]) == 0.75
    assert accuracy(m, rows, np.eye(2)[[0, 1, 1, 1]]) == 0.75
    with pytest.raises(LabelError, match=r"'aa' is none of the network's classes. Did you mean 'a'"):
        accuracy(m, rows, ["aa", "b", "b", "b"])


def test_figures_are_means_over_all_rows_however_many_blocks_they_fill() -> None:
    m = small()
    n = 2 * BLOCK + 3
    many, y = np.resize(X, (n, 4)), np.arange(n) % 3
    figures = evaluate(m, many, y)
    assert set(figures) == {"loss", "accuracy"}
    assert figures["loss"] == pytest.approx(crossentropy(m(many), y), rel=1e-12)
    assert figures["accuracy"] == accuracy(m, many, y)


def test_figures_of_values_hold_r2_by_hand() -> None:
    m = Chain.from_parts(Architecture((Dense(1, 1),), "identity", 1), np.array([1.0, 0.0]))
    # outputs 1, 2, 3 for 1, 2, 5: mse (0 + 0 + 4) / 3; spread about the mean 8/3 is 26/3, so r2 = 1 - 4 / (26/3)
    figures = evaluate(m, [[1], [2], [3]], [1, 2, 5], mse)
    assert figures == {"loss": pytest.approx(4 / 3, rel=1e-15), "r2": pytest.approx(1 - 12 / 26, rel=1e-14)}
    assert np.isnan(evaluate(m, [[1], [2]], [3, 3], mse)["r2"])


def test_figures_of_scores_and_of_a_loss_of_ones_own() -> None:
    m = small()[0:2]
    y = np.arange(6) % 3
    assert evaluate(m, X, y, logitcrossentropy)["loss"] == pytest.approx(evaluate(small(), X, y)["loss"], rel=1e-13)
    own = (lambda P, t: float(np.abs(P - t).mean()), lambda P, t: np.sign(P - t) / P.size)
    assert set(evaluate(m, X, np.zeros((6, 3)), own)) == {"loss"}


# -- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layers", "kind", "message"),
    [
        ((), NetworkError, "a chain is layers, then at most one head"),
        ((softmax,), NetworkError, "a chain is layers"),
        ((Dense(4, 3), softmax, Dense(3, 2)), NetworkError, "a chain is layers"),
        ((Dense(4, 3), softmax, softmax), NetworkError, "at most one head"),
        (([Dense(4, 3)],), NetworkError, "a chain is layers"),
        ((Dense(4, 3), Dense(4, 2)), NetworkError, r"layer 2, Dense\(4, 2\), takes 4 numbers, but layer 1 gives 3"),
        ((Dense(4, 3), relu), NetworkError, r"an activation belongs to its layer: Dense\(4, 3, relu\)"),
        ((Dense(4, 3), "sofmax"), UnknownNameError, "unknown head 'sofmax'. Did you mean 'softmax'"),
    ],
)
def test_layers_that_are_no_chain_are_refused(layers: tuple[object, ...], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        Chain(*layers)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        ({"classes": ["a", "b"]}, NetworkError, "2 class names, but the network has 3 outputs"),
        (
            {"inputs": Inputs(center=(0.0,), spread=(1.0,))},
            NetworkError,
            "inputs.center describes 1 columns, .* takes 4",
        ),
        ({"inputs": Inputs(columns=("a",))}, NetworkError, "inputs.columns describes 1 columns, .* takes 4"),
        ({"classes": ["a", "b", "a"]}, NetworkError, "class names must differ from one another"),
        ({"inputs": Inputs(image=(28, 28))}, NetworkError, "inputs.image describes 784 columns, .* takes 4"),
        ({"dtype": "float16"}, UnknownNameError, "unknown float type 'float16'"),
        ({"dtype": int}, UnknownNameError, "unknown float type 'int'"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, object], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        small(**settings)


@pytest.mark.parametrize(
    ("x", "kind", "message"),
    [
        (np.zeros(5), ShapeError, r"takes 4 numbers per sample, as \(4,\) or \(n, 4\); got 5 in shape \(5,\)"),
        (np.zeros((2, 28, 28)), ShapeError, "got 28 in shape"),
        (3.0, ShapeError, "got a single number"),
        ([1, 2, np.nan, 4], NonFiniteInputError, "NaN or infinity"),
        ([1, 2, -np.inf, 4], NonFiniteInputError, "NaN or infinity"),
        (np.zeros((1, 4), np.uint8), InputError, r"raw bytes \(uint8\)"),
        (["a", "b", "c", "d"], InputError, "takes real numbers, got dtype <U1"),
        (np.zeros(4, complex), InputError, "got dtype complex128"),
        (np.zeros(4, object), InputError, "got dtype object"),
    ],
)
@pytest.mark.parametrize("use", ["call", "activations", "gradient", "accuracy", "evaluate"])
def test_rows_that_do_not_fit_are_refused_by_every_door(
    use: str, x: object, kind: type[Exception], message: str
) -> None:
    m = small()
    y = 0 if use == "gradient" and np.ndim(x) < 2 else [0]  # type: ignore[arg-type]
    doors = {
        "call": lambda: m(x),  # type: ignore[arg-type]
        "activations": lambda: activations(m, x),  # type: ignore[arg-type]
        "gradient": lambda: value_and_gradient(m, x, y),  # type: ignore[arg-type]
        "accuracy": lambda: accuracy(m, x, y),  # type: ignore[arg-type]
        "evaluate": lambda: evaluate(m, x, y),  # type: ignore[arg-type]
    }
    with pytest.raises(kind, match=message):
        doors[use]()


@pytest.mark.parametrize("use", [accuracy, evaluate, value_and_gradient])
def test_no_rows_have_no_figures(use: object) -> None:
    with pytest.raises(ShapeError, match="X has no rows; at least one is needed"):
        use(small(), np.zeros((0, 4)), np.zeros(0, int))  # type: ignore[operator]


@pytest.mark.parametrize(
    ("y", "kind", "message"),
    [
        ([0, 1, 2, 3, 0, 0], LabelError, "y holds class 3, but the network has 3 outputs: classes 0 to 2"),
        ([0, 1], ShapeError, "6 rows of X want as many targets"),
        (["a"] * 6, LabelError, "turn names into class indices"),
        (np.zeros((6, 2)), ShapeError, r"so y must be \(6, 3\), got \(6, 2\)"),
    ],
)
def test_labels_that_are_not_classes_are_refused(y: object, kind: type[Exception], message: str) -> None:
    for use in (accuracy, evaluate, value_and_gradient):
        with pytest.raises(kind, match=message):
            use(small(), X, y)  # type: ignore[operator]


def test_an_unknown_loss_or_one_that_is_no_pair_is_refused() -> None:
    m = small()
    with pytest.raises(UnknownNameError, match=r"unknown loss 'crosentropy'. Did you mean 'crossentropy'"):
        evaluate(m, X, np.zeros(6, int), "crosentropy")
    with pytest.raises(UnknownNameError, match="unknown loss"):
        value_and_gradient(m, X, np.zeros(6, int), abs)  # type: ignore[arg-type]
    with pytest.raises(NetworkError, match=r"a pair of functions \(value, gradient\)"):
        value_and_gradient(m, X, np.zeros(6, int), (abs, 3))  # type: ignore[arg-type]
    with pytest.raises(NetworkError, match="use crossentropy"):
        evaluate(m, X, np.zeros(6, int), logitcrossentropy)
    with pytest.raises(InputError, match="must be a Chain, got int"):
        evaluate(3, X, np.zeros(6, int))  # type: ignore[arg-type]


def test_every_refusal_is_an_error_of_the_library() -> None:
    for attempt in (lambda: Chain(), lambda: small()(np.zeros(5)), lambda: DataLoader((X, [1]))):
        with pytest.raises(LayerloopError):
            attempt()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))])
def test_a_copy_of_parameters_has_views_of_its_own(copied: Callable[[Parameters], Parameters]) -> None:
    original = params(Chain(Dense(3, 2)))
    twin = copied(original)
    twin["layer1.weight"][...] = 7
    assert (twin.flat == 7).sum() == 6
    assert not (original.flat == 7).any()


def test_one_sample_serves_every_function_of_a_batch() -> None:
    m = Chain(Dense(3, 2), softmax)
    x = np.array([1.0, 0.0, -1.0])
    label = int(m(x).argmax())
    assert accuracy(m, x, label) == accuracy(m, x, np.eye(2)[label]) == accuracy(m, x, [label]) == 1.0
    assert evaluate(m, x, label) == evaluate(m, x[np.newaxis], [label]) == evaluate(m, x, [np.eye(2)[label]])


@pytest.mark.parametrize(
    ("x", "hint"), [(np.ones((3, 5)), "pass x.T"), (np.ones((5, 1, 3)), r"pass x.reshape\(len\(x\), -1\)")]
)
def test_samples_that_lie_the_other_way_are_told_how_to_turn(x: np.ndarray, hint: str) -> None:
    with pytest.raises(ShapeError, match=hint):
        Chain(Dense(3, 2))(x)


def test_arguments_in_the_wrong_order_are_named() -> None:
    m = Chain(Dense(3, 2), softmax)
    state = setup(Adam(), m)
    _, gradient = value_and_gradient(m, np.eye(3), [0, 1, 1])
    with pytest.raises(InputError, match="the gradient must be a Parameters, got State"):
        update(m, state, gradient)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"state .* must be a State, got Adam"):
        update(m, gradient, Adam())  # type: ignore[arg-type]
    with pytest.raises(InputError, match="the network must be a Chain, got ndarray"):
        accuracy(np.eye(3), m, [0, 1, 1])  # type: ignore[arg-type]
    with pytest.raises(IndexError, match="there is no layer 9"):
        m[9]


# -- losses and weights ------------------------------------------------------------------------------------------------


def test_weights_reach_a_loss_of_ones_own_as_a_third_argument_or_it_says_that_it_takes_none() -> None:
    m, X, y, w = Chain(Dense(3, 2), softmax, dtype="float64"), np.eye(3), np.array([0, 1, 1]), np.array([1.0, 2.0, 0.0])

    def value(P: np.ndarray, y: np.ndarray, w: np.ndarray) -> float:
        return float(-(w * np.log(P[np.arange(3), y])).sum() / 3)

    def gradient(P: np.ndarray, y: np.ndarray, w: np.ndarray) -> np.ndarray:
        return -np.eye(2)[y] / P * w[:, None] / 3

    a, b = (value_and_gradient(m, X, y, loss, weights=w) for loss in ((value, gradient), crossentropy))
    assert a[0] == pytest.approx(b[0], rel=1e-14)
    np.testing.assert_allclose(a[1].flat, b[1].flat, rtol=1e-12)
    with pytest.raises(NetworkError, match="takes the weights of the rows as a third argument"):
        value_and_gradient(m, X, y, (lambda P, y: 0.0, lambda P, y: P), weights=w)


def test_weighted_figures_are_those_of_pytorch() -> None:
    # PyTorch 2.13.0: cross_entropy(scores, y, weight=(1, 2, 0.5)) in float64, the mean weighted by the classes
    S, y = np.array([[0.3, -1.2, 2.0], [1.0, 0.5, -0.5], [0.0, 0.0, 1.0]]), np.array([1, 0, 2])
    m = Chain(Dense(3, 3), dtype="float64")
    params(m)["layer1.weight"][...] = np.eye(3)
    own = np.array([1.0, 2.0, 0.5])[y]
    found = evaluate(m, S, y, logitcrossentropy, weights=own)
    assert found["loss"] == pytest.approx(2.195198700630953, rel=1e-14)
    assert found["accuracy"] == pytest.approx(1.5 / 3.5)  # the first row, of weight 2, is missed
    loader = DataLoader((S, y), class_weight={0: 1.0, 1: 2.0, 2: 0.5})
    np.testing.assert_allclose(loader.weights, own * 3 / 3.5)
    _, gradient = value_and_gradient(m, S, y, logitcrossentropy, weights=loader.weights)
    slopes = [0.08532506410479496 - 0.12955731792394867 + 0.030277365373869346,
              -0.5523899762101935 + 0.09471398869259756 + 0.030277365373869346,
              0.4670649121053985 + 0.0348433292313511 - 0.06055473074773869]  # fmt: skip
    np.testing.assert_allclose(gradient["layer1.bias"], slopes, rtol=1e-13)


@pytest.mark.parametrize("loss", ["binarycrossentropy", "logitbinarycrossentropy"])
def test_accuracy_of_yes_or_no_is_by_single_entries(loss: str) -> None:
    head = [] if loss.startswith("logit") else [sigmoid]
    m = Chain(Dense(2, 2), *head, dtype="float64")
    params(m)["layer1.weight"][...] = np.eye(2)
    X, Y = np.array([[3.0, -1.0], [2.0, 1.0]]), np.array([[1, 0], [1, 0]])
    assert evaluate(m, X, Y, loss)["accuracy"] == 0.75
    assert evaluate(m, X, Y, loss, weights=[3, 1])["accuracy"] == (3 + 0.5) / 4
    assert (
        evaluate(m[:1] if head else m, X[:, :1].repeat(2, axis=1), [0, 0], "logitbinarycrossentropy")["accuracy"] == 0.5
    )


def test_one_value_a_row_serves_all_quantiles() -> None:
    m = Chain(Dense(2, 3), dtype="float64")
    X, y, loss = np.eye(2), np.array([1.0, 2.0]), quantile.with_(levels=(0.1, 0.5, 0.9))
    repeated = np.repeat(y[:, None], 3, axis=1)
    assert evaluate(m, X, y, loss) == evaluate(m, X, repeated, loss) == {"loss": loss(m(X), repeated)}
    with pytest.raises(ShapeError, match="gives 3 outputs"):
        evaluate(m, X, y, quantile)


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        ("crossentropy", "takes probabilities, but this chain has no softmax: add one, or use logitcrossentropy"),
        ("binarycrossentropy", "has no sigmoid: add one, or use logitbinarycrossentropy"),
        ("poisson", "takes positive rates, but this chain has no exp: add one"),
    ],
)
def test_training_says_which_head_is_missing(loss: str, words: str) -> None:
    with pytest.raises(NetworkError, match=words):
        train(Chain(Dense(2, 2)), DataLoader((np.eye(2), np.eye(2))), loss)
