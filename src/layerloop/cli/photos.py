"""Folders of pictures for the commands that fit again and again: their rows, their estimator, and what is said."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from layerloop import describe, estimators
from layerloop.cli import options as opt
from layerloop.errors import SettingError

if TYPE_CHECKING:
    import argparse

    from numpy.typing import NDArray

    from layerloop.cli.terminal import Terminal

HELD_OUT = 0.2  # of the pictures, by which a search judges
OTHERS = ("target", "members", "groups")  # options that mean something for tables alone


class Pictures(NamedTuple):
    """The pictures of a folder, the names of their classes, and the shape of one."""

    X: NDArray[np.generic]
    y: NDArray[np.str_]
    image: tuple[int, ...]


def is_folder(data: str) -> bool:
    """Return whether this names a folder."""
    return Path(data).is_dir()


def read_pictures(given: argparse.Namespace, terminal: Terminal) -> Pictures:
    """Return the pictures of the folder that was named (of its training part), and say how many there are.

    Raises
    ------
    SettingError
        An option of tables.
    """
    for name in OTHERS:
        if getattr(given, name, None) is not None:
            raise SettingError(f"--{name} is for tables: the classes of {given.data} are its sub-folders")
    if given.task == "values":
        raise SettingError(f"--task values is for tables: the classes of {given.data} are its sub-folders")
    data = opt.read_data(given.data, "train", given, terminal)
    names = np.array(data.classes)
    many = describe.count(len(names))
    terminal.say(f"{given.data}: {describe.count(len(data.X), 'picture')}, {many} classes, {', '.join(names[:6])}")
    return Pictures(np.asarray(data.X), names[data.y], data.image or ())


def estimator_for(pictures: Pictures, given: argparse.Namespace, validation: float = 0.0) -> Any:
    """Return the estimator that the options ask for, unfitted.

    Raises
    ------
    UnknownNameError, SettingError
        The metric is none, or judges values; a number that is out of range.
    """
    opt.check_limits(given)
    make: Any = estimators.PhotoClassifier
    recipe = {} if given.epochs is None else {"epochs": given.epochs}
    settings = {"metric": given.metric, "validation": validation, "time_limit": given.time_limit}
    made = make(pictures.image, **settings, recipe=recipe, random_state=given.seed)
    made.judge()
    return made
