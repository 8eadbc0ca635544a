"""What a run tells by events: each condition when it begins, and when it is over."""

from __future__ import annotations

from collections.abc import Sequence

from prefect import get_run_logger
from sqlalchemy import Engine

from workmesh_flows.adapters.store.conditions import ConditionChanges, Kind, compare_conditions, save_changes
from workmesh_flows.adapters.store.engine import utc_now
from workmesh_flows.adapters.store.refused_list import RefusedRecord
from workmesh_flows.observability.events import Name, emit, flush_events
from workmesh_flows.operations.status import Status
from workmesh_flows.planning.refusals import RefusalState
from workmesh_flows.planning.stored_plan import StoredPlan
from workmesh_flows.runs.result import LaneResult, RunResult

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


def report_conditions(
    engine: Engine, outcome: RunResult, status: Status, refused: Sequence[RefusedRecord]
) -> None:
    """Send what is new, and keep that it was sent once it has left the process."""
    told = [
        _report_lanes(engine, outcome.lanes, status),
        _report_nodes(engine, status),
        _report_parked(engine, refused),
    ]
    if outcome.assigning:
        told.append(_report_unassigned(engine, status))
    if any(found.started or found.resolved for found in told) and not flush_events():
        get_run_logger().warning("the Prefect server is slow to take events: some of this run's may be lost")
    for found in told:
        save_changes(engine, found, utc_now())


def report_plan_applied(plan: StoredPlan, moved: int) -> None:
    """A plan is done, or all of it that could be."""
    emit(
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
    flush_events()


def _report_lanes(engine: Engine, lanes: Sequence[LaneResult], status: Status) -> ConditionChanges:
    by_subject = {f"{lane.service}/{lane.protocol}/{lane.node}/{lane.direction}": lane for lane in lanes}
    stopped = {subject: lane.reason for subject, lane in by_subject.items() if lane.state == "stopped"}

    def is_known(subject: str) -> bool:
        """It was worked to its end; or there is no such lane any more, since its node holds nothing of its service."""
        service, _, node, _ = subject.split("/")
        emptied = service in status.held and node not in status.held[service]
        return emptied or (subject in by_subject and by_subject[subject].state == "done")

    found = compare_conditions(engine, "lane stopped", stopped, is_known)
    for subject, reason, name in _each(found):
        service, _, node, _ = subject.split("/")
        row = by_subject[subject].row() if subject in by_subject else {}
        figures = {key: value for key, value in row.items() if key != "reason"}
        emit(name, f"lane/{subject}", node=node, service=service, payload={"reason": reason, **figures})
    return found


def _report_nodes(engine: Engine, status: Status) -> ConditionChanges:
    """All nodes of the inventory were probed: what was told of others is over, they are none any more."""
    away = {name: probe.trouble for name, probe in status.probes.items() if not probe.reachable}
    found = compare_conditions(engine, "node unreachable", away)
    for node, trouble, name in _each(found):
        pending = sum(count.pending for count in status.counts if count.node == node)
        emit(name, f"node/{node}", node=node, payload={"trouble": trouble, "pending": pending})
    return found


def _report_parked(engine: Engine, refused: Sequence[RefusedRecord]) -> ConditionChanges:
    aside = {
        f"{record.service}/{record.protocol}/{record.record}": record
        for record in refused
        if record.state in {RefusalState.PARKED, RefusalState.BLOCKING}
    }
    found = compare_conditions(
        engine, "record parked", {subject: record.reason for subject, record in aside.items()}
    )
    for subject, reason, name in _each(found):
        record = aside.get(subject)
        service = subject.partition("/")[0]
        emit(
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


def _report_unassigned(engine: Engine, status: Status) -> ConditionChanges:
    left = {service: held[None][0] for service, held in status.held.items() if held.get(None, (0, 0))[0]}
    found = compare_conditions(
        engine,
        "entities unassigned",
        {service: f"{number} without a node" for service, number in left.items()},
    )
    for service, _, name in _each(found):
        emit(name, f"service/{service}", service=service, payload={"unassigned": left.get(service, 0)})
    return found


def _each(found: ConditionChanges) -> list[tuple[str, str, Name]]:
    started = [(subject, said, BEGINS[found.kind]) for subject, said in found.started.items()]
    return started + [(subject, said, ENDS[found.kind]) for subject, said in found.resolved.items()]
