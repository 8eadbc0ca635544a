"""SQL, as pure functions of a declaration; tested by its text and by running it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ARRAY,
    Column,
    ColumnElement,
    Double,
    Float,
    FromClause,
    Integer,
    Select,
    String,
    Table,
    Update,
    and_,
    bindparam,
    case,
    cast,
    column,
    func,
    literal,
    null,
    or_,
    select,
    tuple_,
    type_coerce,
    update,
)
from sqlalchemy.sql.elements import Grouping
from sqlalchemy.types import NULLTYPE

from workmesh_flows.domain.calls import Get
from workmesh_flows.domain.columns import column_of, key_of, table_of
from workmesh_flows.domain.protocol import Flags, Protocol
from workmesh_flows.domain.service import Service

OWNER = "workmesh_owner"
"""The label of the owner's key in a row of records."""


@dataclass(frozen=True, slots=True)
class Joined:
    """The record table joined along the owner path; ``node`` and ``owner`` are columns of the entity at its end."""

    source: FromClause
    node: ColumnElement[Any]
    owner: ColumnElement[Any]


def entity_key(service: Service) -> Column[Any]:
    """The column that identifies an entity."""
    return key_of(service.entity)


def join_owner(service: Service, protocol: Protocol, *, outer: bool = False) -> Joined:
    """Join records to their entities; ``outer`` keeps the records that have none."""
    record = table_of(protocol.record)
    source: FromClause = record
    at: FromClause = record
    for hop in protocol.path:
        target = hop.table.alias()
        on = and_(*(at.c[before.key] == target.c[after.key] for before, after in hop.pairs))
        source = source.join(target, on, isouter=outer)
        at = target
    return Joined(source, at.c[column_of(service.assigned_to).key], at.c[entity_key(service).key])


def mark(column: Column[Any]) -> ColumnElement[Any]:
    """A column that orders, as the database keeps it: what is read of it compares equal when it is handed back.

    Its type is left out of it: SQLite may hold times that another program wrote in another form. A number of single
    precision is read in double, which holds it exactly.
    """
    return type_coerce(cast(column, Double()) if isinstance(column.type, Float) else column, NULLTYPE)


def pending(  # noqa: PLR0913 - each is one condition
    service: Service,
    protocol: Protocol,
    node: str,
    *,
    columns: Collection[Any],
    limit: int,
    after: tuple[Any, Any] | None = None,
) -> Select[Any]:
    """The records a node still has to receive, in order: the page behind ``after`` (mark of sort, id)."""
    push = _flags(protocol, "push")
    joined = join_owner(service, protocol)
    order = (column_of(protocol.sort), column_of(protocol.id))
    statement = (
        select(*columns, joined.owner.label(OWNER))
        .select_from(joined.source)
        .where(joined.node == node, column_of(push.success).is_not(True))
        .order_by(*order)
        .limit(limit)
    )
    return statement if after is None else statement.where(_behind(order, after))


def count_pending(service: Service, protocol: Protocol, node: str) -> Select[Any]:
    """How many records a node still has to receive."""
    push = _flags(protocol, "push")
    joined = join_owner(service, protocol)
    return (
        select(func.count())
        .select_from(joined.source)
        .where(joined.node == node, column_of(push.success).is_not(True))
    )


def pushed_at(service: Service, protocol: Protocol, node: str, record_id: Any) -> Select[Any]:  # noqa: ANN401 - any key
    """Push time and push success of one record of the lane; no row where it is not the lane's."""
    push = _flags(protocol, "push")
    joined = join_owner(service, protocol)
    return (
        select(column_of(push.time), column_of(push.success))
        .select_from(joined.source)
        .where(joined.node == node, column_of(protocol.id) == record_id)
    )


def pullable(  # noqa: PLR0913 - each is one condition
    service: Service,
    protocol: Protocol,
    node: str,
    *,
    columns: Collection[Any],
    upto: Any,  # noqa: ANN401 - a push time as the column keeps it
    limit: int,
    after: tuple[Any, Any] | None = None,
) -> Select[Any]:
    """Records pushed to a node up to a time and not pulled yet, in the order they were pushed.

    They are the page behind ``after`` (mark of push time, id).
    """
    time = column_of(_flags(protocol, "push").time)
    order = (time, column_of(protocol.id))
    statement = (
        _on_their_way(service, protocol, node, columns).where(time <= upto).order_by(*order).limit(limit)
    )
    return statement if after is None else statement.where(_behind(order, after))


def returned(  # noqa: PLR0913 - each is one condition
    service: Service,
    protocol: Protocol,
    node: str,
    *,
    columns: Collection[Any],
    ids: Collection[Any],
    after: Any,  # noqa: ANN401 - a push time as the column keeps it
) -> Select[Any]:
    """Of these records, what was pushed to a node after a time and is not pulled yet."""
    time, key = column_of(_flags(protocol, "push").time), column_of(protocol.id)
    statement = _on_their_way(service, protocol, node, columns)
    return statement.where(key.in_(ids), time > after).order_by(time, key)


