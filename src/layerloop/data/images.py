"""One picture for a network: any size, polarity and file format in, ink bright on dark as in MNIST out.

MNIST's own recipe: the ink's longer side is scaled to 20 pixels, and its centre of mass lies in the middle of 28 x 28.
Letters: `grey` is (h, w) float64 in [0, 1]; `ink` the same with the ground at 0 and the stroke near 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from layerloop.data.ink import border, cropped, ink_of
from layerloop.data.pixels import (
    LUMA,
    averaged,
    checked_pixels,
    loaded,
    resized,
    side_by_side,
    to_bytes,
    unit_values,
)
from layerloop.errors import SettingError, look_up
from layerloop.settings import whole

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from PIL.Image import Image as Picture

    Grey = NDArray[np.float64]

INKS: Mapping[str, str] = {"auto": "auto", "dark": "dark", "light": "light"}


def prepare_image(
    image: str | os.PathLike[str] | Picture | NDArray[np.generic],
    *,
    size: tuple[int, int] = (28, 28),
    box: int = 20,
    ink: str = "auto",
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Make one picture look like those of MNIST, and say what was done.

    Parameters
    ----------
    image : path, PIL image or array
        Grey (h, w), colour (h, w, 3) or with transparency (h, w, 4); uint8, or float in [0, 1].
    size : (int, int)
        Height and width of the result.
    box : int
        The length of the ink's longer side in the result, in pixels.
    ink : "auto", "dark" or "light"
        Whether the stroke is darker or lighter than its ground; "auto" compares with the border.

    Returns
    -------
    x : (h, w) uint8
        Ink bright (up to 255) on a ground of 0, its centre of mass in the middle.
    done : tuple of str
        A short sentence for each change.

    Raises
    ------
    InputError
        The picture is empty, or the array is not a picture.
    DataFormatError, DataNotFoundError
        As :func:`layerloop.data.read_image`, for a path.

    Examples
    --------
    >>> paper = np.ones((40, 40))
    >>> paper[10:30, 18:22] = 0.0
    >>> x, done = prepare_image(paper)
    >>> x.shape, done[0]
    ((28, 28), 'inverted: dark ink on a light ground')
    """
    h, w = (whole(side, "size", least=1) for side in size)
    if whole(box, "box", least=1) > min(h, w):
        raise SettingError(f"box is at most the shorter side of size {h} x {w}, got {box}")
    grey, done = grey_of(checked_pixels(loaded(image)), look_up(INKS, ink, "ink"))
    stroke, said = ink_of(grey, ink)
    cut = cropped(stroke)
    fitted = resized(cut, *fitted_size(cut.shape, box))
    x = centred(fitted / fitted.max(), (h, w))
    done += said
    if cut.shape != grey.shape:
        done.append(f"cropped {side_by_side(grey.shape)} to the ink, {side_by_side(cut.shape)}")
    if fitted.shape != cut.shape:
        done.append(f"scaled {side_by_side(cut.shape)} to {side_by_side(fitted.shape)}")
    done.append(f"centred by mass in {h} x {w}")
    return to_bytes(x), tuple(done)


# From pixels to grey.


def grey_of(pixels: NDArray[np.generic], ink: str) -> tuple[Grey, list[str]]:
    """Return the grey picture in [0, 1] and what was done to get it."""
    most = 255.0 if pixels.dtype == np.uint8 else 1.0
    pixels, done = averaged(pixels)
    values = unit_values(pixels, most)
    if values.ndim == 2:
        return values, done
    grey: Grey = values[:, :, :3] @ LUMA
    if values.shape[2] == 3 or values[:, :, 3].min() == 1:
        coloured = np.ptp(values[:, :, :3], axis=2).max() > 0
        return grey, done + ["colours turned to grey"] * bool(coloured)
    grey, said = flattened(grey, values[:, :, 3], ink)
    return grey, done + said


def flattened(grey: Grey, alpha: Grey, ink: str) -> tuple[Grey, list[str]]:
    """Return a picture without transparency: a stroke of one colour on a clear ground is its opacity."""
    drawn = grey[alpha > 0.5]
    if np.median(border(alpha)) < 0.5 and (not drawn.size or np.ptp(np.percentile(drawn, (5, 95))) < 0.3):
        # An "ink" that was stated is kept true for the steps that follow.
        return (1 - alpha if ink == "dark" else alpha), ["took the opaque pixels as ink"]
    return grey * alpha + (1 - alpha), ["laid the transparent picture on white"]


# From ink to its place.


def fitted_size(shape: tuple[int, ...], box: int) -> tuple[int, int]:
    """Return (h, w) with the longer side at `box` and the same proportions."""
    longer = max(shape)
    return max(1, round(shape[0] * box / longer)), max(1, round(shape[1] * box / longer))


def centred(ink: Grey, size: tuple[int, int]) -> Grey:
    """Return the ink on a ground of `size`, its centre of mass in the middle as far as nothing is cut off."""
    canvas = np.zeros(size)
    corner = [offset(ink.sum(axis=1 - axis), size[axis]) for axis in (0, 1)]
    canvas[corner[0] : corner[0] + ink.shape[0], corner[1] : corner[1] + ink.shape[1]] = ink
    return canvas


def offset(mass: NDArray[np.float64], side: int) -> int:
    """Return where a profile of mass begins so that its centre falls on pixel side // 2, as in MNIST."""
    centre = float(mass @ np.arange(len(mass)) / mass.sum())
    return int(np.clip(np.rint(side // 2 - centre), 0, side - len(mass)))
