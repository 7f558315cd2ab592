"""The kinds of layers as plain data: widths, parts, what is refused, and JSON and back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from every_layer import EDGES, NETWORKS, architecture
from layerloop.errors import NetworkError, SettingError, UnknownNameError
from layerloop.layers import (
    BatchNorm,
    Dense,
    Dropout,
    Embedding,
    LayerNorm,
    Members,
    Parametric,
    Periodic,
    PiecewiseLinear,
    Residual,
    Scale,
    as_plain,
    from_plain,
)
from layerloop.plan import Architecture

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize("name", NETWORKS)
def test_a_layer_is_the_same_through_json_and_back(name: str) -> None:
    for layer in architecture(name).layers:
        assert from_plain(json.loads(json.dumps(as_plain(layer)))) == layer


@pytest.mark.parametrize("name", NETWORKS)
def test_the_parts_are_views_that_cover_the_flat_vector_once(name: str) -> None:
    a = architecture(name)
    flat = np.zeros(a.size)
    for view in a.views(flat).values():
        view += 1
    assert (flat == 1).all()
    assert sum(part.size for _, part in a.stretches) == a.size
    assert {full for full, _ in a.stretches} == set(a.views(flat))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_notes_order_and_back_is_the_same_vector(name: str) -> None:
    a = architecture(name)
    flat = np.random.default_rng(0).normal(size=a.size)
    np.testing.assert_array_equal(a.from_notes(a.to_notes(flat)), flat)


def test_every_member_has_a_block_of_its_own() -> None:
    layer = Dense(2, 1, members=2)
    parts = layer.views(np.arange(6.0))  # two weights and a bias of the first member, then those of the second
    np.testing.assert_array_equal(parts["weight"], [[[0], [1]], [[3], [4]]])
    np.testing.assert_array_equal(parts["bias"], [[2], [5]])
    assert [(part.name, part.size) for part in layer.stretches] == [("weight", 2), ("bias", 1)] * 2


def test_the_program_unrolls_a_residual() -> None:
    a = Architecture(
        (Dense(3, 2), Residual(Dense(2, 4), Residual(Dense(4, 4)), Dense(4, 2)), Dense(2, 1)), "identity", 3
    )
    assert [(op.name, op.width, op.skip) for op in a.ops] == [
        ("layer1", 2, None),
        ("layer2.1", 4, None),
        ("layer2.2.1", 4, None),
        ("layer2.2", 4, 2),
        ("layer2.3", 2, None),
        ("layer2", 2, 1),
        ("layer3", 1, None),
    ]
    assert a.ends == (1, 6, 7)
    assert list(a.views(np.zeros(a.size)))[2:4] == ["layer2.1.weight", "layer2.1.bias"]


def test_a_dropout_takes_the_width_before_it() -> None:
    a = Architecture((Dense(3, 5), Dropout(0.1), Residual(Dropout(0.2), Dense(5, 5))), "identity", 3)
    assert [op.width for op in a.ops] == [5, 5, 5, 5, 5]
    with pytest.raises(NetworkError, match=r"Dropout\(0.1\) does not know its width: give it, Dropout\(0.1, n=...\)"):
        _ = Dropout(0.1).n_in


def test_the_codes_are_traced_to_the_columns_of_the_input() -> None:
    # Columns 0, 2, 3 pass the first layer and become 0, 1, 2; the embedding's column 1 was 2, its column 2 was 3.
    layers = (Periodic(4, [1], width=2), Embedding(5, [(1, 7), (2, 9)], width=2), Dense(7, 2))
    assert Architecture(layers, "softmax", 4).codes == ((2, 7), (3, 9))


def test_running_statistics_are_not_trained() -> None:
    a = Architecture((Dense(1, 2), BatchNorm(2)), "identity", 1)
    assert a.untrained == (slice(8, 10), slice(10, 12))  # behind 4 numbers of the dense layer, gamma and beta


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Dense(3, 0), SettingError, "Dense: n_out must be a whole number of at least 1, got 0"),
        (lambda: Scale(3, "rely"), UnknownNameError, "unknown activation 'rely'. Did you mean 'relu'"),
        (lambda: Scale(3, start="one"), UnknownNameError, "unknown start of Scale 'one'. Did you mean 'ones'"),
        (lambda: Parametric(3, "misch"), UnknownNameError, "Did you mean 'mish'"),
        (lambda: Dropout(1), SettingError, r"Dropout: rate must be in \[0, 1\), got 1"),
        (lambda: Dropout(-0.1), SettingError, r"Dropout: rate must be in \[0, 1\), got -0.1"),
        (lambda: Dropout(float("nan")), SettingError, "Dropout: rate must be in"),
        (lambda: BatchNorm(3, momentum=2), SettingError, r"BatchNorm: momentum must be in \[0, 1\], got 2"),
        (lambda: BatchNorm(3, epsilon=0), SettingError, r"BatchNorm: epsilon must be in \(0, inf\), got 0"),
        (lambda: LayerNorm(3, epsilon=-1), SettingError, "LayerNorm: epsilon must be in"),
        (lambda: Members(3, 0), SettingError, "Members: members must be a whole number of at least 1"),
        (lambda: Embedding(3, [(3, 5)]), SettingError, r"columns must be different places in 0 to 2, got \(3,\)"),
        (lambda: Embedding(3, [(0, 5), (0, 5)]), SettingError, "columns must be different places"),
        (lambda: Embedding(3, [0, 1]), SettingError, r"columns are pairs \(place, number of codes\)"),
        (lambda: Embedding(3, []), SettingError, "columns must name at least one column"),
        (lambda: Periodic(3, "01"), SettingError, "must be a sequence of whole numbers"),
        (lambda: Periodic(3, [0], width=1), SettingError, "Periodic: width must be a whole number of at least 2"),
        (lambda: Periodic(3, [0], sigma=0), SettingError, "Periodic: sigma must be in"),
        (lambda: PiecewiseLinear(3, [0], [(0, 0)]), SettingError, "edges are two or more finite, rising numbers"),
        (lambda: PiecewiseLinear(3, [0, 1], EDGES[:1]), SettingError, "2 columns want as many edges, got 1"),
        (lambda: Residual(), NetworkError, "Residual goes around layers"),
        (lambda: Residual(Dense(3, 4)), NetworkError, "takes 3 numbers but its layers give 4"),
        (lambda: Residual(Dense(3, 4), Dense(3, 3)), NetworkError, "Residual: layer 2, .* takes 3 .* layer 1 gives 4"),
        (lambda: Residual(Members(3, 2)), NetworkError, "Residual cannot go around Members"),
        (
            lambda: Architecture((Dense(3, 2, members=4),), "identity", 3),
            NetworkError,
            r"layer1, .*, has 4 members: it wants Members\(2, 4\) before it",
        ),
        (
            lambda: Architecture((Members(3, 2), Scale(3, members=4)), "identity", 3),
            NetworkError,
            "has 4 members: it wants members=2 as Members says",
        ),
        (
            lambda: Architecture((Members(3, 2), Members(3, 2)), "identity", 3),
            NetworkError,
            "a chain has one Members",
        ),
        (
            lambda: Architecture((Dense(3, 3), Embedding(3, [(0, 2)])), "identity", 3),
            NetworkError,
            "takes codes: it stands first",
        ),
        (
            lambda: Architecture((Periodic(2, [0], width=2), Embedding(3, [(1, 2)])), "identity", 2),
            NetworkError,
            "column 1 was made by the layers before it",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(make: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()
