"""How a run ends: what it did, the tables it publishes, and when it has failed."""

from __future__ import annotations

from typing import Any

from prefect import get_run_logger
from prefect.futures import PrefectFuture

from workmesh_flows.domain.service import Mesh
from workmesh_flows.errors import RunFailed
from workmesh_flows.inventory.documents import load_inventory
from workmesh_flows.mesh_database import mesh_engine
from workmesh_flows.observability.artifacts import publish_lanes, publish_page, publish_parked, publish_status
from workmesh_flows.observability.best_effort import best_effort
from workmesh_flows.observability.pages import run_pages
from workmesh_flows.operations.delivery.replay import list_refused
from workmesh_flows.operations.status import Status, read_status
from workmesh_flows.runs.conditions import report_conditions
from workmesh_flows.runs.result import RunResult, counted
from workmesh_flows.tasks.nodes import probe


def count_only(mesh: Mesh, service: str) -> RunResult:
    """Only count: a run that cannot show what it counted has failed."""
    outcome = RunResult("counted")
    _show(mesh, outcome, service)
    return outcome


def finish_run(mesh: Mesh, outcome: RunResult, service: str | None = None) -> RunResult:
    """Publish tables and pages; fail the run, with every reason, where a lane stopped.

    The run was about one service, or about all of them.
    """
    with best_effort("the status at its end"):
        _show(mesh, outcome, service)
    if any(lane.state == "stopped" for lane in outcome.lanes):
        raise RunFailed(_failure_message(outcome))
    get_run_logger().info("%s", outcome.message)
    return outcome


def _show(mesh: Mesh, outcome: RunResult, service: str | None) -> None:
    for direction in dict.fromkeys(lane.direction for lane in outcome.lanes):
        mine = [lane for lane in outcome.lanes if lane.direction == direction]
        publish_lanes(mine[0].service, direction, [lane.row() for lane in mine])
    inventory = load_inventory()
    for document, problem in inventory.problems.items():
        get_run_logger().warning("node %s is left out, its block does not validate: %s", document, problem)
    probes = probe({name: node.address for name, node in inventory.nodes.items()})
    with mesh_engine(mesh) as engine:
        status, refused = read_status(engine, mesh, inventory, probes), list_refused(engine, mesh)
        publish_status(status)
        publish_parked(refused)
        report_conditions(engine, outcome, status, refused)
        _warn_of_unassigned(status, outcome)
        services = [known.name for known in mesh.services] if service is None else [service]
        for key, page in run_pages(engine, mesh, status, refused, services).items():
            publish_page(key, page)


def _warn_of_unassigned(status: Status, outcome: RunResult) -> None:
    """Records that no run can send, since their entities have no node: a push that sent nothing should say so."""
    remedy = "add a node, or raise a cap" if outcome.assigned or outcome.assigning else "run assign"
    for service in sorted({lane.service for lane in outcome.lanes} or set(status.held)):
        waiting = sum(c.pending for c in status.counts if c.service == service and c.owned and c.node is None)
        if waiting:
            get_run_logger().warning(
                "%s of %s wait for their entities to have a node: %s",
                counted(waiting, "record"),
                service,
                remedy,
            )


def _failure_message(outcome: RunResult) -> str:
    """What stopped, lane by lane, and what to do."""
    stopped = [lane for lane in outcome.lanes if lane.state == "stopped"]
    behind = sum(lane.state == "behind" for lane in outcome.lanes)
    them = "it" if len(stopped) == 1 else "them"
    waiting = f", {counted(behind, 'lane')} behind {them}" if behind else ""
    now = " with now (--now), which waits for no pause" if any(lane.paused for lane in stopped) else ""
    reasons = "\n".join(
        f"  {lane.direction} of {lane.protocol}, node {lane.node}: {lane.reason.rstrip('.')}."
        for lane in stopped
    )
    return (
        f"{counted(len(stopped), 'lane')} stopped{waiting}:\n{reasons}\n"
        f"All told: {outcome.message}. "
        f"Nothing is lost: what was not sent stays pending. Mend the cause, then run again{now}."
    )


def task_error(future: PrefectFuture[Any]) -> object:
    """Why a task did not complete, also where the process that worked it is no more."""
    try:
        return future.result(raise_on_failure=False)
    except Exception as died:  # noqa: BLE001 - whatever the task runner says of a process that is no more
        return died
