"""Nodes that are gone: no block describes them, and no entity of the service is assigned to them."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, literal, select

from workmesh_flows.adapters.store.protocol_tables import entity_table
from workmesh_flows.domain.service import Service


def is_gone(connection: Connection, service: Service, node: str, known: Collection[str]) -> bool:
    """Whether a node is gone; ``known`` are the names of all blocks, also of invalid ones."""
    if node in known:
        return False
    held = select(literal(1)).select_from(entity_table(service).table)
    return connection.execute(held.where(entity_table(service).node == node).limit(1)).first() is None
