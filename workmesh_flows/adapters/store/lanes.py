"""Taking, keeping and leaving a lane: one holder, an epoch that rises, a lease that runs out."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from time import monotonic
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, and_, case, or_, select, true, update

from workmesh_flows.adapters.store.engine import Clock, translated_errors
from workmesh_flows.adapters.store.schema import ensure_row, lanes
from workmesh_flows.domain.lane import Lane
from workmesh_flows.errors import LaneBusy, LaneLost, LanePaused, StoreError


def row_of(lane: Lane) -> ColumnElement[bool]:
    """The condition that finds the row of a lane."""
    return and_(*(lanes.c[name] == value for name, value in lane.key.items()))


@dataclass(slots=True)
class LaneLease:
    """A lane that is ours while its epoch is; what was known of it when it was taken.

    ``latest`` is the record that the node named last as processed, and when that was pushed. ``failures`` are the times
    in a row that the node was away, ``next_batch`` how many records to send after a batch with which it went away.
    ``fresh_until`` is when the lease runs out, by this process's own steady clock.
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
        """The condition that finds the lane's row, whoever has the lane."""
        return row_of(self.lane)

    @property
    def mine(self) -> ColumnElement[bool]:
        """The condition that finds the lane's row while it is ours."""
        return and_(self.row, lanes.c.epoch == self.epoch, lanes.c.holder == self.holder)

    def advance(self, connection: Connection, **changes: Any) -> None:  # noqa: ANN401 - columns of the lane
        """Write to the lane's row inside a transaction, first thing in it; raises LaneLost if it is not ours.

        The row stays locked until the transaction ends, so that nobody can take the lane in the meantime.
        """
        values = changes or {"epoch": self.epoch}
        written = update(lanes).where(self.mine).values(values)
        if self.lost.is_set() or connection.execute(written).rowcount != 1:
            self.lost.set()
            raise LaneLost("another run took it over, nothing more was written", lane=str(self.lane))

    def renew(self, engine: Engine, clock: Clock, lease_seconds: float) -> None:
        """Have the lane for a whole lease from now on; raises LaneLost or StoreError."""
        fresh_until = monotonic() + lease_seconds
        with translated_errors(), engine.begin() as connection:
            self.advance(connection, lease_until=clock() + timedelta(seconds=lease_seconds))
        self.fresh_until = fresh_until

    def check(self, engine: Engine, clock: Clock, lease_seconds: float) -> None:
        """Before something is sent: whoever was paused past the lease finds out here that another run has the lane.

        A node cannot tell where that run has sent it nothing: it may have moved entities away. Raises LaneLost or
        StoreError.
        """
        if self.lost.is_set() or monotonic() >= self.fresh_until:
            self.renew(engine, clock, lease_seconds)


class Pause(Enum):
    """What becomes of a pause that is not over, for which a node asked or which its circuit breaker makes."""

    HEED = "the lane is not taken"
    KEEP = "the lane is taken, and whoever has it asks nothing of the node until then"
    END = "the lane is taken, and its node is asked at once"


@contextmanager
def lease_lane(  # noqa: PLR0913 - each is one fact of the lease
    engine: Engine, lane: Lane, *, holder: str, clock: Clock, lease_seconds: float, pause: Pause = Pause.HEED
) -> Iterator[LaneLease]:
    """Hold a lane for the length of a block, its lease renewed meanwhile; raises LaneBusy or LanePaused."""
    began = monotonic()
    lease = acquire_lane(engine, lane, holder=holder, clock=clock, lease_seconds=lease_seconds, pause=pause)
    lease.fresh_until = began + lease_seconds
    done = threading.Event()
    keeper = threading.Thread(
        target=_keep_renewing,
        args=(engine, lease, clock, lease_seconds, done),
        name=f"lease of {lane}",
        daemon=True,
    )
    keeper.start()
    try:
        yield lease
    finally:
        done.set()
        keeper.join()
        with suppress(StoreError):  # the database is away: the lease runs out by itself
            release_lane(engine, lease)


