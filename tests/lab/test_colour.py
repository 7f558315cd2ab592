"""The page draws in grey: of colour pictures their brightness, of weights and gradients the sums over a pixel."""

from __future__ import annotations

import base64
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from layerloop import Chain, Dense, softmax
from layerloop.inspection.trace import trace
from layerloop.lab.drawing import what_it_sees
from layerloop.lab.matrices import laid_out
from layerloop.lab.mistakes import mistakes
from layerloop.lab.pictures import first_weights
from layerloop.network import params
from layerloop.preprocessing import Inputs

SIDES = (3, 2)


@pytest.fixture
def network() -> Chain:
    return Chain(Dense(18, 4), Dense(4, 2), softmax, inputs=Inputs(1 / 255, image=(*SIDES, 3), fit="stretch"))


def pixels_of(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), np.uint8)


def test_mistakes_are_shown_by_their_brightness(network: Chain) -> None:
    X = np.random.default_rng(0).integers(0, 256, (20, 18), dtype=np.uint8)
    wrong = 1 - network(X).argmax(axis=1)
    row = mistakes(network, X, wrong)["mistakes"][0]
    assert row["picture"]["size"] == list(SIDES)
    grey = X[row["row"]].reshape(*SIDES, 3) @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(pixels_of(row["picture"]["pixels"]), grey.ravel(), atol=0.51)


def test_weights_of_a_pixel_are_added_up(network: Chain) -> None:
    found = first_weights(network)
    assert found is not None
    assert found["image"] == list(SIDES)
    total = params(network)["layer1.weight"][:, 0].reshape(6, 3).sum(axis=1)
    expected = 127.5 + 127.5 * total / np.abs(total).max()
    np.testing.assert_allclose(pixels_of(found["units"][0]), expected, atol=0.51)


def test_a_drawing_is_read_in_colour_and_its_gradient_added_up(network: Chain) -> None:
    file = BytesIO()
    Image.new("RGB", (4, 6), (10, 200, 30)).save(file, "PNG")
    found = what_it_sees(network, base64.b64encode(file.getvalue()).decode())
    assert found["picture"]["size"] == list(SIDES)
    x = np.tile(np.array([10, 200, 30], np.uint8), 6) * np.float32(1 / 255)
    q_1 = trace(network, x).value("q_1")
    np.testing.assert_allclose(found["gradient"], q_1.reshape(6, 3).sum(axis=1), rtol=1e-12)


def test_an_input_is_laid_out_as_rows_of_its_pixels(network: Chain) -> None:
    t = trace(network, np.zeros(18, np.float32))
    assert laid_out(t, "z_1", (18,)) == (3, 6)
