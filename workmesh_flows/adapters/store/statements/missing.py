"""SQL for pushed records that their node may never have received, as pure functions of a protocol's tables."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Select, String, Update, cast, select

from workmesh_flows.adapters.store.protocol_tables import PullTables
from workmesh_flows.adapters.store.statements.flags import reset_flags
from workmesh_flows.adapters.store.statements.page_order import Mark, is_behind, mark


def key_text(tables: PullTables) -> ColumnElement[str]:
    """The id of a record as text, as the database casts it: a key of any type is found again by it."""
    return cast(tables.id, String)


def without_result(  # noqa: PLR0913 - each is one condition
    tables: PullTables,
    node: str,
    *,
    upto: Any,  # noqa: ANN401 - a push time as the column keeps it
    above: Any,  # noqa: ANN401 - likewise, or None
    limit: int,
    after: Mark | None = None,
) -> Select[Any]:
    """Records at a node without any result, pushed up to a time and after another where given.

    The columns are id, push time, the id as text, and the mark of the push time.
    """
    time = tables.push_flags.time
    order = time, tables.id
    statement = (
        select(tables.id, time, key_text(tables), mark(time))
        .select_from(tables.joined.source)
        .where(tables.joined.node == node, *_without_result(tables), time <= upto)
        .order_by(*order)
        .limit(limit)
    )
    if above is not None:
        statement = statement.where(time > above)
    return statement if after is None else statement.where(is_behind(order, after))


def pushed_without_result(tables: PullTables) -> Select[Any]:
    """Id, push time and id as text of all records that were pushed and have no result, whatever their entity."""
    return select(tables.id, tables.push_flags.time, key_text(tables)).where(*_without_result(tables))


def missing_at_nodes(tables: PullTables, texts: Collection[str]) -> Select[Any]:
    """Id, push time, id as text, entity and node of those of these records that were pushed and have no result."""
    joined = tables.joined
    columns = tables.id, tables.push_flags.time, key_text(tables), joined.owner, joined.node
    found = select(*columns).select_from(joined.source)
    return found.where(*_without_result(tables), key_text(tables).in_(texts))


def pending_of(tables: PullTables, texts: Collection[str]) -> Select[Any]:
    """The ids, as text, of those of these records that are pending and have no result of an earlier push."""
    pending = tables.push_flags.success.is_not(True), tables.pull_flags.success.is_(None)
    return select(key_text(tables)).where(*pending, key_text(tables).in_(texts))


def make_pending(tables: PullTables, ids: Collection[Any]) -> Update:
    """Make those of these records pending again that were pushed and have no result."""
    reset = reset_flags(tables, ids)
    columns, push, pull = reset.table.c, tables.push_flags.success.key, tables.pull_flags.success.key
    return reset.where(columns[push].is_(True), columns[pull].is_(None))


def _without_result(tables: PullTables) -> tuple[ColumnElement[bool], ...]:
    """In flight, in the words of the index for pull, and never answered with a failure."""
    push, pulled = tables.push_flags, tables.pull_flags.success
    return push.success.is_(True), pulled.is_not(True), pulled.is_(None), push.time.is_not(None)
