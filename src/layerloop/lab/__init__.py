"""The local page and the prediction server, on this machine and for it; both need the extra [lab]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerloop.lab.extra import check_extra
from layerloop.lazy import lazily

if TYPE_CHECKING:
    from layerloop.lab.app import lab_app as lab_app
    from layerloop.lab.desk import Desk as Desk
    from layerloop.lab.predictor import prediction_app as prediction_app
    from layerloop.lab.runs import Run as Run
    from layerloop.lab.runs import Watch as Watch
    from layerloop.lab.server import Door as Door
    from layerloop.lab.shelf import Shelf as Shelf

# The file in which each public name lives.
_HOME = {
    "lab_app": "app",
    "Desk": "desk",
    "prediction_app": "predictor",
    **dict.fromkeys(("Run", "Watch"), "runs"),
    "Door": "server",
    "Shelf": "shelf",
}
_load = lazily(__name__, _HOME)


def __getattr__(name: str) -> object:
    if name in _HOME:
        check_extra()
    return _load(name)


def __dir__() -> list[str]:
    return list(_HOME)


__all__ = [*_HOME]
