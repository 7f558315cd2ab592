"""Dense rows that are mostly zeros: the compiled engine computes with the other entries alone, to the same numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from both_engines import ISAS, TOLERANCE, Case, far, instructions, needs_native
from layerloop.engine import Rows, make_engine
from layerloop.optim import Adam

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = needs_native
WIDTHS = (1, 3, 8, 16, 21, 32, 64, 100)  # less than a vector, whole vectors, more than one stretch of them


@pytest.fixture(params=ISAS, autouse=True)
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each instruction set in its turn."""
    with instructions(request.param):
        yield request.param


def case_of(width: int = 24, dtype: str = "float64", columns: int = 75, share: float = 0.15, n: int = 90) -> Case:
    """A network on rows of which this share is not zero."""
    case = Case((columns, width, 4), "tanh", dtype=dtype, n=n)
    case.X[np.random.default_rng(n).random(case.X.shape) > share] = 0
    return case


def found(case: Case, rows: Rows) -> tuple[list, list]:
    """Loss, gradient and outputs of both engines."""
    both = []
    for name in ("native", "numpy"):
        engine, gradient = make_engine(case.architecture, case.plan.dtype, name), np.empty_like(case.w)
        value = engine.value_and_gradient(case.w.copy(), rows, case.plan, gradient, None)
        both.append([value, gradient, *engine.outputs_and_loss(case.w, rows, case.plan)])
    return both[0], both[1]


def agree(case: Case, rows: Rows | None = None) -> None:
    for ours, theirs in zip(*found(case, rows or case.rows()), strict=True):
        assert far(ours, theirs) < TOLERANCE[str(case.plan.dtype)]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("width", WIDTHS)
def test_loss_gradient_and_outputs_are_those_of_numpy(width: int, dtype: str) -> None:
    agree(case_of(width, dtype))


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("columns", [64, 79, 96, 130])
def test_bytes_are_scaled_as_in_numpy(columns: int, dtype: str) -> None:
    case = case_of(columns=columns, dtype=dtype)
    pictures = (np.abs(case.X) * 90).astype(np.uint8)
    assert 0.05 < (pictures != 0).mean() < 0.2
    agree(case, Rows(pictures, case.y, 1 / 255))


@pytest.mark.parametrize("share", [0.0, 0.2, 0.24, 0.26, 0.3, 1.0])
def test_the_numbers_do_not_depend_on_how_many_zeros_there_are(share: float) -> None:
    agree(case_of(share=share))


def test_full_rows_behind_empty_ones_and_empty_ones_behind_full_ones() -> None:
    for begin in (0, 45):
        case = case_of(share=0.0)
        case.X[begin : begin + 45] = np.random.default_rng(0).normal(size=(45, 75))
        agree(case)


def test_training_takes_the_steps_of_numpy() -> None:
    case = case_of(n=256)
    ours, theirs = (case.trained(engine, Adam(1e-2), batch=100) for engine in (case.native, case.numpy))
    assert far(ours[0], theirs[0]) < 1e-11
    assert far(ours[2], theirs[2]) < TOLERANCE["float64"]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_weight_or_an_entry_that_is_not_finite_goes_where_it_goes_in_numpy(bad: float) -> None:
    in_weights, in_rows, behind = case_of(), case_of(), case_of()
    in_weights.w[11] = bad
    in_rows.X[5, 7] = bad
    behind.w[75 * 24 + 24 + 2] = bad  # of the second layer: slopes in the first are not finite, times zeros of the rows
    for case in (in_weights, in_rows, behind):
        with np.errstate(invalid="ignore"):
            ours, theirs = found(case, case.rows())
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(np.isnan(a), np.isnan(b))
            assert far(np.nan_to_num(a), np.nan_to_num(b)) < 1e-11
