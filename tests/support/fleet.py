"""A mesh with its database and its node blocks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr
from sqlalchemy import Engine

from workmesh_flows import Mesh
from workmesh_flows.blocks import WorkmeshNode
from workmesh_flows.inventory.bulk_write import writing_nodes


@dataclass(slots=True)
class Fleet:
    """A mesh, its database, and a method that registers node blocks; ``keys`` are their API keys."""

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
