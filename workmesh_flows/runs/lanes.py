"""What a run does with lanes: submit them, wait for them, and tell what became of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workmesh_flows.domain.protocol import Protocol
from workmesh_flows.domain.service import Mesh, Service
from workmesh_flows.inventory.documents import inventory_read_once
from workmesh_flows.operations.delivery.limits import RunLimits
from workmesh_flows.runs.assign import assign_all
from workmesh_flows.runs.finish import finish_run
from workmesh_flows.runs.lane_scheduler import work_lanes
from workmesh_flows.runs.result import LaneResult, RunResult, counted
from workmesh_flows.tasks import lanes as tasks


@dataclass(frozen=True, slots=True)
class LaneSelection:
    """Which lanes: those of some nodes and protocols, or all; ``now`` also those whose pause is not over."""

    nodes: Sequence[str] = ()
    protocols: Sequence[str] = ()
    now: bool = False


def push(mesh: Mesh, name: str, chosen: LaneSelection, bounds: RunLimits) -> RunResult:
    """Push all lanes, then count."""
    lanes = _push(mesh, name, chosen, bounds)
    return finish_run(mesh, RunResult(_summary("pushed", lanes), lanes), name)


def pull(mesh: Mesh, name: str, chosen: LaneSelection) -> RunResult:
    """Pull all lanes, then count."""
    lanes = _pull(mesh, name, chosen)
    return finish_run(mesh, RunResult(_summary("pulled", lanes), lanes), name)


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """What a person decides about refused records: all that wait for a decision, or those named."""

    records: Sequence[str] = ()
    entities: Sequence[str] = ()
    protocols: Sequence[str] = ()
    skip: bool = False
    push: bool = True


def replay(mesh: Mesh, name: str, asked: ReplayRequest) -> RunResult:
    """Replay or skip refused records, push what came free, then count."""
    decided = tasks.decide_refused(
        mesh, name, "skip" if asked.skip else "replay", asked.records, asked.entities, asked.protocols
    )
    told = f"{'skipped' if asked.skip else 'replayed'} {counted(decided, 'record')}"
    if not asked.push:
        return finish_run(mesh, RunResult(told), name)
    lanes = _push(mesh, name, LaneSelection(protocols=asked.protocols), RunLimits())
    return finish_run(mesh, RunResult(f"{told}; {_summary('pushed', lanes)}", lanes), name)


def sync(mesh: Mesh, name: str, chosen: LaneSelection, bounds: RunLimits) -> RunResult:
    """Assign, push, pull, then count."""
    assigned = assign_all(mesh, name)
    with inventory_read_once():
        pushed = _push(mesh, name, chosen, bounds)
        pulled = _pull(mesh, name, chosen)
    message = "; ".join([str(assigned), _summary("pushed", pushed), _summary("pulled", pulled)])
    return finish_run(mesh, RunResult(message, [*pushed, *pulled], assigned, assigning=True), name)


def _push(mesh: Mesh, name: str, chosen: LaneSelection, bounds: RunLimits) -> list[LaneResult]:
    protocols = [
        known for known in _protocols(mesh.service(name), chosen.protocols) if known.push is not None
    ]
    with inventory_read_once():
        return work_lanes(mesh, name, "push", chosen.nodes, protocols, now=chosen.now, bounds=bounds)


def _pull(mesh: Mesh, name: str, chosen: LaneSelection) -> list[LaneResult]:
    protocols = [
        known for known in _protocols(mesh.service(name), chosen.protocols) if known.pull is not None
    ]
    with inventory_read_once():
        return work_lanes(mesh, name, "pull", chosen.nodes, protocols, now=chosen.now)


def _protocols(service: Service, protocols: Sequence[str]) -> list[Protocol]:
    wanted = {service.protocol(protocol).name for protocol in protocols}
    return [protocol for protocol in service.protocols if not wanted or protocol.name in wanted]


_WORDS = {"refused": "refused", "parked": "set aside", "left": "left", "unread": "still pending"}
"""How the sentence calls what a lane's row counts."""


def _summary(verb: str, lanes: Sequence[LaneResult]) -> str:
    """One sentence for all lanes."""
    rows = [lane.row() for lane in lanes]
    parts = [f"{verb} {counted(sum(row['done'] for row in rows), 'record')} on {counted(len(lanes), 'lane')}"]
    parts += [f"{total:,} {word}" for key, word in _WORDS.items() if (total := sum(row[key] for row in rows))]
    for state in ("busy", "disabled"):
        if total := sum(lane.state == state for lane in lanes):
            parts.append(f"{counted(total, 'lane')} {state}")
    return ", ".join(parts)