def acquire_lane(  # noqa: PLR0913 - each is one fact of the lease
    engine: Engine, lane: Lane, *, holder: str, clock: Clock, lease_seconds: float, pause: Pause = Pause.HEED
) -> LaneLease:
    """Take a lane that nobody holds, or whose holder has been silent for a whole lease; its epoch rises by one.

    Raises LaneBusy, or LanePaused for a pause that is not over and is to be heeded.
    """
    with translated_errors():
        ensure_row(engine, lanes, **lane.key)
        now = clock()
        free = or_(lanes.c.holder.is_(None), lanes.c.lease_until < now)
        over = true() if pause is Pause.END else or_(lanes.c.retry_at.is_(None), lanes.c.retry_at <= now)
        ready = over if pause is Pause.HEED else true()
        with engine.begin() as connection:
            taken = connection.execute(
                update(lanes)
                .where(row_of(lane), free, ready)
                .values(
                    epoch=lanes.c.epoch + 1,
                    holder=holder,
                    lease_until=now + timedelta(seconds=lease_seconds),
                    retry_at=case((over, None), else_=lanes.c.retry_at),
                    breaker=case((and_(over, lanes.c.breaker == "open"), "half-open"), else_=lanes.c.breaker),
                )
            )
            row = connection.execute(select(lanes).where(row_of(lane))).one()
    if taken.rowcount == 1:
        return _lease(lane, holder, row)
    if pause is Pause.HEED and row.retry_at is not None and row.retry_at > now:
        reason = f"the node asked to be left alone until {row.retry_at:%Y-%m-%d %H:%M:%S} UTC"
        if row.breaker == "open":
            reason = (
                f"its circuit breaker is open until {row.retry_at:%Y-%m-%d %H:%M:%S} UTC: the node was away "
                f"{row.failures} times in a row, at last: {row.last_failure}"
            )
        raise LanePaused(reason, lane=str(lane), until=row.retry_at)
    until = f"{row.lease_until:%H:%M:%S} UTC or longer" if row.lease_until else "a moment ago"
    raise LaneBusy(f"held by {row.holder or 'another run'} until {until}", lane=str(lane))


def _lease(lane: Lane, holder: str, row: Row[Any]) -> LaneLease:
    latest = None if row.latest_id is None else (row.latest_id, row.latest_time)
    known = {name: getattr(row, name) for name in _KNOWN}
    return LaneLease(lane, holder, row.epoch, latest=latest, **known)


_KNOWN = ("last_push_time", "batch_limit", "retry_at", "breaker", "failures", "next_batch")


def update_lane(engine: Engine, lease: LaneLease, **changes: Any) -> None:  # noqa: ANN401 - columns of the lane
    """Keep something for the next runs, in a transaction of its own; raises LaneLost."""
    with translated_errors(), engine.begin() as connection:
        lease.advance(connection, **changes)


def release_lane(engine: Engine, lease: LaneLease) -> None:
    """Give a lane back; one that was lost is left to its new holder."""
    with translated_errors(), engine.begin() as connection:
        connection.execute(update(lanes).where(lease.mine).values(holder=None, lease_until=None))


def read_lanes(engine: Engine) -> list[dict[str, Any]]:
    """The rows of all lanes that ever ran, by column, ordered by service, node and protocol; push before pull."""
    ordered = select(lanes).order_by(
        lanes.c.service, lanes.c.node, lanes.c.protocol, lanes.c.direction.desc()
    )
    with translated_errors(), engine.connect() as connection:
        return [dict(row) for row in connection.execute(ordered).mappings()]


def _keep_renewing(
    engine: Engine, lease: LaneLease, clock: Clock, lease_seconds: float, done: threading.Event
) -> None:
    """Renew the lease three times in its length, until told to stop or the lane is lost."""
    while not done.wait(lease_seconds / 3):
        try:
            lease.renew(engine, clock, lease_seconds)
        except StoreError:  # the database is away; the next write of the lane says so
            continue
        except LaneLost:
            return
