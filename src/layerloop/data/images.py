"""One picture for a network: any size, polarity and file format in, ink bright on dark as in MNIST out.

MNIST's own recipe: the ink's longer side is scaled to 20 pixels, and its centre of mass lies in the middle of 28 x 28.
Letters: `grey` is (h, w) float64 in [0, 1]; `ink` the same with the ground at 0 and the stroke near 1.
"""

from __future__ import annotations

import os
import warnings
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop.atomic import write_atomically
from layerloop.errors import (
    DataFormatError,
    DataNotFoundError,
    InputError,
    NonFiniteInputError,
    SettingError,
    ShapeError,
    look_up,
)
from layerloop.settings import whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray
    from PIL.Image import Image as Picture

    Grey = NDArray[np.float64]

# Names that Pillow may try; EPS, PDF and the rest start other programs or old parsers.
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")
INKS: Mapping[str, str] = {"auto": "auto", "dark": "dark", "light": "light"}
CLEAN = 1.5 / 255  # the least difference from the ground that counts, where there is no noise
LEAST_CONTRAST = 0.04  # of the full range; below it a picture is blank paper
NOISE_WIDTH = 5.0  # standard deviations of the ground's noise that are no ink
# Of the peak: fainter pixels do not stretch the crop. JPEG's ripples reach 0.1; MNIST's pictures keep their 20.
FAINT = 0.25
SMALL_SIDE = 64  # pixels; in smaller pictures a single pixel may be part of the drawing
WORKING_SIDE = 1024  # pixels; larger pictures are averaged down first, which also calms their noise
LUMA = np.array([0.299, 0.587, 0.114])
SHADES = np.array(list(" ░▒▓█"))


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
        As :func:`read_image`, for a path.

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


def image_text(x: NDArray[np.generic] | list[list[float]], *, width: int | None = None, colour: bool = False) -> str:
    """Draw a picture in grey with characters, two rows of pixels a line.

    Parameters
    ----------
    x : (h, w) or (h, w, 3) array
        uint8, or floats; floats outside [0, 1] are stretched to their own range.
    width : int, optional
        Characters a line; None draws one for each pixel of a row.
    colour : bool
        Exact greys by 24-bit terminal codes instead of shades.

    Returns
    -------
    str
        Lines without a last newline.

    Raises
    ------
    ShapeError, NonFiniteInputError
        Another shape, empty, NaN or infinity.

    Examples
    --------
    >>> image_text(np.array([[255, 0, 255], [255, 255, 0]], dtype=np.uint8))
    '█▄▀'
    """
    grey = as_grey(x)
    if width is not None:
        columns = whole(width, "width", least=1)
        grey = resized(grey, max(1, round(grey.shape[0] * columns / grey.shape[1])), columns)
    grey = np.pad(grey, ((0, len(grey) % 2), (0, 0)))
    top, bottom = grey[0::2], grey[1::2]
    if colour:
        return "\n".join(map(coloured_line, to_bytes(top), to_bytes(bottom)))
    cells = SHADES[np.rint((top + bottom) / 2 * (len(SHADES) - 1)).astype(int)]
    cells[top - bottom > 0.5] = "▀"
    cells[bottom - top > 0.5] = "▄"
    return "\n".join("".join(line) for line in cells)


def save_png(x: NDArray[np.generic], path: str | os.PathLike[str], scale: int = 8) -> Path:
    """Write a picture, (h, w) or in colour (h, w, 3), as PNG, each pixel `scale` x `scale`; whole or not at all.

    Raises
    ------
    ShapeError, NonFiniteInputError
        As :func:`image_text`.
    OutputError
        The file cannot be written.

    Examples
    --------
    >>> save_png(np.eye(28), "diagonal.png")  # doctest: +SKIP
    PosixPath('diagonal.png')
    """
    from PIL import Image

    pixels = to_bytes(as_shown(x)).repeat(whole(scale, "scale", least=1), axis=0).repeat(scale, axis=1)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return write_atomically(path, file.getvalue())


# From any picture to grey.


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


def as_grey(x: Any) -> Grey:
    """Return a picture to be shown as its brightness (h, w) in [0, 1]."""
    shown = as_shown(x)
    return shown if shown.ndim == 2 else shown @ LUMA


def as_shown(x: Any) -> Grey:
    """Return a picture to be shown in [0, 1], (h, w) or (h, w, 3); floats beyond are stretched to their own range."""
    values = np.asarray(x)
    if values.shape[2:] not in ((), (3,)) or values.ndim < 2 or 0 in values.shape:
        raise ShapeError(f"a picture is shown grey, (h, w), or in colour, (h, w, 3); got shape {values.shape}")
    if values.dtype == np.uint8:
        return values / 255.0
    if values.dtype.kind not in "fiub":
        raise InputError(f"a picture holds real numbers, got {values.dtype}")
    grey = values.astype(np.float64)
    check_finite(grey)
    low, high = grey.min(), grey.max()
    if low >= 0 and high <= 1:
        return grey
    return np.zeros_like(grey) if low == high else (grey - low) / (high - low)


