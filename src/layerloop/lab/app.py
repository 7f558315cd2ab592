"""The page as an application: every route, behind the guards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.routing import Route

from layerloop.lab.broadcast import Streams
from layerloop.lab.endpoints import asked, told
from layerloop.lab.guards import Guards, Limits
from layerloop.lab.pages import page_routes

if TYPE_CHECKING:
    from layerloop.lab.desk import Desk
    from layerloop.lab.guards import Site

FILES = (
    *("style.css", "lab.css", "lab.js", "train.js", "draw.js", "loops.js", "mistakes.js"),
    *("ask.js", "charts.js", "pixels.js", "mathml.js", "numbers.js"),
)
STREAM = "/stream"


def lab_app(desk: Desk, site: Site, limits: Limits | None = None) -> Guards:
    """Return the application of the page.

    Parameters
    ----------
    desk : Desk
        What it works on.
    site : Site
        Where it is served.
    limits : Limits, optional

    Examples
    --------
    >>> from layerloop.lab.desk import Desk
    >>> from layerloop.lab.guards import Site
    >>> app = lab_app(Desk(), Site(8484))
    """
    routes = [
        *page_routes("lab.html", FILES),
        asked("/healthz", lambda: {"ok": True}),
        asked("/choices", desk.choices),
        Route(STREAM, Streams(desk.latest), methods=["GET"]),
        told("/train", desk.train, aside=True),
        told("/control", desk.control),
        told("/draw", desk.draw, aside=True),
        told("/mistakes", lambda _: desk.mistakes(), aside=True),
        told("/loops", desk.loops, aside=True),
        told("/opened", desk.opened, aside=True),
        told("/picture", desk.picture, aside=True),
    ]
    app = Starlette(routes=routes)
    app.router.redirect_slashes = False
    return Guards(app, site, limits, streams=frozenset({STREAM}), from_page=True)
