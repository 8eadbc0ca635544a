"""SQL that writes and clears flags of records, as pure functions of a protocol's tables."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Column, ColumnElement, FromClause, Select, Update, bindparam, select, true, update

from workmesh_flows.adapters.store.protocol_tables import FlagColumns, ProtocolTables, PullTables, PushTables
from workmesh_flows.adapters.store.statements.updates import written_table


def write_flags(tables: ProtocolTables, flags: FlagColumns, values: Collection[Column[Any]] = ()) -> Update:
    """Flags of one record and ``values``, other columns beside them; execute it with a list of parameters.

    The parameters are ``workmesh_id``, and ``workmesh_0``, ``workmesh_1``, ... for the columns in order.
    """
    table, columns = written_table(tables.record), [*flags.all, *values]
    return (
        update(table)
        .where(table.c[tables.id.key] == bindparam("workmesh_id"))
        .values(
            {
                table.c[column.key]: bindparam(f"workmesh_{i}", type_=column.type)
                for i, column in enumerate(columns)
            }
        )
    )


def expected_before_push(tables: PushTables, table: FromClause) -> list[ColumnElement[bool]]:
    """What is true of a record before it is flagged as pushed or refused, except where another run flagged it before.

    The expressions are none of those in the conditions of indexes: records are found by their ids, never through an
    index of pending records, which may be much larger than its statistics say.
    """
    flags = [tables.push_flags] if tables.pull_flags is None else [tables.push_flags, tables.pull_flags]
    return [table.c[each.success.key].is_distinct_from(true()) for each in flags]


def expected_before_pull(tables: PullTables, table: FromClause) -> list[ColumnElement[bool]]:
    """The same before a record is flagged as pulled."""
    pushed, pulled = (table.c[flags.success.key] for flags in (tables.push_flags, tables.pull_flags))
    return [pushed.is_not_distinct_from(true()), pulled.is_distinct_from(true())]


def locked_successes(tables: PushTables, ids: Collection[Any]) -> Select[Any]:
    """Id, push success and pull success of records, locked until the transaction ends."""
    columns = [tables.push_flags.success]
    if tables.pull_flags is not None:
        columns.append(tables.pull_flags.success)
    return select(tables.id, *columns).where(tables.id.in_(ids)).with_for_update()


def reset_flags(tables: PushTables, ids: Collection[Any]) -> Update:
    """Make records pending again; their results are pulled again as well.

    Only `resets` executes it, which takes processed records off the sum, and statements that leave those out.
    """
    columns = [*tables.push_flags.all]
    if tables.pull_flags is not None:
        columns += tables.pull_flags.all
    table = written_table(tables.record)
    nulls = {table.c[column.key]: None for column in columns}
    return update(table).where(table.c[tables.id.key].in_(ids)).values(nulls)
