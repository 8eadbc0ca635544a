"""Old skipped records.

A skipped record is not sent as long as its row says so. The row of a deleted record stays in the list, and would also skip
a new record with the same id. Rows in other states are checked by each push and pull.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Engine, String, and_, cast, delete, select

from workmesh_flows.adapters.store.engine import translated_errors
from workmesh_flows.adapters.store.keys import AT_ONCE, is_one_of
from workmesh_flows.adapters.store.protocol_tables import PushTables
from workmesh_flows.adapters.store.schema import parked
from workmesh_flows.adapters.store.statements.refused import listed_in
from workmesh_flows.planning.refusals import RefusalState


def prune_skips(engine: Engine, tables: PushTables, before: datetime, *, dry_run: bool) -> Iterator[int]:
    """Delete the rows of deleted records that were refused before a time; yield the number of each batch."""
    old = and_(listed_in(tables), parked.c.state == RefusalState.SKIPPED, parked.c.since < before)
    last = ""
    while True:
        page = select(parked.c.record).where(old, parked.c.record > last).order_by(parked.c.record)
        with translated_errors(), engine.connect() as connection:
            texts = list(connection.scalars(page.limit(AT_ONCE)))
            if not texts:
                return
            existing = select(cast(tables.id, String)).where(is_one_of(tables.id, texts))
            gone = set(texts).difference(connection.scalars(existing))
        last, number = texts[-1], len(gone)
        if gone and not dry_run:
            with translated_errors(), engine.begin() as connection:
                number = connection.execute(delete(parked).where(old, parked.c.record.in_(gone))).rowcount
        if number:
            yield number
