"""The files of the page: read once, from the package, into a fixed table. No request names a file."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request

KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def page_routes(index: str, names: Sequence[str]) -> list[Route]:
    """Return the route "/" for one HTML file of the package, and a route for each file that it uses.

    Examples
    --------
    >>> [route.path for route in page_routes("serve.html", ["style.css"])]
    ['/', '/style.css']
    """
    return [_route("/", index), *(_route(f"/{name}", name) for name in names)]


def _route(path: str, name: str) -> Route:
    content = files("layerloop.lab").joinpath("static", name).read_bytes()
    kind = KINDS[name[name.rindex(".") :]]

    async def answer(_: Request) -> Response:
        return Response(content, media_type=kind)

    return Route(path, answer, methods=["GET"])
