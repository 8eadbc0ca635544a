"""Settle: before entities leave a node, collect what it has processed of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
TRIES = 3
"""Times that a node may be unavailable before nothing more is expected of it."""


def settle(context: MoveContext, source: str, holds: Mapping[str, LaneLease], entities: Sequence[Any]) -> str:
    """Pull from a node whose lanes are held until nothing of these entities is on its way, or a deadline comes.

    ``holds`` are its pull lanes by protocol. Returns "" when nothing is left, else why that is so: what is left will
    be pushed again, to the next node.
    """
    end, failures = monotonic() + context.settle_seconds, 0
    while left := _on_their_way(context, entities):
        if is_revoked(context, source):
            return REVOKED
        if trouble := _trouble(context, source):
            return f"{_records(left)} not waited for: {trouble}"
        try:
            _pull(context, source, holds)
        except (NodeUnavailable, StoreUnavailable) as error:
            failures += 1
            if failures >= TRIES or _asked_for_a_pause(context, error, holds):
                return f"{_records(left)} not waited for: {error}"
        except (NodeError, DefinitionError) as error:
            return f"{_records(left)} not waited for: {error}"
        if not (left := _on_their_way(context, entities)):
            break
        if monotonic() + LOOK_SECONDS > end:
            return f"{_records(left)} not processed within {context.settle_seconds:g} s"
        sleep(LOOK_SECONDS)
    return ""


def _on_their_way(context: MoveContext, entities: Sequence[Any]) -> int:
    with translated_errors(), context.engine.connect() as connection:
        return count_in_flight(connection, context.service, entities)


def _trouble(context: MoveContext, source: str) -> str | None:
    inventory = context.inventory()
    if trouble := inventory.trouble(source, context.service.name):
        return trouble
    return "the node is disabled" if inventory.nodes[source].state is NodeState.DISABLED else None


def _pull(context: MoveContext, source: str, holds: Mapping[str, LaneLease]) -> None:
    node = context.inventory().node(source)
    for name, lease in holds.items():
        work = LaneContext(
            context.engine,
            context.service,
            context.service.protocol(name),
            node,
            context.holder,
            context.limits,
        )
        clock = work.clock()
        if lease.retry_at is not None and lease.retry_at > clock():
            until = f"it asked to be left alone until {lease.retry_at:%Y-%m-%d %H:%M:%S} UTC"
            raise NodeUnavailable(until, node=source, retry_at=lease.retry_at)
        tally = Tally()
        collect_processed(work, lease, clock, tally, [])
        tally.check(str(lease.lane))


def _asked_for_a_pause(context: MoveContext, error: Exception, holds: Mapping[str, LaneLease]) -> bool:
    until = getattr(error, "retry_at", None)
    if until is None:
        return False
    for lease in holds.values():
        update_lane(context.engine, lease, retry_at=until)
    return True


def _records(number: int) -> str:
    return f"{number:,} {'record was' if number == 1 else 'records were'}"
