"""Batches with records that were flagged before: by a run whose answer from the database was lost, or by another lane.

Such a batch is rare. It is written again like any other one, but each record is counted as its flags change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Update

from workmesh_flows.adapters.store.keys import in_parts
from workmesh_flows.adapters.store.lanes import LaneLease
from workmesh_flows.adapters.store.processed_counts import add_correction
from workmesh_flows.adapters.store.protocol_tables import PushTables
from workmesh_flows.adapters.store.schema import lanes
from workmesh_flows.adapters.store.statements.flags import locked_successes
from workmesh_flows.domain.lane import Direction
from workmesh_flows.planning.counting import count_flag


class FlaggedBefore(Exception):
    """A record of a batch was flagged before, or was not found: nothing is written."""


def write_expected_rows(connection: Connection, statement: Update, rows: Sequence[dict[str, Any]]) -> None:
    """Execute an UPDATE once per row; raises FlaggedBefore where a record does not match its conditions."""
    if connection.execute(statement, rows).rowcount != len(rows):
        raise FlaggedBefore


def count_again(
    connection: Connection,
    lease: LaneLease,
    tables: PushTables,
    direction: Direction,
    successes: Mapping[Any, bool],
) -> None:
    """Count a batch, by its ids and the flags it gets, before it is written in this transaction."""
    done = correction = 0
    for some in in_parts(list(successes)):
        for record_id, pushed, *pulled in connection.execute(locked_successes(tables, some)):
            counted = count_flag(
                direction,
                tables.counted,
                pushed=pushed is True,
                pulled=pulled[0] is True if pulled else True,
                success=successes[record_id],
            )
            done, correction = done + counted.done, correction + counted.correction
    if done:
        lease.advance(connection, done=lanes.c.done + done)
    add_correction(connection, tables, correction)
