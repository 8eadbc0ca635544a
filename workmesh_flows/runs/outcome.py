"""How a run ends: what it did, the tables it publishes, and when it has failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from prefect import get_run_logger
from prefect.futures import PrefectFuture

from workmesh_flows import tasks
from workmesh_flows.artifacts import publish_parked, publish_status
from workmesh_flows.domain.reports import AssignReport, MoveReport, PullReport, PushReport
from workmesh_flows.domain.service import Mesh
from workmesh_flows.engines import mesh_engine
from workmesh_flows.errors import RunFailed
from workmesh_flows.inventory import load_inventory
from workmesh_flows.operations.replay import list_parked
from workmesh_flows.operations.status import read_status
from workmesh_flows.planning.stored import StoredPlan

LaneState: TypeAlias = Literal["done", "busy", "stopped", "behind", "disabled"]
Report: TypeAlias = PushReport | PullReport


@dataclass(frozen=True, slots=True)
class LaneResult:
    """What became of one lane: ``behind`` is not begun, because the lane before it stopped or was busy."""

    protocol: str
    node: str
    state: LaneState
    report: Report | None = None
    reason: str = ""

    def row(self) -> dict[str, Any]:
        """For the lanes table."""
        report = self.report
        done = report.pushed if isinstance(report, PushReport) else report.pulled if report else 0
        bad = report.refused if isinstance(report, PushReport) else report.failed if report else 0
        push = report if isinstance(report, PushReport) else PushReport(self.protocol, self.node)
        return {
            "node": self.node,
            "protocol": self.protocol,
            "state": self.state,
            "done": done,
            "refused": bad,
            "parked": push.parked,
            "left": report.left if report else 0,
            "unread": push.unread,
            "seconds": round(report.seconds, 1) if report else 0.0,
            "reason": self.reason
            or "; ".join(f"{key}: {why}" for key, why in (report.reasons if report else {}).items()),
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did, in a sentence and in figures."""

    message: str
    lanes: Sequence[LaneResult] = ()
    assigned: AssignReport | None = None
    plans: Sequence[StoredPlan] = ()
    moves: Sequence[MoveReport] = ()


def count(mesh: Mesh) -> Outcome:
    """Only count."""
    return ended(mesh, Outcome("counted"))


def ended(mesh: Mesh, outcome: Outcome) -> Outcome:
    """Publish the tables; fail the run, with every reason, where a lane stopped."""
    inventory = load_inventory()
    for document, problem in inventory.problems.items():
        get_run_logger().warning("node %s is left out, its block does not validate: %s", document, problem)
    probes = tasks.probe({name: node.address for name, node in inventory.nodes.items()})
    with mesh_engine(mesh) as engine:
        publish_status(read_status(engine, mesh, inventory, probes))
        publish_parked(list_parked(engine, mesh))
    if any(lane.state == "stopped" for lane in outcome.lanes):
        raise RunFailed(_stopped(outcome))
    get_run_logger().info("%s", outcome.message)
    return outcome


def _stopped(outcome: Outcome) -> str:
    """What stopped, lane by lane, and what to do."""
    stopped = [lane for lane in outcome.lanes if lane.state == "stopped"]
    behind = sum(lane.state == "behind" for lane in outcome.lanes)
    waiting = f", {counted(behind, 'lane')} behind them" if behind else ""
    reasons = "\n".join(f"  {lane.protocol}, node {lane.node}: {lane.reason}" for lane in stopped)
    return (
        f"{outcome.message}; {counted(len(stopped), 'lane')} stopped{waiting}:\n{reasons}\n"
        "Nothing is lost: what was not sent stays pending. Mend the cause, then run again."
    )


def error_of(future: PrefectFuture[Any]) -> object:
    """Why a task did not complete, also where the process that worked it is no more."""
    try:
        return future.result(raise_on_failure=False)
    except Exception as died:  # noqa: BLE001 - whatever the task runner says of a process that is no more
        return died


def counted(number: int, word: str, several: str = "") -> str:
    """A number with its word."""
    return f"{number:,} {word if number == 1 else several or word + 's'}"
