"""SQL for moving entities, as pure functions of a declaration."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Select, Update, false, func, select, update

from workmesh_flows.adapters.store.protocol_tables import PullTables, PushTables, entity_table
from workmesh_flows.adapters.store.schema import moves
from workmesh_flows.adapters.store.statements.updates import written_table
from workmesh_flows.domain.service import Service


def nodes_of(service: Service, keys: Collection[Any]) -> Select[Any]:
    """Key and node of these entities."""
    entities = entity_table(service)
    return select(entities.key, entities.node).where(entities.key.in_(keys))


def write_node(service: Service, keys: Collection[Any], source: str, target: str) -> Update:
    """Assign those of these entities that are assigned to the source to the target."""
    entities = entity_table(service)
    table = written_table(entities.table)
    key, node = table.c[entities.key.key], table.c[entities.node.key]
    return update(table).where(key.in_(keys), node == source).values({node: target})


def pushed(tables: PushTables, owners: Collection[Any], *, everything: bool) -> Select[Any]:
    """Id, owner, push time and ``pulled`` of the pushed records of these entities.

    Without ``everything``, records that were pulled are left out. Without a declared pull no record counts as pulled.
    """
    pulled = _is_pulled(tables)
    statement = (
        select(
            tables.id.label("id"),
            tables.joined.owner.label("owner"),
            tables.push_flags.time.label("time"),
            pulled.label("pulled"),
        )
        .select_from(tables.joined.source)
        .where(tables.joined.owner.in_(owners), tables.push_flags.success.is_(True))
    )
    return statement if everything else statement.where(~pulled)


def count_in_flight(tables: PullTables, owners: Collection[Any]) -> Select[Any]:
    """The number of records of these entities that were pushed and are not pulled, without those that failed."""
    return (
        select(func.count())
        .select_from(tables.joined.source)
        .where(
            tables.joined.owner.in_(owners),
            tables.push_flags.success.is_(True),
            tables.pull_flags.success.is_(None),
        )
    )


def owner_of(tables: PushTables, record_id: Any) -> Select[Any]:  # noqa: ANN401 - any key
    """The key of the entity of one record."""
    return select(tables.joined.owner).select_from(tables.joined.source).where(tables.id == record_id)


def moves_away(service: Service, node: str, entity: Any) -> Select[Any]:  # noqa: ANN401 - any key
    """The ids of the logged moves of an entity to other nodes, or of those where its data was sent to another node again."""
    entity_moves = moves.c.service == service.name, moves.c.entity == str(entity)
    return select(moves.c.id).where(*entity_moves, moves.c.target != node)


def _is_pulled(tables: PushTables) -> ColumnElement[bool]:
    return false() if tables.pull_flags is None else tables.pull_flags.success.is_(True)
