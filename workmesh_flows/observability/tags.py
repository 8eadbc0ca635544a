"""Tags of runs, by which lists of runs are filtered by service or node."""

from __future__ import annotations

from collections.abc import Sequence

from prefect.client.orchestration import get_client
from prefect.runtime import flow_run

from workmesh_flows.observability.best_effort import best_effort

TAG = "workmesh"
"""Tag of all flow runs of Workmesh's deployments and commands; automations select runs by it."""


def mesh_tags() -> list[str]:
    """The tags of a run over a mesh."""
    return [TAG]


def service_tag(service: str) -> str:
    """The tag of a service's runs and deployments."""
    return f"service:{service}"


def service_tags(service: str) -> list[str]:
    """The tags of a service's runs."""
    return [TAG, service_tag(service)]


def node_tag(node: str) -> str:
    """The tag of runs that were started for this node."""
    return f"node:{node}"


def tag_run(tags: Sequence[str] = ()) -> None:
    """Tag this run with ``tags`` and the nodes in its parameters; a run over all nodes gets no node tag.

    Task runs are not tagged, because Prefect requests a concurrency slot from its server before each task with tags;
    their names contain the node.
    """
    parameters = flow_run.parameters
    names = parameters.get("nodes") or parameters.get("sources") or []
    if wanted := [*tags, *(node_tag(str(name)) for name in names)]:
        with best_effort("its tags"), get_client(sync_client=True) as client:
            client.update_flow_run(flow_run.id, tags=sorted({*flow_run.tags, *wanted}))
