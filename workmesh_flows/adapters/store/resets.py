"""Records that are made pending again: those of them that were processed are taken off the sum of their protocol."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, true

from workmesh_flows.adapters.store.processed_counts import add_correction
from workmesh_flows.adapters.store.protocol_tables import PushTables
from workmesh_flows.adapters.store.statements.flags import reset_flags


def reset_records(connection: Connection, tables: PushTables, ids: Collection[Any]) -> None:
    """Make those of these records pending again that were pushed.

    The lanes keep what they have counted. Each statement chooses its records while it locks them, so that a record that
    a pull flags at the same time is taken off the sum if, and only if, it was added to it.
    """
    reset = reset_flags(tables, ids)
    columns = reset.table.c
    pushed = reset.where(columns[tables.push_flags.success.key].is_(True))
    if tables.pull_flags is None:
        add_correction(connection, tables, -connection.execute(pushed).rowcount)
        return
    pulled = columns[tables.pull_flags.success.key]
    in_flight = pushed.where(pulled.is_distinct_from(true()))
    if (left := len(ids) - connection.execute(in_flight).rowcount) == 0:
        return
    processed = connection.execute(pushed.where(pulled.is_(True))).rowcount
    add_correction(connection, tables, -processed)
    if processed < left:  # deleted, or in flight since the first statement
        connection.execute(in_flight)
