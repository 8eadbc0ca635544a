"""SQL of PostgreSQL that flags a batch which was accepted whole, and advances its lane, in one statement."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import (
    ARRAY,
    Alias,
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    and_,
    any_,
    bindparam,
    case,
    column,
    exists,
    func,
    literal_column,
    select,
    update,
)

from workmesh_flows.adapters.store.lanes import LaneLease
from workmesh_flows.adapters.store.protocol_tables import PushTables
from workmesh_flows.adapters.store.schema import lanes
from workmesh_flows.adapters.store.statements.flags import expected_before_push
from workmesh_flows.adapters.store.statements.updates import written_table
from workmesh_flows.planning.push_times import TICK

DIVISION_BY_ZERO = "22012"
"""SQLSTATE that the statement provokes where it did not flag every record; PostgreSQL then undoes all of it."""


def accepted_batch(lease: LaneLease, tables: PushTables) -> Select[Any]:
    """Flag several records and advance the lane; divides by zero, which undoes both, where a record was not found.

    A record that is flagged as pushed already is not found either: no batch counts twice.

    The lane's row is written first, as everywhere: a run that wants the lane waits for the end of the statement.
    Parameters: ``workmesh_ids`` (a list), ``workmesh_first`` and ``workmesh_last`` (push times), ``workmesh_count``
    (records), ``workmesh_next`` (the lane's next batch size).
    """
    table, ids = written_table(tables.record), bindparam("workmesh_ids", type_=ARRAY(tables.id.type))
    key = table.c[tables.id.key]
    given = (
        func.unnest(ids)
        .table_valued(
            column("id", key.type), with_ordinality="at", name="workmesh_given", joins_implicitly=True
        )
        .render_derived()
    )
    ticks = (given.c.at - 1) * literal_column(f"interval '{TICK // timedelta(microseconds=1)} microsecond'")
    # The second condition is redundant: with it PostgreSQL searches the index once for all ids.
    return _accepted(lease, tables, table, and_(key == given.c.id, key == any_(ids)), ticks)


def accepted_record(lease: LaneLease, tables: PushTables) -> Select[Any]:
    """The same for a batch of one record: ``workmesh_ids`` is its id, not a list."""
    table = written_table(tables.record)
    key = table.c[tables.id.key]
    return _accepted(lease, tables, table, key == bindparam("workmesh_ids", type_=key.type), None)


def _accepted(
    lease: LaneLease,
    tables: PushTables,
    table: Alias[Any],
    these: ColumnElement[bool],
    ticks: ColumnElement[Any] | None,
) -> Select[Any]:
    time, success, error = (table.c[column.key] for column in tables.push_flags.all)
    advanced = (
        update(lanes)
        .where(lease.mine)
        .values(
            last_push_time=bindparam("workmesh_last", type_=lanes.c.last_push_time.type),
            done=lanes.c.done + bindparam("workmesh_count", type_=BigInteger),
            next_batch=bindparam("workmesh_next", type_=Integer),
            failures=0,
            breaker="closed",
        )
        .returning(literal_column("1"))
        .cte("workmesh_mine")
    )
    first = bindparam("workmesh_first", type_=time.type)
    flagged = (
        update(table)
        .where(
            these,
            *expected_before_push(tables, table),
            exists(select(literal_column("1")).select_from(advanced)),
        )
        .values({time: first if ticks is None else first + ticks, success: True, error: None})
        .returning(literal_column("1"))
        .cte("workmesh_flagged")
    )
    found = select(func.count()).select_from(flagged).scalar_subquery()
    expected = bindparam("workmesh_count", type_=BigInteger)
    return select(literal_column("1") / case((found == expected, 1), else_=0))
