"""The lanes of a run: submitted node by node in declared order, and how each ended."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Any, TypeAlias

from prefect import get_run_logger
from prefect.futures import PrefectFuture, as_completed
from prefect.tasks import Task

from workmesh_flows.domain.node import Inventory, NodeState
from workmesh_flows.domain.protocol import Protocol
from workmesh_flows.domain.reports import PullReport, PushReport
from workmesh_flows.domain.service import Mesh, Service
from workmesh_flows.errors import LaneBusy, UnknownName, WorkmeshError
from workmesh_flows.inventory.documents import current_inventory
from workmesh_flows.mesh_database import mesh_engine
from workmesh_flows.operations.status import assigned_nodes
from workmesh_flows.runs.finish import task_error
from workmesh_flows.runs.result import Direction, LaneResult, LaneState, Report
from workmesh_flows.tasks import lanes as tasks
from workmesh_flows.tasks.retries import with_retries

LaneEnd: TypeAlias = tuple[LaneState, Report | None, str, bool]
"""How a lane ended: its state, its report if there is one, the reason if it did not end well, whether it waits."""


def work_lanes(
    mesh: Mesh,
    name: str,
    direction: Direction,
    nodes: Sequence[str],
    protocols: Sequence[Protocol],
    **parameters: Any,  # noqa: ANN401 - the task's own
) -> list[LaneResult]:
    """Work all lanes: those of one node in declared order, nodes side by side.

    A lane is submitted when the one before it has ended: a lane that only waits would keep a thread from the others.
    """
    inventory = current_inventory()
    task: Task[..., Any] = with_retries(tasks.push if direction == "push" else tasks.pull)
    result = partial(LaneResult, name, direction)
    names = _node_names(mesh, mesh.service(name), inventory, nodes)
    waiting = {node: deque(protocols) for node in names}
    running: dict[PrefectFuture[Any], tuple[Protocol, str]] = {}
    ended: dict[tuple[str, str], LaneResult] = {}

    def submit_next(node: str) -> None:
        while waiting[node]:
            protocol = waiting[node].popleft()
            if not_worked := _end_without_start(inventory, name, node):
                ended[protocol.name, node] = result(protocol.name, node, *not_worked)
            else:
                running[task.submit(mesh, name, protocol.name, node, **parameters)] = protocol, node
                return

    for node in names:
        submit_next(node)
    while running:
        future = next(as_completed(list(running)))
        protocol, node = running.pop(future)
        lane = ended[protocol.name, node] = result(protocol.name, node, *_lane_end(node, future))
        if lane.state == "done":
            submit_next(node)
        for behind in waiting[node] if lane.state != "done" else ():
            why = f"not begun: {protocol.name}, which goes before it, is {lane.state}"
            ended[behind.name, node] = result(behind.name, node, "behind", None, why)
    return [ended[protocol.name, node] for protocol in protocols for node in names]


def _node_names(mesh: Mesh, service: Service, inventory: Inventory, wanted: Sequence[str]) -> list[str]:
    with mesh_engine(mesh) as engine:
        holding = assigned_nodes(engine, service)
    known = {*holding, *inventory.nodes, *inventory.problems}
    for node in wanted:
        if node not in known:
            raise UnknownName("node", node, sorted(known))
    return [node for node in holding if not wanted or node in wanted]


def _end_without_start(inventory: Inventory, service: str, node: str) -> LaneEnd | None:
    """How a lane ends that is not begun, because of what its node is."""
    if trouble := inventory.trouble(node, service):
        return "stopped", None, trouble, False
    if inventory.nodes[node].state is NodeState.DISABLED:
        return "disabled", None, "the node is disabled", False
    return None


def _lane_end(node: str, future: PrefectFuture[Any]) -> LaneEnd:
    future.wait()
    state = future.state
    if state.is_completed():
        report: Report = future.result()
        get_run_logger().log(logging.INFO if report.selected else logging.DEBUG, "%s", report)
        return "done", report, "", False
    error = task_error(future)
    if not state.is_failed():
        said = str(error).partition(". ")[0]
        return "stopped", None, f"what worked it ended before the lane did: {said}", False
    stopped = error.report if isinstance(error, WorkmeshError) else None
    report_then = stopped if isinstance(stopped, PushReport | PullReport) else None
    if isinstance(error, LaneBusy):
        return "busy", report_then, error.reason, False
    reason = getattr(error, "reason", "") or str(error)
    paused = getattr(error, "until", None) is not None
    return "stopped", report_then, reason.removeprefix(f"node {node}: "), paused
