"""Any number of a trace opens to the numbers that made it, and where these are a sum it is their sum."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from every_layer import NETWORKS, architecture
from every_layer import parameters as random_parameters
from every_layer import rows as random_rows
from layerloop import Chain, Dense, trace
from layerloop.errors import InputError, UnknownNameError
from layerloop.inspection.opened import opened

if TYPE_CHECKING:
    from layerloop.inspection import Trace


def of(name: str) -> Trace:
    a = architecture(name)
    return trace(Chain.from_parts(a, random_parameters(a)), random_rows(a, 4)[3], 1)


def places(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The first, the last and some places between them, from 1."""
    size = int(np.prod(shape))
    if size == 0:
        return []
    chosen = sorted({0, size - 1, *np.random.default_rng(size).integers(size, size=5).tolist()})
    return [tuple(int(k) + 1 for k in np.unravel_index(flat, shape)) for flat in chosen]


@pytest.mark.parametrize("name", NETWORKS)
def test_sums_add_up_and_every_number_has_its_own_value(name: str) -> None:
    t = of(name)
    sums = 0
    for value in (*t.steps, *t.weights.values(), "G"):
        for place in places(t.value(value).shape):
            found = opened(t, value, *place)
            assert found["value"] == t.value(value)[tuple(k - 1 for k in place)]
            assert json.loads(json.dumps(found)) == found
            for term in found["terms"]:
                for factor in term["factors"]:
                    values = t.y if factor["name"] == "y" else t.value(factor["name"])
                    assert factor["value"] == values[tuple(k - 1 for k in factor["at"])]
            if found["sum"]:
                sums += 1
                total = sum(term["value"] for term in found["terms"])
                assert total == pytest.approx(found["value"], rel=1e-12, abs=1e-12)
    assert sums > 10


def test_of_the_notes_network_everything_but_what_is_given_opens() -> None:
    t = of("dense")
    given = {"z_1", *t.weights.values()}
    for value in set(t.steps) - given:
        place = places(t.value(value).shape)[0]
        assert opened(t, value, *place)["terms"], value
    for value in given:
        assert opened(t, value, *places(t.value(value).shape)[0])["terms"] == []


def test_an_entry_of_p_may_be_named_by_row_and_column_of_W() -> None:
    t = of("dense")  # W_1 is 7 x 6
    by_place, by_number = opened(t, "p_1", 3, 6), opened(t, "p_1", 18)
    assert (by_place["value"], by_place["terms"]) == (by_number["value"], by_number["terms"])
    assert [factor["name"] for factor in by_place["terms"][0]["factors"]] == ["s_1", "q_2"]  # the bias: no z


def test_where_head_and_loss_were_taken_together_q_opens_to_output_and_target() -> None:
    m = Chain(Dense(3, 3), "softmax", dtype="float64")
    m.flat *= 1e5
    x = np.array([0.3, -0.7, 1.1])
    found = opened(trace(m, x, int(np.argmin(m(x)))), "q_2", 1)
    assert [factor["name"] for factor in found["terms"][0]["factors"]] == ["z_3", "y"]


@pytest.mark.parametrize("place", [(0,), (8,), (), (1, 1)])
def test_a_place_that_is_none_is_an_error(place: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="t_1 is 7, its places counted from 1"):
        opened(of("dense"), "t_1", *place)


def test_an_unknown_value_is_an_error() -> None:
    with pytest.raises(UnknownNameError, match="unknown value of the loops"):
        opened(of("dense"), "q_9", 1)
