"""The ink of a drawing: what stands out from the ground of a grey picture, whichever of the two is darker.

Letters: `grey` is (h, w) float64 in [0, 1]; `ink` the same with the ground at 0 and the stroke near 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from layerloop.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Grey = NDArray[np.float64]

CLEAN = 1.5 / 255  # the least difference from the ground that counts, where there is no noise
LEAST_CONTRAST = 0.04  # of the full range; below it a picture is blank paper
NOISE_WIDTH = 5.0  # standard deviations of the ground's noise that are no ink
# Of the peak: fainter pixels do not stretch the crop. JPEG's ripples reach 0.1; MNIST's pictures keep their 20.
FAINT = 0.25
SMALL_SIDE = 64  # pixels; in smaller pictures a single pixel may be part of the drawing


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
