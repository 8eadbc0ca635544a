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
    ProtocolTables,
    PullTables,
    PushTables,
    entity_table,
    join_owner,
)
from workmesh_flows.domain.service import Service

USUAL_WEIGHT = 10**12
"""Largest weight that the database adds up: the sum over nine million entities fits into 64 bits. Others are rare."""


def pending_counts(tables: PushTables) -> Select[Any]:
    """One row per node: its pending records, and those of them that failed; ``owned`` is false for ownerless records."""
    pushed, failed = tables.push_flags.success, [tables.push_flags.success.is_(False)]
    if tables.pull_flags is not None:
        failed.append(tables.pull_flags.success.is_(False))
    return _by_node(tables, _count(or_(*failed)), pushed.is_not(True))


def in_flight_counts(tables: PullTables) -> Select[Any]:
    """The same for records in flight; the failed ones are those that their node could not process."""
    pushed, pulled = tables.push_flags.success, tables.pull_flags.success
    return _by_node(tables, _count(pulled.is_(False)), pushed.is_(True), pulled.is_not(True))


def processed_count(tables: ProtocolTables) -> Select[Any]:
    """The number of processed records, whatever their entities; of pushed ones where no results are pulled."""
    flags = [flags.success.is_(True) for flags in (tables.push_flags, tables.pull_flags) if flags is not None]
    return select(func.count()).select_from(tables.record).where(*flags)


def _by_node(tables: PushTables, failed: ColumnElement[int], *conditions: ColumnElement[bool]) -> Select[Any]:
    """Records that match the conditions, which are those of an index in its words: no other record is read."""
    joined = join_owner(tables.entities, tables.protocol, outer=True)
    owned = joined.owner.is_not(null())
    return (
        select(
            joined.node.label("node"),
            owned.label("owned"),
            func.count().label("records"),
            failed.label("failed"),
        )
        .select_from(joined.source)
        .where(*conditions)
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
