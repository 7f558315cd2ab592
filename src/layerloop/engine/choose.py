"""Which engine runs: the one place that knows how many there are."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from layerloop.engine import native
from layerloop.engine.native import NativeEngine
from layerloop.engine.reference import ReferenceEngine
from layerloop.errors import look_up

if TYPE_CHECKING:
    from collections.abc import Mapping

    from layerloop.plan import Architecture

Engine = ReferenceEngine | NativeEngine
ENGINES: Mapping[str, type[Engine]] = {"numpy": ReferenceEngine, "native": NativeEngine}


def engine_name() -> str:
    """Return the name of the engine that runs: what LAYERLOOP_ENGINE says, else the compiled one where it was built.

    Raises
    ------
    UnknownNameError
        For an engine that does not exist.
    """
    name = os.environ.get("LAYERLOOP_ENGINE") or ("native" if native.available() else "numpy")
    look_up(ENGINES, name, "LAYERLOOP_ENGINE")
    return name


def make_engine(architecture: Architecture, dtype: str, name: str | None = None) -> Engine:
    """Return an engine for this architecture.

    Raises
    ------
    UnknownNameError
        For an engine that does not exist.
    SettingError
        For the compiled engine where it was not built.
    """
    kind = ENGINES[engine_name()] if name is None else look_up(ENGINES, name, "engine")
    return kind(architecture, dtype)
