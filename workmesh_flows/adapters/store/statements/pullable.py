"""SQL for records that were pushed and whose results are not pulled yet, as pure functions of a protocol's tables."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Select, func, select

from workmesh_flows.adapters.store.protocol_tables import PullTables, PushTables
from workmesh_flows.adapters.store.statements.page_order import Mark, is_behind
from workmesh_flows.adapters.store.statements.pending import OWNER


def pullable(  # noqa: PLR0913 - each is one condition
    tables: PullTables,
    node: str,
    *,
    columns: Collection[Any],
    upto: Any,  # noqa: ANN401 - a push time as the column keeps it
    limit: int,
    after: Mark | None = None,
) -> Select[Any]:
    """Records pushed to a node up to a time and not pulled yet, in push order: the page after a mark."""
    time = tables.push_flags.time
    order = time, tables.id
    statement = _in_flight(tables, node, columns).where(time <= upto).order_by(*order).limit(limit)
    return statement if after is None else statement.where(is_behind(order, after))


def count_pullable(tables: PullTables, node: str, *, upto: Any) -> Select[Any]:  # noqa: ANN401 - as above
    """The number of records on all pages of :func:`pullable`."""
    found = _in_flight(tables, node, ()).where(tables.push_flags.time <= upto)
    return found.with_only_columns(func.count(), maintain_column_froms=True)


def returned(
    tables: PullTables,
    node: str,
    *,
    columns: Collection[Any],
    ids: Collection[Any],
    after: Any,  # noqa: ANN401 - a push time as the column keeps it
) -> Select[Any]:
    """Those of these records that were pushed to a node after a time and are not pulled yet."""
    time = tables.push_flags.time
    statement = _in_flight(tables, node, columns)
    return statement.where(tables.id.in_(ids), time > after).order_by(time, tables.id)


def pushed_at(tables: PushTables, node: str | None, record_id: Any) -> Select[Any]:  # noqa: ANN401 - any key
    """Push time and push success of one record of the lane; no row where the record is not in the lane.

    Without a node, the record may belong to any entity, or to none.
    """
    statement = select(tables.push_flags.time, tables.push_flags.success).where(tables.id == record_id)
    if node is None:
        return statement
    return statement.select_from(tables.joined.source).where(tables.joined.node == node)


def _in_flight(tables: PullTables, node: str, columns: Collection[Any]) -> Select[Any]:
    return (
        select(*columns, tables.joined.owner.label(OWNER))
        .select_from(tables.joined.source)
        .where(
            tables.joined.node == node,
            tables.push_flags.success.is_(True),
            tables.pull_flags.success.is_not(True),
        )
    )
