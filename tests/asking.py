"""How a server is asked in tests: straight through ASGI, so that a path or a header is sent exactly as it stands."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

PORT = 8484
HOST = f"127.0.0.1:{PORT}"


@dataclass(frozen=True)
class Response:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(
    app: Any,
    method: str,
    path: str,
    body: bytes | list[bytes] | object = b"",
    headers: Mapping[str, str | None] | None = None,
    query: str = "",
) -> Response:
    """Send one request and wait for its answer; a plain value as body is sent as JSON. None in a header leaves it out.

    The token of the application's site is sent as long as no header says otherwise.

    A stream, which does not end, is left after the first of its messages.
    """
    token = {"authorization": f"Bearer {app.site.token}"}
    return asyncio.run(_ask(app, method, path, body, token | (headers or {}), query))


def own_headers(method: str) -> dict[str, str]:
    """What the server's own page sends."""
    sent = {"host": HOST, "sec-fetch-site": "same-origin"}
    return sent | ({"origin": f"http://{HOST}", "content-type": "application/json"} if method == "POST" else {})


async def _ask(app: Any, method: str, path: str, body: Any, headers: dict[str, str], query: str) -> Response:
    if not isinstance(body, bytes | list):
        body = json.dumps(body).encode()
    parts = body if isinstance(body, list) else [body]
    sent = own_headers(method) | ({} if isinstance(body, list) else {"content-length": str(len(body))}) | headers
    if isinstance(body, list):
        sent["transfer-encoding"] = "chunked"
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode("utf-8", "surrogateescape"),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in sent.items() if value is not None],
        "client": ("127.0.0.1", 40000),
        "server": ("127.0.0.1", PORT),
    }
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts[:-1]]
    messages.append({"type": "http.request", "body": parts[-1], "more_body": False})
    got: list[dict[str, Any]] = []
    gone = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop(0)
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        got.append(message)
        if message["type"] == "http.response.body":  # enough is seen, of a stream too
            gone.set()

    await asyncio.wait_for(app(scope, receive, send), 20)
    found = {name.decode().lower(): value.decode() for name, value in got[0]["headers"]}
    return Response(got[0]["status"], found, b"".join(message.get("body", b"") for message in got[1:]))
