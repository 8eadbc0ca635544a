from __future__ import annotations

import pytest


@pytest.fixture
def _no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hand-overs wait neither for results nor for lanes that are held."""
    monkeypatch.setenv("PREFECT_INTEGRATIONS_WORKMESH_SETTLE_SECONDS", "0")
    monkeypatch.setenv("PREFECT_INTEGRATIONS_WORKMESH_LANE_WAIT_SECONDS", "0")
