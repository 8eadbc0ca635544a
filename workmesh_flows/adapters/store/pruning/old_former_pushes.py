"""Old former pushes.

A pull from a node needs the push time of a record that left it: to know how far the node is when it names that record, and
to ask for the results of records that have returned. It is not needed any more where the record is pulled, from whichever
node, or deleted, and the node has processed a later record, so that it names this one no more. A pull itself deletes such
rows of pulled records; here follow those of deleted records, and those of nodes that are gone, which no run pulls from.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Engine, and_, delete, select

from workmesh_flows.adapters.store.engine import translated_errors
from workmesh_flows.adapters.store.keys import AT_ONCE, parse_key
from workmesh_flows.adapters.store.lanes import row_of
from workmesh_flows.adapters.store.protocol_tables import PullTables
from workmesh_flows.adapters.store.pruning.existing_keys import surely_gone
from workmesh_flows.adapters.store.pruning.gone_nodes import is_gone
from workmesh_flows.adapters.store.pruning.service_lock import holding_service
from workmesh_flows.adapters.store.schema import former_pushes, lanes


def prune_former_pushes(
    engine: Engine, tables: PullTables, before: datetime, known: Collection[str], *, dry_run: bool
) -> Iterator[int]:
    """Delete those from before a time that nothing needs, batch by batch; yield the number of each batch.

    ``known`` are the names of all blocks. A batch holds the lock of the service: a move writes former pushes, and leaves
    unchanged those that it finds.
    """
    with translated_errors(), engine.connect() as connection:
        nodes = select(former_pushes.c.node).where(_of_protocol(tables)).distinct()
        names = sorted(connection.scalars(nodes))
    for node in names:
        last: str | None = ""
        while last is not None:
            after = last
            with translated_errors(), engine.connect() as connection:
                last, texts = _unneeded_page(connection, tables, node, before, known, after)
            if texts and not dry_run:
                with holding_service(engine, tables.service.name) as connection:
                    last, texts = _unneeded_page(connection, tables, node, before, known, after)
                    row = and_(_of_protocol(tables), former_pushes.c.node == node)
                    connection.execute(delete(former_pushes).where(row, former_pushes.c.record.in_(texts)))
            if texts:
                yield len(texts)


def _unneeded_page(  # noqa: PLR0913, PLR0917 - each narrows the page
    connection: Connection,
    tables: PullTables,
    node: str,
    before: datetime,
    known: Collection[str],
    after: str,
) -> tuple[str | None, list[str]]:
    """The last record of a page, None if it is the last page; and those of its records that are not needed."""
    record, time = former_pushes.c.record, former_pushes.c.push_time
    page = (
        select(record, time)
        .where(_of_protocol(tables), former_pushes.c.node == node, time < before, record > after)
        .order_by(record)
        .limit(AT_ONCE)
    )
    rows = connection.execute(page).all()
    last = rows[-1].record if len(rows) == AT_ONCE else None
    if not is_gone(connection, tables.service, node, known):
        latest = select(lanes.c.latest_id, lanes.c.latest_time).where(row_of(tables.lane(node, "pull")))
        found = connection.execute(latest).first()
        if found is None or found.latest_time is None:
            return last, []
        rows = [row for row in rows if row.push_time <= found.latest_time and row.record != found.latest_id]
    texts = [row.record for row in rows]
    finished = surely_gone(connection, tables.id, texts) | _pulled(connection, tables, texts)
    return last, [text for text in texts if text in finished]


def _pulled(connection: Connection, tables: PullTables, texts: Collection[str]) -> set[str]:
    ids = {}
    for text in texts:
        try:
            ids[parse_key(tables.id, text)] = text
        except ValueError:
            continue
    pulled = select(tables.id).where(tables.id.in_(ids), tables.pull_flags.success.is_(True))
    return {ids[found] for found in connection.scalars(pulled) if found in ids}


def _of_protocol(tables: PullTables) -> ColumnElement[bool]:
    return and_(
        former_pushes.c.service == tables.service.name, former_pushes.c.protocol == tables.protocol.name
    )
