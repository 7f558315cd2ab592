"""Pixels of a picture: read from a file, an array or Pillow's image, scaled to [0, 1] or to bytes, and resampled.

Letters: `grey` is (h, w) float64 in [0, 1].
"""

from __future__ import annotations

import os
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop.errors import DataFormatError, DataNotFoundError, InputError, NonFiniteInputError, ShapeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from PIL.Image import Image as Picture

    Grey = NDArray[np.float64]

# Names that Pillow may try; EPS, PDF and the rest start other programs or old parsers.
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")
WORKING_SIDE = 1024  # pixels; larger pictures are averaged down first, which also calms their noise
LUMA = np.array([0.299, 0.587, 0.114])


def read_image(
    path: str | os.PathLike[str], *, least: tuple[int, int] | None = None, colour: bool = False
) -> NDArray[np.uint8]:
    """Read a picture file as uint8: (h, w) grey, (h, w, 3) colour, or (h, w, 4) with transparency.

    PNG, JPEG, BMP, GIF (first frame), WEBP and TIFF; turned upright as its camera noted; 16 bits become 8. With
    `least` a large JPEG is unpacked in grey (unless `colour`), at a half, a quarter or an eighth of its size, in a
    fraction of the time; no side gets shorter than twice the longer side of `least`.

    Raises
    ------
    DataNotFoundError
        No such file.
    DataFormatError
        Damaged, of another format, or of more pixels than Pillow's MAX_IMAGE_PIXELS.

    Examples
    --------
    >>> read_image("seven.png").shape  # doctest: +SKIP
    (280, 280, 4)
    """
    from PIL import Image

    if not Path(path).is_file():
        raise DataNotFoundError(f"cannot read {path}: it does not exist; name a picture file")
    with picture_errors(str(path)), Image.open(path, formats=FORMATS) as picture:
        if least is not None:
            picture.draft("RGB" if colour else "L", (2 * max(least), 2 * max(least)))
        picture.load()
        return pixels_of(picture)


@contextmanager
def picture_errors(name: str) -> Iterator[None]:
    """Turn what Pillow raises or warns on a bad file into the library's errors."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on odd metadata
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DataFormatError(
            f"{name} has more than {Image.MAX_IMAGE_PIXELS:,} pixels; make it smaller first"
        ) from None
    except UnidentifiedImageError:
        raise DataFormatError(
            f"{name} is not a picture of a known kind, or is damaged; known: {', '.join(FORMATS)}"
        ) from None
    except DataFormatError:
        raise
    except PermissionError as error:
        raise DataNotFoundError(f"cannot read {name}: {error.strerror}") from None
    except Exception as error:  # noqa: BLE001 - Pillow's decoders raise all sorts on damage: struct.error, KeyError
        raise DataFormatError(f"{name} is damaged: {error or type(error).__name__}") from None


def pixels_of(picture: Picture) -> NDArray[np.uint8]:
    """Return the upright pixels: (h, w), (h, w, 3) or (h, w, 4) uint8."""
    from PIL import ImageOps

    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith(("I", "F")):
        return deep_pixels(np.asarray(picture))
    if picture.has_transparency_data:
        return np.array(picture.convert("RGBA"))
    return np.array(picture.convert("L" if picture.mode in ("1", "L") else "RGB"))


def deep_pixels(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Return pixels of 16 bits, or floats in [0, 1], as bytes (Pillow's own conversion cuts them off at 255)."""
    most = 1.0 if values.dtype.kind == "f" else 65535.0
    scaled = values.astype(np.float64) / most
    if not (scaled.min() >= 0 and scaled.max() <= 1):
        raise DataFormatError(f"the picture's values go from {values.min()} to {values.max()}, expected 0 to {most:g}")
    return to_bytes(scaled)


def loaded(image: Any) -> NDArray[np.generic]:
    """Return pixels as an array: of a path, a PIL image, or an array."""
    if isinstance(image, str | os.PathLike):
        return read_image(image)
    if hasattr(image, "getexif"):
        with picture_errors("the picture"):
            return pixels_of(image)
    return np.asarray(image)


def checked_pixels(pixels: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return pixels as (h, w), (h, w, 3) or (h, w, 4) of uint8, float or bool."""
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.ndim not in (2, 3) or 0 in pixels.shape or (pixels.ndim == 3 and pixels.shape[2] not in (3, 4)):
        raise ShapeError(f"a picture is (h, w), (h, w, 3) or (h, w, 4), got shape {pixels.shape}")
    if pixels.dtype.kind not in "fb" and pixels.dtype != np.uint8:
        raise InputError(f"a picture is uint8, or float in [0, 1], got {pixels.dtype}: convert it first")
    return pixels


def averaged(pixels: NDArray[np.generic]) -> tuple[NDArray[np.generic], list[str]]:
    """Return a large picture with blocks of pixels replaced by their means, in the same units."""
    factor = max(pixels.shape) // WORKING_SIDE
    if factor < 2:
        return pixels, []
    step = [min(factor, side) for side in pixels.shape[:2]]
    h, w = (side // n for side, n in zip(pixels.shape, step, strict=False))
    blocks = pixels[: h * step[0], : w * step[1]].reshape(h, step[0], w, step[1], -1)
    means = blocks.mean(axis=(1, 3), dtype=np.float64).reshape(h, w, *pixels.shape[2:])
    return means, [f"averaged {side_by_side(pixels.shape)} down to {h} x {w}"]


def unit_values(pixels: NDArray[np.generic], most: float = 1.0) -> NDArray[np.float64]:
    """Return pixels as float64 in [0, 1]; `most` is their full scale."""
    if most != 1:
        return pixels.astype(np.float64) / most
    values = pixels.astype(np.float64)
    check_finite(values)
    if values.min() < 0 or values.max() > 1:
        raise InputError(
            f"a float picture lies in [0, 1], got {values.min():g} to {values.max():g}: divide it by its full scale"
        )
    return values


def check_finite(values: NDArray[np.float64]) -> None:
    """Raise NonFiniteInputError with the place of the first NaN or infinity."""
    if not np.isfinite(values).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
        raise NonFiniteInputError(f"the picture holds {values[place]} at {place} (counted from 0)")


def to_bytes(grey: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return [0, 1] as 0 to 255."""
    return np.rint(np.clip(grey, 0, 1) * 255).astype(np.uint8)


def side_by_side(shape: tuple[int, ...]) -> str:
    """Return "120 x 200" for the shape of a picture."""
    return f"{shape[0]} x {shape[1]}"  # rows first, as everywhere in NumPy


def resized(values: Grey, h: int, w: int) -> Grey:
    """Return the picture at (h, w): every new pixel the mean of the area it covers, or smooth when enlarged."""
    rows, columns = resampling(values.shape[0], h), resampling(values.shape[1], w)
    new: Grey = rows @ values @ columns.T
    return new


def resampling(old: int, new: int) -> NDArray[np.float64]:
    """Return the (new, old) matrix that resamples one side; its rows sum to 1.

    Shrinking takes exact means over areas, enlarging interpolates between the centres of pixels.
    """
    if new > old:
        at = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
        weights: Grey = np.clip(1 - np.abs(at[:, None] - np.arange(old)), 0.0, None)
        return weights
    edges = np.arange(new + 1) * old / new
    left, right = edges[:-1, None], edges[1:, None]
    pixel = np.arange(old)
    overlap = np.minimum(right, pixel + 1) - np.maximum(left, pixel)
    means: Grey = np.clip(overlap, 0.0, None) * (new / old)
    return means
