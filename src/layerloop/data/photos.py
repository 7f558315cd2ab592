"""A photograph for a network: the whole picture in grey, stretched to one size; nothing is cropped or inverted.

The counterpart of `images.prepare_image`, which looks for a drawing's ink.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from layerloop.data.images import checked_pixels, loaded, read_image, side_by_side, to_bytes, unit_values
from layerloop.settings import whole

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image as Picture


def prepare_photo(
    image: str | os.PathLike[str] | Picture | NDArray[np.generic], *, size: tuple[int, int] = (32, 32)
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Make one picture of a size grey, as those of a folder are read, and say what was done.

    Parameters
    ----------
    image : path, PIL image or array
        Grey (h, w), colour (h, w, 3) or with transparency (h, w, 4); uint8, or float in [0, 1].
    size : (int, int)
        Height and width of the result; proportions are not kept, so that no part of the picture is lost.

    Returns
    -------
    x : (h, w) uint8
        The picture's brightness; what is transparent is white.
    done : tuple of str
        A short sentence for each change.

    Raises
    ------
    InputError
        The array is not a picture.
    DataFormatError, DataNotFoundError
        As `read_image`, for a path.

    Examples
    --------
    >>> red = np.zeros((60, 80, 3), dtype=np.uint8)
    >>> red[:, :, 0] = 255
    >>> x, done = prepare_photo(red)
    >>> x.shape, int(x[0, 0]), done
    ((32, 32), 76, ('colours turned to grey', 'stretched 60 x 80 to 32 x 32'))
    """
    from PIL import Image

    h, w = (whole(side, "size", least=1) for side in size)
    pixels = checked_pixels(read_image(image, least=(h, w)) if isinstance(image, str | os.PathLike) else loaded(image))
    if pixels.dtype != np.uint8:
        pixels = to_bytes(unit_values(pixels))
    picture, done = Image.fromarray(np.ascontiguousarray(pixels)), []
    if picture.mode == "RGBA":
        if not np.all(pixels[:, :, 3] == 255):
            done.append("laid the transparent picture on white")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    if picture.mode != "L":
        done.append("colours turned to grey")
        picture = picture.convert("L")
    if pixels.shape[:2] != (h, w):
        done.append(f"stretched {side_by_side(pixels.shape)} to {h} x {w}")
        picture = picture.resize((w, h), Image.Resampling.BILINEAR)  # means over areas where it shrinks
    return np.array(picture), tuple(done)