def _on_their_way(service: Service, protocol: Protocol, node: str, columns: Collection[Any]) -> Select[Any]:
    joined = join_owner(service, protocol)
    return (
        select(*columns, joined.owner.label(OWNER))
        .select_from(joined.source)
        .where(
            joined.node == node,
            column_of(_flags(protocol, "push").success).is_(True),
            column_of(_flags(protocol, "pull").success).is_not(True),
        )
    )


def write_flags(protocol: Protocol, flags: Flags, values: Collection[Column[Any]] = ()) -> Update:
    """Flags of one record, and other columns beside them; to be run with a list of parameters."""
    written = [column_of(flag) for flag in flags.columns] + list(values)
    return (
        update(table_of(protocol.record))
        .where(column_of(protocol.id) == bindparam("workmesh_id"))
        .values({column: bindparam(f"workmesh_{i}", type_=column.type) for i, column in enumerate(written)})
    )


def flag_counts(service: Service, protocol: Protocol) -> Select[Any]:
    """Per node, one row: records, pending, failed, in flight, processed; ``owned`` is false for ownerless records."""
    joined = join_owner(service, protocol, outer=True)
    pushed = column_of(protocol.push.flags.success) if protocol.push else literal(value=True)
    pulled = column_of(protocol.pull.flags.success) if protocol.pull else literal(value=True)
    done = and_(pushed.is_(True), pulled.is_(True))
    flying = and_(pushed.is_(True), pulled.is_not(True))
    owned = joined.owner.is_not(null())
    return (
        select(
            joined.node.label("node"),
            owned.label("owned"),
            func.count().label("records"),
            _count(pushed.is_not(True)).label("pending"),
            _count(or_(pushed.is_(False), pulled.is_(False))).label("failed"),
            _count(flying).label("in_flight"),
            _count(done).label("processed"),
        )
        .select_from(joined.source)
        .group_by(joined.node, owned)
    )


def entity_counts(service: Service, weight: ColumnElement[Any]) -> Select[Any]:
    """Per node, one row: entities held and the weight of them."""
    assigned = column_of(service.assigned_to)
    held = func.coalesce(func.sum(weight), 0)
    return (
        select(assigned.label("node"), func.count().label("entities"), held.label("weight"))
        .select_from(table_of(service.entity))
        .group_by(assigned)
    )


def write_assignation(service: Service) -> Update:
    """One node for several entities, those of them that have none yet."""
    assigned, key = column_of(service.assigned_to), entity_key(service)
    return (
        update(table_of(service.entity))
        .where(key.in_(bindparam("workmesh_keys", expanding=True)), assigned.is_(None))
        .values({assigned: bindparam("workmesh_node")})
    )


def write_assignations(service: Service) -> Update:
    """Nodes for many entities, those of them that have none yet, in one statement of PostgreSQL.

    ``workmesh_at``, an array written out ("{1,2,1}"), says for each of ``workmesh_keys`` which of ``workmesh_nodes`` it
    gets, counted from 1: a name is sent once, whatever the number of entities. Names go without a length, since
    PostgreSQL would cut them to it without a word.
    """
    assigned, key = column_of(service.assigned_to), entity_key(service)
    given = (
        func.unnest(
            bindparam("workmesh_keys", type_=ARRAY(key.type)),
            cast(bindparam("workmesh_at", type_=String), ARRAY(Integer)),
        )
        .table_valued(column("key", key.type), column("at", Integer), name="given", joins_implicitly=True)
        .render_derived()
    )
    nodes = Grouping(bindparam("workmesh_nodes", type_=ARRAY(String)))
    return (
        update(table_of(service.entity))
        .where(key == given.c.key, assigned.is_(None))
        .values({assigned: nodes[given.c.at]})
    )


def wire_columns(protocol: Protocol) -> list[Column[Any]]:
    """A record's columns without flags and results: what is sent where no payload function says otherwise."""
    table: Table = table_of(protocol.record)
    ours = {column_of(flag) for group in protocol.flags for flag in group.columns}
    if protocol.pull is not None and isinstance(protocol.pull.fetch, Get):
        ours |= {column_of(column) for column in protocol.pull.fetch.into.values()}
    return [column for column in table.columns if column not in ours]


def _flags(protocol: Protocol, direction: str) -> Flags:
    way = protocol.push if direction == "push" else protocol.pull
    assert way is not None  # noqa: S101 - a lane exists only for a direction that is declared
    return way.flags


def _behind(order: tuple[Column[Any], Column[Any]], after: tuple[Any, Any]) -> ColumnElement[bool]:
    marks = (bindparam(None, after[0], type_=NULLTYPE), bindparam(None, after[1], type_=order[1].type))
    return tuple_(*order) > tuple_(*marks)


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)
