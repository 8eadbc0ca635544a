"""SQL that counts records and entities by node, as pure functions of a declaration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    and_,
    case,
    cast,
    func,
    literal,
    null,
    or_,
    select,
)

from workmesh_flows.adapters.store.keys import is_one_of
from workmesh_flows.adapters.store.protocol_tables import (
    PushTables,
    entity_table,
    join_owner,
    protocol_tables,
)
from workmesh_flows.domain.protocol import Protocol
from workmesh_flows.domain.service import Service

USUAL_WEIGHT = 10**12
"""Largest weight that the database adds up: the sum over nine million entities fits into 64 bits. Others are rare."""


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


def failed_counts(tables: PushTables, texts: Sequence[str]) -> Select[Any]:
    """One row per node with the number of those of these records, by their keys as text, that were pushed."""
    joined = join_owner(tables.entities, tables.protocol, outer=True)
    owned = joined.owner.is_not(null())
    return (
        select(joined.node.label("node"), owned.label("owned"), func.count().label("failed"))
        .select_from(joined.source)
        .where(is_one_of(tables.id, texts), tables.push_flags.success.is_(True))
        .group_by(joined.node, owned)
    )


def entity_counts(service: Service) -> Select[Any]:
    """One row per node: the number of its entities."""
    entities = entity_table(service)
    return (
        select(entities.node.label("node"), func.count().label("entities"))
        .select_from(entities.table)
        .group_by(entities.node)
    )


def entity_weights(service: Service, weight: ColumnElement[Any]) -> Select[Any]:
    """One row per node: its entities, the sum of their usual weights, and the number of those with unusual weights."""
    entities, usual = entity_table(service), _usual(weight)
    return (
        select(
            entities.node.label("node"),
            func.count().label("entities"),
            func.coalesce(func.sum(usual), 0).label("weight"),
            (func.count() - func.count(usual)).label("unusual"),
        )
        .select_from(entities.table)
        .group_by(entities.node)
    )


def unusual_weights(service: Service, weight: ColumnElement[Any], read: ColumnElement[Any]) -> Select[Any]:
    """Key, node and weight of the entities whose weight the sum of `entity_weights` leaves out; ``read`` is the weight."""
    entities = entity_table(service)
    columns = (entities.key.label("key"), entities.node.label("node"), read.label("weight"))
    return select(*columns).select_from(entities.table).where(_usual(weight).is_(None)).order_by(entities.key)


def _usual(weight: ColumnElement[Any]) -> ColumnElement[int]:
    """A weight that a database can add up: 0 for null; null for a large, negative or fractional one, or no number."""
    whole = cast(weight, BigInteger)
    in_range = and_(weight >= literal(0, BigInteger), weight <= literal(USUAL_WEIGHT, BigInteger))
    # The cases are evaluated in order: what is out of range, such as NaN, is never cast.
    return case((weight.is_(None), literal(0, BigInteger)), (in_range, case((whole == weight, whole))))


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)
