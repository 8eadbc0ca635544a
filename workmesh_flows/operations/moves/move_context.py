"""What every hand-over uses: database, service, inventory and waiting times, and how it leases a node's lanes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import TypeAlias

from sqlalchemy import Engine

from workmesh_flows.adapters.store.engine import Clock, database_clock
from workmesh_flows.adapters.store.lanes import LaneLease, Pause, lease_lane
from workmesh_flows.domain.lane import Lane, lanes_of_node
from workmesh_flows.domain.limits import Limits
from workmesh_flows.domain.node import Inventory, NodeState
from workmesh_flows.domain.service import Mesh, Service
from workmesh_flows.errors import LaneBusy

LOOK_SECONDS = 0.5
"""Pause before another attempt to lease the lanes, where one is busy."""

REVOKED = "the drain was revoked"

OnStep: TypeAlias = Callable[[str], None]
"""Called with the name of each finished step: lanes leased, settled, moving, moved."""


Progress: TypeAlias = Callable[[str, int, int], None]


def _ignore(step: str) -> None:
    del step


def _no_progress(source: str, done: int, total: int) -> None:
    """Report nothing."""


@dataclass(frozen=True, slots=True)
class MoveContext:
    """Moves of entities of one service; waiting times are in seconds.

    ``inventory`` is called again before each transaction, so that a drain can be revoked while it runs.
    A ``revocable`` hand-over stops when its source is active again.
    ``progress`` is called with the source, the number of its entities that are done, and the total.
    ``settle_seconds`` limits the wait for results, ``wait_seconds`` the wait for lanes that another run has leased.
    """

    engine: Engine
    mesh: Mesh
    service: Service
    inventory: Callable[[], Inventory]
    holder: str
    limits: Limits = field(default_factory=Limits)
    settle_seconds: float = 60.0
    wait_seconds: float = 90.0
    revocable: bool = False
    on_step: OnStep = _ignore
    progress: Progress = _no_progress


def is_revoked(context: MoveContext, source: str) -> bool:
    """Whether a drain was revoked: its node is active again."""
    node = context.inventory().nodes.get(source)
    return context.revocable and node is not None and node.state is NodeState.ACTIVE


@contextmanager
def lease_lanes(context: MoveContext, node: str) -> Iterator[list[LaneLease]]:
    """Lease every lane of the service to and from a node, so that no other run pushes to it or pulls from it.

    Waits for lanes that another run has leased; raises LaneBusy where that takes longer than ``wait_seconds``.
    """
    end, clock = monotonic() + context.wait_seconds, database_clock(context.engine)
    while True:
        with ExitStack() as leased:
            try:
                leases = [
                    leased.enter_context(_lease(context, lane, clock))
                    for lane in lanes_of_node(context.service, node)
                ]
            except LaneBusy:
                if monotonic() > end:
                    raise
            else:
                yield leases
                return
        sleep(LOOK_SECONDS)


def _lease(context: MoveContext, lane: Lane, clock: Clock) -> AbstractContextManager[LaneLease]:
    seconds = context.limits.lease_seconds
    return lease_lane(
        context.engine, lane, holder=context.holder, clock=clock, lease_seconds=seconds, pause=Pause.KEEP
    )
