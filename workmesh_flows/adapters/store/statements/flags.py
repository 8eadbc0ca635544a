"""SQL that writes and clears flags of records, as pure functions of a protocol's tables."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Column, Update, bindparam, update

from workmesh_flows.adapters.store.protocol_tables import FlagColumns, ProtocolTables, PushTables
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


def reset_flags(tables: PushTables, ids: Collection[Any]) -> Update:
    """Make records pending again; their results are pulled again as well."""
    columns = [*tables.push_flags.all]
    if tables.pull_flags is not None:
        columns += tables.pull_flags.all
    table = written_table(tables.record)
    nulls = {table.c[column.key]: None for column in columns}
    return update(table).where(table.c[tables.id.key].in_(ids)).values(nulls)
