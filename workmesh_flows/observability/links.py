"""What Prefect's pages are asked about and link to: runs, deployments, other artifacts.

Links are relative: each page of an artifact or a run lies two steps below the root, in both of Prefect's UIs and in its
Cloud, so that they need no address and stay in the UI that somebody uses.
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
from workmesh_flows.observability.tags import service_tag
from workmesh_flows.reporting.page_data import Run
from workmesh_flows.settings import artifact_key

ROOT = "../.."
_PREFECTS = re.compile(r"^Flow run encountered an exception: (?:\w+: )?")
MESH_FLOWS = ["mesh.assign", "mesh.drain"]
RUNS = 10
"""Runs that a page lists."""
SAID = 160
"""Characters of what a run did."""


@dataclass(frozen=True, slots=True)
class UiLinks:
    """Links of the pages, from a place below ``root``; ``pages`` are the addresses of the services' own."""

    root: str = ROOT
    pages: Mapping[str, str] = field(default_factory=dict)
    last_runs: Mapping[str, Sequence[Run]] = field(default_factory=dict)
    deployments: Mapping[str | None, Sequence[tuple[str, str]]] = field(default_factory=dict)
    blocks: Mapping[str, str] = field(default_factory=dict)

    def node(self, name: str) -> str:
        """The task runs of a node: their names end with its."""
        return f"{self.root}/runs?tab=task-runs&task-run-search={name}"

    def block(self, node: str) -> str:
        """The block of a node."""
        return self.blocks.get(node, "")

    def service(self, name: str) -> str:
        """The page of a service."""
        return self.pages.get(name, "")

    def runs(self, service: str) -> Sequence[Run]:
        """The last runs of a service that have ended."""
        return self.last_runs.get(service, ())

    def actions(self, service: str | None) -> Sequence[tuple[str, str]]:
        """The forms from which a service's deployments are run; of None, the mesh's own."""
        return self.deployments.get(service, ())


def ui_address() -> str:
    """Where the UI is, for pages that are read elsewhere; of a server of one's own it is the newer of its two."""
    address = str(get_current_settings().ui_url or "").rstrip("/")
    return f"{address}/v2" if get_current_settings().api.key is None else address


def read_links(services: Sequence[str], pages: Sequence[str], *, root: str = ROOT) -> UiLinks:
    """Links for the pages of ``pages``, of a mesh of these services; two questions to the server, and two for each page."""
    forms: dict[str | None, list[tuple[str, str]]] = {service: _forms_of(service, root) for service in pages}
    return UiLinks(
        root,
        {service: f"{root}/artifacts/key/{artifact_key(service)}" for service in services},
        {service: _runs(service, root) for service in pages},
        {**forms, None: _forms_of_mesh(root)},
        {name: f"{root}/blocks/block/{document}" for name, document in document_ids().items()},
    )


def _runs(service: str, root: str) -> list[Run]:
    asked = FlowRunFilter(
        tags=FlowRunFilterTags(all_=[service_tag(service)]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(TERMINAL_STATES))),
    )
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(flow_run_filter=asked, sort=FlowRunSort.START_TIME_DESC, limit=RUNS)
    return [
        Run(
            run.name,
            f"{root}/runs/flow-run/{run.id}",
            run.state_name or "",
            run.start_time,
            _message(run.state.message or "") if run.state else "",
        )
        for run in found
    ]


def _message(message: str) -> str:
    """A state's message on one line, without what Prefect writes before an error's own text."""
    text = " ".join(_PREFECTS.sub("", message).split())
    return text if len(text) <= SAID else text[: SAID - 1] + "…"


def _forms_of(service: str, root: str) -> list[tuple[str, str]]:
    asked = DeploymentFilter(tags=DeploymentFilterTags(all_=[service_tag(service)]))
    with get_client(sync_client=True) as client:
        return _forms(client.read_deployments(deployment_filter=asked), root)


def _forms_of_mesh(root: str) -> list[tuple[str, str]]:
    asked = FlowFilter(name=FlowFilterName(any_=MESH_FLOWS))
    with get_client(sync_client=True) as client:
        return _forms(client.read_deployments(flow_filter=asked), root)


def _forms(found: Sequence[DeploymentResponse], root: str) -> list[tuple[str, str]]:
    return sorted((str(one.name), f"{root}/deployments/deployment/{one.id}/run") for one in found)
