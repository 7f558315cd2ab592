"""`layerloop info`: what this installation is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from layerloop import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


def test_versions_engine_threads_and_sets_are_told(run: Callable) -> None:
    result = run("info")
    assert result.code == 0
    facts = {line.split()[0]: line.split(maxsplit=1)[1] for line in result.lines if len(line.split()) > 1}
    assert facts["layerloop"] == __version__
    assert facts["numpy"] == np.__version__
    assert {"engine", "blas", "cores", "cache", "digits"} <= set(facts)


def test_an_engine_that_there_is_none_of_is_refused(run: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAYERLOOP_ENGINE", "nativ")
    result = run("info")
    assert (result.code, result.out) == (2, "")
    assert result.err == "layerloop: unknown LAYERLOOP_ENGINE 'nativ'. Did you mean 'native'?\n"


def test_json_holds_the_same_facts(run: Callable) -> None:
    result = run("info", "--json")
    found = json.loads(result.out)
    assert found["layerloop"] == __version__
    assert found["cores"] >= 1
    assert [row["name"] for row in found["sets"]] == ["mnist", "fashion-mnist", "digits"]
