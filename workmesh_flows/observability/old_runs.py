"""Old flow runs of a mesh on the Prefect server, which deletes their task runs and logs with them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort

from workmesh_flows.domain.pruned import Pruned
from workmesh_flows.observability.flow_names import MESH_FLOWS, flow_names
from workmesh_flows.observability.old_artifacts import prune_keyless
from workmesh_flows.observability.tags import TAG, service_tag

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

PAGE = 50
"""Flow runs in one request; the server deletes at most 50."""
ENDED = FlowRunFilterState(
    type=FlowRunFilterStateType(
        any_=[StateType.COMPLETED, StateType.FAILED, StateType.CANCELLED, StateType.CRASHED]
    )
)


def prune_runs(
    client: SyncPrefectClient, services: Sequence[str], before: datetime, *, dry_run: bool
) -> Iterator[Pruned]:
    """Delete the runs of a mesh's flows that ended before a time; yield the numbers of each page.

    Runs that have not ended stay, and the last ended run of each flow. So do runs of ``mesh.`` flows that name no service
    of this mesh: another mesh on the server has flows of the same names.
    """
    old = {"end_time": FlowRunFilterEndTime.model_validate({"before_": before})}
    for name in flow_names(services):
        last = _last_run(client, name, services)
        offset = 0
        while True:
            page = _ended_runs(client, name, offset, **old)
            chosen = [
                run.id for run in page if run.id != last and _is_of_mesh(run, name in MESH_FLOWS, services)
            ]
            if chosen:
                if keyless := prune_keyless(client, chosen, dry_run=dry_run):
                    yield Pruned("artifacts", keyless)
                yield Pruned("flow runs", len(chosen) if dry_run else _delete_runs(client, chosen, old))
            if len(page) < PAGE:
                break
            offset += len(page) if dry_run else len(page) - len(chosen)


def _ended_runs(client: SyncPrefectClient, flow: str, offset: int, **more: Any) -> list[FlowRun]:  # noqa: ANN401 - filters
    """A page of the runs of a flow that have ended, the newest first."""
    return client.read_flow_runs(
        flow_filter=FlowFilter(name=FlowFilterName(any_=[flow])),
        flow_run_filter=FlowRunFilter(state=ENDED, **more),
        sort=FlowRunSort.END_TIME_DESC,
        limit=PAGE,
        offset=offset,
    )


def _last_run(client: SyncPrefectClient, flow: str, services: Collection[str]) -> UUID | None:
    """The run of this mesh and flow that ended last."""
    offset = 0
    while page := _ended_runs(client, flow, offset):
        for run in page:
            if _is_of_mesh(run, flow in MESH_FLOWS, services):
                return run.id
        offset += len(page)
    return None


def _delete_runs(client: SyncPrefectClient, runs: Sequence[UUID], old: dict[str, Any]) -> int:
    """Delete those of these runs that are still ended and old; return their number."""
    chosen = FlowRunFilter(id=FlowRunFilterId(any_=list(runs)), state=ENDED, **old)
    body = {"flow_runs": chosen.model_dump(mode="json", exclude_unset=True), "limit": len(runs)}
    request = cast("Any", client).request  # its type does not list this path
    return len(request("POST", "/flow_runs/bulk_delete", json=body).json()["deleted"])


def _is_of_mesh(run: FlowRun, of_mesh_flow: bool, services: Collection[str]) -> bool:  # noqa: FBT001 - not optional
    """Whether a run of a flow with one of our names is of this mesh.

    A run that died before it named its services counts as one, if it was started by a deployment or command of Workmesh.
    """
    if not of_mesh_flow:
        return True
    named = {tag for tag in run.tags if tag.startswith(service_tag(""))}
    return bool(named & {service_tag(name) for name in services}) or (not named and TAG in run.tags)
