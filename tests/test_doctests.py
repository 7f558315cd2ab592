"""Every example in every docstring is run; those of `layerloop.maths` stand in its own tests."""

from __future__ import annotations

import doctest
import pkgutil
from importlib import import_module

import pytest

import layerloop

MODULES = [
    found.name
    for found in pkgutil.walk_packages(layerloop.__path__, "layerloop.")
    if not found.name.startswith("layerloop.maths") and not found.name.endswith("__main__")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_show_what_happens(name: str) -> None:
    found = doctest.testmod(import_module(name))
    assert found.failed == 0


def test_the_examples_of_the_core_are_found() -> None:
    assert {"layerloop.network", "layerloop.plan", "layerloop.training.loop", "layerloop.optim.rules"} <= set(MODULES)
    assert doctest.testmod(import_module("layerloop.network")).attempted > 10
