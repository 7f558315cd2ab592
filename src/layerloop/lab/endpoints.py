"""A function of plain data becomes a route: JSON in, JSON out, and what the library refuses is said in a sentence."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, NoReturn

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from layerloop.errors import LayerloopError, short_of_memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    Answers = Callable[[dict[str, Any]], dict[str, Any]]

log = logging.getLogger("layerloop.lab")


def asked(path: str, function: Callable[[], dict[str, Any]]) -> Route:
    """Return the GET route that answers with what a function without arguments returns.

    Examples
    --------
    >>> asked("/healthz", lambda: {"ok": True}).path
    '/healthz'
    """

    async def answer(_: Request) -> Response:
        return _answered(lambda _: function(), {})

    return Route(path, answer, methods=["GET"])


def told(path: str, function: Answers, *, aside: bool = False) -> Route:
    """Return the POST route that answers with what a function of the request's JSON object returns.

    Parameters
    ----------
    path : str
    function : callable
        From one plain dict to another. A `LayerloopError` becomes status 422 with its message.
    aside : bool
        Whether it takes long enough to be run beside the server's own work.

    Examples
    --------
    >>> told("/double", lambda values: {"x": 2 * values["x"]}).path
    '/double'
    """

    async def answer(request: Request) -> Response:
        values = _object_in(await request.body())
        if isinstance(values, str):
            return json_response({"error": values}, 400)
        return await run_in_threadpool(_answered, function, values) if aside else _answered(function, values)

    return Route(path, answer, methods=["POST"])


def json_response(values: dict[str, Any], status: int = 200) -> Response:
    """Return a response of plain data; numbers that are not finite become null."""
    return Response(orjson.dumps(values), status, media_type="application/json")


def _answered(function: Answers, values: dict[str, Any]) -> Response:
    try:
        return json_response(function(values))
    except LayerloopError as error:
        return json_response({"error": str(error)}, 422)
    except MemoryError as error:
        return json_response({"error": short_of_memory(error)}, 422)
    except Exception:
        log.exception("an error of the server's own")
        return json_response({"error": "an error of the server's own; its terminal says more"}, 500)


def _object_in(body: bytes) -> dict[str, Any] | str:
    """Return the JSON object of a body, or what is wrong with it.

    orjson reads a row of 784 numbers in 21 us, the standard library in 210, most of what a prediction takes; what the
    one refuses, the other says better.
    """
    values: Any
    try:
        values = orjson.loads(body)
    except ValueError:
        try:
            values = json.loads(body, parse_constant=_no_number)
        except (ValueError, RecursionError) as error:
            return f"this is no JSON: {error or 'nested too deeply'}"
    return values if isinstance(values, dict) else f"expected a JSON object, got a {type(values).__name__}"


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")
