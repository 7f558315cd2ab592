"""What stands before every route of the page and of `serve`: one ASGI middleware that refuses by default.

A page of another site can make a browser send requests to this machine, and a name that it owns can be made to mean
127.0.0.1; and every user of a machine reaches its ports. So every request, of any method and to any path, must name
this server as its host, must not come from another site, carries the token unless it only reads what anybody here may
read, and stays within the limits. Nothing here looks at a path to decide whether a request is harmless: what is not
allowed for all is allowed for none.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs

from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping

    from starlette.applications import Starlette

    Message = MutableMapping[str, Any]
    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[Scope, Receive, Send], Awaitable[None]]

METHODS = ("GET", "HEAD", "POST")
READING = METHODS[:2]
DECIDING = ("host", "origin", "sec-fetch-site", "content-length", "content-type", "authorization", "cookie")
# Of every response. `data:` is for pictures that the page makes itself; nothing else comes from anywhere but here.
HEADERS: Mapping[str, str] = {
    "content-security-policy": "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
_ENCODED = [(name.encode(), value.encode()) for name, value in HEADERS.items()]


@dataclass(frozen=True)
class Limits:
    """What a single request, and all of them together, may take.

    Attributes
    ----------
    body : int
        Bytes of a request.
    head : int
        Bytes of its path, query and headers.
    seconds : float
        In which its body has to arrive.
    in_flight : int
        Requests that are worked on at once, and as many whose bodies are on their way.
    streams : int
        Pages that watch at once.
    """

    body: int = 1 << 20
    head: int = 1 << 14
    seconds: float = 10.0
    in_flight: int = 64
    streams: int = 100


def fresh_token() -> str:
    """Return 192 random bits as text."""
    return secrets.token_urlsafe(24)


@dataclass(frozen=True)
class Site:
    """Where a server is reached, and with what.

    Attributes
    ----------
    port : int
    names : set of str
        Host names that stand for it, without port.
    addresses : bool
        Whether other machines reach it, by any plain address: no name that another site owns can look like one.
    token : str
        What a request must carry, 192 random bits unless given: every one where other machines reach the server, here
        each that does more than read.
    """

    port: int
    names: frozenset[str] = frozenset({"127.0.0.1", "localhost", "[::1]"})
    addresses: bool = False
    token: str = field(default_factory=fresh_token, repr=False)

    @property
    def cookie(self) -> str:
        """The name of the cookie with the token: cookies are shared by all ports of a host."""
        return f"layerloop-{self.port}"

    def is_host(self, text: str) -> bool:
        """Return whether a Host header names this server.

        Examples
        --------
        >>> site = Site(8484)
        >>> site.is_host("localhost:8484"), site.is_host("localhost"), site.is_host("evil.example:8484")
        (True, False, False)
        """
        name, colon, port = text.rpartition(":")
        if not colon or name.endswith(":") or port != str(self.port):
            return False
        return name in self.names or (self.addresses and _is_address(name))


def _is_address(name: str) -> bool:
    try:
        ip_address(name.removeprefix("[").removesuffix("]") if name.startswith("[") else name)
    except ValueError:
        return False
    return True


class Refusal(NamedTuple):
    """Why a request is not let through."""

    status: int
    message: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Guards:
    """The middleware.

    Parameters
    ----------
    app : Starlette
        Sees only requests that passed, with their whole body at hand. Its routes say which methods a path takes.
    site : Site
    limits : Limits
    streams : set of str
        Paths whose responses do not end by themselves; they are counted apart.
    from_page : bool
        Whether the server's own page alone may ask: every request then needs the token, and a POST its origin.
    """

    def __init__(
        self,
        app: Starlette,
        site: Site,
        limits: Limits | None = None,
        *,
        streams: frozenset[str] = frozenset(),
        from_page: bool = False,
    ) -> None:
        self.app = app
        self.site = site
        self.limits = limits or Limits()
        self.streams = streams
        self.from_page = from_page
        self.methods = {
            route.path: tuple(sorted(route.methods or ())) for route in app.routes if isinstance(route, Route)
        }
        self.arriving = 0
        self.busy = 0
        self.watching = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on."""
        if scope["type"] == "websocket":  # there are none here
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        guarded = _with_headers(send)
        headers = _headers_of(scope)
        refused = _twice(scope) or self._refusal(scope, headers)
        if refused:
            await _refuse(guarded, refused)
            return
        has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
        await self._counted(scope, receive, guarded, has_body=has_body)

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> Refusal | None:
        """Return why this request is refused by what its head says, if it is."""
        method = scope["method"]
        return (
            self._foreign(headers, method)
            or self._without_token(scope, headers)
            or self._wrong_kind(scope, headers)
            or self._too_long(scope, headers)
        )

    def _foreign(self, headers: dict[str, str], method: str) -> Refusal | None:
        host, origin, site = (headers.get(name, "") for name in ("host", "origin", "sec-fetch-site"))
        if not self.site.is_host(host.lower()):
            return Refusal(421, "this server does not go by that host name: use the address that it printed")
        if "origin" in headers and origin.lower() != f"http://{host.lower()}":
            return Refusal(403, "requests from other sites are refused")
        # A link on another page may be followed to look at what is here; it cannot read what it leads to.
        followed = method == "GET" and headers.get("sec-fetch-mode") == "navigate"
        if site not in ("", "same-origin", "none") and not followed:
            return Refusal(403, "requests from other sites are refused")
        if self.from_page and method == "POST" and not origin:
            return Refusal(403, "this is for the server's own page: a POST must carry its Origin")
        return None

    def _without_token(self, scope: Scope, headers: dict[str, str]) -> Refusal | None:
        token, method = self.site.token, scope["method"]
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        if method == "GET" and scope["path"] == "/" and "token" in query:  # as the command prints it
            if not hmac.compare_digest(query["token"][0].encode(), token.encode()):
                return _no_token()
            cookie = f"{self.site.cookie}={token}; HttpOnly; SameSite=Strict; Path=/"
            return Refusal(303, "welcome", ((b"location", b"/"), (b"set-cookie", cookie.encode())))
        if method in READING and not (self.from_page or self.site.addresses):
            return None
        shown = headers.get("authorization", "").removeprefix("Bearer ") or _cookie(headers, self.site.cookie)
        return None if hmac.compare_digest(shown.encode(), token.encode()) else _no_token()

    def _wrong_kind(self, scope: Scope, headers: dict[str, str]) -> Refusal | None:
        method, methods = scope["method"], self.methods.get(scope["path"], METHODS)
        if method not in methods:
            allowed = ", ".join(methods)
            return Refusal(405, f"methods of this path: {allowed}", ((b"allow", allowed.encode()),))
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if method == "POST" and kind != "application/json":
            return Refusal(415, "send JSON, with Content-Type: application/json")
        return None

    def _too_long(self, scope: Scope, headers: dict[str, str]) -> Refusal | None:
        head = len(scope["path"]) + len(scope.get("query_string", b"")) + sum(map(len, (*headers, *headers.values())))
        if head > self.limits.head:
            return Refusal(431, f"the head of a request may have {self.limits.head:,} bytes")
        length = headers.get("content-length", "0")
        return None if length.isdecimal() and int(length) <= self.limits.body else self._too_large()

    def _too_large(self) -> Refusal:
        return Refusal(413, f"a request may have {self.limits.body:,} bytes", ((b"connection", b"close"),))

    async def _counted(self, scope: Scope, receive: Receive, send: Send, *, has_body: bool) -> None:
        """Read the body, pass the request on, and count it meanwhile: slow bodies do not hold up those without."""
        body: bytes | Refusal = b""
        if has_body:
            with self._one_more("arriving", self.limits.in_flight) as room:
                body = await self._body(receive) if room else _too_many()
        if isinstance(body, Refusal):
            await _refuse(send, body)
            return
        streams = scope["path"] in self.streams
        counter = ("watching", self.limits.streams) if streams else ("busy", self.limits.in_flight)
        with self._one_more(*counter) as room:
            await (self.app(scope, _replaying(body, receive), send) if room else _refuse(send, _too_many()))

    @contextmanager
    def _one_more(self, counter: str, most: int) -> Iterator[bool]:
        """Count one more within the context; give whether there is room for it."""
        room = getattr(self, counter) < most
        setattr(self, counter, getattr(self, counter) + room)
        try:
            yield room
        finally:
            setattr(self, counter, getattr(self, counter) - room)

    async def _body(self, receive: Receive) -> bytes | Refusal:
        """Return the whole body, however it is sent, as long as it is small and comes in time."""
        try:
            async with asyncio.timeout(self.limits.seconds):
                parts, size, more = [], 0, True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return Refusal(400, "the request ended before its body did")
                    parts.append(message.get("body", b""))
                    more = message.get("more_body", False)
                    size += len(parts[-1])
                    if size > self.limits.body:
                        return self._too_large()
                return b"".join(parts)
        except TimeoutError:
            return Refusal(408, f"the body did not arrive in {self.limits.seconds:g} s", ((b"connection", b"close"),))


