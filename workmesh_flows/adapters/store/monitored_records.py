"""What monitoring reads of the records beside their counts: the oldest pending ones, and those that wait for a decision."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Column, DateTime, Engine, TypeDecorator

from workmesh_flows.adapters.store.engine import translated_errors
from workmesh_flows.adapters.store.protocol_tables import PushTables
from workmesh_flows.adapters.store.statements.pending import oldest_pending
from workmesh_flows.adapters.store.statements.refused import undecided_counts
from workmesh_flows.adapters.store.values import as_utc
from workmesh_flows.planning.refusals import RefusalState


def oldest_times(engine: Engine, tables: PushTables) -> dict[str, datetime]:
    """The time of the oldest record that a push would send, by node; empty if the records are not sorted by a time.

    Reads the pending records only, through their index.
    """
    if not _is_time(tables.sort):
        return {}
    with translated_errors(), engine.connect() as connection:
        rows = connection.execute(oldest_pending(tables)).all()
    return {row.node: as_utc(row.oldest) for row in rows if isinstance(row.oldest, datetime)}


def count_undecided(engine: Engine, tables: PushTables) -> dict[tuple[str | None, RefusalState], int]:
    """The number of parked and of blocking records, by the node of their entities and the state."""
    with translated_errors(), engine.connect() as connection:
        rows = connection.execute(undecided_counts(tables)).all()
    return {(row.node, RefusalState(row.state)): row.records for row in rows}


def _is_time(column: Column[Any]) -> bool:
    kind = column.type
    return isinstance(kind.impl_instance if isinstance(kind, TypeDecorator) else kind, DateTime)
