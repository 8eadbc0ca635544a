"""Leases of lanes: one holder at a time, an epoch that rises with each lease, and a lease that expires."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from time import monotonic
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Row,
    and_,
    case,
    inspect,
    literal,
    not_,
    or_,
    select,
    text,
    true,
    update,
)

from workmesh_flows.adapters.store.engine import Clock, translated_errors
from workmesh_flows.adapters.store.given_engine import require_transactions
from workmesh_flows.adapters.store.own_tables import schema_of
from workmesh_flows.adapters.store.schema import ensure_row, lanes
from workmesh_flows.domain.lane import Lane
from workmesh_flows.errors import LaneBusy, LaneLost, LanePaused, StoreError

LOCK_MILLISECONDS = 10_000
"""How long an upgrade waits for the transactions that use the table of the lanes; other runs wait behind it."""


def row_of(lane: Lane) -> ColumnElement[bool]:
    """The condition that selects the row of a lane."""
    return and_(*(lanes.c[name] == value for name, value in lane.key.items()))


@dataclass(slots=True)
class LaneLease:
    """A lane that this run holds while the epoch is its own, and the values of the lane's row when it was acquired.

    ``latest`` is the record that the node named last as processed, and its push time. ``failures`` counts consecutive
    failures of the node, ``next_batch`` is the size of the next batch after one with which the connection was lost.
    ``fresh_until`` is when the lease expires, by this process's monotonic clock in seconds.
    """

    lane: Lane
    holder: str
    epoch: int
    last_push_time: datetime | None = None
    batch_limit: int | None = None
    latest: tuple[str, datetime] | None = None
    retry_at: datetime | None = None
    breaker: str = "closed"
    failures: int = 0
    next_batch: int | None = None
    lost: threading.Event = field(default_factory=threading.Event)
    fresh_until: float = float("inf")

    @property
    def row(self) -> ColumnElement[bool]:
        """The condition that selects the lane's row, whichever run holds the lane."""
        return row_of(self.lane)

    @property
    def mine(self) -> ColumnElement[bool]:
        """The condition that selects the lane's row while this run holds the lane."""
        return and_(self.row, lanes.c.epoch == self.epoch, lanes.c.holder == self.holder)

    def advance(self, connection: Connection, **changes: Any) -> None:  # noqa: ANN401 - columns of the lane
        """Write to the lane's row as the first statement of a transaction; raises LaneLost if this run lost the lane.

        The row stays locked until the transaction ends, so that no other run can acquire the lane in between.
        """
        values = changes or {"epoch": self.epoch}
        written = update(lanes).where(self.mine).values(values)
        if self.lost.is_set() or connection.execute(written).rowcount != 1:
            self.lost.set()
            raise LaneLost("another run took it over, nothing more was written", lane=str(self.lane))

    def renew(self, engine: Engine, clock: Clock, lease_seconds: float) -> None:
        """Extend the lease to its full length from now on; raises LaneLost or StoreError."""
        fresh_until = monotonic() + lease_seconds
        with translated_errors(), engine.begin() as connection:
            self.advance(connection, lease_until=clock() + timedelta(seconds=lease_seconds))
        self.fresh_until = fresh_until

    def check(self, engine: Engine, clock: Clock, lease_seconds: float) -> None:
        """Call before a request: a run that resumes after its lease has expired renews it, or learns of its loss.

        The node's epoch check alone is not enough: the run that holds the lane now may have sent nothing to this node,
        and have moved entities away. Raises LaneLost or StoreError.
        """
        if self.lost.is_set() or monotonic() >= self.fresh_until:
            self.renew(engine, clock, lease_seconds)


class Pause(Enum):
    """How to treat a pause that has not expired, made by the circuit breaker or asked for by the node."""

    HEED = "the lane is not acquired"
    KEEP = "the lane is acquired, and its holder sends no request until the pause ends"
    END = "the lane is acquired, and requests are sent at once"


@contextmanager
def lease_lane(  # noqa: PLR0913 - each is one fact of the lease
    engine: Engine, lane: Lane, *, holder: str, clock: Clock, lease_seconds: float, pause: Pause = Pause.HEED
) -> Iterator[LaneLease]:
    """Lease a lane for the length of a block, renewing the lease meanwhile; raises LaneBusy or LanePaused.

    Raises ConfigurationError for an engine without transactions.
    """
    require_transactions(engine)
    start = monotonic()
    lease = acquire_lane(engine, lane, holder=holder, clock=clock, lease_seconds=lease_seconds, pause=pause)
    lease.fresh_until = start + lease_seconds
    done = threading.Event()
    renewer = threading.Thread(
        target=_keep_renewing,
        args=(engine, lease, clock, lease_seconds, done),
        name=f"lease of {lane}",
        daemon=True,
    )
    renewer.start()
    try:
        yield lease
    finally:
        done.set()
        renewer.join()
        with suppress(StoreError):  # the database is unreachable: the lease expires by itself
            release_lane(engine, lease)


