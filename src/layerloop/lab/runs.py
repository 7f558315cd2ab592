"""One training run and its controls: the library's own `train` in a thread, looked at and steered by a callback."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from layerloop.errors import LayerloopError, SettingError, short_of_memory
from layerloop.lab.curve import Curve
from layerloop.lab.pictures import picture_of_run
from layerloop.network import Chain
from layerloop.training import Progress, Steps, Stop

if TYPE_CHECKING:
    from layerloop.lab.broadcast import Latest
    from layerloop.lab.pictures import Held
    from layerloop.training.task import Task

SHARE = 0.004  # of the time of training that may go into pictures
MANY = 10  # pages, beyond which pictures, the largest messages, come the more rarely
WISHES = ("run", "pause", "step", "stop")


class Watch:
    """The callback that tells pages where a run stands; it costs next to nothing while nobody watches.

    Parameters
    ----------
    task : Task
    name : str
        Of the data.
    latest : Latest
        Where it is told.
    """

    def __init__(self, task: Task, name: str, latest: Latest) -> None:
        self.task, self.name, self.latest = task, name, latest
        self.curve = Curve()
        self.state = "running"
        self.why = ""
        self.progress: Progress | None = None
        self.part = next((part for part in ("test", "validation") if part in task.held), "")
        self.held: Held | None = (task.held[self.part][0], task.held[self.part][1]) if self.part else None
        plane = task.m.architecture.n_in == 2
        self.points: Held | None = (task.loader.X, task.loader.y) if plane else None  # type: ignore[assignment]
        self._due = 0.0
        self.tell()
        self.show()

    def __call__(self, now: Progress) -> None:
        """Tell where training stands, and draw when it is time to."""
        self.progress = now
        if now.row is not None:
            self.curve.add(self.task.in_units(now).row or now.row)
        self.tell()
        if self.latest.watchers and time.perf_counter() >= self._due:
            self.show()

    def tell(self) -> None:
        """Put the status."""
        self.latest.put("status", self.status)

    def show(self, most: int | None = None) -> None:
        """Put what is drawn; the next time comes so much later that drawing keeps its share of the time."""
        begun = time.perf_counter()
        settings = {} if most is None else {"most": most}
        picture = {**picture_of_run(self.task.m, self.held, self.points, **settings), "part": self.part}
        self.latest.put("picture", lambda: picture)
        now = time.perf_counter()
        self._due = now + (now - begun) / SHARE * max(1.0, self.latest.watchers / MANY)

    def end(self, state: str, why: str) -> None:
        """Say that training is over, and draw once more, with all rows."""
        if self.progress is not None:
            self.progress = self.task.in_units(self.progress)
        self.task.finish()  # from here on everything is in the units of the target
        self.state, self.why = state, why
        self.show(most=1 << 40)
        self.tell()

    def status(self) -> dict[str, Any]:
        """Return where the run stands as plain data."""
        now, m = self.progress, self.task.m
        found: dict[str, Any] = {"state": self.state, "why": self.why, "data": self.name}
        found |= {"loss_name": str(self.task.loss), "model": repr(m).partition("  #")[0]}
        found |= {"parameters": m.architecture.size}
        if now is not None:
            shown = self.task.in_units(now)
            found |= {name: getattr(shown, name) for name in ("epoch", "epochs", "step", "steps", "loss", "seconds")}
            found |= {"samples_per_second": shown.samples_per_second, "seconds_left": shown.seconds_left}
        return found | {"curve": self.curve.columns()}


class Run:
    """A run in a thread of its own, which a page starts, pauses, steps and stops.

    Parameters
    ----------
    task : Task
    name : str
    epochs : int
    latest : Latest
    pace : float
        Seconds to wait after every pass, so that it can be watched; 0 for none.
    """

    def __init__(self, task: Task, name: str, epochs: int, latest: Latest, pace: float = 0.0) -> None:
        self.watch = Watch(task, name, latest)
        self.pace = pace
        self._wish = "run"
        self._asked = threading.Condition()
        self._thread = threading.Thread(target=self._train, args=(task, epochs), name="layerloop-run", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self._thread.is_alive()

    def control(self, wish: object) -> None:
        """Ask the run to run, pause, step (take one step and pause) or stop.

        Raises
        ------
        SettingError
            For anything else, or when it has ended.
        """
        if wish not in WISHES:
            raise SettingError(f"a run can {', '.join(WISHES)}; got {wish!r}")
        if not self.alive:
            raise SettingError("the run has ended: start another")
        with self._asked:
            self._wish = str(wish)
            self._asked.notify_all()

    def join(self, seconds: float | None = None) -> None:
        """Wait until it has ended."""
        self._thread.join(seconds)

    def _train(self, task: Task, epochs: int) -> None:
        try:
            history = task.train(epochs, [self._look])
            state = "stopped" if history.stopped != "all epochs done" else "done"
            self.watch.end(state, history.stopped)
        except MemoryError as error:
            self.watch.end("failed", short_of_memory(error))
        except LayerloopError as error:
            self.watch.end("failed", str(error))

    def _look(self, now: Progress) -> Stop | Steps | None:
        """Tell, then do as is wished; wait where it is wished."""
        self.watch(now)
        with self._asked:
            if self._wish == "step":
                self._wish = "pause"
            if self._wish == "pause":
                self._pause()
            elif self.pace and now.row is not None:
                self._asked.wait(self.pace)
                if self._wish == "pause":
                    self._pause()
            if self._wish == "stop":
                return Stop("stopped on the page")
            return Steps(1) if self._wish == "step" else None

    def _pause(self) -> None:
        """Wait until something else is wished; what is shown is up to date."""
        self.watch.state = "paused"
        self.watch.show()
        self.watch.tell()
        while self._wish == "pause":
            self._asked.wait()
        self.watch.state = "running"
        self.watch.tell()


def copied(m: Chain) -> Chain:
    """Return a network with a copy of the parameters as they are now, that others may use beside the training."""
    found = Chain.from_parts(m.architecture, m.flat.copy(), inputs=m.inputs, classes=m.classes)
    found.record = dict(m.record)
    return found
