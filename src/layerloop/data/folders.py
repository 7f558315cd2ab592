"""A folder of pictures with a sub-folder for each class, or with `train` and `test` that hold such sub-folders.

Everything is read in the order of names, so that runs repeat; what is left out is said.
"""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from layerloop.data.photos import has_colours, prepare_photo
from layerloop.data.pixels import FORMATS, picture_errors
from layerloop.data.target_columns import known_classes
from layerloop.errors import DataFormatError, DataNotFoundError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from layerloop.data.named import Say

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
PARTS = ("train", "test")
SIDE = 32  # pixels; smaller pictures that all have one size keep it
EVERY = 1.0  # seconds between two reports
LAYOUT = "expected a sub-folder of pictures for each class, or train/ and test/ with such sub-folders"


@dataclass(frozen=True)
class Photos:
    """The pictures of one part: X (n, pixels) uint8, y (n,) class indices, classes, and (h, w) or (h, w, 3)."""

    X: NDArray[np.uint8]
    y: NDArray[np.int64]
    classes: tuple[str, ...]
    image: tuple[int, ...]


def folder_has_test(folder: Path) -> bool:
    """Return whether a folder has the parts `train` and `test`, each with sub-folders of its own.

    Classes that happen to be called train and test hold pictures, not folders.
    """
    return all((folder / part).is_dir() and subfolders(folder / part) for part in PARTS)


def read_folder(
    folder: Path,
    split: str = "train",
    *,
    classes: Sequence[str] | None = None,
    image: tuple[int, ...] | None = None,
    colour: bool | None = None,
    say: Say = None,
) -> Photos:
    """Read every picture of a folder, all of one size and all in grey or all in colour.

    Parameters
    ----------
    folder : path
    split : "train" or "test"
        Which part, where the folder has parts.
    classes : names, optional
        The classes of a trained network, in its order; by default the sub-folders (of the training part), by name.
    image : (h, w) or (h, w, 3), optional
        Height and width, and whether in colour; by default the size of all pictures (of the training part) where they
        have one of at most 32 x 32, and 32 x 32 otherwise.
    colour : bool, optional
        Whether in colour, where no `image` says so; by default where any picture (of the training part) has a colour.
    say : function of str, optional
        Hears of progress and of what is left out.

    Raises
    ------
    DataNotFoundError
        No sub-folders, or no pictures in one of them.
    InputError
        A single class.
    DataFormatError
        A picture that cannot be read, by its name.
    LabelError
        A sub-folder that is none of the classes.
    """
    say = say or (lambda _: None)
    parts = folder_has_test(folder)
    if parts:
        others = [other.name for other in subfolders(folder) if other.name not in PARTS]
        if others:
            say(f"{folder}: read are train and test, not {', '.join(others)}")
    first = files_of(folder / "train" if parts else folder, say)
    files = files_of(folder / "test", say) if parts and split == "test" else first
    known = tuple(classes) if classes else tuple(first)
    if image is None:
        image = common_image([file for held in first.values() for file in held], colour)
        how = "in grey" if len(image) == 2 else "in colour"
        say(f"{folder}: every picture is read {how} at {image[0]} x {image[1]}")
    names = list(files)
    index = known_classes(names, known, lambda i: str(files[names[i]][0])).y
    counts = [len(files[name]) for name in names]
    rows = [file for name in names for file in files[name]]
    return Photos(read_pictures(rows, image, str(folder), say), np.repeat(index, counts), known, image)


def read_pictures(files: list[Path], image: tuple[int, ...], name: str, say: Say) -> NDArray[np.uint8]:
    """Return the pictures as rows (n, pixels), with a report every second."""
    rows, said = np.empty((len(files), math.prod(image)), np.uint8), time.monotonic()
    for i, file in enumerate(files):
        rows[i] = prepare_photo(file, size=(image[0], image[1]), colour=len(image) == 3)[0].ravel()
        if say and time.monotonic() - said > EVERY:
            say(f"{name}: read {i + 1:,} of {len(files):,} pictures")
            said = time.monotonic()
    return rows


def common_image(files: list[Path], colour: bool | None) -> tuple[int, ...]:
    """Return (h, w), or (h, w, 3) where the pictures are to be read in colour; one with a colour decides for all."""
    size = common_size(files)
    if colour is None:
        colour = any(has_colours(file, size=size) for file in files)
    return (*size, 3) if colour else size


def common_size(files: list[Path]) -> tuple[int, int]:
    """Return the (h, w) of all pictures where they share one of at most 32 x 32; only headers are read."""
    from PIL import Image

    sizes = set()
    for file in files:
        with picture_errors(str(file)), Image.open(file, formats=FORMATS) as picture:
            sizes.add((picture.height, picture.width))
        if len(sizes) > 1 or max(max(sizes)) > SIDE:
            return SIDE, SIDE
    return sizes.pop()


# What lies in the folder.


def files_of(folder: Path, say: Say) -> dict[str, list[Path]]:
    """Return class -> its picture files, both by name."""
    found, left = {}, list[Path]()
    subs = subfolders(folder)
    if any(sub.name == "train" and subfolders(sub) for sub in subs) and len(subs) > 1:
        raise InputError(
            f"{folder} has sub-folders in train, but none in test: call the other part test, or name {folder / 'train'}"
        )
    for sub in subs:
        files = sorted(visible_files(sub), key=lambda file: file.as_posix())
        pictures = [file for file in files if file.suffix.lower() in ENDINGS and stays_inside(file, folder)]
        left += [file for file in files if file not in set(pictures)]
        if not pictures:
            raise DataNotFoundError(f"{sub} holds no picture; expected {', '.join(ENDINGS)} (links are not followed)")
        found[class_name(sub)] = pictures
    if not found:
        raise DataNotFoundError(f"{folder} is a folder without sub-folders; {LAYOUT}")
    if len(found) == 1:
        raise InputError(f"{folder} has a single sub-folder, {next(iter(found))}, so a single class; {LAYOUT}")
    if left and say:
        say(f"{folder}: left out what is no picture or a link out of the folder, {len(left):,} such as {left[0]}")
    return found


def subfolders(folder: Path) -> list[Path]:
    """Return the sub-folders by name, without hidden ones and links."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError as error:
        raise DataNotFoundError(f"cannot read {folder}: {error.strerror}") from None
    return [folder / name for name in sorted(names) if not name.startswith(".")]


def visible_files(folder: Path) -> Iterator[Path]:
    """Give all files of a folder and of the folders in it, without hidden ones; links to folders are not followed."""
    with_folders = subfolders(folder)
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if not entry.is_dir(follow_symlinks=False)]
    yield from (folder / name for name in names if not name.startswith("."))
    for sub in with_folders:
        yield from visible_files(sub)


def stays_inside(file: Path, folder: Path) -> bool:
    """Whether this is a regular file (no pipe, which would wait for ever), or a link to one of the same folder."""
    return file.is_file() and (not file.is_symlink() or file.resolve().is_relative_to(folder.resolve()))


def class_name(folder: Path) -> str:
    """Return the name of a class, which a model file can hold."""
    if not folder.name.isprintable():
        raise DataFormatError(f"{str(folder)!r} is no name for a class: its characters cannot be printed")
    return folder.name
