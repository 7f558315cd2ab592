"""Ctrl-C and its like, held back while something is half done."""

from __future__ import annotations

import signal
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Self

    Handler = Callable[..., Any]

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Guard:
    """While it is entered, the handlers of signals that end a program wait for what is done as a `whole`.

    A handler may raise between any two instructions, and vectors that belong together then hold different steps. Only
    the main thread runs handlers, so that in others there is nothing to hold back. To enter takes some 20 microseconds,
    a whole one.

    Examples
    --------
    >>> done = []
    >>> try:
    ...     with Guard() as guard, guard.whole():
    ...         signal.raise_signal(signal.SIGINT)
    ...         done.append("all of it")
    ... except KeyboardInterrupt:
    ...     done.append("then Ctrl-C")
    >>> done
    ['all of it', 'then Ctrl-C']
    """

    def __init__(self) -> None:
        self._before = ExitStack()
        self._busy = False
        self._came: list[tuple[Handler, tuple[Any, ...]]] = []

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                handler = signal.getsignal(number)
                if callable(handler):
                    self._before.callback(signal.signal, number, handler)
                    signal.signal(number, self._waiting(handler))
        return self

    def __exit__(self, *_: object) -> None:
        self._before.close()

    def _waiting(self, handler: Handler) -> Handler:
        def wait(*call: Any) -> None:
            if self._busy:
                self._came.append((handler, call))
            else:
                handler(*call)

        return wait

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Hold handlers back until the block is over; they are called then."""
        self._busy = True
        try:
            yield
        finally:
            self._busy = False
            came, self._came = self._came, []
            for handler, call in came:
                handler(*call)
