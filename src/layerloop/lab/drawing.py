"""From a drawing to what the network sees in it: by the same function that reads picture files in the command."""

from __future__ import annotations

import base64
import binascii
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop.answer import answer_of
from layerloop.data.pixels import picture_errors, pixels_of, to_bytes
from layerloop.data.shown import as_grey
from layerloop.errors import DataFormatError, InputError
from layerloop.inspection import kind_of
from layerloop.inspection.trace import trace
from layerloop.lab.pictures import text_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from layerloop.network import Chain

SIDE = 1024  # pixels of a drawing, at most


def read_drawing(text: object) -> NDArray[np.uint8]:
    """Return the pixels of a PNG that comes as base64, with or without the head of a data URL.

    Raises
    ------
    InputError, DataFormatError
        When it is no PNG, or too large.
    """
    from PIL import Image

    if not isinstance(text, str):
        raise InputError(f"image is a PNG as base64 text, got a {type(text).__name__}")
    try:
        content = base64.b64decode(text.removeprefix("data:image/png;base64,"), validate=True)
    except (binascii.Error, ValueError):
        raise InputError("image is a PNG as base64 text; this is no base64") from None
    with picture_errors("the drawing"), Image.open(BytesIO(content), formats=("PNG",)) as picture:
        if max(picture.size) > SIDE:  # looked at before a pixel is unpacked
            raise DataFormatError(f"a drawing has at most {SIDE} x {SIDE} pixels, got {picture.size}")
        picture.load()
        return pixels_of(picture)


def row_of_drawing(m: Chain, image: object) -> tuple[NDArray[np.floating], NDArray[np.uint8], tuple[str, ...]]:
    """Return the row that the network takes, the same as a picture of bytes, and what was done.

    Raises
    ------
    InputError
        An empty drawing, or a network that was not trained on pictures.
    """
    if m.inputs.image is None:
        raise InputError("this network was not trained on pictures: train one on digits or mnist")
    picture, done = m.inputs.picture(read_drawing(image))
    return picture.reshape(-1) * np.float32(1 / 255), picture, done


def what_it_sees(m: Chain, image: object) -> dict[str, Any]:
    """Return the picture that a network sees in a drawing, its answer, and q_1 for that answer, as plain data.

    Raises
    ------
    InputError
        As `row_of_drawing`.
    """
    x, picture, done = row_of_drawing(m, image)
    q_1 = m.inputs.in_plane(trace(m, x).value("q_1")).ravel()
    return {
        "picture": {"size": list(picture.shape[:2]), "pixels": text_of(to_bytes(as_grey(picture)))},
        "done": list(done),
        **answer_of(m, m(x), kind_of(m)),
        "gradient": q_1.tolist(),
    }
