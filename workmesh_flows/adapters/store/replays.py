"""Replays of failed records: these are pending again, and are sent with Idempotency-Keys of their own.

A node that processes a failed record again does so under a new Idempotency-Key only. The time of its replay, which is a
part of the key, is kept until the node has accepted the record, whatever becomes of it before: it may be refused, parked
and released, or move to another node.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    String,
    and_,
    cast,
    delete,
    insert,
    literal,
    select,
    update,
)

from workmesh_flows.adapters.store.engine import database_clock, translated_errors
from workmesh_flows.adapters.store.keys import as_texts, in_parts, is_one_of
from workmesh_flows.adapters.store.protocol_tables import PushTables
from workmesh_flows.adapters.store.resets import reset_records
from workmesh_flows.adapters.store.schema import parked, replays
from workmesh_flows.adapters.store.statements.refused import failed_in, listed_in
from workmesh_flows.planning.refusals import RefusalState


def replay_failed(
    connection: Connection, tables: PushTables, chosen: ColumnElement[bool], now: datetime
) -> int:
    """Make those failed records pending again whose rows are chosen; return their number.

    A record that is pending already is left out: it is being sent, or its next push replays it.
    """
    texts = list(connection.scalars(select(parked.c.record).where(failed_in(tables), chosen)))
    count, key, success = 0, tables.id, tables.push_flags.success
    for some in in_parts(texts):
        query = select(cast(key, String), key).where(is_one_of(key, some), success.is_(True))
        ids: dict[str, Any] = dict(connection.execute(query).all())
        if ids:
            reset_records(connection, tables, ids.values())
            _mark_replayed(connection, tables, list(ids), now)
            count += len(ids)
    return count


def replay_moved(connection: Connection, tables: PushTables, ids: Sequence[Any], now: datetime) -> None:
    """Mark those of these records as replayed that have failed; the caller makes them all pending again."""
    if connection.execute(select(literal(1)).where(failed_in(tables)).limit(1)).first() is None:
        return
    for some in in_parts(ids):
        named = parked.c.record.in_(as_texts(tables.id, some))
        failed = select(parked.c.record).where(failed_in(tables), named)
        _mark_replayed(connection, tables, list(connection.scalars(failed)), now)


def replay_pending(engine: Engine, tables: PushTables, node: str) -> None:
    """Mark failed records of a node as replayed that are pending: their push flags were cleared, or never written.

    Call it while holding the push lane to the node: nothing is being sent to it then.
    """
    joined, key = tables.joined, tables.id
    with translated_errors(), engine.connect() as connection:
        texts = list(connection.scalars(select(parked.c.record).where(failed_in(tables))))
    if not texts:
        return
    now = database_clock(engine)()
    pending = (
        select(cast(key, String))
        .select_from(joined.source)
        .where(joined.node == node, tables.push_flags.success.is_not(True))
    )
    for some in in_parts(texts):
        with translated_errors(), engine.begin() as connection:
            found = list(connection.scalars(pending.where(is_one_of(key, some))))
            _mark_replayed(connection, tables, found, now)


def read_replays(engine: Engine, tables: PushTables) -> dict[Any, datetime]:
    """When each pending record of a protocol was replayed, by id; deletes the replays of all other records."""
    key, success = tables.id, tables.push_flags.success
    with translated_errors(), engine.connect() as connection:
        times: dict[str, datetime] = dict(
            connection.execute(select(replays.c.record, replays.c.replayed_at).where(_replayed(tables))).all()
        )
        ids: dict[str, Any] = {}
        for some in in_parts(list(times)):
            query = select(cast(key, String), key).where(success.is_not(True), is_one_of(key, some))
            ids.update(connection.execute(query).all())
    if gone := [text for text in times if text not in ids]:
        row = and_(listed_in(tables), parked.c.state == RefusalState.REPLAYED)
        with translated_errors(), engine.begin() as connection:
            for some in in_parts(gone):
                connection.execute(delete(replays).where(_replayed(tables), replays.c.record.in_(some)))
                connection.execute(delete(parked).where(row, parked.c.record.in_(some)))
    return {ids[text]: time for text, time in times.items() if text in ids}


def forget_replays(connection: Connection, tables: PushTables, ids: Sequence[Any]) -> None:
    """Delete the replays of records that a node has accepted, in the transaction that flags them."""
    for some in in_parts(ids):
        named = replays.c.record.in_(as_texts(tables.id, some))
        connection.execute(delete(replays).where(_replayed(tables), named))


def _mark_replayed(connection: Connection, tables: PushTables, texts: Sequence[str], now: datetime) -> None:
    """Write the replay of failed records whose rows exist; a replay before it, which had no effect, is replaced."""
    if not texts:
        return
    row = and_(failed_in(tables), parked.c.record.in_(texts))
    values = {"state": RefusalState.REPLAYED, "attempts": 0, "since": now}
    connection.execute(update(parked).where(row).values(values))
    connection.execute(delete(replays).where(_replayed(tables), replays.c.record.in_(texts)))
    names = {"service": tables.service.name, "protocol": tables.protocol.name, "replayed_at": now}
    connection.execute(insert(replays), [{**names, "record": text} for text in texts])


def _replayed(tables: PushTables) -> ColumnElement[bool]:
    return and_(replays.c.service == tables.service.name, replays.c.protocol == tables.protocol.name)
