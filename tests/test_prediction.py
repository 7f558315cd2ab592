"""Prediction: any number of rows, of any type and layout, gives the outputs of each row alone, in bounded memory."""

from __future__ import annotations

import threading
import tracemalloc
from typing import TYPE_CHECKING

import numpy as np
import pytest

from layerloop import Chain, Dense, Inputs, engine, softmax
from layerloop.errors import NonFiniteInputError
from layerloop.prediction import STRETCH

if TYPE_CHECKING:
    from pathlib import Path

ENGINES = [pytest.param(name, id=name) for name in ("numpy", "native") if name == "numpy" or engine.native.available()]
WIDTH = 12


@pytest.fixture(params=ENGINES)
def m(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Chain:
    monkeypatch.setenv("LAYERLOOP_ENGINE", request.param)
    return Chain(Dense(WIDTH, 6, "tanh"), Dense(6, 3), softmax, seed=1)


def rows(n: int) -> np.ndarray:
    return np.random.default_rng(n).normal(size=(n, WIDTH)).astype("float32")


@pytest.mark.parametrize("n", [0, 1, 1023, 1024, 1025, STRETCH + 1025])
def test_rows_of_every_number_of_blocks_have_the_outputs_that_each_has_alone(m: Chain, n: int) -> None:
    X = rows(n)
    outputs = m(X)
    assert outputs.shape == (n, 3)
    for i in {0, 1, 1022, 1023, 1024, STRETCH - 1, STRETCH, n - 1} & set(range(n)):
        np.testing.assert_allclose(outputs[i], m(X[i]), rtol=1e-6)


def test_rows_of_every_type_and_layout_have_the_outputs_of_plain_ones(m: Chain, tmp_path: Path) -> None:
    X = rows(3000)
    expected = m(X)
    np.save(tmp_path / "X.npy", X)
    locked = X.copy()
    locked.flags.writeable = False
    others = {
        "float64": X.astype("float64"),
        "swapped bytes": X.astype(">f4"),
        "turned": np.asfortranarray(X),
        "strided": np.repeat(np.repeat(X, 2, axis=0), 3, axis=1)[::2, ::3],
        "reversed": X[::-1].copy()[::-1],
        "read-only": locked,
        "memory-mapped": np.load(tmp_path / "X.npy", mmap_mode="r"),
    }
    for name, other in others.items():
        np.testing.assert_array_equal(m(other), expected, name)


@pytest.mark.parametrize("n", [1, 2500])
def test_bytes_are_scaled_and_columns_standardised_as_for_the_engine(m: Chain, n: int) -> None:
    raw = np.random.default_rng(n).integers(256, size=(n, WIDTH), dtype=np.uint8)
    center, spread = np.linspace(0, 1, WIDTH), np.linspace(1, 2, WIDTH)
    expected = m(((raw / 255 - center) / spread).astype("float32"))
    scaled = m(raw.astype("float32") / np.float32(255))
    m.inputs = Inputs(scale=1 / 255)
    np.testing.assert_allclose(m(raw), scaled, rtol=1e-5)
    m.inputs = Inputs(scale=1 / 255, center=tuple(center), spread=tuple(spread))
    np.testing.assert_allclose(m(raw), expected, rtol=1e-5)


@pytest.mark.parametrize("kind", ["float32", "float64"])
@pytest.mark.parametrize("row", [0, 5, 1024, 2600, STRETCH + 7])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_is_refused_with_its_place_among_all_rows(
    m: Chain, row: int, kind: str, bad: float
) -> None:
    X = rows(STRETCH + 100).astype(kind)
    X[row, 4] = bad
    with pytest.raises(NonFiniteInputError, match=f"{bad} in row {row}, column 4"):
        m(X)
    with pytest.raises(NonFiniteInputError, match=f"{bad} in row 0, column 4"):
        m(X[row])


def test_numbers_too_large_for_the_type_are_refused_and_the_largest_are_not(m: Chain) -> None:
    largest = np.full((2, WIDTH), np.finfo("float32").max, "float32")
    assert np.isfinite(m(largest)).all()
    with pytest.raises(NonFiniteInputError, match="too large for float32"):
        m(largest.astype("float64") * 2)


@pytest.mark.parametrize("kind", ["uint8", "float64", "strided", "float32"])
def test_memory_beside_the_outputs_does_not_grow_with_the_rows(m: Chain, kind: str) -> None:
    m.inputs = Inputs(scale=1 / 255)
    many = np.random.default_rng(0).integers(256, size=(200_000, 2 * WIDTH), dtype=np.uint8)
    X = many[:, ::2] if kind == "strided" else np.ascontiguousarray(many[:, :WIDTH])
    X = X if kind in ("strided", "uint8") else X.astype(kind)
    peaks = []
    for n in (20_000, 200_000):
        m(X[:n])
        tracemalloc.start()
        outputs = m(X[:n])
        peaks.append(tracemalloc.get_traced_memory()[1] - outputs.nbytes)
        tracemalloc.stop()
    assert peaks[1] <= peaks[0] + 20_000
    assert peaks[1] < 1_000_000  # all rows as floats would take 9.6 million


def test_several_python_threads_predict_at_once_on_one_network(m: Chain) -> None:
    parts = [rows(n) for n in (1, 700, 3000, 5000)]
    alone = [m(X) for X in parts]
    wrong: list[int] = []

    def often(i: int) -> None:
        for _ in range(20):
            wrong.extend([] if np.array_equal(m(parts[i]), alone[i]) else [i])

    threads = [threading.Thread(target=often, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
