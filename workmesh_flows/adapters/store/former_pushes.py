"""What was pushed to a node before its entity moved away: the node may still name it, or get it back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, and_, delete, insert, select

from workmesh_flows.adapters.store.engine import translated_errors
from workmesh_flows.adapters.store.keys import parse_key
from workmesh_flows.adapters.store.lanes import LaneLease, update_lane
from workmesh_flows.adapters.store.schema import NAME_LENGTH, former_pushes
from workmesh_flows.domain.columns import column_of
from workmesh_flows.domain.lane import Lane
from workmesh_flows.domain.protocol import Protocol

READ_AT_ONCE = 1_000
"""Former pushes read at once; a statement takes so many keys on any database."""


def write_former_pushes(
    connection: Connection, lane: Lane, pushed: Sequence[tuple[Any, datetime | None]]
) -> None:
    """Keep when records (id, push time) were pushed to a node that their entity leaves in this transaction.

    A record that came back and leaves again is kept with its first push: the node has it since.
    """
    rows = {_text(record_id): time for record_id, time in pushed if time is not None}
    texts = list(rows)
    there: set[str] = set()
    for start in range(0, len(texts), READ_AT_ONCE):
        some = former_pushes.c.record.in_(texts[start : start + READ_AT_ONCE])
        there.update(connection.scalars(select(former_pushes.c.record).where(_of(lane), some)))
    if new := [_row(lane, record, time) for record, time in rows.items() if record not in there]:
        connection.execute(insert(former_pushes), new)


def former_pages(engine: Engine, lane: Lane, protocol: Protocol, *, upto: datetime) -> Iterator[list[Any]]:
    """Pages of ids of the records that were pushed to the node up to a time, and left it."""
    record, last = former_pushes.c.record, ""
    while True:
        page = (
            select(record)
            .where(_of(lane), former_pushes.c.push_time <= upto, record > last)
            .order_by(record)
            .limit(READ_AT_ONCE)
        )
        with translated_errors(), engine.connect() as connection:
            texts = list(connection.scalars(page))
        if texts:
            last = texts[-1]
            yield [parse_key(column_of(protocol.id), text) for text in texts]
        if len(texts) < READ_AT_ONCE:
            return


def forget_former_pushes(
    engine: Engine,
    lane: Lane,
    protocol: Protocol,
    *,
    upto: datetime,
    latest: Any = None,  # noqa: ANN401 - any key
) -> None:
    """Drop those up to a time whose records are pulled, from wherever: they matter no more.

    The ``latest`` that the node names is kept where it is given: its first push tells how far the node is.
    """
    pull = protocol.pull
    assert pull is not None  # noqa: S101 - only lanes that are pulled have former pushes
    key = column_of(protocol.id)
    for ids in former_pages(engine, lane, protocol, upto=upto):
        pulled = select(key).where(key.in_(ids), column_of(pull.flags.success).is_(True))
        with translated_errors(), engine.begin() as connection:
            texts = [_text(found) for found in connection.scalars(pulled) if found != latest]
            connection.execute(delete(former_pushes).where(_of(lane), former_pushes.c.record.in_(texts)))


def former_push_time(engine: Engine, lane: Lane, record_id: Any) -> datetime | None:  # noqa: ANN401 - any key
    """When a record was first pushed to a node that its entity left since; None where that was not so."""
    time = select(former_pushes.c.push_time).where(_of(lane), former_pushes.c.record == _text(record_id))
    with translated_errors(), engine.connect() as connection:
        found: datetime | None = connection.scalar(time)
    return found


def remember_latest(engine: Engine, lease: LaneLease, record_id: Any, time: datetime) -> None:  # noqa: ANN401 - any key
    """Keep which record the node named, and when that was pushed: it may be gone when it is named again."""
    latest = (_text(record_id), time)
    if lease.latest != latest:
        update_lane(engine, lease, latest_id=latest[0], latest_time=latest[1])
        lease.latest = latest


def remembered_time(lease: LaneLease, record_id: Any) -> datetime | None:  # noqa: ANN401 - any key
    """When a record was pushed that the node named at the last pull, too."""
    return lease.latest[1] if lease.latest is not None and lease.latest[0] == _text(record_id) else None


def _of(lane: Lane) -> ColumnElement[bool]:
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
