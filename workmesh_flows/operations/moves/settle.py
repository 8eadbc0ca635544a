"""Settle: before entities leave a node, pull the results of their records that it has processed."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic, sleep
from typing import Any

from workmesh_flows.adapters.store.engine import translated_errors
from workmesh_flows.adapters.store.lanes import LaneLease, update_lane
from workmesh_flows.adapters.store.moves import count_in_flight
from workmesh_flows.domain.node import NodeState
from workmesh_flows.domain.reports import Tally
from workmesh_flows.errors import DefinitionError, NodeError, NodeUnavailable, StoreUnavailable
from workmesh_flows.operations.delivery.lane_context import LaneContext
from workmesh_flows.operations.delivery.pull import collect_processed
from workmesh_flows.operations.moves.move_context import REVOKED, MoveContext, is_revoked

LOOK_SECONDS = 1.0
"""Pause before the node is asked again what it has processed."""
ATTEMPTS = 3
"""Failures of the node or the database after which no more results are expected."""


def settle(context: MoveContext, source: str, pulls: Sequence[LaneLease], entities: Sequence[Any]) -> str:
    """Pull from a node until none of these entities' records is in flight, or until the deadline.

    ``pulls`` are the leases of the node's pull lanes. Returns "" where nothing is in flight, else the reason: the
    remaining records will be pushed again, to the next node.
    """
    end, failures = monotonic() + context.settle_seconds, 0
    while left := _count_in_flight(context, entities):
        if is_revoked(context, source):
            return REVOKED
        if problem := _problem(context, source):
            return f"{_records(left)} not waited for: {problem}"
        try:
            _pull(context, source, pulls)
        except (NodeUnavailable, StoreUnavailable) as error:
            failures += 1
            if failures >= ATTEMPTS or _save_pause(context, error, pulls):
                return f"{_records(left)} not waited for: {error}"
        except (NodeError, DefinitionError) as error:
            return f"{_records(left)} not waited for: {error}"
        if not (left := _count_in_flight(context, entities)):
            break
        if monotonic() + LOOK_SECONDS > end:
            return f"{_records(left)} not processed within {context.settle_seconds:g} s"
        sleep(LOOK_SECONDS)
    return ""


def _count_in_flight(context: MoveContext, entities: Sequence[Any]) -> int:
    with translated_errors(), context.engine.connect() as connection:
        return count_in_flight(connection, context.service, entities)


def _problem(context: MoveContext, source: str) -> str | None:
    """Why the node cannot be asked; None where it can."""
    inventory = context.inventory()
    if problem := inventory.problem_with(source, context.service.name):
        return problem
    return "the node is disabled" if inventory.nodes[source].state is NodeState.DISABLED else None


def _pull(context: MoveContext, source: str, pulls: Sequence[LaneLease]) -> None:
    node = context.inventory().node(source)
    for lease in pulls:
        protocol = context.service.protocol(lease.lane.protocol)
        if protocol.pull is None:
            continue
        lane_context = LaneContext(
            context.engine, context.service, protocol, node, context.holder, context.limits
        )
        clock = lane_context.clock()
        if lease.retry_at is not None and lease.retry_at > clock():
            until = f"it asked for a pause until {lease.retry_at:%Y-%m-%d %H:%M:%S} UTC"
            raise NodeUnavailable(until, node=source, retry_at=lease.retry_at)
        tally = Tally()
        with lane_context.client(lease, clock) as client:
            collect_processed(lane_context, lease, clock, client, tally, [])
        tally.check(str(lease.lane))


def _save_pause(context: MoveContext, error: Exception, pulls: Sequence[LaneLease]) -> bool:
    """Save the pause that the node asked for in its lanes; return whether it asked for one."""
    until = getattr(error, "retry_at", None)
    if until is None:
        return False
    for lease in pulls:
        update_lane(context.engine, lease, retry_at=until)
    return True


def _records(number: int) -> str:
    return f"{number:,} {'record was' if number == 1 else 'records were'}"
