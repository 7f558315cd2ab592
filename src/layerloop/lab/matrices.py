"""Any value of a trace as a small picture: every pixel the number of largest size in its block."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop.errors import InputError, look_up
from layerloop.lab.pictures import text_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from layerloop.inspection import Trace

SIDE = 320  # pixels of a picture, at most
LARGE = 5_000_000  # numbers of a matrix that is formed for a picture


def picture_of(t: Trace, name: object) -> dict[str, Any]:
    """Return a value of a trace as bytes, 128 for zero, with its shape and the block that a pixel stands for.

    A vector p_i or w_i is laid out as its W_i; z_1 and q_1 of a picture as that picture.

    Raises
    ------
    UnknownNameError, InputError
        When there is no such value, or it is too large to be formed.
    """
    shape = shape_of(t, name)
    if math.prod(shape) > LARGE:
        raise InputError(f"{name} is {' x '.join(map(str, shape))}: too large to be drawn")
    values = np.atleast_2d(np.asarray(t.value(str(name)), np.float64).reshape(laid_out(t, str(name), shape)))
    small, block = blocked(values)
    largest = float(np.abs(small).max(initial=0.0))
    level = small / largest if largest and math.isfinite(largest) else np.zeros_like(small)
    pixels = np.rint(127.5 + 127.5 * np.nan_to_num(level)).astype(np.uint8)
    return {
        "name": name,
        "shape": list(shape),
        "laid_out": list(values.shape),
        "size": list(pixels.shape),
        "block": list(block),
        "largest": largest if math.isfinite(largest) else None,
        "pixels": text_of(pixels),
    }


def shape_of(t: Trace, name: object) -> tuple[int, ...]:
    """Return the shape of a value without forming it."""
    shapes = {step.name: tuple(step.shape) for step in t.steps.values()}
    shapes |= {weights: tuple(t.value(weights).shape) for weights in t.weights.values()}
    return look_up(shapes, name, "value of the loops")


def laid_out(t: Trace, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape in which a value is drawn."""
    letter, _, i = name.partition("_")
    image = t.chain.inputs.image
    if name in ("z_1", "q_1") and image and math.prod(image) == math.prod(shape):
        return image[0], math.prod(image[1:])
    if letter == "p" and f"W_{i}" in t.weights.values():
        return tuple(t.value(f"W_{i}").shape)
    return shape if len(shape) != 1 else (1, *shape)


def blocked(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """Return a matrix of at most SIDE x SIDE: of each block the entry of largest size.

    Examples
    --------
    >>> blocked(np.eye(3))[1], blocked(np.ones((2, 700)))[0].shape
    ((1, 1), (2, 234))
    """
    found, block = values, []
    for axis in (0, 1):
        n = -(-found.shape[axis] // SIDE)
        block.append(n)
        room = -found.shape[axis] % n
        grid = np.pad(found, [(0, room if a == axis else 0) for a in (0, 1)])
        split = grid.reshape(-1, n, grid.shape[1]) if axis == 0 else grid.reshape(grid.shape[0], -1, n)
        inner = 1 if axis == 0 else 2
        at = np.expand_dims(np.abs(split).argmax(axis=inner), inner)
        found = np.take_along_axis(split, at, axis=inner).squeeze(inner)
    return found, (block[0], block[1])
