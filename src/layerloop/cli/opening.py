"""How the commands that look at a saved model begin: the model, whose it is to say so, and which data are meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from layerloop.cli.terminal import Terminal
from layerloop.errors import SettingError
from layerloop.models import load
from layerloop.network import Chain

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    Look = Callable[[Any, argparse.Namespace, Terminal], int]


def look_into(given: argparse.Namespace, *, network: Look, estimator: Look) -> int:
    """Load the model, and give it to the function for its kind; return what that returns."""
    terminal = Terminal(json=given.json)
    m = load(given.model)
    return (network if isinstance(m, Chain) else estimator)(m, given, terminal)


def record_of(m: Any) -> dict[str, Any]:
    """Return what the command wrote down of a model's training."""
    return m.record if isinstance(m, Chain) else getattr(m, "record_", {})


def source_of(m: Any, given: argparse.Namespace) -> str:
    """Return the data that were named, or those that the model was trained on.

    Raises
    ------
    SettingError
        Neither is known.
    """
    source = given.data or record_of(m).get("data")
    if not source:
        raise SettingError(f"{given.model} does not say what it was trained on: name rows with --data")
    return str(source)
