"""Old missing records.

A row is needed as long as its record has no result: it says which nodes were asked for it. A pull deletes the rows of its
own lane for records that have a result or are deleted; here follow those of lanes that no run pulls any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Connection, Engine, and_, delete, select, tuple_

from workmesh_flows.adapters.store.engine import translated_errors
from workmesh_flows.adapters.store.keys import AT_ONCE
from workmesh_flows.adapters.store.protocol_tables import PullTables
from workmesh_flows.adapters.store.schema import missing
from workmesh_flows.adapters.store.statements import missing as statements


def prune_missing(engine: Engine, tables: PullTables, before: datetime, *, dry_run: bool) -> Iterator[int]:
    """Delete rows of pushes from before a time that nothing needs, batch by batch; yield the number of each batch."""
    of_protocol = missing.c.service == tables.service.name, missing.c.protocol == tables.protocol.name
    old = and_(*of_protocol, missing.c.push_time < before)
    key = missing.c.node, missing.c.record
    last: tuple[str, str] | None = ("", "")
    while last is not None:
        page = select(*key).where(old, tuple_(*key) > last).order_by(*key).limit(AT_ONCE)
        with translated_errors(), engine.connect() as connection:
            rows = connection.execute(page).all()
            texts = {record for _, record in rows}
            done = texts - _open(connection, tables, texts)
        last = (rows[-1].node, rows[-1].record) if len(rows) == AT_ONCE else None
        number = sum(record in done for _, record in rows)
        if done and not dry_run:
            nodes = {node for node, _ in rows}
            chosen = and_(old, missing.c.node.in_(nodes), missing.c.record.in_(done))
            with translated_errors(), engine.begin() as connection:
                number = connection.execute(delete(missing).where(chosen)).rowcount
        if number:
            yield number


def _open(connection: Connection, tables: PullTables, texts: set[str]) -> set[str]:
    """Those of these records that exist and have no result; pending ones first, because a push may run meanwhile."""
    pending = set(connection.scalars(statements.pending_of(tables, texts)))
    pushed = statements.pushed_without_result(tables).where(statements.key_text(tables).in_(texts))
    return pending | {row[2] for row in connection.execute(pushed)}
