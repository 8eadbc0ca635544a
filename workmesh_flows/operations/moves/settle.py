"""Settle: before entities leave a node, collect what it has processed of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import monotonic, sleep
from typing import Any

from workmesh_flows.adapters.store.engine import translated_errors
from workmesh_flows.adapters.store.lanes import Hold, note_on_lane
from workmesh_flows.adapters.store.moves import count_on_their_way
from workmesh_flows.domain.node import NodeState
from workmesh_flows.domain.reports import Tally
from workmesh_flows.errors import DefinitionError, NodeError, NodeUnavailable, StoreUnavailable
from workmesh_flows.operations.delivery.lane_context import Work
from workmesh_flows.operations.delivery.pull import collect_processed
from workmesh_flows.operations.moves.move_context import REVOKED, Moving, is_revoked

LOOK_SECONDS = 1.0
"""Pause before the node is asked again what it has processed."""
TRIES = 3
"""Times that a node may be unavailable before nothing more is expected of it."""


def settle(moving: Moving, source: str, holds: Mapping[str, Hold], entities: Sequence[Any]) -> str:
    """Pull from a node whose lanes are held until nothing of these entities is on its way, or a deadline comes.

    ``holds`` are its pull lanes by protocol. Returns "" when nothing is left, else why that is so: what is left will
    be pushed again, to the next node.
    """
    end, failures = monotonic() + moving.settle_seconds, 0
    while left := _on_their_way(moving, entities):
        if is_revoked(moving, source):
            return REVOKED
        if trouble := _trouble(moving, source):
            return f"{_records(left)} not waited for: {trouble}"
        try:
            _pull(moving, source, holds)
        except (NodeUnavailable, StoreUnavailable) as error:
            failures += 1
            if failures >= TRIES or _asked_for_a_pause(moving, error, holds):
                return f"{_records(left)} not waited for: {error}"
        except (NodeError, DefinitionError) as error:
            return f"{_records(left)} not waited for: {error}"
        if not (left := _on_their_way(moving, entities)):
            break
        if monotonic() + LOOK_SECONDS > end:
            return f"{_records(left)} not processed within {moving.settle_seconds:g} s"
        sleep(LOOK_SECONDS)
    return ""


def _on_their_way(moving: Moving, entities: Sequence[Any]) -> int:
    with translated_errors(), moving.engine.connect() as connection:
        return count_on_their_way(connection, moving.service, entities)


def _trouble(moving: Moving, source: str) -> str | None:
    inventory = moving.inventory()
    if trouble := inventory.trouble(source, moving.service.name):
        return trouble
    return "the node is disabled" if inventory.nodes[source].state is NodeState.DISABLED else None


def _pull(moving: Moving, source: str, holds: Mapping[str, Hold]) -> None:
    node = moving.inventory().node(source)
    for name, hold in holds.items():
        work = Work(
            moving.engine, moving.service, moving.service.protocol(name), node, moving.holder, moving.limits
        )
        clock = work.clock()
        if hold.retry_at is not None and hold.retry_at > clock():
            until = f"it asked to be left alone until {hold.retry_at:%Y-%m-%d %H:%M:%S} UTC"
            raise NodeUnavailable(until, node=source, retry_at=hold.retry_at)
        tally = Tally()
        collect_processed(work, hold, clock, tally, [])
        tally.check(str(hold.lane))


def _asked_for_a_pause(moving: Moving, error: Exception, holds: Mapping[str, Hold]) -> bool:
    until = getattr(error, "retry_at", None)
    if until is None:
        return False
    for hold in holds.values():
        note_on_lane(moving.engine, hold, retry_at=until)
    return True


def _records(number: int) -> str:
    return f"{number:,} {'record was' if number == 1 else 'records were'}"
