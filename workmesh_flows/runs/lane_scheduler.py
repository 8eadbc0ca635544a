"""Running the lanes of a run: lanes of one node in declared order, nodes in parallel."""

from __future__ import annotations

import logging
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from prefect import get_run_logger
from prefect.futures import PrefectFuture, as_completed
from prefect.runtime import flow_run
from prefect.tasks import Task

from workmesh_flows.domain.lane import Direction, Lane
from workmesh_flows.domain.node import Inventory, NodeState
from workmesh_flows.domain.protocol import Protocol
from workmesh_flows.domain.reports import PullReport, PushReport
from workmesh_flows.domain.service import Mesh
from workmesh_flows.errors import LaneBusy, UnknownName, WorkmeshError
from workmesh_flows.inventory.documents import current_inventory
from workmesh_flows.mesh_database import mesh_engine
from workmesh_flows.operations.delivery.lane_states import LaneStates, pull_states, push_states
from workmesh_flows.operations.status import assigned_nodes
from workmesh_flows.runs.finish import task_error
from workmesh_flows.runs.result import LaneReport, LaneResult, LaneResults
from workmesh_flows.tasks import lanes as tasks
from workmesh_flows.tasks.retries import patience, with_retries


def run_lanes(  # noqa: PLR0913 - each narrows the lanes
    mesh: Mesh,
    name: str,
    direction: Direction,
    nodes: Sequence[str],
    protocols: Sequence[Protocol],
    *,
    now: bool,
    **parameters: Any,  # noqa: ANN401 - the task's own
) -> LaneResults:
    """Run those lanes of some nodes, or of all that hold entities, that have something to do.

    A lane is submitted when the lane before it on its node has ended: a submitted lane that only waited would occupy
    a thread. ``now`` ends the pauses of lanes. Raises UnknownName for a node that neither is in the inventory nor holds
    entities.
    """
    inventory = current_inventory()
    task: Task[..., Any] = with_retries(tasks.push if direction == "push" else tasks.pull)
    lanes, states = _lanes(mesh, name, direction, nodes, protocols, inventory, now=now)
    ended = {lane: result for lane in lanes if (result := _unusable(inventory, lane))}
    idle = {lane for lane in lanes if lane not in ended and not states.concern(lane)}
    queues: dict[str, deque[Lane]] = defaultdict(deque)
    for lane in lanes:
        if lane not in ended and lane not in idle:
            queues[lane.node].append(lane)
    running: dict[PrefectFuture[Any], Lane] = {}

    def start_next(node: str) -> None:
        """Start the next lane of a node; end those before it that do not start."""
        while queues[node]:
            lane = queues[node].popleft()
            if (result := _not_started(lane, states)) is None:
                running[task.submit(mesh, name, lane.protocol, node, now=now, **parameters)] = lane
                return
            end(result)

    def end(result: LaneResult) -> None:
        ended[result.lane] = result
        if result.state != "done":
            queue = queues[result.lane.node]
            reason = f"skipped: {result.lane.protocol}, which precedes it, is {result.state}"
            ended.update({lane: LaneResult(lane, "behind", reason=reason) for lane in queue})
            queue.clear()

    for node in list(queues):
        start_next(node)
    while running:
        future = next(as_completed(list(running)))
        lane = running.pop(future)
        end(replace(_lane_result(lane, future), ran=True))
        start_next(lane.node)
    return LaneResults([ended[lane] for lane in lanes if lane in ended], frozenset(idle))


def _lanes(  # noqa: PLR0913, PLR0917 - each narrows the lanes
    mesh: Mesh,
    name: str,
    direction: Direction,
    nodes: Sequence[str],
    protocols: Sequence[Protocol],
    inventory: Inventory,
    *,
    now: bool,
) -> tuple[list[Lane], LaneStates]:
    """The selected lanes in declared order, and their states.

    When Prefect retries a flow, all lanes are open: those that finished have their results in its cache. So are the pull
    lanes of nodes that the user names, which are asked in any case.
    """
    service = mesh.service(name)
    with mesh_engine(mesh) as engine:
        names = _node_names(assigned_nodes(engine, service), inventory, nodes)
        lanes = [Lane(name, protocol.name, node, direction) for protocol in protocols for node in names]
        if (flow_run.run_count or 1) > 1 or (nodes and direction == "pull"):
            return lanes, LaneStates(open=frozenset(lanes))
        if direction == "push":
            return lanes, push_states(engine, service, protocols, now=now, patience=patience())
        return lanes, pull_states(engine, service, protocols, names, now=now, patience=patience())


def _node_names(holding: Sequence[str], inventory: Inventory, wanted: Sequence[str]) -> list[str]:
    known = {*holding, *inventory.nodes, *inventory.problems}
    for node in wanted:
        if node not in known:
            raise UnknownName("the mesh", "node", node, sorted(known))
    return [node for node in holding if not wanted or node in wanted]


def _unusable(inventory: Inventory, lane: Lane) -> LaneResult | None:
    """The result of a lane that cannot start because of its node's state; None where it can."""
    if problem := inventory.problem_with(lane.node, lane.service):
        return LaneResult(lane, "stopped", reason=f"{problem}: {_remedy(inventory, lane)}")
    if inventory.nodes[lane.node].state is NodeState.DISABLED:
        return LaneResult(lane, "disabled", reason="the node is disabled")
    return None


def _not_started(lane: Lane, states: LaneStates) -> LaneResult | None:
    """The result of a lane without a task run; None where the lane has to run."""
    if error := states.obstacles.get(lane):
        return _stopped(lane, error)
    if lane in states.waiting:
        return LaneResult(lane, "done", PushReport(lane.protocol, lane.node))
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
    return _stopped(lane, error)


def _stopped(lane: Lane, error: object) -> LaneResult:
    """The result of a lane that an error has stopped."""
    partial = error.report if isinstance(error, WorkmeshError) else None
    partial = partial if isinstance(partial, PushReport | PullReport) else None
    if isinstance(error, LaneBusy):
        return LaneResult(lane, "busy", partial, error.reason)
    reason = (getattr(error, "reason", "") or str(error)).removeprefix(f"node {lane.node}: ")
    until, asked = getattr(error, "until", None), getattr(error, "asked", False)
    return LaneResult(lane, "stopped", partial, reason, until, asked)
