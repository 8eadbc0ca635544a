"""Links of the pages to Prefect's UI: runs, deployments, blocks, other artifacts.

The links are relative: the page of an artifact or a run lies two levels below the root, in both of Prefect's UIs and in
Prefect Cloud. So they need no address, and stay in the UI in which the page is open.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterTags,
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import TERMINAL_STATES
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.sorting import FlowRunSort
from prefect.settings import get_current_settings

from workmesh_flows.inventory.documents import document_ids
from workmesh_flows.observability.flow_names import MESH_FLOWS
from workmesh_flows.observability.tags import service_tag
from workmesh_flows.reporting.page_data import Run
from workmesh_flows.settings import artifact_key

ROOT = "../.."
_PREFIX = re.compile(r"^Flow run encountered an exception: (?:\w+: )?")
RUNS = 10
"""Number of runs that a page lists."""
MESSAGE = 160
"""Longest message of a run, in characters; longer ones are cut."""


@dataclass(frozen=True, slots=True)
class UiLinks:
    """Links of the pages; ``root`` is the way to the UI's root, ``pages`` has the address of each service's page."""

    root: str = ROOT
    pages: Mapping[str, str] = field(default_factory=dict)
    last_runs: Mapping[str, Sequence[Run]] = field(default_factory=dict)
    deployments: Mapping[str | None, Sequence[tuple[str, str]]] = field(default_factory=dict)
    blocks: Mapping[str, str] = field(default_factory=dict)

    def node(self, name: str) -> str:
        """The task runs of a node, whose names end with the node's."""
        return f"{self.root}/runs?tab=task-runs&task-run-search={name}"

    def block(self, node: str) -> str:
        """The block of a node; empty if it has none."""
        return self.blocks.get(node, "")

    def service(self, name: str) -> str:
        """The page of a service; empty if it has none."""
        return self.pages.get(name, "")

    def runs(self, service: str) -> Sequence[Run]:
        """The last ended runs of a service, newest first."""
        return self.last_runs.get(service, ())

    def actions(self, service: str | None) -> Sequence[tuple[str, str]]:
        """The forms that run a service's deployments, by name; for None those of the mesh."""
        return self.deployments.get(service, ())


def ui_address() -> str:
    """The address of the UI, for pages read outside of it; for a self-hosted server that of the newer of its two UIs."""
    address = str(get_current_settings().ui_url or "").rstrip("/")
    return f"{address}/v2" if get_current_settings().api.key is None else address


def read_links(services: Sequence[str], pages: Sequence[str], *, root: str = ROOT) -> UiLinks:
    """Links for the pages of the services in ``pages``; makes two requests to the server, and two more per page."""
    forms: dict[str | None, list[tuple[str, str]]] = {service: _forms_of(service, root) for service in pages}
    return UiLinks(
        root,
        {service: f"{root}/artifacts/key/{artifact_key(service)}" for service in services},
        {service: _runs(service, root) for service in pages},
        {**forms, None: _forms_of_mesh(root)},
        {name: f"{root}/blocks/block/{document}" for name, document in document_ids().items()},
    )


def _runs(service: str, root: str) -> list[Run]:
    wanted = FlowRunFilter(
        tags=FlowRunFilterTags(all_=[service_tag(service)]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(TERMINAL_STATES))),
    )
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(flow_run_filter=wanted, sort=FlowRunSort.START_TIME_DESC, limit=RUNS)
    return [
        Run(
            run.name,
            f"{root}/runs/flow-run/{run.id}",
            run.state_name or "",
            run.start_time,
            message_of(run.state.message or "") if run.state else "",
        )
        for run in found
    ]


def message_of(message: str) -> str:
    """A state's message on one line, without the prefix that Prefect puts before an error's text."""
    text = " ".join(_PREFIX.sub("", message).split())
    return text if len(text) <= MESSAGE else text[: MESSAGE - 1] + "…"


def _forms_of(service: str, root: str) -> list[tuple[str, str]]:
    wanted = DeploymentFilter(tags=DeploymentFilterTags(all_=[service_tag(service)]))
    with get_client(sync_client=True) as client:
        return _forms(client.read_deployments(deployment_filter=wanted), root)


def _forms_of_mesh(root: str) -> list[tuple[str, str]]:
    wanted = FlowFilter(name=FlowFilterName(any_=list(MESH_FLOWS)))
    with get_client(sync_client=True) as client:
        return _forms(client.read_deployments(flow_filter=wanted), root)


def _forms(found: Sequence[DeploymentResponse], root: str) -> list[tuple[str, str]]:
    return sorted((str(one.name), f"{root}/deployments/deployment/{one.id}/run") for one in found)
