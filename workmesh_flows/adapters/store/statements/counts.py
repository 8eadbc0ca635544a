"""SQL that counts records and entities by node, as pure functions of a declaration."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, literal, null, or_, select

from workmesh_flows.adapters.store.protocol_tables import entity_table, join_owner, protocol_tables
from workmesh_flows.domain.protocol import Protocol
from workmesh_flows.domain.service import Service


def flag_counts(service: Service, protocol: Protocol) -> Select[Any]:
    """One row per node with the figures of `operations.status.Count`; ``owned`` is false for ownerless records."""
    tables = protocol_tables(service, protocol)
    joined = join_owner(tables.entities, protocol, outer=True)
    pushed = tables.push_flags.success if tables.push_flags else literal(value=True)
    pulled = tables.pull_flags.success if tables.pull_flags else literal(value=True)
    owned = joined.owner.is_not(null())
    return (
        select(
            joined.node.label("node"),
            owned.label("owned"),
            func.count().label("records"),
            _count(pushed.is_not(True)).label("pending"),
            _count(or_(pushed.is_(False), pulled.is_(False))).label("failed"),
            _count(and_(pushed.is_(True), pulled.is_(False))).label("unprocessed"),
            _count(and_(pushed.is_(True), pulled.is_not(True))).label("in_flight"),
            _count(and_(pushed.is_(True), pulled.is_(True))).label("processed"),
        )
        .select_from(joined.source)
        .group_by(joined.node, owned)
    )


def entity_counts(service: Service, weight: ColumnElement[Any]) -> Select[Any]:
    """One row per node: the number of its entities and the sum of their weights."""
    entities = entity_table(service)
    total = func.coalesce(func.sum(weight), 0)
    return (
        select(entities.node.label("node"), func.count().label("entities"), total.label("weight"))
        .select_from(entities.table)
        .group_by(entities.node)
    )


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)
