"""Tags of runs, by which their list can be narrowed to a service or a node."""

from __future__ import annotations

from collections.abc import Sequence

from prefect.client.orchestration import get_client
from prefect.runtime import flow_run

from workmesh_flows.observability.best_effort import best_effort

TAG = "workmesh"
"""All flow runs of ours have it where they come from our deployments or commands: automations go by it."""


def mesh_tags() -> list[str]:
    """The tags of a mesh's own runs."""
    return [TAG]


def service_tag(service: str) -> str:
    """The tag by which a service's runs and deployments are found."""
    return f"service:{service}"


def service_tags(service: str) -> list[str]:
    """The tags of a service's runs."""
    return [TAG, service_tag(service)]


def node_tag(node: str) -> str:
    """The tag of runs that somebody asked for about this node."""
    return f"node:{node}"


def tag_run(tags: Sequence[str] = ()) -> None:
    """Tag this run with the nodes that its parameters name, and with these; a run about all nodes gets none of a node.

    Its lanes have their node in their names. They are not tagged: for a task with tags Prefect asks its server for
    a slot before it begins.
    """
    parameters = flow_run.parameters
    names = parameters.get("nodes") or parameters.get("sources") or []
    if wanted := [*tags, *(node_tag(str(name)) for name in names)]:
        with best_effort("its tags"), get_client(sync_client=True) as client:
            client.update_flow_run(flow_run.id, tags=sorted({*flow_run.tags, *wanted}))
