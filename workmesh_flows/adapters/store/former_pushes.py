"""Former pushes: when records were pushed to a node that their entity left since.

That node may still name such a record as processed, or its entity may be moved to it again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, and_, delete, insert, select

from workmesh_flows.adapters.store.engine import translated_errors
from workmesh_flows.adapters.store.keys import parse_key
from workmesh_flows.adapters.store.lanes import LaneLease, update_lane
from workmesh_flows.adapters.store.protocol_tables import PullTables
from workmesh_flows.adapters.store.schema import NAME_LENGTH, former_pushes
from workmesh_flows.domain.lane import Lane

READ_AT_ONCE = 1_000
"""Former pushes read at once: a number of keys that one statement takes on any database."""


def write_former_pushes(
    connection: Connection, lane: Lane, pushed: Sequence[tuple[Any, datetime | None]]
) -> None:
    """Save when records (id, push time) were pushed to the node that their entity leaves in this transaction.

    A record that returned and leaves again keeps the time of its first push, since when the node has had it.
    """
    rows = {_text(record_id): time for record_id, time in pushed if time is not None}
    texts = list(rows)
    known: set[str] = set()
    for start in range(0, len(texts), READ_AT_ONCE):
        some = former_pushes.c.record.in_(texts[start : start + READ_AT_ONCE])
        known.update(connection.scalars(select(former_pushes.c.record).where(_in_lane(lane), some)))
    if new := [_row(lane, record, time) for record, time in rows.items() if record not in known]:
        connection.execute(insert(former_pushes), new)


def former_pages(engine: Engine, lane: Lane, tables: PullTables, *, upto: datetime) -> Iterator[list[Any]]:
    """Pages of ids of the records that were pushed to the node up to a time and left it."""
    record, last = former_pushes.c.record, ""
    while True:
        page = (
            select(record)
            .where(_in_lane(lane), former_pushes.c.push_time <= upto, record > last)
            .order_by(record)
            .limit(READ_AT_ONCE)
        )
        with translated_errors(), engine.connect() as connection:
            texts = list(connection.scalars(page))
        if texts:
            last = texts[-1]
            yield [parse_key(tables.id, text) for text in texts]
        if len(texts) < READ_AT_ONCE:
            return


def forget_former_pushes(
    engine: Engine,
    lane: Lane,
    tables: PullTables,
    *,
    upto: datetime,
    latest: Any = None,  # noqa: ANN401 - any key
) -> None:
    """Delete those up to a time whose records are pulled, from whichever node: they are not needed any more.

    ``latest``, the record that the node names as its latest, is not deleted: the time of its first push is the node's
    progress.
    """
    for ids in former_pages(engine, lane, tables, upto=upto):
        pulled = select(tables.id).where(tables.id.in_(ids), tables.pull_flags.success.is_(True))
        with translated_errors(), engine.begin() as connection:
            texts = [_text(found) for found in connection.scalars(pulled) if found != latest]
            connection.execute(delete(former_pushes).where(_in_lane(lane), former_pushes.c.record.in_(texts)))


def former_push_time(engine: Engine, lane: Lane, record_id: Any) -> datetime | None:  # noqa: ANN401 - any key
    """When a record was first pushed to a node that its entity left since; None where there is no such push."""
    time = select(former_pushes.c.push_time).where(_in_lane(lane), former_pushes.c.record == _text(record_id))
    with translated_errors(), engine.connect() as connection:
        found: datetime | None = connection.scalar(time)
    return found


def save_latest(engine: Engine, lease: LaneLease, record_id: Any, time: datetime) -> None:  # noqa: ANN401 - any key
    """Save the record that the node named as its latest, and its push time: it may be deleted before the next pull."""
    latest = (_text(record_id), time)
    if lease.latest != latest:
        update_lane(engine, lease, latest_id=latest[0], latest_time=latest[1])
        lease.latest = latest


def saved_latest_time(lease: LaneLease, record_id: Any) -> datetime | None:  # noqa: ANN401 - any key
    """The push time of a record that the node also named at the last pull; None for any other record."""
    return lease.latest[1] if lease.latest is not None and lease.latest[0] == _text(record_id) else None


def _in_lane(lane: Lane) -> ColumnElement[bool]:
    return and_(
        former_pushes.c.service == lane.service,
        former_pushes.c.protocol == lane.protocol,
        former_pushes.c.node == lane.node,
    )


def _row(lane: Lane, record: str, time: datetime) -> dict[str, Any]:
    return {
        "service": lane.service,
        "protocol": lane.protocol,
        "node": lane.node,
        "record": record,
        "push_time": time,
    }


def _text(record_id: Any) -> str:  # noqa: ANN401 - any key
    return str(record_id)[:NAME_LENGTH]
