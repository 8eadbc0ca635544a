"""Events for Prefect's feed and automations: what began to need somebody, and what is well again.

An event is about a lane, a node, a record or a service (its resource); node and service are related resources, and
the figures are its payload. It is handed to Prefect before it is kept as told: a run that dies in between leads to a
second one. Prefect sends from a queue and confirms nothing: a process that is killed before its queue is empty, or a
server that is away, may lose the event; what holds still stands on the pages. It keeps no run from its end.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from prefect.events import emit_event

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


def send(
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
