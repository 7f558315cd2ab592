"""The plan: tables that agree with every other table, layouts, cuts, and the pairs that are fused."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from layerloop import maths, vocabulary
from layerloop.engine import activations as engine_activations
from layerloop.engine import heads as engine_heads
from layerloop.engine import losses as engine_losses
from layerloop.errors import NetworkError, SettingError, UnknownNameError
from layerloop.layers import ACTIVATIONS, Dense, known_name
from layerloop.losses import LOSSES as LOSS_TABLE
from layerloop.losses import LossSpec, spec_of
from layerloop.plan import FUSED, HEADS, LOSSES, Architecture, Plan, fused_name

NETWORK = Architecture((Dense(3, 4, "tanh"), Dense(4, 2)), "softmax", 3)


def rows_of(table: object) -> list[str]:
    return sorted(table)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("names", "engine", "reference"),
    [
        (ACTIVATIONS, engine_activations.ACTIVATIONS, maths.activations.ACTIVATIONS),
        (HEADS, engine_heads.HEADS, maths.heads.HEADS),
        # Scores behind the identity go through the fused form, so the engine needs no row for them.
        (LOSSES, {*engine_losses.LOSSES, *(loss for head, loss in FUSED if head == "identity")}, maths.losses.LOSSES),
    ],
    ids=["activations", "heads", "losses"],
)
def test_every_table_has_the_same_rows(names: object, engine: object, reference: object) -> None:
    assert rows_of(names) == rows_of(engine) == rows_of(reference)


def test_every_row_is_a_public_word_and_every_word_a_row() -> None:
    for names, kind in ((ACTIVATIONS, vocabulary.Activation), (LOSSES, vocabulary.Loss)):
        words = {name for name, value in vars(vocabulary).items() if isinstance(value, kind)}
        assert words == set(names)
        assert all(getattr(vocabulary, name).name == name for name in names)
    heads = {name for name, value in vars(vocabulary).items() if isinstance(value, vocabulary.Head)}
    assert heads == set(HEADS) - set(ACTIVATIONS)  # sigmoid is both, by where it stands


def test_every_fused_form_is_in_the_engine_and_every_form_of_the_engine_is_named() -> None:
    assert set(FUSED.values()) == set(engine_losses.FUSED)
    assert {name for pair in FUSED for name in pair} <= {*HEADS, *LOSSES}
    assert set(maths.losses.FUSED) == {pair for pair in FUSED if pair[0] != "identity"}


def test_every_loss_that_is_made_for_its_head_is_fused_and_no_other_pair() -> None:
    fused = {
        (head, loss): fused_name(head, loss)
        for head in HEADS
        for loss in LOSSES
        if not LOSS_TABLE[loss].scores or head == "identity"
    }
    assert {pair for pair, name in fused.items() if name} == set(FUSED)
    assert fused["softmax", "crossentropy"] == "softmax_crossentropy"
    assert fused["modified_softmax", "crossentropy"] == "modified_softmax_crossentropy"
    assert fused["identity", "logitcrossentropy"] == "softmax_crossentropy"
    made_for = {(row.head, name) for name, row in LOSS_TABLE.items() if row.head and not row.scores}
    assert {pair for pair in FUSED if pair[0] not in ("identity", "modified_softmax")} == made_for
    assert {loss for head, loss in FUSED if head == "identity"} == {n for n, row in LOSS_TABLE.items() if row.scores}
    assert fused["softmax", "mse"] is None
    assert Plan(NETWORK, "crossentropy").fused == "softmax_crossentropy"
    assert Plan(NETWORK, (lambda P, y: 0.0, lambda P, y: P)).fused is None


@pytest.mark.parametrize("head", HEADS[1:])
@pytest.mark.parametrize("loss", ["crossentropy", "binarycrossentropy"])
def test_scores_behind_a_head_are_an_error_with_a_hint(head: str, loss: str) -> None:
    network = Architecture((Dense(3, 2),), head, 3)
    with pytest.raises(NetworkError, match=f"ends in {head}: use {loss} .* or leave the head off"):
        Plan(network, f"logit{loss}")


def test_a_loss_carries_its_settings_as_plain_data_and_as_text() -> None:
    network = Architecture((Dense(3, 2),), "identity", 3)
    plan = Plan(network, "quantile:levels=0.1,0.9")
    assert plan.loss == LossSpec("quantile", (("levels", (0.1, 0.9)),))
    assert plan.loss == spec_of(vocabulary.quantile.with_(levels=[0.1, 0.9])) == spec_of(str(plan.loss))
    assert (str(plan.loss), str(spec_of("huber:delta=1"))) == ("quantile:levels=0.1,0.9", "huber")
    assert plan.loss.columns(2) == (0.1, 0.9)
    assert spec_of("huber:delta=0.5").in_units(4.0) == spec_of("huber:delta=0.125")
    assert spec_of("mse").in_units(4.0) == spec_of("mse")
    with pytest.raises(NetworkError, match=r"has 3 levels, but the network has 2 outputs: one level, or one for each"):
        Plan(network, "quantile:levels=0.1,0.5,0.9")


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("huber:dleta=1", UnknownNameError, "unknown setting 'dleta' of huber. Did you mean 'delta'"),
        ("mse:delta=1", UnknownNameError, "unknown setting 'delta' of mse. It has none"),
        ("hubber:delta=1", UnknownNameError, "unknown loss 'hubber'. Did you mean 'huber'"),
        ("huber:delta=0", SettingError, "huber: delta must be positive and finite, got '0'"),
        ("huber:delta=inf", SettingError, "huber: delta must be positive and finite"),
        ("huber:delta=1,0", SettingError, "huber: delta must be positive"),
        ("huber:delta", SettingError, "huber: delta must be positive and finite, got ''"),
        ("crossentropy:smoothing=1", SettingError, r"crossentropy: smoothing must be in \[0, 1\)"),
        ("crossentropy:smoothing=nan", SettingError, "smoothing must be in"),
        ("quantile:levels=0.1,1", SettingError, r"quantile: levels must be one or several in \(0, 1\)"),
        ("quantile:levels=,", SettingError, "levels must be one or several"),
    ],
)
def test_a_setting_is_checked_where_it_is_made(text: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        spec_of(text)


def test_which_losses_take_class_indices() -> None:
    scores = Architecture((Dense(3, 2),), "identity", 3)
    taken = {loss: Plan(scores, loss).integer_targets for loss in LOSSES}
    assert {loss for loss, yes in taken.items() if yes} == {"crossentropy", "logitcrossentropy"}
    assert not Plan(scores, (lambda P, y: 0.0, lambda P, y: P)).integer_targets


def test_an_unknown_loss_or_head_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown loss 'crossentropie'. Did you mean 'crossentropy'"):
        Plan(NETWORK, "crossentropie")
    with pytest.raises(UnknownNameError, match=r"unknown head 'sofmax'. Did you mean 'softmax'"):
        Architecture((Dense(3, 2),), "sofmax", 3)


def test_a_name_is_taken_as_a_string_or_as_an_object_that_carries_it() -> None:
    assert known_name(vocabulary.relu, ACTIVATIONS, "activation") == "relu"
    with pytest.raises(UnknownNameError, match=r"unknown activation 'tan'. Did you mean 'tanh'"):
        known_name(np.tan, ACTIVATIONS, "activation")


def test_a_layer_knows_its_block() -> None:
    layer = Dense(784, 32, vocabulary.sigmoid)  # type: ignore[arg-type]
    assert (layer.shape, layer.size, layer.activation) == ((785, 32), 25120, "sigmoid")
    assert (repr(layer), repr(Dense(32, 10))) == ("Dense(784, 32, sigmoid)", "Dense(32, 10)")
    assert type(Dense(np.int64(3), 2.0).n_in) is int  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("n_in", "n_out", "what"), [(0, 1, "n_in"), (1, 0, "n_out"), (-3, 1, "n_in"), (2.5, 1, "n_in")]
)
def test_a_width_below_one_or_in_between_is_refused(n_in: int, n_out: int, what: str) -> None:
    with pytest.raises(SettingError, match=f"Dense: {what} must be a whole number of at least 1"):
        Dense(n_in, n_out)


def test_an_unknown_activation_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown activation 'sigmoud'. Did you mean 'sigmoid'"):
        Dense(3, 2, "sigmoud")


def test_widths_must_chain_and_the_message_says_where() -> None:
    with pytest.raises(NetworkError, match=r"layer 2, Dense\(5, 2\), takes 5 numbers, but layer 1 gives 4"):
        Architecture((Dense(3, 4), Dense(5, 2)), "identity", 3)
    with pytest.raises(NetworkError, match=r"layer 1, Dense\(3, 4\), takes 3 numbers, but the input has 7"):
        Architecture((Dense(3, 4),), "identity", 7)


def test_widths_of_the_output() -> None:
    assert (NETWORK.n_scores, NETWORK.n_out, NETWORK.size) == (2, 2, 26)
    modified = Architecture((Dense(3, 2),), "modified_softmax", 3)
    assert (modified.n_scores, modified.n_out) == (2, 3)
    head_only = Architecture((), "softmax", 5)
    assert (head_only.n_scores, head_only.n_out, head_only.size) == (5, 5, 0)


def test_the_flat_vector_holds_layer_after_layer_with_biases_last() -> None:
    small = Architecture((Dense(2, 1), Dense(1, 2)), "identity", 2)
    views = {name: view.tolist() for name, view in small.views(np.arange(7.0)).items()}
    assert views == {
        "layer1.weight": [[0], [1]], "layer1.bias": [2], "layer2.weight": [[3, 4]], "layer2.bias": [5, 6]
    }  # fmt: skip
    # the notes: W_1 = (0 1 | 2), W_2 = (3 | 5; 4 | 6), row after row
    np.testing.assert_array_equal(small.to_notes(np.arange(7.0)), [0, 1, 2, 3, 5, 4, 6])


@pytest.mark.parametrize("widths", [(1, 1), (3, 4, 2), (5, 1, 7, 2)])
def test_the_notes_order_and_back_is_the_same_vector(widths: tuple[int, ...]) -> None:
    layers = tuple(Dense(n, m) for n, m in pairwise(widths))
    network = Architecture(layers, "identity", widths[0])
    flat = np.random.default_rng(0).normal(size=network.size)
    np.testing.assert_array_equal(network.from_notes(network.to_notes(flat)), flat)
    np.testing.assert_array_equal(network.to_notes(network.from_notes(flat)), flat)


def test_a_network_without_layers_has_an_empty_vector_in_both_orders() -> None:
    empty = np.zeros(0)
    assert Architecture((), "softmax", 5).to_notes(empty).shape == (0,)
    assert Architecture((), "softmax", 5).from_notes(empty).shape == (0,)


def test_a_cut_keeps_widths_and_only_the_end_keeps_the_head() -> None:
    assert NETWORK.cut(slice(0, 1)) == Architecture((Dense(3, 4, "tanh"),), "identity", 3)
    assert NETWORK.cut(slice(1, None)) == Architecture((Dense(4, 2),), "softmax", 4)
    assert NETWORK.cut(slice(-1, None)) == Architecture((), "softmax", 2)
    assert NETWORK.cut(slice(None)) == NETWORK


@pytest.mark.parametrize("cut", [slice(1, 1), slice(2, 0), slice(None, None, 2), slice(None, None, -1), slice(9, 12)])
def test_a_cut_that_is_no_piece_is_refused(cut: slice) -> None:
    with pytest.raises(NetworkError, match="cut into one piece from front to back"):
        NETWORK.cut(cut)
