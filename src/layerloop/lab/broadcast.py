"""The newest of everything, to whoever watches: server-sent events that are thinned and never queued.

Training puts what is new as a function that makes it, which costs next to nothing; only what is sent is made. One
clock wakes all streams, the slower the more there are, so that all of them together get only so many messages a
second. A page that does not read holds up its own stream and nobody else's, with one message and no more. A page that
comes back names the last mark that it has seen (Last-Event-ID), and gets what is newer.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
from typing import TYPE_CHECKING, Any

from layerloop.plain import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from layerloop.lab.guards import Receive, Scope, Send

FASTEST = 0.1  # seconds between messages to one page
PER_SECOND = 20  # messages to all pages together
QUIET = 15.0  # seconds after which a page hears that the server is there
STALLED = 30.0  # seconds that a page may take to read a message
HEADERS = [(b"content-type", b"text/event-stream"), (b"x-accel-buffering", b"no")]


class Latest:
    r"""The newest value of each name.

    Examples
    --------
    >>> latest = Latest()
    >>> for k in range(1000): latest.put("status", lambda k=k: {"step": k})
    >>> latest.message("status")
    b'event: status\ndata: {"step":999}\n\n'
    """

    def __init__(self) -> None:
        self._makers: dict[str, Callable[[], dict[str, Any]]] = {}
        self._made: dict[str, tuple[int, bytes]] = {}
        self.versions: dict[str, int] = {}  # by one count for all names, so that a page knows what it has by one number
        self.watchers = 0
        self._count = 0
        self._life = secrets.token_hex(4)  # another server counts from the beginning
        self._putting = threading.Lock()

    def put(self, name: str, make: Callable[[], dict[str, Any]]) -> None:
        """Replace what there is under a name; `make` is called when somebody watches, and once."""
        with self._putting:
            self._makers[name] = make
            self._count += 1
            self.versions[name] = self._count

    def message(self, name: str) -> bytes:
        """Return the newest value as a server-sent event."""
        version = self.versions[name]
        if self._made.get(name, (0, b""))[0] != version:
            data = json.dumps(plain(self._makers[name]()), allow_nan=False, separators=(",", ":"))
            self._made[name] = version, f"event: {name}\ndata: {data}\n\n".encode()
        return self._made[name][1]

    def newer(self, seen: Mapping[str, int]) -> dict[str, int]:
        """Return the names, with their versions, that are newer than what was seen."""
        return {name: version for name, version in list(self.versions.items()) if version > seen.get(name, 0)}

    def mark(self, seen: Mapping[str, int]) -> bytes:
        """Return what a page is to remember of what it has seen, as a server-sent event that follows the others."""
        return f"id: {self._life}-{max(seen.values(), default=0)}\n\n".encode()

    def seen_by(self, mark: str) -> dict[str, int]:
        """Return what a page has seen that remembers this mark; nothing, if it is another server's.

        Examples
        --------
        >>> latest = Latest()
        >>> latest.put("status", dict); latest.put("picture", dict)
        >>> mark = latest.mark(latest.newer({})).decode().split()[1]
        >>> latest.put("status", dict)
        >>> latest.newer(latest.seen_by(mark)), latest.newer(latest.seen_by("5f00d5f0-7"))
        ({'status': 3}, {'status': 3, 'picture': 2})
        """
        life, _, count = mark.partition("-")
        known = life == self._life and count.isdecimal()
        return dict.fromkeys(self.versions, int(count)) if known else {}


class Streams:
    """The route that pages watch: an ASGI application for `Latest`."""

    def __init__(self, latest: Latest) -> None:
        self.latest = latest
        self._bells: set[asyncio.Event] = set()
        self._clock: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send what is new until the page goes."""
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body", "body": b""})
            return
        bell = asyncio.Event()
        going = asyncio.ensure_future(_gone(receive, bell))
        self._enter(bell)
        try:
            mark = dict(scope.get("headers", ())).get(b"last-event-id", b"").decode("latin-1")
            await self._watched(bell, going, send, self.latest.seen_by(mark))
        except TimeoutError:
            pass  # a page that does not read; it comes back by itself if it is there
        finally:
            going.cancel()
            self._leave(bell)

    async def _watched(
        self, bell: asyncio.Event, going: asyncio.Future[None], send: Send, seen: dict[str, int]
    ) -> None:
        bell.set()  # all that is new to it, at once
        while True:
            await bell.wait()
            bell.clear()
            if going.done():
                return
            fresh = self.latest.newer(seen)
            seen |= fresh
            body = b"".join(map(self.latest.message, fresh)) + self.latest.mark(seen) if fresh else b": here\n\n"
            async with asyncio.timeout(STALLED):
                await send({"type": "http.response.body", "body": body, "more_body": True})

    def _enter(self, bell: asyncio.Event) -> None:
        self._bells.add(bell)
        self.latest.watchers = len(self._bells)
        if self._clock is None or self._clock.done():
            self._clock = asyncio.ensure_future(self._ring())

    def _leave(self, bell: asyncio.Event) -> None:
        self._bells.discard(bell)
        self.latest.watchers = len(self._bells)

    async def _ring(self) -> None:
        """Wake all streams when there is something new, and now and then when there is not."""
        seen, waited = dict(self.latest.versions), 0.0
        while self._bells:
            pause = max(FASTEST, len(self._bells) / PER_SECOND)
            await asyncio.sleep(pause)
            waited += pause
            if self.latest.versions != seen or waited > QUIET:
                seen, waited = dict(self.latest.versions), 0.0
                for bell in self._bells:
                    bell.set()


async def _gone(receive: Receive, bell: asyncio.Event) -> None:
    """Wait until the page has gone, and wake its stream."""
    while (await receive())["type"] != "http.disconnect":
        pass
    bell.set()
