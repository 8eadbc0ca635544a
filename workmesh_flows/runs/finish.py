"""The end of a run: tables and pages are published, and the run fails where a lane stopped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from prefect import get_run_logger
from prefect.futures import PrefectFuture

from workmesh_flows.adapters.store.refused_list import RefusedRecord
from workmesh_flows.domain.lane import Lane
from workmesh_flows.domain.reports import counted
from workmesh_flows.domain.service import Mesh
from workmesh_flows.inventory.documents import recent_inventory
from workmesh_flows.mesh_database import mesh_engine
from workmesh_flows.observability.artifacts import publish_pages, publish_refused, publish_status
from workmesh_flows.observability.best_effort import best_effort
from workmesh_flows.observability.pages import RunPages
from workmesh_flows.observability.publications import publications
from workmesh_flows.operations.counts import correct_counts
from workmesh_flows.operations.delivery.replay import list_refused
from workmesh_flows.operations.probe import latest_probes
from workmesh_flows.operations.status import Status, read_status
from workmesh_flows.planning.refusals import RefusalState
from workmesh_flows.reporting.content_digest import StatusContent
from workmesh_flows.reporting.unassigned import unassigned_remedy
from workmesh_flows.runs.conditions import report_conditions
from workmesh_flows.runs.failure_message import failure_message
from workmesh_flows.runs.lane_tables import doubtful_nodes, lane_tables
from workmesh_flows.runs.result import RunResult, failed_run
from workmesh_flows.settings import read_settings


def count_only(mesh: Mesh, service: str) -> RunResult:
    """Count exactly and publish; the run fails where the counts cannot be published, since it does nothing else."""
    with mesh_engine(mesh) as engine:
        corrections = correct_counts(engine, [mesh.service(service)])
    result = RunResult("; ".join(["counted", *map(str, corrections)]))
    _publish(mesh, result, service, anew=True)
    return result


def finish_run(mesh: Mesh, result: RunResult, service: str | None = None) -> RunResult:
    """Publish tables and pages, about one service or about all; a failure to publish does not fail the run.

    Raises RunFailed, with the reason of each stopped lane, where a lane stopped.
    """
    with best_effort("the status at its end"):
        refused = _publish(mesh, result, service)
        result = replace(result, message=result.message + _waiting_behind(mesh, result, refused))
    if any(lane.state == "stopped" for lane in result.lanes):
        raise failed_run(failure_message(result), result)
    get_run_logger().info("%s", result.message)
    return result


def _publish(
    mesh: Mesh, result: RunResult, service: str | None, *, anew: bool = False
) -> list[RefusedRecord]:
    """Publish those tables, pages and events that have changed; return the refused records of the mesh.

    With ``anew``, all nodes are probed and everything is published.
    """
    tables = lane_tables(result)
    for table in tables:
        if table.acted:  # first, since the rest needs the database
            table.publish()
    inventory = recent_inventory()
    for document, problem in inventory.problems.items():
        get_run_logger().warning("node %s is left out, its block does not validate: %s", document, problem)
    doubtful = doubtful_nodes(result)
    with mesh_engine(mesh) as engine:
        probes = latest_probes(
            engine,
            inventory,
            seconds=read_settings().probe_seconds,
            anew=lambda node, found: anew or doubtful.get(node) == found.works,
        )
        about = None if service is None else [service]
        status = read_status(engine, mesh, inventory, probes, anew=about)
        refused = list_refused(engine, mesh)
        content = StatusContent.of(status)
        with publications(engine, always=anew) as artifacts:
            for table in tables:
                table.publish(artifacts)
            publish_status(artifacts, status, content)
            publish_refused(artifacts, refused)
            report_conditions(engine, result, status, refused)
            _warn_of_unassigned(status, result)
            services = [known.name for known in mesh.services] if service is None else [service]
            publish_pages(artifacts, RunPages(engine, mesh, status, refused, services, content))
    return refused


def _waiting_behind(mesh: Mesh, result: RunResult, refused: Sequence[RefusedRecord]) -> str:
    """The end of a push's summary: how many records wait behind parked ones of its lanes; empty if none does."""
    pushed = {each.lane for each in result.lanes if each.lane.direction == "push"}
    parked = [
        each
        for each in refused
        if each.state is RefusalState.PARKED
        and each.waiting
        and each.node is not None
        and Lane(each.service, each.protocol, each.node, "push") in pushed
    ]
    waiting = sum({(each.protocol, each.entity): each.waiting for each in parked}.values())
    if not waiting:
        return ""
    wait = f"{counted(waiting, 'record')} {'waits' if waiting == 1 else 'wait'}"
    service = f" {parked[0].service}" if len(mesh.services) > 1 else ""
    return f"; {wait} behind {counted(len(parked), 'parked record')}: workmesh replay{service}"


def _warn_of_unassigned(status: Status, result: RunResult) -> None:
    """Warn of pending records that no run can send because their entities have no node."""
    assigned_all = result.assigning or any(report.unassigned for report in result.assigned)
    remedy = "add a node, or raise a cap" if assigned_all else "run assign"
    of_run = {lane.service for lane in (*(each.lane for each in result.lanes), *result.idle)}
    for service in sorted(of_run or set(status.held)):
        pending = sum(c.pending for c in status.counts if c.service == service and c.owned and c.node is None)
        if pending:
            get_run_logger().warning(
                "%s of %s cannot be sent, %s no node: %s",
                counted(pending, "record"),
                service,
                "its entity has" if pending == 1 else "their entities have",
                unassigned_remedy(status, service, remedy),
            )


def task_error(future: PrefectFuture[Any]) -> object:
    """Why a task did not complete, even where its worker process exited."""
    try:
        return future.result(raise_on_failure=False)
    except Exception as exited:  # noqa: BLE001 - whatever the task runner raises for a process that exited
        return exited
