"""Events about conditions: one when a condition starts, one when it is resolved."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from prefect import get_run_logger

from workmesh_flows.adapters.store.conditions import ConditionChanges, Kind, compare_conditions, save_changes
from workmesh_flows.adapters.store.engine import utc_now
from workmesh_flows.adapters.store.refused_list import RefusedRecord
from workmesh_flows.domain.lane import Lane
from workmesh_flows.domain.record_key import RecordKey
from workmesh_flows.domain.reports import counted
from workmesh_flows.observability.events import Name, emit, flush_events
from workmesh_flows.operations.status import Status
from workmesh_flows.planning.refusals import RefusalState
from workmesh_flows.planning.stored_plan import StoredPlan
from workmesh_flows.runs.result import RunResult

if TYPE_CHECKING:
    from sqlalchemy import Engine

UNDECIDED = {RefusalState.PARKED, RefusalState.BLOCKING}
"""States of records that wait for a decision."""
STARTED: dict[Kind, Name] = {
    "lane stopped": "workmesh.lane.stopped",
    "node unreachable": "workmesh.node.unreachable",
    "record parked": "workmesh.record.parked",
    "record failed": "workmesh.record.failed",
    "entities unassigned": "workmesh.entity.unassigned",
}
"""The event of a condition that starts."""
RESOLVED: dict[Kind, Name] = {
    "lane stopped": "workmesh.lane.resumed",
    "node unreachable": "workmesh.node.recovered",
    "record parked": "workmesh.record.released",
    "record failed": "workmesh.record.recovered",
    "entities unassigned": "workmesh.entity.assigned",
}
"""The event of a condition that is resolved."""


def report_conditions(
    engine: Engine, result: RunResult, status: Status, refused: Sequence[RefusedRecord]
) -> None:
    """Emit an event for each change of a condition; save the changes after the events were flushed.

    A crash between flush and save emits them again in the next run.
    """
    changes = [
        _report_lanes(engine, result, status),
        _report_nodes(engine, status),
        _report_records(engine, "record parked", refused, result.decided, UNDECIDED),
        _report_records(engine, "record failed", refused, result.decided, {RefusalState.FAILED}),
    ]
    if result.assigning:
        changes.append(_report_unassigned(engine, status))
    if any(found.started or found.resolved for found in changes) and not flush_events():
        get_run_logger().warning("the Prefect server accepts events slowly: events of this run may be lost")
    for found in changes:
        save_changes(engine, found, utc_now())


def report_plan_applied(plan: StoredPlan, moved: int) -> None:
    """Emit the event that a plan was applied: every move that was still possible was made."""
    emit(
        "workmesh.plan.applied",
        f"plan/{plan.id}",
        service=plan.service,
        payload={
            "kind": plan.kind,
            "moved": moved,
            "planned": len(plan.plan.moves),
            "cannot_move": len(plan.plan.cannot_move),
        },
    )
    flush_events()


def _report_lanes(engine: Engine, result: RunResult, status: Status) -> ConditionChanges:
    by_subject = {each.lane.subject: each for each in result.lanes}
    stopped = {subject: each.reason for subject, each in by_subject.items() if each.state == "stopped"}

    def is_known(subject: str) -> bool:
        """Whether this run completed the lane, or the lane has nothing to do, or its node holds nothing of its service."""
        lane = Lane.from_subject(subject)
        emptied = lane.service in status.held and lane.node not in status.held[lane.service]
        return (
            emptied or lane in result.idle or (subject in by_subject and by_subject[subject].state == "done")
        )

    found = compare_conditions(engine, "lane stopped", stopped, is_known)
    for subject, reason, event in _events(found):
        lane = Lane.from_subject(subject)
        row = by_subject[subject].row() if subject in by_subject else {}
        figures = {column: value for column, value in row.items() if column != "reason"}
        emit(
            event,
            f"lane/{subject}",
            node=lane.node,
            service=lane.service,
            payload=figures if subject in found.resolved else {"reason": reason, **figures},
        )
    return found


def _report_nodes(engine: Engine, status: Status) -> ConditionChanges:
    """Every node of the inventory was probed: conditions of other nodes are resolved, those nodes were removed.

    A node that answers, but does not work, has the same condition and events.
    """
    unreachable = {name: probe.problem for name, probe in status.probes.items() if not probe.works}
    found = compare_conditions(engine, "node unreachable", unreachable)
    for node, problem, event in _events(found):
        pending = sum(count.pending for count in status.counts if count.node == node)
        probe = status.probes.get(node)
        payload: dict[str, Any] = {"problem": problem, "pending": pending}
        if node in found.started and probe is not None:
            payload["reachable"] = probe.reachable
        emit(event, f"node/{node}", node=node, payload=payload)
    return found


def _report_records(
    engine: Engine,
    kind: Kind,
    refused: Sequence[RefusedRecord],
    decided: Sequence[RefusedRecord],
    states: Collection[RefusalState],
) -> ConditionChanges:
    """Report the records in these states.

    ``decided`` has the records that are not listed any more since this run decided about them, among others.
    """
    known = {_subject(record): record for record in [*decided, *refused]}
    listed = {
        subject: record
        for subject, record in ((_subject(record), record) for record in refused)
        if record.state in states
    }
    reasons = {subject: record.reason for subject, record in listed.items()}
    found = compare_conditions(engine, kind, reasons)
    for subject, reason, event in _events(found):
        record = known.get(subject)
        payload: dict[str, Any] = {"reason": reason}
        if record is not None:
            payload |= {"attempts": record.attempts, "waiting": record.waiting, "entity": record.entity}
        emit(
            event,
            f"record/{subject}",
            node=record.node if record else None,
            service=RecordKey.from_subject(subject).service,
            payload=payload,
        )
    return found


def _subject(record: RefusedRecord) -> str:
    return RecordKey(record.service, record.protocol, record.record).subject


def _report_unassigned(engine: Engine, status: Status) -> ConditionChanges:
    unassigned = {
        service: held[None][0] for service, held in status.held.items() if held.get(None, (0, 0))[0]
    }
    found = compare_conditions(
        engine,
        "entities unassigned",
        {
            service: f"{counted(number, 'entity', 'entities')} without a node"
            for service, number in unassigned.items()
        },
    )
    for service, _, event in _events(found):
        emit(
            event,
            f"service/{service}",
            service=service,
            payload={"unassigned": unassigned.get(service, 0)},
        )
    return found


def _events(found: ConditionChanges) -> Iterator[tuple[str, str, Name]]:
    """Subject, detail and event of each condition that started or was resolved."""
    for subject, detail in found.started.items():
        yield subject, detail, STARTED[found.kind]
    for subject, detail in found.resolved.items():
        yield subject, detail, RESOLVED[found.kind]
