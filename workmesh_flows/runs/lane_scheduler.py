"""Running the lanes of a run: lanes of one node in declared order, nodes in parallel."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from typing import Any

from prefect import get_run_logger
from prefect.futures import PrefectFuture, as_completed
from prefect.tasks import Task

from workmesh_flows.domain.lane import Direction, Lane
from workmesh_flows.domain.node import Inventory, NodeState
from workmesh_flows.domain.protocol import Protocol
from workmesh_flows.domain.reports import PullReport, PushReport
from workmesh_flows.domain.service import Mesh, Service
from workmesh_flows.errors import LaneBusy, UnknownName, WorkmeshError
from workmesh_flows.inventory.documents import current_inventory
from workmesh_flows.mesh_database import mesh_engine
from workmesh_flows.operations.status import assigned_nodes
from workmesh_flows.runs.finish import task_error
from workmesh_flows.runs.result import LaneReport, LaneResult
from workmesh_flows.tasks import lanes as tasks
from workmesh_flows.tasks.retries import with_retries


def run_lanes(
    mesh: Mesh,
    name: str,
    direction: Direction,
    nodes: Sequence[str],
    protocols: Sequence[Protocol],
    **parameters: Any,  # noqa: ANN401 - the task's own
) -> list[LaneResult]:
    """Run the lanes of some nodes, or of all that hold entities, and return a result of each.

    A lane is submitted when the lane before it on its node has ended: a submitted lane that only waited would occupy
    a thread. Raises UnknownName for a node that neither is in the inventory nor holds entities.
    """
    inventory = current_inventory()
    task: Task[..., Any] = with_retries(tasks.push if direction == "push" else tasks.pull)
    names = _node_names(mesh, mesh.service(name), inventory, nodes)
    lanes = [Lane(name, protocol.name, node, direction) for protocol in protocols for node in names]
    waiting = {node: deque(lane for lane in lanes if lane.node == node) for node in names}
    running: dict[PrefectFuture[Any], Lane] = {}
    ended: dict[Lane, LaneResult] = {}

    def submit_next(node: str) -> None:
        while waiting[node]:
            lane = waiting[node].popleft()
            if not_started := _not_started(inventory, lane):
                ended[lane] = not_started
            else:
                running[task.submit(mesh, name, lane.protocol, node, **parameters)] = lane
                return

    for node in names:
        submit_next(node)
    while running:
        future = next(as_completed(list(running)))
        lane = running.pop(future)
        result = ended[lane] = _lane_result(lane, future)
        if result.state == "done":
            submit_next(lane.node)
        else:
            reason = f"skipped: {lane.protocol}, which precedes it, is {result.state}"
            ended |= {behind: LaneResult(behind, "behind", reason=reason) for behind in waiting[lane.node]}
    return [ended[lane] for lane in lanes]


def _node_names(mesh: Mesh, service: Service, inventory: Inventory, wanted: Sequence[str]) -> list[str]:
    with mesh_engine(mesh) as engine:
        holding = assigned_nodes(engine, service)
    known = {*holding, *inventory.nodes, *inventory.problems}
    for node in wanted:
        if node not in known:
            raise UnknownName("the mesh", "node", node, sorted(known))
    return [node for node in holding if not wanted or node in wanted]


def _not_started(inventory: Inventory, lane: Lane) -> LaneResult | None:
    """The result of a lane that cannot start because of its node's state; None where it can."""
    if problem := inventory.problem_with(lane.node, lane.service):
        return LaneResult(lane, "stopped", reason=f"{problem}: {_remedy(inventory, lane)}")
    if inventory.nodes[lane.node].state is NodeState.DISABLED:
        return LaneResult(lane, "disabled", reason="the node is disabled")
    return None


def _remedy(inventory: Inventory, lane: Lane) -> str:
    """What to do about a node to which no records of the lane can be sent."""
    if lane.node in inventory.problems:
        return f"correct its block in the UI (Blocks, {lane.node})"
    block = (
        f"add {lane.service} to the services in its block"
        if lane.node in inventory.nodes
        else "add its block again"
    )
    return f"{block}, or move its entities to other nodes: workmesh drain {lane.node} --apply"


def _lane_result(lane: Lane, future: PrefectFuture[Any]) -> LaneResult:
    """The result of a lane whose task has ended."""
    future.wait()
    state = future.state
    if state.is_completed():
        report: LaneReport = future.result()
        get_run_logger().log(logging.INFO if report.selected else logging.DEBUG, "%s", report)
        return LaneResult(lane, "done", report)
    error = task_error(future)
    if not state.is_failed():
        first_sentence = str(error).partition(". ")[0]
        return LaneResult(
            lane,
            "stopped",
            reason=f"its worker process exited before the lane finished: {first_sentence}",
        )
    partial = error.report if isinstance(error, WorkmeshError) else None
    partial = partial if isinstance(partial, PushReport | PullReport) else None
    if isinstance(error, LaneBusy):
        return LaneResult(lane, "busy", partial, error.reason)
    reason = (getattr(error, "reason", "") or str(error)).removeprefix(f"node {lane.node}: ")
    until, asked = getattr(error, "until", None), getattr(error, "asked", False)
    return LaneResult(lane, "stopped", partial, reason, until, asked)