def acquire_lane(  # noqa: PLR0913 - each is one fact of the lease
    engine: Engine, lane: Lane, *, holder: str, clock: Clock, lease_seconds: float, pause: Pause = Pause.HEED
) -> LaneLease:
    """Acquire a lane that no run holds, or whose lease has expired; its epoch rises by one.

    Raises LaneBusy, or with ``Pause.HEED`` LanePaused for a pause that has not expired.
    """
    with translated_errors():
        ensure_row(engine, lanes, **lane.key)
        now = clock()
        free = or_(lanes.c.holder.is_(None), lanes.c.lease_until < now)
        expired = true() if pause is Pause.END else or_(lanes.c.retry_at.is_(None), lanes.c.retry_at <= now)
        ready = expired if pause is Pause.HEED else true()
        with engine.begin() as connection:
            acquired = connection.execute(
                update(lanes)
                .where(row_of(lane), free, ready)
                .values(
                    epoch=lanes.c.epoch + 1,
                    holder=holder,
                    lease_until=now + timedelta(seconds=lease_seconds),
                    retry_at=case((expired, None), else_=lanes.c.retry_at),
                    breaker=case(
                        (and_(expired, lanes.c.breaker == "open"), "half-open"), else_=lanes.c.breaker
                    ),
                )
            )
            row = connection.execute(select(lanes).where(row_of(lane))).one()
    if acquired.rowcount == 1:
        return _lease(lane, holder, row)
    raise obstacle(lane, row, now, pause) or LaneBusy(
        "held by another run until a moment ago", lane=str(lane)
    )


def obstacle(lane: Lane, row: Row[Any], now: datetime, pause: Pause) -> LaneBusy | LanePaused | None:
    """The error with which the lane of this row cannot be leased now; None where it can be."""
    if pause is Pause.HEED and row.retry_at is not None and row.retry_at > now:
        reason = f"the node asked for a pause until {row.retry_at:%Y-%m-%d %H:%M:%S} UTC"
        if row.breaker == "open":
            reason = (
                f"its circuit breaker is open until {row.retry_at:%Y-%m-%d %H:%M:%S} UTC after "
                f"{row.failures} consecutive failures, the last one: {row.last_failure}"
            )
        return LanePaused(reason, lane=str(lane), until=row.retry_at, asked=row.breaker != "open")
    if row.holder is None or row.lease_until is None or row.lease_until < now:
        return None
    return LaneBusy(f"held by {row.holder} until {row.lease_until:%H:%M:%S} UTC or longer", lane=str(lane))


def _lease(lane: Lane, holder: str, row: Row[Any]) -> LaneLease:
    latest = None if row.latest_id is None else (row.latest_id, row.latest_time)
    columns = {name: getattr(row, name) for name in _COPIED}
    return LaneLease(lane, holder, row.epoch, latest=latest, **columns)


_COPIED = ("last_push_time", "batch_limit", "retry_at", "breaker", "failures", "next_batch")


def update_lane(engine: Engine, lease: LaneLease, **changes: Any) -> None:  # noqa: ANN401 - columns of the lane
    """Write columns of the lane's row in a transaction of its own; raises LaneLost."""
    with translated_errors(), engine.begin() as connection:
        lease.advance(connection, **changes)


def release_lane(engine: Engine, lease: LaneLease) -> None:
    """End the lease; a lane that was lost is left to its new holder."""
    with translated_errors(), engine.begin() as connection:
        connection.execute(update(lanes).where(lease.mine).values(holder=None, lease_until=None))


def node_fails_elsewhere(engine: Engine, lane: Lane) -> bool:
    """Whether the last attempt of another lane to the same node failed."""
    others = and_(lanes.c.node == lane.node, lanes.c.direction == lane.direction, not_(row_of(lane)))
    query = select(literal(1)).where(others, lanes.c.failures > 0).limit(1)
    with translated_errors(), engine.connect() as connection:
        return connection.scalar(query) is not None


def read_lanes(engine: Engine) -> list[dict[str, Any]]:
    """The rows of all lanes that ever ran, each as a dictionary of its columns.

    They are ordered by service, node and protocol; push is before pull.
    """
    ordered = select(lanes).order_by(
        lanes.c.service, lanes.c.node, lanes.c.protocol, lanes.c.direction.desc()
    )
    with translated_errors(), engine.connect() as connection:
        return [dict(row) for row in connection.execute(ordered).mappings()]


def lock_held_lanes(connection: Connection, now: datetime) -> list[Row[Any]]:
    """The lanes that runs hold; until the end of the transaction no run acquires, renews or releases one.

    Reads only columns of the first version of the table. There are none where the table is missing.
    """
    if not inspect(connection).has_table(lanes.name, schema_of(connection)):
        return []
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SET LOCAL lock_timeout = {LOCK_MILLISECONDS}"))
        schema = schema_of(connection)
        name = lanes.name if schema is None else f'"{schema}".{lanes.name}'
        connection.execute(text(f"LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE"))
    columns = [*lanes.primary_key.columns, lanes.c.holder, lanes.c.lease_until]
    held = select(*columns).where(lanes.c.holder.is_not(None), lanes.c.lease_until > now)
    return list(connection.execute(held.order_by(*lanes.primary_key.columns)))


def _keep_renewing(
    engine: Engine, lease: LaneLease, clock: Clock, lease_seconds: float, done: threading.Event
) -> None:
    """Renew the lease three times per lease length, until ``done`` is set or the lane is lost."""
    while not done.wait(lease_seconds / 3):
        try:
            lease.renew(engine, clock, lease_seconds)
        except StoreError:  # the database is unreachable: the next write of the lane raises
            continue
        except LaneLost:
            return
