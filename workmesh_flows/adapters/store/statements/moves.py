"""SQL for moving entities, as pure functions of a declaration."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Select, Update, false, func, select, update

from workmesh_flows.adapters.store.schema import moves
from workmesh_flows.adapters.store.statements.records import entity_key, join_owner
from workmesh_flows.domain.columns import column_of, table_of
from workmesh_flows.domain.protocol import Protocol
from workmesh_flows.domain.service import Service


def nodes_of(service: Service, keys: Collection[Any]) -> Select[Any]:
    """Key and node of these entities."""
    key = entity_key(service)
    return select(key, column_of(service.assigned_to)).where(key.in_(keys))


def write_node(service: Service, keys: Collection[Any], source: str, target: str) -> Update:
    """Another node for these entities, those of them that are at the source."""
    assigned = column_of(service.assigned_to)
    return (
        update(table_of(service.entity))
        .where(entity_key(service).in_(keys), assigned == source)
        .values({assigned: target})
    )


def pushed(service: Service, protocol: Protocol, owners: Collection[Any], *, everything: bool) -> Select[Any]:
    """Records of these entities that were pushed: id, owner, push time, pulled; without ``everything`` not the pulled.

    Of a protocol that pulls nothing, no record counts as pulled.
    """
    joined = join_owner(service, protocol)
    statement = (
        select(
            column_of(protocol.id).label("id"),
            joined.owner.label("owner"),
            _push_time(protocol).label("time"),
            _pulled(protocol).label("pulled"),
        )
        .select_from(joined.source)
        .where(joined.owner.in_(owners), _is_pushed(protocol))
    )
    return statement if everything else statement.where(~_pulled(protocol))


def count_in_flight(service: Service, protocol: Protocol, owners: Collection[Any]) -> Select[Any]:
    """How many records of these entities were pushed and are not pulled."""
    joined = join_owner(service, protocol)
    return (
        select(func.count())
        .select_from(joined.source)
        .where(joined.owner.in_(owners), _is_pushed(protocol), ~_pulled(protocol))
    )


def owner_of(service: Service, protocol: Protocol, record_id: Any) -> Select[Any]:  # noqa: ANN401 - any key
    """The key of the entity of one record."""
    joined = join_owner(service, protocol)
    return select(joined.owner).select_from(joined.source).where(column_of(protocol.id) == record_id)


def remaining(service: Service, node: str, entity: Any) -> Select[Any]:  # noqa: ANN401 - any key
    """The moves of an entity away from a node."""
    mine = moves.c.service == service.name, moves.c.entity == str(entity)
    return select(moves.c.id).where(*mine, moves.c.source == node, moves.c.target != node)


def reset_flags(protocol: Protocol, ids: Collection[Any], *, pulled: bool) -> Update:
    """Make records pending again; with ``pulled`` their results are to be pulled again, too."""
    ways = [protocol.push, protocol.pull] if pulled else [protocol.push]
    flags = [column_of(flag) for way in ways if way is not None for flag in way.flags.columns]
    return (
        update(table_of(protocol.record)).where(column_of(protocol.id).in_(ids)).values(dict.fromkeys(flags))
    )


def _push_time(protocol: Protocol) -> ColumnElement[Any]:
    assert protocol.push is not None  # noqa: S101 - only what is pushed moves with its entity
    return column_of(protocol.push.flags.time)


def _is_pushed(protocol: Protocol) -> ColumnElement[bool]:
    assert protocol.push is not None  # noqa: S101 - only what is pushed moves with its entity
    return column_of(protocol.push.flags.success).is_(True)


def _pulled(protocol: Protocol) -> ColumnElement[bool]:
    return false() if protocol.pull is None else column_of(protocol.pull.flags.success).is_(True)
