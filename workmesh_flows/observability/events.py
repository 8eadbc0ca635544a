"""Events for Prefect's feed and automations: what began to need somebody, and what is well again.

An event is about a lane, a node, a record or a service (its resource); node and service are related resources, and
the figures are its payload. It has left the process before it is kept as told: a run that dies in between leads to a
second one. Prefect confirms nothing: a server that is away, or dies with what it was sent, may lose the event; what
holds still stands on the pages. It keeps no run from its end.
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
"""That a run waits at most for its events to leave the process."""


def emit(
    name: Name,
    resource: str,
    *,
    node: str | None = None,
    service: str | None = None,
    payload: dict[str, Any] | None = None,
) -> None:
    """Send an event about a resource, as in ``lane/micro.emails.timeline/delivery/n1``."""
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
    """Wait until Prefect's queue of events is empty, for so long at most; return whether it is.

    Prefect sends from a thread of its own, and a process that is killed takes along what is still in the queue.
    """
    queue = EventsWorker.instance()
    waiting = threading.Thread(target=queue.wait_until_empty, name="events leave", daemon=True)
    waiting.start()
    waiting.join(seconds)
    return not waiting.is_alive()
