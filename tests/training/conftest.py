"""What several tests of training change."""

from __future__ import annotations

import pytest

import layerloop.training.loop


@pytest.fixture
def one_step_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layerloop.training.loop, "STRETCH", 0)
