from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from workmesh_flows import Mesh
from workmesh_flows.blocks import WorkmeshNode
from workmesh_flows.inventory_writing import writing_nodes

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before the slow ones are left out
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """On SQLite too only with the slow ones: what differs between databases is tested without Prefect."""
    for item in items:
        if HERE in item.path.parents and "[sqlite" in item.name:
            item.add_marker(pytest.mark.slow)


@dataclass(slots=True)
class Fleet:
    """What a test needs to put a mesh to work."""

    mesh: Mesh
    engine: Engine
    keys: list[str] = field(default_factory=list)

    def register(self, name: str, port: int, api_key: str, **more: Any) -> None:
        self.keys.append(api_key)
        services = more.pop("services", [service.name for service in self.mesh.services])
        with writing_nodes() as write:
            write(
                name,
                WorkmeshNode(
                    host="127.0.0.1", port=port, api_key=SecretStr(api_key), services=services, **more
                ),
            )


@pytest.fixture
def fleet(prefect: str, engine: Engine) -> Fleet:
    """The shop's mesh on an empty database, and no node yet."""
    from tests.support.shop import shop_service

    del prefect
    return Fleet(Mesh([shop_service()], database=lambda: engine), engine)
