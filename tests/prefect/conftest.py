from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    PREFECT_LOCAL_STORAGE_PATH,
    temporary_settings,
)
from pydantic import SecretStr
from sqlalchemy import Engine

from workmesh_flows import Mesh
from workmesh_flows.blocks import WorkmeshNode
from workmesh_flows.demo.server import prefect_server
from workmesh_flows.inventory import SLUG, load_inventory

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before the slow ones are left out
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """On SQLite too only with the slow ones: what differs between databases is tested without Prefect."""
    for item in items:
        if HERE in item.path.parents and "[sqlite" in item.name:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Prefect server's API."""
    home = tmp_path_factory.mktemp("prefect")
    with temporary_settings({PREFECT_API_URL: None}), prefect_server(home) as api:
        yield api


@pytest.fixture
def prefect(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A Prefect server without nodes, results in a folder of the test's, and no long waits."""
    monkeypatch.setenv("PREFECT_INTEGRATIONS_WORKMESH_LANE_RETRY_SECONDS", "0.05")
    monkeypatch.setenv("PREFECT_INTEGRATIONS_WORKMESH_LANE_RETRIES", "1")
    monkeypatch.chdir(tmp_path)  # settings are looked for in the working directory too
    with temporary_settings(
        {
            PREFECT_API_URL: server,
            PREFECT_LOCAL_STORAGE_PATH: tmp_path / "results",
            PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
        }
    ):
        _forget_nodes()
        yield server
        _forget_nodes()


@dataclass(slots=True)
class Fleet:
    """What a test needs to put a mesh to work."""

    mesh: Mesh
    engine: Engine
    keys: list[str] = field(default_factory=list)

    def register(self, name: str, port: int, api_key: str, **more: Any) -> None:
        self.keys.append(api_key)
        services = more.pop("services", [service.name for service in self.mesh.services])
        WorkmeshNode(host="127.0.0.1", port=port, api_key=SecretStr(api_key), services=services, **more).save(
            name, overwrite=True
        )


@pytest.fixture
def fleet(prefect: str, engine: Engine) -> Fleet:
    """The shop's mesh on an empty database, and no node yet."""
    from tests.support.shop import shop_service

    del prefect
    return Fleet(Mesh([shop_service()], database=lambda: engine), engine)


def _forget_nodes() -> None:
    with get_client(sync_client=True) as client:
        for name in {*load_inventory().nodes, *load_inventory().problems}:
            client.delete_block_document(client.read_block_document_by_name(name, SLUG).id)
