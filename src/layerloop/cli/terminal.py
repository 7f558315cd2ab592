"""What the commands print, and where: sentences, JSON for programs, and a bar on a terminal."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from contextlib import AbstractContextManager, nullcontext
from textwrap import fill
from typing import TYPE_CHECKING, TextIO

from layerloop.errors import OutputError
from layerloop.plain import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.progress import Progress as Bar

BAR = 8  # characters of the bar itself
MARGIN = 3  # columns left free: a terminal echoes ^C behind the bar, and a full line would wrap and stay


class Terminal:
    """Where sentences go: standard output, or standard error where JSON is asked for on standard output.

    A reader that has gone (`| head`) or a full disk ends the sentences, never the work: `result` says so at the end.

    Parameters
    ----------
    json : bool
        Whether standard output is kept for one JSON object.
    """

    def __init__(self, *, json: bool) -> None:
        self.json = json
        given: TextIO | None = sys.stderr if json else sys.stdout
        self.stream: TextIO = given or io.StringIO()  # None is a descriptor that was closed
        for stream in (self.stream, sys.stdout):  # a terminal without the characters of a picture shows others
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")
        self.interactive = self.stream.isatty() and os.environ.get("TERM") != "dumb"
        self.colour = self.interactive and not os.environ.get("NO_COLOR")
        self._bar: Bar | None = None
        self._told: set[str] = set()
        self._lost: OSError | None = None

    def say(self, text: str) -> None:
        """Print a line, above the bar where there is one."""
        if self._bar is None:
            self._print(text, self.stream)
        else:
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def say_table(self, text: str) -> None:
        """Print a table; a row that is longer than the terminal goes on under the heading of its last column."""
        under = text.partition("\n")[0].rfind(" ") + 1
        width = shutil.get_terminal_size().columns
        if self.interactive and under < width // 2:
            indent = " " * under
            rows = text.split("\n")
            text = "\n".join(fill(row, width, subsequent_indent=indent, break_on_hyphens=False) for row in rows)
        self.say(text)

    def tell(self, text: str) -> None:
        """Print a line unless it was told before."""
        if text not in self._told:
            self._told.add(text)
            self.say(text)

    def result(self, values: Mapping[str, object]) -> None:
        """Print the JSON object, as the last line, where it is asked for.

        Raises
        ------
        OutputError
            When this, or a sentence before, could not be written.
        """
        if self.json and sys.stdout is not None:
            self._print(json.dumps(plain(values), allow_nan=False), sys.stdout)
        if self._lost is not None:
            raise OutputError(f"cannot write the report: {self._lost.strerror or self._lost}")

    def _print(self, text: str, stream: TextIO) -> None:
        try:
            print(text, file=stream, flush=True)
        except BrokenPipeError:
            silence(stream)
        except OSError as error:
            self._lost = error
            silence(stream)

    def bar(self) -> AbstractContextManager[object]:
        """Return a context with a progress bar on a terminal, and with none elsewhere."""
        if not self.interactive:
            return nullcontext()
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        columns = (TextColumn("{task.description}"), BarColumn(BAR), TextColumn("{task.fields[figures]}"))
        self._bar = Progress(*columns, console=Console(file=self.stream), transient=True, refresh_per_second=10)
        self._task = self._bar.add_task("starting", total=1.0, figures="")
        return self._bar

    def advance(self, description: str, share: float, *figures: str) -> None:
        """Move the bar, where there is one; of the figures, those that the line has room for stand behind it."""
        if self._bar is not None:
            room = self._bar.console.width - MARGIN - BAR - len(description) - 2
            self._bar.update(self._task, description=description, completed=share, figures=fitting(figures, room))

    def close_bar(self) -> None:
        """Say what follows without the bar."""
        self._bar = None


def fitting(parts: tuple[str, ...], room: int) -> str:
    """Return as many of the parts as fit into so many characters, in their order.

    Examples
    --------
    >>> fitting(("loss 0.1", "1.5 s left", "9,000/s"), 20)
    'loss 0.1  1.5 s left'
    """
    line = ""
    for part in filter(None, parts):
        longer = f"{line}  {part}" if line else part
        if len(longer) > room:
            break
        line = longer
    return line


def silence(stream: TextIO) -> None:
    """Send what follows nowhere, so that neither a later line nor the interpreter's last flush fails."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
