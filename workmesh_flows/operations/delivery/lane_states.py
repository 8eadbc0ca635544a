"""The lanes of a run before it starts them: which have something to do, and which report why they have not started.

All other lanes cost nothing: they are found by the absence of open records, in one query for each protocol.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import Engine

from workmesh_flows.adapters.store.engine import database_clock
from workmesh_flows.adapters.store.failures import forget_ended_failures
from workmesh_flows.adapters.store.lanes import Pause, obstacle
from workmesh_flows.adapters.store.open_lanes import (
    eventful_lanes,
    listed_states,
    nodes_in_flight,
    nodes_of_refused,
    nodes_with_pending,
    protocols_with_missing,
    unsettled_lanes,
)
from workmesh_flows.adapters.store.protocol_tables import PushTables, pull_tables, push_tables
from workmesh_flows.adapters.store.refused_records import blocking_record, forget_settled
from workmesh_flows.domain.lane import Direction, Lane
from workmesh_flows.domain.protocol import Protocol
from workmesh_flows.domain.service import Service
from workmesh_flows.errors import LaneBusy, LaneError, LanePaused, LaneStopped
from workmesh_flows.operations.delivery.push import blocked_reason
from workmesh_flows.planning.refusals import REFUSED, RefusalState


@dataclass(frozen=True, slots=True)
class LaneStates:
    """The lanes that have something to do or to report; all others are idle.

    ``open`` lanes have records to send or to ask for. ``waiting`` lanes have pending records, but each of them waits for
    a decision about a parked one. ``obstacles`` are the errors with which lanes cannot start: LanePaused or LaneStopped,
    and LaneBusy of a lane that is not open.
    """

    open: frozenset[Lane] = frozenset()
    waiting: frozenset[Lane] = frozenset()
    obstacles: Mapping[Lane, LaneError] = field(default_factory=dict)

    def concern(self, lane: Lane) -> bool:
        """Whether a lane is not idle."""
        return lane in self.open or lane in self.waiting or lane in self.obstacles


def push_states(
    engine: Engine, service: Service, protocols: Sequence[Protocol], *, now: bool, patience: float
) -> LaneStates:
    """The states of the push lanes of these protocols.

    ``now`` ignores pauses. An open lane that its node asked to pause for at most ``patience`` seconds has no obstacle.
    """
    listed = listed_states(engine, service)
    ready, waiting, blocked = set[Lane](), set[Lane](), dict[Lane, LaneError]()
    for protocol in protocols:
        tables, states = push_tables(service, protocol), listed.get(protocol.name, set())
        if states & set(REFUSED):
            forget_settled(engine, tables)
        parked = bool(states & {RefusalState.PARKED, RefusalState.SKIPPED})
        ready.update(_lanes(tables, nodes_with_pending(engine, tables, include_parked=not parked), "push"))
        if RefusalState.PARKED in states:
            waiting.update(_lanes(tables, nodes_of_refused(engine, tables, RefusalState.PARKED), "push"))
        if RefusalState.BLOCKING in states:
            blocked.update(_blocked(engine, tables))
    obstacles = blocked | _obstacles(engine, service, "push", ready, now=now, patience=patience)
    return LaneStates(frozenset(ready), frozenset(waiting - ready), obstacles)


def pull_states(  # noqa: PLR0913 - each narrows the lanes, or says what stops one
    engine: Engine,
    service: Service,
    protocols: Sequence[Protocol],
    nodes: Collection[str],
    *,
    now: bool,
    patience: float,
) -> LaneStates:
    """The states of the pull lanes of these protocols and nodes; a lane is also open while its node may list failures.

    So is a lane whose last attempt failed, until its circuit breaker is closed again, and each lane of a protocol of which
    a node does not have a record: all nodes are asked for that one.
    """
    listed, missing = listed_states(engine, service), protocols_with_missing(engine, service)
    unsettled = unsettled_lanes(engine, service)
    failing = {place for place, row in eventful_lanes(engine, service, "pull").items() if row.failures}
    ready = set[Lane]()
    for protocol in protocols:
        tables = push_tables(service, protocol)
        if RefusalState.FAILED in listed.get(protocol.name, ()):
            forget_ended_failures(engine, tables)
        found = {node for name, node in failing if name == protocol.name}
        if protocol.pull is not None:
            found |= nodes_in_flight(engine, pull_tables(service, protocol))
        if tables.push.failed_path is not None:
            found |= {node for name, node in unsettled if name == protocol.name}
        if protocol.name in missing:
            found |= set(nodes)
        ready.update(_lanes(tables, found, "pull"))
    return LaneStates(
        frozenset(ready),
        obstacles=_obstacles(engine, service, "pull", ready, now=now, patience=patience),
    )


def _lanes(tables: PushTables, nodes: Iterable[str], direction: Direction) -> Iterator[Lane]:
    return (tables.lane(node, direction) for node in nodes)


def _blocked(engine: Engine, tables: PushTables) -> Iterator[tuple[Lane, LaneError]]:
    """The lanes that a refused record blocks."""
    for node in nodes_of_refused(engine, tables, RefusalState.BLOCKING):
        if (record := blocking_record(engine, tables, node)) is not None:
            lane = tables.lane(node, "push")
            yield lane, LaneStopped(blocked_reason(*record), lane=str(lane))


def _obstacles(  # noqa: PLR0913 - each is one condition
    engine: Engine,
    service: Service,
    direction: Direction,
    ready: Collection[Lane],
    *,
    now: bool,
    patience: float,
) -> dict[Lane, LaneError]:
    """Why lanes cannot be leased; an open lane that another run holds may be free when its turn comes."""
    rows = eventful_lanes(engine, service, direction)
    if not rows:
        return {}
    time, pause, found = database_clock(engine)(), Pause.END if now else Pause.HEED, dict[Lane, LaneError]()
    for (protocol, node), row in rows.items():
        lane = Lane(service.name, protocol, node, direction)
        match obstacle(lane, row, time, pause):
            case None:
                continue
            case LaneBusy() if lane in ready:
                continue
            case LanePaused(asked=True, until=until) if (
                lane in ready and until is not None and until - time <= timedelta(seconds=patience)
            ):
                continue
            case LaneError() as error:
                found[lane] = error
    return found
