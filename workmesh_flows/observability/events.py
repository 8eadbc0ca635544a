"""Events for Prefect's feed and automations: problems that start to need attention, and problems that are resolved.

The resource of an event is a lane, a node, a record, a service or a plan; node and service are related resources, and
the figures are the payload. An event is recorded as sent only after it was flushed; a crash in between sends it twice.
Prefect confirms no event: a server that is unreachable, or crashes before it has stored the event, may lose it. The pages
still list problems that continue. Events never fail or block a run.
"""

from __future__ import annotations

import threading
from typing import Any, Literal, TypeAlias

from prefect.events import emit_event
from prefect.events.worker import EventsWorker

Name: TypeAlias = Literal[
    "workmesh.lane.stopped",
    "workmesh.lane.resumed",
    "workmesh.record.parked",
    "workmesh.record.released",
    "workmesh.record.failed",
    "workmesh.record.recovered",
    "workmesh.entity.unassigned",
    "workmesh.entity.assigned",
    "workmesh.node.unreachable",
    "workmesh.node.recovered",
    "workmesh.plan.applied",
]
ID = "prefect.resource.id"
ROLE = "prefect.resource.role"
LABEL = "prefect.resource.name"
SECONDS = 5.0
"""Longest time in seconds that a run waits until its events have left the process."""


def emit(
    name: Name,
    resource: str,
    *,
    node: str | None = None,
    service: str | None = None,
    payload: dict[str, Any] | None = None,
) -> None:
    """Emit an event about a resource, for example ``lane/micro.emails.timeline/delivery/n1/push``."""
    kind, _, label = resource.partition("/")
    related = [
        {ID: f"workmesh.{role}.{value}", LABEL: value, ROLE: role}
        for role, value in (("node", node), ("service", service))
        if value
    ]
    emit_event(
        name, resource={ID: f"workmesh.{kind}.{label}", LABEL: label}, related=related, payload=payload or {}
    )


def flush_events(seconds: float = SECONDS) -> bool:
    """Wait up to ``seconds`` until Prefect's queue of events is empty; return whether it is.

    Prefect sends events from its own thread; a process that is killed loses those still in the queue.
    """
    queue = EventsWorker.instance()
    waiting = threading.Thread(target=queue.wait_until_empty, name="flush events", daemon=True)
    waiting.start()
    waiting.join(seconds)
    return not waiting.is_alive()
