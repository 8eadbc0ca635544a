"""What every run over a lane uses: database, lane, node and clock, and how an error stops the lane."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from sqlalchemy import Engine

from workmesh_flows.adapters.node_http.client import HttpNodeClient, Sender, node_client
from workmesh_flows.adapters.store.breaker import save_failure
from workmesh_flows.adapters.store.engine import Clock, database_clock
from workmesh_flows.adapters.store.lanes import LaneLease, Pause, lease_lane, update_lane
from workmesh_flows.domain.lane import Direction, Lane
from workmesh_flows.domain.limits import Limits
from workmesh_flows.domain.node import Node
from workmesh_flows.domain.protocol import Protocol
from workmesh_flows.domain.reports import Tally
from workmesh_flows.domain.service import Service
from workmesh_flows.errors import (
    DefinitionError,
    LaneStopped,
    NodeError,
    NodeUnavailable,
    NotFlagged,
    StaleEpoch,
    StoreError,
    StoreUnavailable,
)

PAGE = 2_000
"""Records read at once, or the nearest multiple of the batch size below it: each page costs a query of its own."""

LATEST_EPOCH = 2**62
"""The highest epoch that is accepted from a node; the column of a lane's epoch can store many higher ones."""

Progress: TypeAlias = Callable[[int, int], None]
"""Called after each batch with the records processed so far, and the total when the lane was leased."""


def page_size(size: int) -> int:
    """Records to read at once where they are sent or fetched in batches of a size."""
    return size * max(1, PAGE // size)


def no_progress(done: int, total: int) -> None:
    """Report nothing."""
    del done, total


@dataclass(frozen=True, slots=True)
class LaneContext:
    """One protocol and one node, whose push or pull lane is to be run.

    ``holder`` names this run to other runs that find the lane leased. ``now`` ends a pause of the lane that has not
    expired, whether its circuit breaker made it or its node asked for it. ``started`` is when the first attempt of this
    run began: a record that was refused since then is not sent again, so that a run counts one attempt at most.
    """

    engine: Engine
    service: Service
    protocol: Protocol
    node: Node
    holder: str
    limits: Limits = field(default_factory=Limits)
    progress: Progress = no_progress
    now: bool = False
    started: datetime | None = None

    def lane(self, direction: Direction) -> Lane:
        """The identity of the lane in one direction."""
        return Lane(self.service.name, self.protocol.name, self.node.name, direction)

    def clock(self) -> Clock:
        """The database's time."""
        return database_clock(self.engine)

    def lease(self, lane: Lane, clock: Clock) -> AbstractContextManager[LaneLease]:
        """Lease the lane for the length of a block; raises LaneBusy or LanePaused."""
        seconds, pause = self.limits.lease_seconds, Pause.END if self.now else Pause.HEED
        return lease_lane(
            self.engine, lane, holder=self.holder, clock=clock, lease_seconds=seconds, pause=pause
        )

    def client(self, lease: LaneLease, clock: Clock) -> AbstractContextManager[HttpNodeClient]:
        """A client for the node, whose requests carry the lane and the epoch of its lease."""
        sender = Sender(lease.lane.header, lease.epoch, clock)
        return node_client(self.node, self.limits, sender=sender)


@contextmanager
def stop_on_errors(
    context: LaneContext, lease: LaneLease, clock: Clock, tally: Tally, report: Callable[[], object]
) -> Iterator[None]:
    """Turn an error that stops a lane into LaneStopped with the partial report; save the node's failures and pause.

    LaneLost passes unchanged: where another run acquired the lane meanwhile, no other error matters.
    """
    try:
        yield
    except (NodeError, StoreError, DefinitionError) as error:
        tally.stop()
        transient = isinstance(error, NodeUnavailable | StoreUnavailable | NotFlagged)
        reason, until, asked = str(error), None, False
        match error:
            case NodeUnavailable():
                with suppress(StoreError):  # the database is unreachable, too: the next run knows no pause
                    until = save_failure(context.engine, lease, context.limits, error, now=clock())
                asked = until is not None and error.retry_at == until
                if until is not None:  # a retry before that would only find the lane paused
                    transient = False
                    reason += f"; no request before {until:%Y-%m-%d %H:%M:%S} UTC"
            case StaleEpoch():
                # This database was restored from a backup, or another master sends to the same node.
                epoch = min(max(error.epoch, lease.epoch), LATEST_EPOCH)
                update_lane(context.engine, lease, epoch=epoch)
                lease.epoch, transient = epoch, True
                reason += (
                    "; the lane's epoch was raised above it. Expected once after this database was restored from a "
                    "backup; if it happens again, another master sends to this node"
                )
        raise LaneStopped(
            reason, lane=str(lease.lane), report=report(), transient=transient, until=until, asked=asked
        ) from error
