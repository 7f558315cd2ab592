"""What the page works on: the sets it offers, the run that it started or watches, the network that it looks into."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop.errors import InputError, SettingError, UnknownNameError, did_you_mean
from layerloop.inspection import loss_of
from layerloop.inspection.opened import opened
from layerloop.inspection.trace import trace
from layerloop.lab.broadcast import Latest
from layerloop.lab.drawing import row_of_drawing, what_it_sees
from layerloop.lab.matrices import picture_of
from layerloop.lab.mistakes import mistakes
from layerloop.lab.runs import Run, Watch, copied
from layerloop.lab.shelf import Shelf
from layerloop.layers import ACTIVATIONS
from layerloop.optim import RULES
from layerloop.settings import whole
from layerloop.training.recipe import Recipe, prepare

if TYPE_CHECKING:
    from layerloop.inspection import Trace
    from layerloop.lab.pictures import Held
    from layerloop.network import Chain
    from layerloop.training.task import Task

# What a request may ask for, at most: a page is no place for a day's work.
MOST = {"layers": 8, "width": 2048, "epochs": 10_000, "batch_size": 65_536}
# Settings that show something, by the name of a set or else by its kind. `validation` is the share of the training rows
# that is held out: those of digits are by the writers that the network learns from, its test rows are by others.
_PICTURES = {"layers": [32], "activation": "sigmoid", "batch_size": 128, "validation": 0.0, "pace": 0}
STARTS: dict[str, dict[str, Any]] = {
    "pictures": {**_PICTURES, "rate": 0.001, "epochs": 20},
    "digits": {**_PICTURES, "rate": 0.01, "epochs": 60, "validation": 0.15},
    "file": {**_PICTURES, "rate": 0.01, "epochs": 60},
    "plane": {**_PICTURES, "layers": [16, 16], "activation": "tanh", "batch_size": 32, "rate": 0.01, "epochs": 300}
    | {"pace": 0.1},
}
NOTES = {"digits": "Its test rows are by other writers than its training rows; held out rows are by the same."}
KEPT = 16  # loops that pages may still ask about
SETTINGS = ("layers", "activation", "optimizer", "rate", "batch_size", "epochs", "validation", "seed")


@dataclass
class Desk:
    """The state of one page server.

    Parameters
    ----------
    shelf : Shelf
    model : Chain, optional
        A network that is there from the start.
    held : (X, y), optional
        Its test rows.
    name : str
        Of the data that it was trained on.

    Examples
    --------
    >>> Desk().choices()["start"]["data"]
    'digits'
    """

    shelf: Shelf = field(default_factory=Shelf)
    model: Chain | None = None
    held: Held | None = None
    name: str = ""
    latest: Latest = field(default_factory=Latest)
    run: Run | None = None
    watch: Watch | None = None  # of the run under way, or of one that the command started
    _asked: dict[str, Any] = field(default_factory=dict)  # of the last run that a page started
    _traces: dict[int, Trace] = field(default_factory=dict)  # the last few, by the key that their page has
    _key: int = 0
    _starting: threading.Lock = field(default_factory=threading.Lock)

    # Train.

    def choices(self) -> dict[str, Any]:
        """Return what can be trained and how, and what a run starts from."""
        rows: list[dict[str, Any]] = [
            {**row, "start": STARTS.get(row["name"], STARTS[row["kind"]]), "note": NOTES.get(row["name"], "")}
            for row in self.shelf.rows()
        ]
        first = next(row for row in rows if row["kind"] == "file" or row["name"] == "digits")
        recipe = Recipe()
        return {
            "data": rows,
            "activations": list(ACTIVATIONS),
            "optimizers": [name for name in RULES if name != "lazy_adam"],
            "most": MOST,
            "start": {"optimizer": recipe.optimizer, "seed": recipe.seed, **first["start"], "data": first["name"]}
            | self._asked,
            "started": self.watch is not None,
            "watches": self.watch is not None and self.run is None,
            "model": None if self.model is None else repr(self.model).partition("  #")[0],
        }

    def train(self, values: dict[str, Any]) -> dict[str, Any]:
        """Start a run; one that is under way is stopped.

        Raises
        ------
        LayerloopError
            Settings that make no sense; the run under way then goes on.
        """
        if self.watch is not None and self.run is None and self.watch.state == "running":
            raise SettingError("this page watches a run of the command: it ends by itself, or by Ctrl-C there")
        given = dict(values)
        name, pace = given.pop("data", None), given.pop("pace", 0)
        if type(pace) not in (int, float) or not 0 <= pace <= 10:
            raise SettingError(f"pace is 0 to 10 seconds, got {pace!r}")
        recipe = recipe_of(given)
        with self._starting:
            train, test = self.shelf.read(name)
            task = prepare(train, test, recipe)
            self.leave()
            self.name, self._asked = str(name), dict(values)
            self.run = Run(task, self.name, recipe.epochs, self.latest, float(pace))
            self.attach(self.run.watch)
        return {"started": True}

    def attach(self, watch: Watch) -> None:
        """Look at the network of a run from now on."""
        self.watch, self.model, self.held = watch, None, None
        self.name = watch.name

    def control(self, values: dict[str, Any]) -> dict[str, Any]:
        """Run, pause, step or stop the run that the page started.

        Raises
        ------
        SettingError
            Without such a run.
        """
        if self.run is None:
            raise SettingError("there is no run that this page started")
        self.run.control(values.get("do"))
        return {"done": True}

    def leave(self) -> None:
        """Stop the run under way, and wait for it."""
        if self.run is not None and self.run.alive:
            self.run.control("stop")
            self.run.join()

    # What there is to look into.

    def network(self) -> Chain:
        """Return the network as it is now, for no one else to change.

        Raises
        ------
        InputError
            When there is none yet.
        """
        if self.watch is not None:
            found = copied(self.watch.task.m)
            found.record.setdefault("loss", str(self.watch.task.loss))
            return found
        if self.model is None:
            raise InputError("there is no network yet: train one first")
        return self.model

    def rows(self) -> Held:
        """Return the rows to look at: those of the test, or without them those of training.

        Raises
        ------
        InputError
            When there are none.
        """
        found = _rows_of(self.watch.task) if self.watch is not None else self.held
        if found is None:
            raise InputError("there are no rows to look at: name a data set with --data")
        return found

    # Draw, Mistakes, Loops.

    def draw(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return what the network sees in a drawing, and what it says."""
        return {"data": self.name, **what_it_sees(self.network(), values.get("image"))}

    def mistakes(self) -> dict[str, Any]:
        """Return the rows that the network gets wrong."""
        m, (X, y) = self.network(), self.rows()
        return {"data": self.name, "model": repr(m).partition("  #")[0], **mistakes(m, X, y)}

    def loops(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return both loops on a test row ("index") or on a drawing ("image"), as `trace` has them."""
        m = self.network()
        if "image" in values:
            found, place = trace(m, row_of_drawing(m, values["image"])[0]), None
        else:
            X, y = self.rows()
            place = whole(values.get("index", 0), "index", least=0)
            if place >= len(X):
                raise InputError(f"there are rows 0 to {len(X) - 1}; there is no row {place}")
            found = trace(m, X[place], y[place].item(), loss_of(m))
        rows = None if place is None else len(self.rows()[0])
        return {"data": self.name, "key": self._keep(found), "index": place, "rows": rows, "trace": found.as_dict()}

    def opened(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return one number of loops that were shown, with the numbers that made it."""
        place = values.get("at")
        if not isinstance(place, list):
            raise InputError(f"at is a list of places from 1, got {place!r}")
        return opened(self._shown(values), _name(values), *(whole(k, "a place", least=1) for k in place))

    def picture(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return a value of loops that were shown, as a picture."""
        return picture_of(self._shown(values), _name(values))

    def _keep(self, found: Trace) -> int:
        """Keep loops to open, the last few; return their key."""
        with self._starting:
            self._key += 1
            self._traces[self._key] = found
            self._traces.pop(self._key - KEPT, None)
            return self._key

    def _shown(self, values: dict[str, Any]) -> Trace:
        key = values.get("key")
        if type(key) is not int or key not in self._traces:
            raise InputError("these loops are no longer here: show them again")
        return self._traces[key]


def recipe_of(given: dict[str, Any]) -> Recipe:
    """Return the recipe of a request, within what a page may ask for.

    Raises
    ------
    SettingError, UnknownNameError
        Settings that are unknown, too large, or make no sense.

    Examples
    --------
    >>> recipe_of({"layers": [8, 8], "activation": "tanh"}).layers
    (8, 8)
    """
    for name in given:
        if name not in SETTINGS:
            raise UnknownNameError(f"unknown setting {name!r}.{did_you_mean(name, SETTINGS)}")
    widths = given.get("layers", [])
    if not isinstance(widths, list) or len(widths) > MOST["layers"]:
        raise SettingError(f"layers is a list of at most {MOST['layers']} widths, got {widths!r:.60}")
    checked: dict[str, Any] = {
        "layers": tuple(_within(width, "the width of a layer", MOST["width"]) for width in widths)
    }
    for name in ("epochs", "batch_size"):
        if name in given:
            checked[name] = _within(given[name], name, MOST[name])
    for name in ("rate", "validation"):
        if name in given and given[name] is not None and type(given[name]) not in (int, float):
            raise SettingError(f"{name} is a number, got {given[name]!r:.60}")
    return Recipe(**{**given, **checked})


def _within(value: object, name: str, most: int) -> int:
    number = whole(value, name, least=1)
    if number > most:
        raise SettingError(f"{name} is at most {most:,} here, got {number:,}")
    return number


def _rows_of(task: Task) -> Held:
    part = task.held.get("test") or task.held.get("validation")
    return part if part is not None else (np.asarray(task.loader.X), np.asarray(task.loader.y))


def _name(values: dict[str, Any]) -> str:
    name = values.get("name")
    if not isinstance(name, str):
        raise InputError(f'name is a value of the loops, such as "z_2"; got {name!r:.60}')
    return name
