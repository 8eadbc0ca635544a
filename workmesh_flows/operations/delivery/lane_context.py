"""What the work on any lane shares: its parties, its clock, and how a stop is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeAlias

from sqlalchemy import Engine

from workmesh_flows.adapters.store.breaker import save_failure
from workmesh_flows.adapters.store.engine import Clock, database_clock
from workmesh_flows.adapters.store.lanes import LaneLease, Pause, lease_lane, update_lane
from workmesh_flows.domain.lane import Lane
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
"""Records read at once, or a multiple of the batch size near it: each page costs a query of its own."""

LATEST_EPOCH = 2**62
"""The latest epoch that a node is believed: a lane's row has room for those that follow."""

Progress: TypeAlias = Callable[[int, int], None]
"""Told after each batch: records done, and records there were when the lane was taken."""


def page_size(size: int) -> int:
    """Records to read at once where they are sent or fetched in batches of a size."""
    return size * max(1, PAGE // size)


def no_progress(done: int, total: int) -> None:
    """Say nothing."""
    del done, total


@dataclass(frozen=True, slots=True)
class LaneContext:
    """One lane to be worked: the parties, and who works it (``holder`` is shown to those who find it taken).

    With ``now`` a pause of the lane that is not over is ended, whether its circuit breaker made it or its node asked
    for it.
    """

    engine: Engine
    service: Service
    protocol: Protocol
    node: Node
    holder: str
    limits: Limits = field(default_factory=Limits)
    progress: Progress = no_progress
    now: bool = False

    def clock(self) -> Clock:
        """The database's time."""
        return database_clock(self.engine)

    def held(self, lane: Lane, clock: Clock) -> AbstractContextManager[LaneLease]:
        """The lane, held for the length of a block; raises LaneBusy or LanePaused."""
        lease, pause = self.limits.lease_seconds, Pause.END if self.now else Pause.HEED
        return lease_lane(
            self.engine, lane, holder=self.holder, clock=clock, lease_seconds=lease, pause=pause
        )


@contextmanager
def stop_on_errors(
    context: LaneContext, lease: LaneLease, clock: Clock, tally: Tally, report: Callable[[], object]
) -> Iterator[None]:
    """Turn what stops a lane into LaneStopped, with how far it came; keep how often the node was away, and until when.

    A lane that another run took meanwhile is lost, whatever else was wrong.
    """
    try:
        yield
    except (NodeError, StoreError, DefinitionError) as error:
        tally.stop()
        transient = isinstance(error, NodeUnavailable | StoreUnavailable | NotFlagged)
        reason, until = str(error), None
        match error:
            case NodeUnavailable():
                with suppress(StoreError):  # the database is away, too: then nothing is known next time
                    until = save_failure(context.engine, lease, context.limits, error, now=clock())
                if until is not None:  # trying again before that would only find the lane waiting
                    transient = False
                    reason += f"; no request before {until:%Y-%m-%d %H:%M:%S} UTC"
            case StaleEpoch():
                # Ours, and behind: this database was restored from a backup, or another one works the same node.
                epoch = min(max(error.epoch, lease.epoch), LATEST_EPOCH)
                update_lane(context.engine, lease, epoch=epoch)
                lease.epoch, transient = epoch, True
                reason += (
                    "; ours was raised above it. Expected once after this database was restored from a backup; "
                    "if it happens again, another master sends to this node"
                )
        raise LaneStopped(
            reason, lane=str(lease.lane), report=report(), transient=transient, until=until
        ) from error
