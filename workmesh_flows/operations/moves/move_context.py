"""What every hand-over shares: its parties, how long it waits, and how a source's lanes are taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import TypeAlias

from sqlalchemy import Engine

from workmesh_flows.adapters.store.engine import Clock, database_clock
from workmesh_flows.adapters.store.lanes import LaneLease, Pause, lease_lane
from workmesh_flows.domain.lane import Lane
from workmesh_flows.domain.limits import Limits
from workmesh_flows.domain.node import Inventory, NodeState
from workmesh_flows.domain.service import Mesh, Service
from workmesh_flows.errors import LaneBusy

LOOK_SECONDS = 0.5
"""Pause before a busy lane is tried again."""

REVOKED = "the drain was revoked"

Told: TypeAlias = Callable[[str], None]
"""Told at each step of a hand-over: lanes taken, settled, moving, moved."""


def _nobody(step: str) -> None:
    del step


@dataclass(frozen=True, slots=True)
class MoveContext:
    """Entities of one service on the move: the parties, and how long to wait (seconds).

    ``inventory`` is asked again before each transaction, so that a drain can be revoked while it runs.
    A ``revocable`` hand-over stops when its source is active again.
    ``settle_seconds`` bounds the wait for results, ``wait_seconds`` the wait for lanes that another run holds.
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
    told: Told = _nobody


def is_revoked(context: MoveContext, source: str) -> bool:
    """Whether a drain was taken back: its node is active again."""
    node = context.inventory().nodes.get(source)
    return context.revocable and node is not None and node.state is NodeState.ACTIVE


@contextmanager
def lanes_of(context: MoveContext, node: str) -> Iterator[list[LaneLease]]:
    """Hold every lane of a service to a node, both ways, so that nobody pushes to it or pulls from it.

    Waits for lanes that another run holds; raises LaneBusy where that takes too long.
    """
    end, clock = monotonic() + context.wait_seconds, database_clock(context.engine)
    while True:
        with ExitStack() as taken:
            try:
                holds = [
                    taken.enter_context(_held(context, lane, clock)) for lane in _lanes(context.service, node)
                ]
            except LaneBusy:
                if monotonic() > end:
                    raise
            else:
                yield holds
                return
        sleep(LOOK_SECONDS)


def _held(context: MoveContext, lane: Lane, clock: Clock) -> AbstractContextManager[LaneLease]:
    lease = context.limits.lease_seconds
    return lease_lane(
        context.engine, lane, holder=context.holder, clock=clock, lease_seconds=lease, pause=Pause.KEEP
    )


def _lanes(service: Service, node: str) -> Iterator[Lane]:
    for protocol in service.protocols:
        if protocol.push is not None:
            yield Lane(service.name, protocol.name, node, "push")
        if protocol.pull is not None:
            yield Lane(service.name, protocol.name, node, "pull")
