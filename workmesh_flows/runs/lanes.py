"""Runs over lanes: push, pull, sync and replay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from workmesh_flows.adapters.store.refused_decisions import Decision
from workmesh_flows.domain.lane import Direction
from workmesh_flows.domain.lane_figures import SUCCEEDED, figures_in_words, idle_in_words
from workmesh_flows.domain.protocol import Protocol
from workmesh_flows.domain.reports import counted
from workmesh_flows.domain.service import Mesh, Service
from workmesh_flows.inventory.documents import inventory_read_once
from workmesh_flows.mesh_database import mesh_engine
from workmesh_flows.operations.delivery.limits import RunLimits
from workmesh_flows.operations.delivery.replay import list_refused
from workmesh_flows.runs.assign import assign_all
from workmesh_flows.runs.finish import finish_run
from workmesh_flows.runs.lane_scheduler import run_lanes
from workmesh_flows.runs.result import LaneResults, RunResult, holders_in_words
from workmesh_flows.tasks import lanes as tasks


@dataclass(frozen=True, slots=True)
class LaneSelection:
    """The lanes of a run: those of some nodes and protocols, or all; ``now`` skips the back-off of paused lanes."""

    nodes: Sequence[str] = ()
    protocols: Sequence[str] = ()
    now: bool = False


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """A decision about refused or ``failed`` records: all that are parked or blocking, or have failed, or those named."""

    records: Sequence[str] = ()
    entities: Sequence[str] = ()
    protocols: Sequence[str] = ()
    failed: bool = False
    skip: bool = False
    push: bool = True


def push(mesh: Mesh, name: str, selection: LaneSelection, limits: RunLimits) -> RunResult:
    """Push the selected lanes, then finish the run."""
    with inventory_read_once():
        pushed = _push(mesh, name, selection, limits)
        return finish_run(mesh, _result([_summary("push", pushed)], [pushed], selection), name)


def pull(mesh: Mesh, name: str, selection: LaneSelection) -> RunResult:
    """Pull the selected lanes, then finish the run."""
    with inventory_read_once():
        pulled = _pull(mesh, name, selection)
        return finish_run(mesh, _result([_summary("pull", pulled)], [pulled], selection), name)


def sync(mesh: Mesh, name: str, selection: LaneSelection, limits: RunLimits) -> RunResult:
    """Assign, push and pull, then finish the run."""
    assigned = assign_all(mesh, name)
    with inventory_read_once():
        pushed = _push(mesh, name, selection, limits)
        pulled = _pull(mesh, name, selection)
        summaries = [str(assigned), _summary("push", pushed), _summary("pull", pulled)]
        result = _result(summaries, [pushed, pulled], selection)
        return finish_run(mesh, replace(result, assigned=[assigned], assigning=True), name)


def replay(mesh: Mesh, name: str, request: ReplayRequest) -> RunResult:
    """Replay or skip refused or failed records, push the records that are free again, then finish the run."""
    decision: Decision = "skip" if request.skip else "replay"
    with mesh_engine(mesh) as engine:
        before = list_refused(engine, mesh, [name])
    number = tasks.decide_refused(
        mesh, name, decision, request.records, request.entities, request.protocols, request.failed
    )
    records = counted(number, "record")
    if not request.push:
        summary = f"skipped {records}" if request.skip else f"released {records} for the next push"
        return finish_run(mesh, RunResult(summary, decided=before), name)
    selection = LaneSelection(protocols=request.protocols)
    with inventory_read_once():
        pushed = _push(mesh, name, selection, RunLimits())
        summaries = [f"{'skipped' if request.skip else 'replayed'} {records}", _summary("push", pushed)]
        return finish_run(mesh, replace(_result(summaries, [pushed], selection), decided=before), name)


def _result(
    summaries: Sequence[str], of_direction: Sequence[LaneResults], selection: LaneSelection
) -> RunResult:
    """The result of a run over lanes, in one or both directions."""
    lanes = [lane for results in of_direction for lane in results.lanes]
    idle = frozenset(lane for results in of_direction for lane in results.idle)
    return RunResult("; ".join(summaries), lanes, now=selection.now, idle=idle)


def _push(mesh: Mesh, name: str, selection: LaneSelection, limits: RunLimits) -> LaneResults:
    protocols = [
        protocol
        for protocol in _protocols(mesh.service(name), selection.protocols)
        if protocol.push is not None
    ]
    return run_lanes(mesh, name, "push", selection.nodes, protocols, now=selection.now, limits=limits)


def _pull(mesh: Mesh, name: str, selection: LaneSelection) -> LaneResults:
    protocols = [
        protocol for protocol in _protocols(mesh.service(name), selection.protocols) if protocol.is_asked
    ]
    return run_lanes(mesh, name, "pull", selection.nodes, protocols, now=selection.now)


def _protocols(service: Service, names: Sequence[str]) -> list[Protocol]:
    """The protocols of these names, or all, in declared order."""
    wanted = {service.protocol(name).name for name in names}
    return [protocol for protocol in service.protocols if not wanted or protocol.name in wanted]


def _summary(direction: Direction, results: LaneResults) -> str:
    """One sentence about all lanes of a direction: ``pushed 1,106 records on 1 lane, 1 refused, 93 waiting``."""
    total, lanes = Counter[str](), results.lanes
    for lane in lanes:
        total.update(lane.report.figures if lane.report else {})
    verb = SUCCEEDED[direction]
    sentence = f"{verb} {counted(total[verb], 'record')} on {counted(len(lanes), 'lane')}"
    sentence += figures_in_words(direction, total)
    for state in ("busy", "disabled"):
        if number := sum(lane.state == state for lane in lanes):
            sentence += f", {counted(number, 'lane')} {state}"
            sentence += holders_in_words(lanes) if state == "busy" else ""
    return sentence + idle_in_words(direction, len(results.idle))
