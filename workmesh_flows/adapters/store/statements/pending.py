"""SQL for records that a node still has to receive, as pure functions of a protocol's tables."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, and_, func, select

from workmesh_flows.adapters.store.protocol_tables import PushTables, push_tables
from workmesh_flows.adapters.store.statements.page_order import Mark, is_behind
from workmesh_flows.adapters.store.statements.refused import not_parked

OWNER = "workmesh_owner"
"""The label of the owner's key in a row of records."""
FOLLOWED = "workmesh_followed"
"""The label of the id of the record that a record depends on."""


def pending(  # noqa: PLR0913 - each is one condition
    tables: PushTables,
    node: str,
    *,
    columns: Collection[Any],
    limit: int,
    after: Mark | None = None,
    only: Collection[Any] | None = None,
    without: Collection[Any] = (),
    include_parked: bool = True,
) -> Select[Any]:
    """The pending records of a node in the order of (sort, id): the page after a mark.

    ``only`` selects some owners, ``without`` excludes some. ``include_parked=False`` leaves out parked and skipped
    records and those that wait behind a parked one. Where the protocol follows another one, two columns are added:
    the id of the record that each record depends on, and whether that one was pushed.
    """
    order = tables.sort, tables.id
    source, followed = _with_followed(tables)
    statement = (
        select(*columns, tables.joined.owner.label(OWNER), *followed)
        .select_from(source)
        .where(*_is_pending(tables, node))
        .order_by(*order)
        .limit(limit)
    )
    if only is not None:
        statement = statement.where(tables.joined.owner.in_(only))
    if without:
        statement = statement.where(tables.joined.owner.not_in(without))
    if not include_parked:
        statement = statement.where(not_parked(tables))
    return statement if after is None else statement.where(is_behind(order, after))


def count_pending(tables: PushTables, node: str | None, *, include_parked: bool = True) -> Select[Any]:
    """The number of records that a node still has to receive; ``include_parked`` as for :func:`pending`.

    ``node`` None counts the records of entities without a node.
    """
    statement = select(func.count()).select_from(tables.joined.source).where(*_is_pending(tables, node))
    return statement if include_parked else statement.where(not_parked(tables))


def oldest_pending(tables: PushTables) -> Select[Any]:
    """One row per node: the lowest value of the sort column among the records that its next pushes send.

    Parked and skipped records, and those that wait behind a parked one, are left out.
    """
    joined = tables.joined
    return (
        select(joined.node.label("node"), func.min(tables.sort).label("oldest"))
        .select_from(joined.source)
        .where(joined.node.is_not(None), tables.push_flags.success.is_not(True), not_parked(tables))
        .group_by(joined.node)
    )


def _is_pending(tables: PushTables, node: str | None) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return tables.joined.node == node, tables.push_flags.success.is_not(True)


def _with_followed(tables: PushTables) -> tuple[FromClause, list[ColumnElement[Any]]]:
    """The records joined to those that they depend on, and the two columns that are read of those."""
    source, follows = tables.joined.source, tables.protocol.follows
    if follows is None:
        return source, []
    other = push_tables(tables.service, follows.protocol)
    target = follows.hop.table.alias()
    on = and_(*(before == target.c[after.key] for before, after in follows.hop.pairs))
    columns: list[ColumnElement[Any]] = [
        target.c[other.id.key].label(FOLLOWED),
        target.c[other.push_flags.success.key].label("workmesh_followed_pushed"),
    ]
    return source.join(target, on, isouter=True), columns