# From grey to ink.


def ink_of(grey: Grey, ink: str) -> tuple[Grey, list[str]]:
    """Return the ink in [0, 1] with the ground at 0, and what was done."""
    done = []
    ground, noise = ground_of(grey)
    floor = max(CLEAN, NOISE_WIDTH * noise)
    lighter, darker = (np.where(d > floor, d, 0.0) for d in (grey - ground, ground - grey))
    dark = ink == "dark" or (ink == "auto" and darker.sum() > lighter.sum())
    stroke = without_specks(darker if dark else lighter)
    if stroke.max() < LEAST_CONTRAST:
        raise InputError("the image is empty: draw something")
    peak = float(np.percentile(stroke[stroke > stroke.max() / 2], 95))
    level = float(ground.mean())
    if dark:
        done.append("inverted: dark ink on a light ground")
    if level > 0.02 and not (dark and level > 0.98):
        done.append(f"removed the ground's level, {level:.0%} of full brightness")
    if peak < 0.9:
        done.append(f"stretched the contrast from {peak:.0%}")
    return np.minimum(stroke / peak, 1.0), done


def border(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the pixels of the frame, a twentieth of the shorter side wide."""
    wide = max(1, min(values.shape) // 20)
    inner = np.ones(values.shape, bool)
    inner[wide:-wide, wide:-wide] = False
    return values[inner]


def ground_of(grey: Grey) -> tuple[Grey, float]:
    """Return the ground under the picture, judged by its frame, and the standard deviation of its noise.

    It is flat, unless a slope (a lamp to one side) explains most of what the frame's level varies.
    """
    y, x = np.mgrid[-1 : 1 : grey.shape[0] * 1j, -1 : 1 : grey.shape[1] * 1j]
    plane = np.stack([np.ones_like(grey), y, x], axis=-1)
    frame, basis = border(grey), np.stack([border(plane[..., i]) for i in range(3)], axis=-1)
    flat = np.array([np.median(frame), 0.0, 0.0])
    noise = spread(frame - flat[0])
    sloped, near = flat, np.abs(frame - flat[0]) <= 4 * noise
    for _ in range(4):  # least squares again and again without what lies far off, such as ink at the frame
        sloped = np.linalg.lstsq(basis[near], frame[near], rcond=None)[0]
        rest = np.abs(frame - basis @ sloped)
        near = rest <= 3 * spread(rest)
    if spread(rest) < noise / 2:
        return plane @ sloped, spread(rest)
    return plane @ flat, noise


def spread(deviations: NDArray[np.float64]) -> float:
    """Return the standard deviation that the median size of deviations stands for."""
    return 1.4826 * float(np.median(np.abs(deviations)))


def without_specks(stroke: Grey) -> Grey:
    """Return the stroke without pieces that have less than a fiftieth of the ink of its main piece."""
    if max(stroke.shape) <= SMALL_SIDE:
        return stroke
    from scipy import ndimage

    pieces, _ = ndimage.label(stroke, structure=np.ones((3, 3)))
    mass = np.bincount(pieces.ravel(), weights=stroke.ravel())
    return np.where(mass[pieces] >= mass.max() / 50, stroke, 0.0)


def cropped(stroke: Grey) -> Grey:
    """Return the smallest rectangle with all ink that is not faint."""
    drawn = stroke > FAINT
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    return stroke[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


# From ink to its place.


def fitted_size(shape: tuple[int, ...], box: int) -> tuple[int, int]:
    """Return (h, w) with the longer side at `box` and the same proportions."""
    longer = max(shape)
    return max(1, round(shape[0] * box / longer)), max(1, round(shape[1] * box / longer))


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


# From numbers to what is shown.


def to_bytes(grey: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return [0, 1] as 0 to 255."""
    return np.rint(np.clip(grey, 0, 1) * 255).astype(np.uint8)


def coloured_line(top: NDArray[np.uint8], bottom: NDArray[np.uint8]) -> str:
    """Return one line of half blocks: the upper pixel in the foreground, the lower one in the background."""
    cells = (f"\x1b[38;2;{t};{t};{t}m\x1b[48;2;{b};{b};{b}m▀" for t, b in zip(top, bottom, strict=True))
    return "".join(cells) + "\x1b[0m"


def side_by_side(shape: tuple[int, ...]) -> str:
    """Return "120 x 200" for the shape of a picture."""
    return f"{shape[0]} x {shape[1]}"  # rows first, as everywhere in NumPy
