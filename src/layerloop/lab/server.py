"""An application on a port of this machine: which one, under which names, and until when."""

from __future__ import annotations

import logging
import os
import re
import socket
import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from layerloop.errors import SettingError
from layerloop.lab.guards import Site, fresh_token

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

    from layerloop.lab.guards import App

LOOPBACK = "127.0.0.1"
CONNECTIONS = 512  # at once; each may wait for so long:
HEAD_SECONDS = 10.0
HEAD_BYTES = 1 << 14


class Patient(HttpToolsProtocol):
    """HTTP that waits for a request's head only so long and for so much, even where a byte of it comes now and then."""

    _deadline: asyncio.TimerHandle | None = None
    _head: int | None = None  # bytes of the head that is under way, None between heads

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait."""
        super().connection_made(transport)
        self._wait()

    def on_message_begin(self) -> None:
        """Begin to count."""
        super().on_message_begin()
        self._head = 0

    def on_headers_complete(self) -> None:
        """Count no further: the guards count the body."""
        self._head = None
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Read on, unless this head has no end."""
        super().data_received(data)
        if self._head is not None:
            self._head += len(data)
            if self._head > HEAD_BYTES:
                self.transport.close()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)

    def _wait(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._enough)

    def _enough(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


class Door:
    """A port that is bound, and the site that it makes.

    Parameters
    ----------
    host : str, optional
        An address or name of this machine, under which other machines reach it; without one, none do.
    port : int
        0 for any that is free.
    or_any : bool
        Whether another port does where this one is taken.

    Raises
    ------
    SettingError
        The port is taken, the host is none of this machine's, or LAYERLOOP_TOKEN is no token.

    Examples
    --------
    >>> door = Door(port=0)
    >>> door.site.is_host(f"127.0.0.1:{door.site.port}"), len(door.site.token) > 21
    (True, True)
    >>> door.close()
    """

    def __init__(self, host: str | None = None, port: int = 0, *, or_any: bool = False) -> None:
        token = _token()  # before a port is taken
        self.socket = _bound(host or LOOPBACK, port, or_any=or_any)
        self.host = host or LOOPBACK
        self.site = Site(self.socket.getsockname()[1], token=token)
        if host is not None:
            names = frozenset({host.lower(), socket.gethostname().lower(), *self.site.names})
            self.site = replace(self.site, names=names, addresses=True)

    @property
    def origin(self) -> str:
        """Where it is, for programs, which send the token in a header."""
        host = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(self.host, self.host)  # noqa: S104
        return f"http://[{host}]:{self.site.port}" if ":" in host else f"http://{host}:{self.site.port}"

    @property
    def address(self) -> str:
        """What to open in a browser: with the token."""
        return f"{self.origin}/?token={self.site.token}"

    def close(self) -> None:
        """Give the port back."""
        self.socket.close()

    def serve(self, app: App, opened: Callable[[], object] | None = None) -> None:
        """Serve until Ctrl-C; call `opened` once requests are answered."""
        server = _Server(app, opened)
        try:
            server.run(sockets=[self.socket])
        except KeyboardInterrupt:  # the way to end it
            pass
        finally:
            self.close()

    @contextmanager
    def serving(self, app: App) -> Iterator[None]:
        """Serve beside the work within the context."""
        ready = threading.Event()
        server = _Server(app, ready.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [self.socket]}, name="layerloop-lab")
        thread.start()
        try:
            ready.wait(10)
            yield
        finally:
            server.should_exit = True
            thread.join()
            self.close()


class _Server(uvicorn.Server):
    """uvicorn with this server's limits; it says nothing but errors."""

    def __init__(self, app: App, opened: Callable[[], object] | None) -> None:
        settings: dict[str, Any] = {"http": Patient, "ws": "none", "lifespan": "off", "loop": "asyncio"}
        quiet: dict[str, Any] = {"log_config": None, "access_log": False, "server_header": False}
        config = uvicorn.Config(
            app,
            limit_concurrency=CONNECTIONS,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=1,
            **settings,
            **quiet,
        )
        logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
        super().__init__(config)
        self._opened = opened

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin, and tell who waits for it."""
        await super().startup(sockets)
        if self._opened is not None:
            self._opened()


def _token() -> str:
    """Return the token that the environment gives, for programs that outlive a server, or a new one."""
    given = os.environ.get("LAYERLOOP_TOKEN")
    if given is None:
        return fresh_token()
    if not re.fullmatch(r"[A-Za-z0-9_-]{22,200}", given):  # 22 of 64 letters: 128 bits and more
        raise SettingError(
            "LAYERLOOP_TOKEN is 22 to 200 letters, digits, - and _, drawn at random: "
            "python -c 'import secrets; print(secrets.token_urlsafe())'"
        )
    return given


def _bound(host: str, port: int, *, or_any: bool) -> socket.socket:
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise SettingError(f"{host} is no host that is known here ({error.strerror}); leave out --host") from None
    # With its protocol: only of a socket that names TCP does asyncio send the body of an answer without waiting for the
    # other side to confirm the head, which takes 40 ms.
    found = socket.socket(family, kind, protocol)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind(place)
        found.listen(128)  # at once, so that no other server can take the port too
    except OSError as error:
        found.close()
        if or_any and port:
            return _bound(host, 0, or_any=False)
        raise SettingError(f"cannot serve on {host}, port {port} ({error.strerror}); choose another --port") from None
    return found
