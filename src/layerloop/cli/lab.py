"""Open a page on this machine: train and watch, draw a digit, walk through both loops, look at mistakes.

Without MODEL it starts empty and trains what you choose there. Nothing leaves this machine, and nothing is fetched.
The page needs the token in the address that is printed. Other machines are served only with --host.
"""

from __future__ import annotations

import signal
import threading
import webbrowser
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from layerloop import lab
from layerloop.cli import options as opt
from layerloop.cli.terminal import Terminal
from layerloop.data.readers import NAMES
from layerloop.files import load
from layerloop.lab.extra import check_extra

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from layerloop.training.task import Task

EXAMPLES = """examples:
  layerloop lab
  layerloop lab mnist-784-32-10.safetensors --data mnist
  layerloop lab --data table.csv --target price"""
PORT = 8484


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `layerloop lab`."""
    parser.add_argument("model", metavar="MODEL", nargs="?", help="a model file to look into")
    parser.add_argument("--data", metavar="DATA", help="a file to train on, or the data whose rows MODEL is shown")
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    opt.add_target(parser)
    opt.add_split(parser)
    opt.add_host(parser)
    opt.add_port(parser, PORT)
    opt.add_data_dir(parser)
    opt.add_json(parser)


def run(given: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C; return 0."""
    check_extra()
    terminal = Terminal(json=given.json)
    desk = _desk(given, terminal)
    door = lab.Door(given.host, given.port, or_any=given.port == PORT)
    terminal.say(f"the page is at {door.address}  (Ctrl-C ends it)")
    terminal.result({"address": door.address, "token": door.site.token})
    door.serve(lab.lab_app(desk, door.site), None if given.no_browser else lambda: webbrowser.open(door.address))
    desk.leave()
    return 0


def _desk(given: argparse.Namespace, terminal: Terminal) -> lab.Desk:
    """Return what the page works on: the file to train on, the model and its rows."""
    file = given.data if given.data not in NAMES else None
    shelf = lab.Shelf(file, given.target, given.data_dir)
    if given.model is None:
        if file:  # what is wrong with it is said now
            opt.dense(opt.read_data(file, "train", given, terminal, target=given.target))
        return lab.Desk(shelf)
    m = load(given.model)
    name = given.data or m.record.get("data")
    if name is None:
        return lab.Desk(shelf, m)
    data, _ = opt.known_data(m, str(name), given, terminal)
    return lab.Desk(shelf, m, (opt.dense(data), data.y), str(name))


@contextmanager
def watching(task: Task, name: str, terminal: Terminal) -> Iterator[lab.Watch]:
    """Serve the page beside a run of `train --lab`, and on when the run has ended, until Ctrl-C.

    A run that is stopped or fails takes the page with it.
    """
    desk = lab.Desk(lab.Shelf())
    watch = lab.Watch(task, Path(name).name, desk.latest)
    desk.attach(watch)
    door = lab.Door(port=PORT, or_any=True)
    terminal.say(f"watch it at {door.address}")
    with door.serving(lab.lab_app(desk, door.site)):
        yield watch
        if watch.state != "done":
            return
        terminal.say(f"the page stays at {door.address}  (Ctrl-C ends it)")
        signal.signal(signal.SIGINT, signal.default_int_handler)  # the model is saved, and training ignores signals now
        for name in ("SIGTERM", "SIGHUP"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), signal.default_int_handler)
        with suppress(KeyboardInterrupt):
            threading.Event().wait()
