"""The runs of a mesh that failed lately, as the Prefect server knows them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort

from workmesh_flows.observability.flow_names import flow_names
from workmesh_flows.observability.links import ROOT, message_of
from workmesh_flows.observability.tags import service_tag
from workmesh_flows.reporting.page_data import FailedRun

LATELY = timedelta(hours=1)
MOST = 100
"""Number of failed runs that are read."""


def failed_runs(services: Collection[str], now: datetime, *, root: str = ROOT) -> list[FailedRun]:
    """The runs of these services, and of their mesh, that failed or crashed in the last hour, newest first.

    Two requests to the server, and none for the flows where no run failed.
    """
    flows = FlowFilter(name=FlowFilterName(any_=flow_names(services)))
    wanted = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.FAILED, StateType.CRASHED])),
        end_time=FlowRunFilterEndTime.model_validate({"after_": now - LATELY}),
    )
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(
            flow_filter=flows, flow_run_filter=wanted, sort=FlowRunSort.END_TIME_DESC, limit=MOST
        )
        flow_of = {flow.id: flow.name for flow in client.read_flows(flow_filter=flows)} if found else {}
    tags = {service_tag(service) for service in services}
    return [
        FailedRun(
            flow_of.get(run.flow_id, ""),
            run.name,
            f"{root}/runs/flow-run/{run.id}",
            run.end_time or now,
            message_of(run.state.message or "") if run.state else "",
        )
        for run in found
        if _is_of_mesh(run, tags)
    ]


def _is_of_mesh(run: FlowRun, tags: Collection[str]) -> bool:
    """Whether a run is of this mesh: another mesh on the server has flows of the same names, but other services."""
    services = {tag for tag in run.tags if tag.startswith(service_tag(""))}
    return not services or bool(services & set(tags))
