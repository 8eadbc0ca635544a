"""SQL, as pure functions of a declaration; tested by its text and by running it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Double,
    Float,
    FromClause,
    Select,
    Table,
    Update,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal,
    null,
    or_,
    select,
    tuple_,
    type_coerce,
    update,
)
from sqlalchemy.types import NULLTYPE

from workmesh_flows.adapters.store.statements.refused import not_parked
from workmesh_flows.domain.calls import Get
from workmesh_flows.domain.columns import column_of, key_of, table_of
from workmesh_flows.domain.protocol import Flags, Protocol
from workmesh_flows.domain.service import Service

OWNER = "workmesh_owner"
"""The label of the owner's key in a row of records."""
FOLLOWED = "workmesh_followed"
"""The label of the id of the record that one follows."""


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
    only: Any = None,  # noqa: ANN401 - any key
    without: Collection[Any] = (),
    aside: bool = False,
) -> Select[Any]:
    """The records a node still has to receive, in order: the page behind ``after`` (mark of sort, id).

    ``only`` those of one owner, or all ``without`` those of some; ``aside`` where records are set aside, which are
    left out then. Where the protocol follows another one, the last two columns are the record that each one follows,
    and whether that was pushed.
    """
    push = _flags(protocol, "push")
    joined = join_owner(service, protocol)
    order = (column_of(protocol.sort), column_of(protocol.id))
    source, followed = _followed(joined.source, protocol)
    statement = (
        select(*columns, joined.owner.label(OWNER), *followed)
        .select_from(source)
        .where(joined.node == node, column_of(push.success).is_not(True))
        .order_by(*order)
        .limit(limit)
    )
    if only is not None:
        statement = statement.where(joined.owner == only)
    if without:
        statement = statement.where(joined.owner.not_in(without))
    if aside:
        statement = statement.where(not_parked(service, protocol, joined.owner))
    return statement if after is None else statement.where(_behind(order, after))


def count_pending(service: Service, protocol: Protocol, node: str, *, aside: bool = False) -> Select[Any]:
    """How many records a node still has to receive; ``aside`` as for :func:`pending`."""
    push = _flags(protocol, "push")
    joined = join_owner(service, protocol)
    statement = (
        select(func.count())
        .select_from(joined.source)
        .where(joined.node == node, column_of(push.success).is_not(True))
    )
    return statement.where(not_parked(service, protocol, joined.owner)) if aside else statement


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


def count_pullable(service: Service, protocol: Protocol, node: str, *, upto: Any) -> Select[Any]:  # noqa: ANN401 - as above
    """How many records :func:`pullable` gives on all its pages."""
    time = column_of(_flags(protocol, "push").time)
    found = _on_their_way(service, protocol, node, ()).where(time <= upto)
    return found.with_only_columns(func.count(), maintain_column_froms=True)


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
    """Per node, one row of figures, as `Count` names them; ``owned`` is false for ownerless records."""
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
            _count(and_(pushed.is_(True), pulled.is_(False))).label("unprocessed"),
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


def wire_columns(protocol: Protocol) -> list[Column[Any]]:
    """A record's columns without flags and results: what is sent where no payload function says otherwise."""
    table: Table = table_of(protocol.record)
    ours = {column_of(flag) for group in protocol.flags for flag in group.columns}
    if protocol.pull is not None and isinstance(protocol.pull.fetch, Get):
        ours |= {column_of(column) for column in protocol.pull.fetch.into.values()}
    return [column for column in table.columns if column not in ours]


def _followed(source: FromClause, protocol: Protocol) -> tuple[FromClause, list[ColumnElement[Any]]]:
    """The records joined to those that they follow; what is read of them."""
    if protocol.follows is None:
        return source, []
    hop, other = protocol.follows.hop, protocol.follows.protocol
    target = hop.table.alias()
    on = and_(*(before == target.c[after.key] for before, after in hop.pairs))
    pushed = target.c[column_of(_flags(other, "push").success).key]
    columns: list[ColumnElement[Any]] = [
        target.c[column_of(other.id).key].label(FOLLOWED),
        pushed.label("workmesh_followed_pushed"),
    ]
    return source.join(target, on, isouter=True), columns


def _flags(protocol: Protocol, direction: str) -> Flags:
    way = protocol.push if direction == "push" else protocol.pull
    assert way is not None  # noqa: S101 - a lane exists only for a direction that is declared
    return way.flags


def _behind(order: tuple[Column[Any], Column[Any]], after: tuple[Any, Any]) -> ColumnElement[bool]:
    marks = (bindparam(None, after[0], type_=NULLTYPE), bindparam(None, after[1], type_=order[1].type))
    return tuple_(*order) > tuple_(*marks)


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)
