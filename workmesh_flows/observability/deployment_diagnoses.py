"""What the doctor says about deployments, schedules, work pools, workers and automations on the Prefect server."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowFilter, FlowFilterName
from prefect.client.schemas.objects import WorkerStatus
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.sorting import FlowSort
from prefect.exceptions import ObjectNotFound

from workmesh_flows.domain.reports import counted
from workmesh_flows.domain.service import Service
from workmesh_flows.observability.automations import automation_names
from workmesh_flows.observability.flow_names import flow_names
from workmesh_flows.operations.health.diagnosis import Diagnosis, Result

DEPLOY = "prefect deploy --all --no-prompt, or workmesh serve"
SENDING = ("sync", "push")
"""Flows that send records."""


def deployment_diagnoses(services: Sequence[Service]) -> Iterator[Diagnosis]:
    """The deployments of each service with their schedules, then the work pools and workers that execute them."""
    with get_client(sync_client=True) as client:
        deployed = _deployments(client, services)
        for service in services:
            yield from _of_service(service, deployed)
        yield from _executors(client, [one for found in deployed.values() for one in found])


def automation_diagnoses() -> Iterator[Diagnosis]:
    """The automations that are not installed, or disabled."""
    with get_client(sync_client=True) as client:
        enabled = {found.name: found.enabled for found in client.read_automations()}
    wanted = automation_names()
    if missing := [name for name in wanted if name not in enabled]:
        detail = f"not installed: {', '.join(missing)}"
        yield Diagnosis("automations", "installed", Result.WARNING, detail, "workmesh automations install")
    if disabled := [name for name in wanted if enabled.get(name) is False]:
        to_do = "enable them in the UI: Automations"
        yield Diagnosis("automations", "enabled", Result.WARNING, f"disabled: {', '.join(disabled)}", to_do)
    if not missing and not disabled:
        yield Diagnosis("automations", "installed", Result.OK, f"{len(wanted)} are installed and enabled")


def _deployments(
    client: SyncPrefectClient, services: Sequence[Service]
) -> dict[str, list[DeploymentResponse]]:
    """The deployments of all flows of the mesh, by the flow's name."""
    wanted = FlowFilter(name=FlowFilterName(any_=flow_names(service.name for service in services)))
    flows = {flow.id: flow.name for flow in client.read_flows(flow_filter=wanted, sort=FlowSort.NAME_ASC)}
    found = defaultdict(list)
    for deployment in client.read_deployments(flow_filter=wanted):
        if deployment.flow_id in flows:
            found[flows[deployment.flow_id]].append(deployment)
    return found


def _of_service(
    service: Service, deployed: Mapping[str, Sequence[DeploymentResponse]]
) -> Iterator[Diagnosis]:
    subject = f"service {service.name}"
    own = {
        name.removeprefix(f"{service.name}."): found
        for name, found in deployed.items()
        if name.startswith(f"{service.name}.")
    }
    if not own:
        yield Diagnosis(subject, "deployments", Result.WARNING, "none of its flows is deployed", DEPLOY)
        return
    if missing := _missing(service, own):
        detail = f"no deployment of {', '.join(missing)}, nor of sync"
        yield Diagnosis(subject, "deployments", Result.WARNING, detail, DEPLOY)
    scheduled = 0
    for action, found in own.items():
        for one in found:
            name = f"{service.name}.{action}/{one.name}"
            stopped = [schedule for schedule in one.schedules if not schedule.active]
            if one.paused:
                to_do = f"turn on its schedules in the UI: Deployments, {one.name}"
                yield Diagnosis(subject, "schedules", Result.WARNING, f"{name} is paused", to_do)
            for schedule in stopped if not one.paused else ():
                to_do = f"prefect deployment schedule resume {name} {schedule.id}"
                yield Diagnosis(
                    subject, "schedules", Result.WARNING, f"a schedule of {name} is paused", to_do
                )
            if action in SENDING and not one.paused:
                scheduled += len(one.schedules) - len(stopped)
    if not scheduled:
        to_do = (
            "give the deployment of sync a schedule in prefect.yaml, then: prefect deploy --all --no-prompt"
        )
        detail = "no active schedule of sync or push: records are sent only by hand"
        yield Diagnosis(subject, "schedules", Result.WARNING, detail, to_do)
    elif not missing:
        total = counted(sum(map(len, own.values())), "deployment")
        detail = f"{total}, {counted(scheduled, 'active schedule')} of {' and '.join(SENDING)}"
        yield Diagnosis(subject, "deployments", Result.OK, detail)


def _missing(service: Service, own: Collection[str]) -> list[str]:
    """The flows without a deployment that a service needs, unless its sync is deployed."""
    needed = ["assign", "push"] + (["pull"] if any(one.pull for one in service.protocols) else [])
    return [] if "sync" in own else [action for action in needed if action not in own]


def _executors(client: SyncPrefectClient, found: Sequence[DeploymentResponse]) -> Iterator[Diagnosis]:
    """The work pools of these deployments, and the processes that serve those without a pool."""
    for pool in sorted({one.work_pool_name for one in found if one.work_pool_name}):
        yield _pool(client, pool)
    served = [one for one in found if not one.work_pool_name]
    if served and not any(one.status is not None and one.status.value == "READY" for one in served):
        detail = f"no process serves {counted(len(served), 'deployment')} without a work pool"
        yield Diagnosis("worker", "workmesh serve", Result.PROBLEM, detail, "workmesh serve")
    elif served:
        yield Diagnosis("worker", "workmesh serve", Result.OK, f"{counted(len(served), 'deployment')} served")


def _pool(client: SyncPrefectClient, name: str) -> Diagnosis:
    subject = f"work pool {name}"
    try:
        pool = client.read_work_pool(name)
    except ObjectNotFound:
        return Diagnosis(
            subject, "exists", Result.PROBLEM, "it does not exist", f"workmesh setup --pool {name}"
        )
    if pool.is_paused:
        return Diagnosis(subject, "state", Result.PROBLEM, "it is paused", f"prefect work-pool resume {name}")
    workers = client.read_workers_for_work_pool(name)
    online = [worker for worker in workers if worker.status is WorkerStatus.ONLINE]
    if not online:
        detail = f"none of its {len(workers)} workers is online" if workers else "it has no worker"
        return Diagnosis(subject, "worker", Result.PROBLEM, detail, f"prefect worker start --pool {name}")
    return Diagnosis(
        subject, "worker", Result.OK, f"online: {', '.join(worker.name for worker in online[:5])}"
    )
