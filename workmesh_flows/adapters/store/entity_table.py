"""The table of a service's entities, with the columns that every statement on entities uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Table

from workmesh_flows.domain.columns import column_of, key_of, table_of
from workmesh_flows.domain.service import Service


@dataclass(frozen=True, slots=True, eq=False)
class EntityTable:
    """A service's entities: ``key`` identifies one, ``node`` holds the name of its node (null: unassigned)."""

    service: Service
    table: Table
    key: Column[Any]
    node: Column[Any]


def entity_table(service: Service) -> EntityTable:
    """Resolve the entity class and the ``assigned_to`` column of a service."""
    return EntityTable(
        service, table_of(service.entity), key_of(service.entity), column_of(service.assigned_to)
    )
