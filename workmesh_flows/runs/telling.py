"""What a run tells by events: each condition when it begins, and when it is over."""

from __future__ import annotations

from collections.abc import Sequence

from prefect import get_run_logger
from sqlalchemy import Engine

from workmesh_flows.adapters.conditions import Kind, News, news, remember
from workmesh_flows.adapters.database import utc_now
from workmesh_flows.adapters.parked_list import ParkedRecord
from workmesh_flows.events import Name, see_off, send
from workmesh_flows.operations.status import Status
from workmesh_flows.planning.delivery import Standing
from workmesh_flows.planning.stored import StoredPlan
from workmesh_flows.runs.result import LaneResult, Outcome

BEGINS: dict[Kind, Name] = {
    "lane stopped": "workmesh.lane.stopped",
    "node unreachable": "workmesh.node.unreachable",
    "record parked": "workmesh.record.parked",
    "entities unassigned": "workmesh.entity.unassigned",
}
ENDS: dict[Kind, Name] = {
    "lane stopped": "workmesh.lane.resumed",
    "node unreachable": "workmesh.node.recovered",
    "record parked": "workmesh.record.released",
    "entities unassigned": "workmesh.entity.assigned",
}


def tell(engine: Engine, outcome: Outcome, status: Status, refused: Sequence[ParkedRecord]) -> None:
    """Send what is new, and keep that it was sent once it has left the process."""
    told = [_tell_lanes(engine, outcome.lanes), _tell_nodes(engine, status), _tell_parked(engine, refused)]
    if outcome.assigning:
        told.append(_tell_unassigned(engine, status))
    if any(found.begun or found.over for found in told) and not see_off():
        get_run_logger().warning("the Prefect server is slow to take events: some of this run's may be lost")
    for found in told:
        remember(engine, found, utc_now())


def tell_applied(plan: StoredPlan, moved: int) -> None:
    """A plan is done, or all of it that could be."""
    send(
        "workmesh.plan.applied",
        f"plan/{plan.id}",
        service=plan.service,
        payload={
            "kind": plan.kind,
            "moved": moved,
            "planned": len(plan.plan.moves),
            "stuck": len(plan.plan.stuck),
        },
    )
    see_off()


def _tell_lanes(engine: Engine, lanes: Sequence[LaneResult]) -> News:
    by_subject = {f"{lane.service}/{lane.protocol}/{lane.node}/{lane.direction}": lane for lane in lanes}
    stopped = {subject: lane.reason for subject, lane in by_subject.items() if lane.state == "stopped"}
    spoken_of = {subject for subject, lane in by_subject.items() if lane.state in {"stopped", "done"}}
    found = news(engine, "lane stopped", stopped, spoken_of)
    for subject, reason, name in _each(found):
        lane = by_subject[subject]
        send(
            name,
            f"lane/{subject}",
            node=lane.node,
            service=lane.service,
            payload={
                "reason": reason,
                **{key: value for key, value in lane.row().items() if key != "reason"},
            },
        )
    return found


def _tell_nodes(engine: Engine, status: Status) -> News:
    away = {name: probe.trouble for name, probe in status.probes.items() if not probe.reachable}
    found = news(engine, "node unreachable", away, status.probes)
    for node, trouble, name in _each(found):
        pending = sum(count.pending for count in status.counts if count.node == node)
        send(name, f"node/{node}", node=node, payload={"trouble": trouble, "pending": pending})
    return found


def _tell_parked(engine: Engine, refused: Sequence[ParkedRecord]) -> News:
    aside = {
        f"{record.service}/{record.protocol}/{record.record}": record
        for record in refused
        if record.state in {Standing.PARKED, Standing.BLOCKING}
    }
    found = news(engine, "record parked", {subject: record.reason for subject, record in aside.items()})
    for subject, reason, name in _each(found):
        record = aside.get(subject)
        service = subject.partition("/")[0]
        send(
            name,
            f"record/{subject}",
            node=record.node if record else None,
            service=service,
            payload={
                "reason": reason,
                "attempts": record.attempts if record else 0,
                "waiting": record.waiting if record else 0,
                "entity": record.entity if record else "",
            },
        )
    return found


def _tell_unassigned(engine: Engine, status: Status) -> News:
    left = {service: held[None][0] for service, held in status.held.items() if held.get(None, (0, 0))[0]}
    found = news(
        engine,
        "entities unassigned",
        {service: f"{number} without a node" for service, number in left.items()},
    )
    for service, _, name in _each(found):
        send(name, f"service/{service}", service=service, payload={"unassigned": left.get(service, 0)})
    return found


def _each(found: News) -> list[tuple[str, str, Name]]:
    begun = [(subject, said, BEGINS[found.kind]) for subject, said in found.begun.items()]
    return begun + [(subject, said, ENDS[found.kind]) for subject, said in found.over.items()]