def _no_token() -> Refusal:
    message = "a token is needed: open the address that the command printed, or send Authorization: Bearer TOKEN"
    return Refusal(401, message, ((b"www-authenticate", b"Bearer"),))


def _too_many() -> Refusal:
    return Refusal(503, "too many requests at once: try again in a moment", ((b"retry-after", b"1"),))


def _headers_of(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _twice(scope: Scope) -> Refusal | None:
    """Return a refusal where a header that decides stands there twice: which of them counts would be a guess."""
    names = [name.decode("latin-1").lower() for name, _ in scope["headers"]]
    double = [name for name in DECIDING if names.count(name) > 1]
    return Refusal(400, f"the header {double[0]} stands there twice") if double else None


def _cookie(headers: dict[str, str], name: str) -> str:
    """Return one cookie, "" without it."""
    pairs = (part.strip().partition("=") for part in headers.get("cookie", "").split(";"))
    return next((value for key, _, value in pairs if key == name), "")


def _replaying(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body that was read, and then what comes after it."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _with_headers(send: Send) -> Send:
    """Return a `send` that adds the headers of every response."""

    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = [pair for pair in message.get("headers", []) if pair[0].decode("latin-1").lower() not in HEADERS]
            message = {**message, "headers": [*own, *_ENCODED]}
        await send(message)

    return guarded


async def _refuse(send: Send, refused: Refusal) -> None:
    """Answer with the reason as JSON."""
    body = json.dumps({"error": refused.message}).encode()
    sizes = ((b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": refused.status, "headers": [*sizes, *refused.headers]})
    await send({"type": "http.response.body", "body": body})
