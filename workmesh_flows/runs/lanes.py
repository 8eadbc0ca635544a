"""What a run does with lanes: submit them, wait for them, and tell what became of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workmesh_flows.domain.protocol import Protocol
from workmesh_flows.domain.service import Mesh, Service
from workmesh_flows.inventory.documents import keeping_inventory
from workmesh_flows.operations.delivery.limits import Bounds
from workmesh_flows.runs.assign import assign_all
from workmesh_flows.runs.finish import ended
from workmesh_flows.runs.lane_scheduler import work_lanes
from workmesh_flows.runs.result import LaneResult, Outcome, counted
from workmesh_flows.tasks import lanes as tasks


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which lanes: those of some nodes and protocols, or all; ``now`` also those whose pause is not over."""

    nodes: Sequence[str] = ()
    protocols: Sequence[str] = ()
    now: bool = False


def push(mesh: Mesh, name: str, chosen: Chosen, bounds: Bounds) -> Outcome:
    """Push all lanes, then count."""
    lanes = _push(mesh, name, chosen, bounds)
    return ended(mesh, Outcome(_told("pushed", lanes), lanes), name)


def pull(mesh: Mesh, name: str, chosen: Chosen) -> Outcome:
    """Pull all lanes, then count."""
    lanes = _pull(mesh, name, chosen)
    return ended(mesh, Outcome(_told("pulled", lanes), lanes), name)


@dataclass(frozen=True, slots=True)
class Replay:
    """What a person decides about refused records: all that wait for a decision, or those named."""

    records: Sequence[str] = ()
    entities: Sequence[str] = ()
    protocols: Sequence[str] = ()
    skip: bool = False
    push: bool = True


def replay(mesh: Mesh, name: str, asked: Replay) -> Outcome:
    """Replay or skip refused records, push what came free, then count."""
    decided = tasks.decide_parked(
        mesh, name, "skip" if asked.skip else "replay", asked.records, asked.entities, asked.protocols
    )
    told = f"{'skipped' if asked.skip else 'replayed'} {counted(decided, 'record')}"
    if not asked.push:
        return ended(mesh, Outcome(told), name)
    lanes = _push(mesh, name, Chosen(protocols=asked.protocols), Bounds())
    return ended(mesh, Outcome(f"{told}; {_told('pushed', lanes)}", lanes), name)


def sync(mesh: Mesh, name: str, chosen: Chosen, bounds: Bounds) -> Outcome:
    """Assign, push, pull, then count."""
    assigned = assign_all(mesh, name)
    with keeping_inventory():
        pushed = _push(mesh, name, chosen, bounds)
        pulled = _pull(mesh, name, chosen)
    message = "; ".join([str(assigned), _told("pushed", pushed), _told("pulled", pulled)])
    return ended(mesh, Outcome(message, [*pushed, *pulled], assigned, assigning=True), name)


def _push(mesh: Mesh, name: str, chosen: Chosen, bounds: Bounds) -> list[LaneResult]:
    protocols = [
        known for known in _protocols(mesh.service(name), chosen.protocols) if known.push is not None
    ]
    with keeping_inventory():
        return work_lanes(mesh, name, "push", chosen.nodes, protocols, now=chosen.now, bounds=bounds)


def _pull(mesh: Mesh, name: str, chosen: Chosen) -> list[LaneResult]:
    protocols = [
        known for known in _protocols(mesh.service(name), chosen.protocols) if known.pull is not None
    ]
    with keeping_inventory():
        return work_lanes(mesh, name, "pull", chosen.nodes, protocols, now=chosen.now)


def _protocols(service: Service, protocols: Sequence[str]) -> list[Protocol]:
    wanted = {service.protocol(protocol).name for protocol in protocols}
    return [protocol for protocol in service.protocols if not wanted or protocol.name in wanted]


_WORDS = {"refused": "refused", "parked": "set aside", "left": "left", "unread": "still pending"}
"""How the sentence calls what a lane's row counts."""


def _told(verb: str, lanes: Sequence[LaneResult]) -> str:
    """One sentence for all lanes."""
    rows = [lane.row() for lane in lanes]
    parts = [f"{verb} {counted(sum(row['done'] for row in rows), 'record')} on {counted(len(lanes), 'lane')}"]
    parts += [f"{total:,} {word}" for key, word in _WORDS.items() if (total := sum(row[key] for row in rows))]
    for state in ("busy", "disabled"):
        if total := sum(lane.state == state for lane in lanes):
            parts.append(f"{counted(total, 'lane')} {state}")
    return ", ".join(parts)
