"""A picture to look at: as characters on a terminal, or as a PNG file."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop.atomic import write_atomically
from layerloop.data.pixels import LUMA, check_finite, resized, to_bytes
from layerloop.errors import InputError, ShapeError
from layerloop.settings import whole

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from numpy.typing import NDArray

    Grey = NDArray[np.float64]

SHADES = np.array(list(" ░▒▓█"))


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


def coloured_line(top: NDArray[np.uint8], bottom: NDArray[np.uint8]) -> str:
    """Return one line of half blocks: the upper pixel in the foreground, the lower one in the background."""
    cells = (f"\x1b[38;2;{t};{t};{t}m\x1b[48;2;{b};{b};{b}m▀" for t, b in zip(top, bottom, strict=True))
    return "".join(cells) + "\x1b[0m"
