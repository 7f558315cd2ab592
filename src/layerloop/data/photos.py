"""A photograph for a network: the whole picture, grey or in colour, stretched to one size; nothing is cropped.

The counterpart of `images.prepare_image`, which looks for a drawing's ink.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from layerloop.data.pixels import (
    FORMATS,
    checked_pixels,
    loaded,
    picture_errors,
    read_image,
    side_by_side,
    to_bytes,
    unit_values,
)
from layerloop.settings import whole

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image as Picture

GREYS = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "F")  # Pillow's modes that hold no colour
FAINT = 16  # of 255: what JPEG makes of a grey picture's channels lies within


def prepare_photo(
    image: str | os.PathLike[str] | Picture | NDArray[np.generic],
    *,
    size: tuple[int, int] = (32, 32),
    colour: bool = False,
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Bring one picture to a size, as those of a folder are read, and say what was done.

    Parameters
    ----------
    image : path, PIL image or array
        Grey (h, w), colour (h, w, 3) or with transparency (h, w, 4); uint8, or float in [0, 1].
    size : (int, int)
        Height and width of the result; proportions are not kept, so that no part of the picture is lost.
    colour : bool
        Whether the result has red, green and blue, also where the picture is grey.

    Returns
    -------
    x : (h, w) or (h, w, 3) uint8
        The picture's brightness, or its colours; what is transparent is white.
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
    >>> prepare_photo(red, colour=True)[0][0, 0].tolist()
    [255, 0, 0]
    """
    from PIL import Image

    h, w = (whole(side, "size", least=1) for side in size)
    if isinstance(image, str | os.PathLike):
        image = read_image(image, least=(h, w), colour=colour)
    pixels = checked_pixels(loaded(image))
    if pixels.dtype != np.uint8:
        pixels = to_bytes(unit_values(pixels))
    picture, done = Image.fromarray(np.ascontiguousarray(pixels)), []
    if picture.mode == "RGBA":
        if not np.all(pixels[:, :, 3] == 255):
            done.append("laid the transparent picture on white")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    if picture.mode != "L" and not colour:
        done.append("colours turned to grey")
    picture = picture.convert("RGB" if colour else "L")
    if pixels.shape[:2] != (h, w):
        done.append(f"stretched {side_by_side(pixels.shape)} to {h} x {w}")
        picture = picture.resize((w, h), Image.Resampling.BILINEAR)  # means over areas where it shrinks
    return np.array(picture), tuple(done)


def has_colours(path: str | os.PathLike[str], *, size: tuple[int, int] = (32, 32)) -> bool:
    """Return whether a picture file has a pixel with a colour, as it would be read for that size.

    Raises
    ------
    DataFormatError, DataNotFoundError
        As `read_image`.
    """
    from PIL import Image

    with picture_errors(str(path)), Image.open(path, formats=FORMATS) as picture:
        if picture.mode in GREYS:  # told by the header, without unpacking
            return False
    pixels = read_image(path, least=size, colour=True)
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        pixels = pixels[pixels[:, :, 3] > 0]  # what lies under a clear pixel is not seen
    return pixels.shape[-1] >= 3 and bool(np.ptp(pixels[..., :3], axis=-1).max(initial=0) > FAINT)
