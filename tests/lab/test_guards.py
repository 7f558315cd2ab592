"""Every route, with every method, in every wrong way: refused before any of its own code is run."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette

from asking import HOST, PORT, ask
from layerloop import Chain, Dense, softmax
from layerloop.lab.app import lab_app
from layerloop.lab.desk import Desk
from layerloop.lab.guards import HEADERS, Guards, Limits, Site
from layerloop.lab.predictor import prediction_app

if TYPE_CHECKING:
    from collections.abc import Callable

TOKEN = "a-token-of-the-tests"
HERE = Site(PORT, token=TOKEN)
ABROAD = replace(HERE, addresses=True)  # other machines reach it
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW")
FORBIDDEN = METHODS[3:]


@lru_cache
def serve_app(site: Site, limits: Limits | None = None) -> Guards:
    return prediction_app(Chain(Dense(3, 2), softmax), "classes", site, limits)


@lru_cache
def page_app(site: Site, limits: Limits | None = None) -> Guards:
    return lab_app(Desk(), site, limits)


APPS: dict[str, Callable[..., Guards]] = {"serve": serve_app, "lab": page_app}


def routes_of(app: Guards) -> list[str]:
    """Every path that the application knows, and one that it does not."""
    return [route.path for route in app.app.routes] + ["/no-such-route"]  # type: ignore[attr-defined]


ROUTES = [(name, path) for name, make in APPS.items() for path in routes_of(make(HERE))]
# What is wrong with a request, the headers that say so, and the answer that it must get whatever route it goes to.
FOREIGN: dict[str, tuple[dict[str, Any], int]] = {
    "another host": ({"host": f"evil.example:{PORT}"}, 421),
    "no host": ({"host": None}, 421),
    "the host without its port": ({"host": "127.0.0.1"}, 421),
    "another port": ({"host": f"127.0.0.1:{PORT + 1}"}, 421),
    "a host that begins alike": ({"host": f"127.0.0.1.evil.example:{PORT}"}, 421),
    "a user before the host": ({"host": f"127.0.0.1@evil.example:{PORT}"}, 421),
    "another origin": ({"origin": "http://evil.example"}, 403),
    "the origin of another port": ({"origin": f"http://127.0.0.1:{PORT + 1}"}, 403),
    "the origin null": ({"origin": "null"}, 403),
    "an empty origin": ({"origin": ""}, 403),
    "https instead of http": ({"origin": f"https://{HOST}"}, 403),
    "a page of another site": ({"sec-fetch-site": "cross-site"}, 403),
    "a page of a neighbour": ({"sec-fetch-site": "same-site"}, 403),
}
TRAVERSAL = (
    "/../pyproject.toml",
    "/..%2fpyproject.toml",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/%252e%252e/etc/passwd",
    "/static/../../etc/passwd",
    "/..\\..\\windows\\win.ini",
    "/style.css/../../guards.py",
    "/style.css%00.html",
    "/style.css\0",
    "//etc/passwd",
    "///etc/passwd",
    "/C:/windows/win.ini",
    "//server/share/file",
    "/file:///etc/passwd",
    "/./style.css",
    "/style.css/",
    "/STYLE.CSS",
    "/guards.py",
    "/__init__.py",
    "http://evil.example/",
    "",
)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("app", "path"), ROUTES)
def test_no_request_from_elsewhere_gets_through(app: str, path: str, method: str) -> None:
    made = APPS[app](HERE)
    for what, (headers, status) in FOREIGN.items():
        got = ask(made, method, path, headers=headers)
        assert (got.status, set(got.json)) == (status, {"error"}), what


@pytest.mark.parametrize("site", [HERE, ABROAD], ids=["here", "abroad"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("app", "path"), ROUTES)
def test_without_the_token_nothing_is_answered_but_what_serve_lets_anybody_here_read(
    app: str, path: str, method: str, site: Site
) -> None:
    made = APPS[app](site)
    right = ask(made, method, path).status
    may_read = app == "serve" and site is HERE and method in ("GET", "HEAD")
    without: tuple[dict[str, Any], ...] = (
        {"authorization": None},
        {"authorization": "Bearer wrong"},
        {"authorization": f"Bearer {TOKEN}x"},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": "Bearer "},
        {"authorization": "Bearer \u00e9"},
        {"authorization": None, "cookie": f"{site.cookie}={TOKEN[:-1]}"},
        {"authorization": None, "cookie": f"other={TOKEN}"},
    )
    for headers in without:
        assert ask(made, method, path, headers=headers).status == (right if may_read else 401)
    wrong = ask(made, method, path, query="token=wrong", headers=without[0]).status
    assert wrong == (right if may_read and (method, path) != ("GET", "/") else 401)
    assert right != 401
    cookie = {**without[0], "cookie": f"a=b; {site.cookie}={TOKEN}"}
    assert ask(made, method, path, headers=cookie).status == right


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("app", "path"), ROUTES)
def test_what_is_too_large_is_refused_said_or_unsaid(app: str, path: str, method: str) -> None:
    made = APPS[app](HERE, Limits(body=1000))
    large = 405 if ask(made, method, path).status == 405 else 413
    assert large == 413 or method not in ("GET", "POST") or method not in made.methods[path]
    assert ask(made, method, path, b"x" * 1001).status == large
    assert ask(made, method, path, [b"x" * 600, b"x" * 600]).status == large
    assert ask(made, method, path, headers={"content-length": "9" * 40}).status == large
    assert ask(made, method, path, headers={"content-length": "-1"}).status == large


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("app", "path"), ROUTES)
def test_good_requests_are_answered_and_the_rest_has_a_reason(app: str, path: str, method: str) -> None:
    got = ask(APPS[app](HERE), method, path, {} if method == "POST" else b"")
    assert (got.status == 405) >= (method in FORBIDDEN)
    assert got.status in (200, 400, 404, 405, 409, 422)
    assert {name: got.headers[name] for name in HEADERS} == HEADERS
    assert not [name for name in got.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("path", TRAVERSAL)
@pytest.mark.parametrize("app", APPS)
def test_no_path_leads_out_of_the_table(app: str, path: str, method: str) -> None:
    got = ask(APPS[app](HERE), method, path, {} if method == "POST" else b"")
    assert got.status == 404
    assert b"root:" not in got.body


@pytest.mark.parametrize(("app", "path"), ROUTES)
def test_a_post_that_a_form_can_send_is_refused(app: str, path: str) -> None:
    made = APPS[app](HERE)
    refused = 415 if "POST" in made.methods.get(path, ("POST",)) else 405
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", None):
        assert ask(made, "POST", path, b"{}", {"content-type": kind}).status == refused  # type: ignore[dict-item]


def test_headers_that_decide_may_not_stand_there_twice() -> None:
    app, scope = serve_app(HERE), {"type": "http", "method": "GET", "path": "/healthz"}
    for name in (b"host", b"origin", b"content-length"):
        sent: list[dict[str, Any]] = []

        async def send(message: Any, sent: list[dict[str, Any]] = sent) -> None:
            sent.append(message)

        headers = [(b"host", HOST.encode()), (name, b"evil.example"), (name.upper(), HOST.encode())]
        asyncio.run(app({**scope, "headers": headers}, None, send))  # type: ignore[arg-type]
        assert sent[0]["status"] == 400


def test_the_token_in_the_address_becomes_a_cookie_that_scripts_do_not_see() -> None:
    app, nothing = page_app(HERE), {"authorization": None}
    got = ask(app, "GET", "/", query=f"token={TOKEN}", headers=nothing)
    assert (got.status, got.headers["location"]) == (303, "/")
    cookie = got.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert TOKEN not in repr(HERE)
    assert ask(app, "GET", "/", headers={**nothing, "cookie": cookie.partition(";")[0]}).status == 200
    assert len(Site(PORT).token) == 32
    assert Site(PORT).token != Site(PORT).token


def test_a_link_may_be_followed_but_nothing_may_be_changed_by_it() -> None:
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    app = serve_app(HERE)
    assert ask(app, "GET", "/", headers=link).status == 200
    assert ask(app, "POST", "/predict", {"rows": [[0, 0, 0]]}, {**link, "origin": "http://evil.example"}).status == 403
    assert ask(app, "POST", "/predict", {"rows": [[0, 0, 0]]}, link).status == 403


def test_where_the_page_alone_may_post_a_request_without_origin_is_refused() -> None:
    made = Guards(serve_app(HERE).app, HERE, from_page=True)
    assert ask(made, "POST", "/predict", {"rows": [[0, 0, 0]]}, {"origin": None}).status == 403  # type: ignore[dict-item]
    assert ask(made, "POST", "/predict", {"rows": [[0, 0, 0]]}).status == 200


def test_on_every_address_plain_addresses_are_hosts_and_foreign_names_are_not() -> None:
    site = Site(PORT, names=frozenset({"localhost", "desk"}), addresses=True)
    assert all(site.is_host(f"{name}:{PORT}") for name in ("192.168.7.2", "desk", "[fe80::1]", "localhost"))
    assert not any(site.is_host(f"{name}:{PORT}") for name in ("evil.example", "192.168.7.2.evil.example", "", "[x]"))
    assert not Site(PORT).is_host(f"192.168.7.2:{PORT}")


def test_a_body_that_dribbles_in_is_not_waited_for() -> None:
    app = serve_app(HERE, Limits(seconds=0.05))

    async def never() -> dict[str, Any]:
        await asyncio.sleep(60)
        raise AssertionError

    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    headers = {"host": HOST, "authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    head = [(name.encode(), value.encode()) for name, value in {**headers, "content-length": "10"}.items()]
    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": head}
    asyncio.run(app(scope, never, send))
    assert sent[0]["status"] == 408


def test_more_requests_at_once_than_the_limit_are_sent_away() -> None:
    release = asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await release.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def many() -> list[int]:
        app, statuses = Guards(Starlette(), HERE, Limits(in_flight=3)), []
        app.app = slow  # type: ignore[assignment]

        async def one() -> None:
            async def send(message: Any) -> None:
                if message["type"] == "http.response.start":
                    statuses.append(message["status"])

            scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", HOST.encode())]}
            await app(scope, None, send)  # type: ignore[arg-type]

        tasks = [asyncio.create_task(one()) for _ in range(5)]
        await asyncio.sleep(0.01)
        release.set()
        await asyncio.gather(*tasks)
        assert app.busy == 0
        return statuses

    assert sorted(asyncio.run(many())) == [200, 200, 200, 503, 503]


def test_websockets_are_closed() -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/", "headers": [(b"host", HOST.encode())]}
    asyncio.run(serve_app(HERE)(scope, None, send))  # type: ignore[arg-type]
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_the_pages_bring_all_they_need_and_no_script_of_their_own() -> None:
    for make in APPS.values():
        page = ask(make(HERE), "GET", "/").body.decode()
        assert "http://" not in page.replace("http://www.w3.org", "")
        assert "https://" not in page
        assert "<script>" not in page
        assert "style=" not in page
        assert " onclick" not in page


def test_errors_are_json(caplog: pytest.LogCaptureFixture) -> None:
    got = ask(serve_app(HERE), "GET", "/", headers={"host": "evil.example"})
    assert got.headers["content-type"] == "application/json"
    assert json.loads(got.body)["error"].startswith("this server does not go by that host name")
