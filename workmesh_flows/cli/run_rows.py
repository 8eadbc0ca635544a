"""The rows of the tables of a run, as a program reads them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from workmesh_flows.reporting.json_document import Row, rows_of
from workmesh_flows.reporting.plan_tables import balance_table, moves_table
from workmesh_flows.runs.result import RunResult

NO_FIGURES = dict.fromkeys(
    ("pushed", "refused", "parked", "waiting", "not_reached", "pulled", "failed", "in_flight")
)


def _lane_results(result: RunResult) -> Iterator[Row]:
    for each in result.lanes:
        lane = {"service": each.lane.service, "direction": each.lane.direction}
        yield {**lane, **NO_FIGURES, **each.row(), "until": each.until}


def _assignment(result: RunResult) -> Iterator[Row]:
    for report in result.assigned:
        yield {"service": report.service, "assigned": report.total, "unassigned": report.unassigned}
    if (planned := result.planned) is not None:
        plan = planned.plan
        figures = {"assigned": len(plan.assigned), "unassigned": len(plan.unassigned)}
        yield {"service": planned.service, **figures}


def _assigned(result: RunResult) -> Iterator[Row]:
    for report in result.assigned:
        for node, entities in sorted(report.assigned.items()):
            yield {"service": report.service, "node": node, "entities": entities}
    if (planned := result.planned) is not None:
        for node, entities in sorted(Counter(node for _, node in planned.plan.assigned).items()):
            yield {"service": planned.service, "node": node, "entities": entities}


def _unassigned(result: RunResult) -> Iterator[Row]:
    reasons = [(report.service, pair) for report in result.assigned for pair in report.reasons]
    if (planned := result.planned) is not None:
        reasons += [(planned.service, (str(key), why)) for key, why in planned.plan.unassigned]
    for service, (entity, reason) in reasons:
        yield {"service": service, "entity": entity, "reason": reason}


def _excluded(result: RunResult) -> Iterator[Row]:
    found = [(report.service, report.excluded) for report in result.assigned]
    found += [(plan.service, plan.excluded) for plan in result.plans]
    if result.planned is not None:
        found.append((result.planned.service, result.planned.excluded))
    for service, excluded in found:
        for node, reason in excluded.items():
            yield {"service": service, "node": node, "reason": reason}


def _entities(result: RunResult) -> Iterator[Row]:
    planned = () if result.planned is None else result.planned.plan.assigned
    for entity, node in (*result.placed, *planned):
        yield {"entity": str(entity), "node": node}


def _plans(result: RunResult) -> Iterator[Row]:
    for plan in result.plans:
        yield {
            "plan": plan.id,
            "service": plan.service,
            "kind": plan.kind,
            "moves": len(plan.plan.moves),
            "weight": plan.plan.moved_weight,
            "busiest": round(plan.plan.busiest, 3),
            "busiest_after": round(plan.plan.busiest_after, 3),
            "note": plan.plan.note or None,
        }


def _planned_moves(result: RunResult) -> Iterator[Row]:
    for plan in result.plans:
        yield from rows_of(moves_table([plan]), plan=plan.id)


def _balance(result: RunResult) -> Iterator[Row]:
    for plan in result.plans:
        yield from rows_of(balance_table(plan), plan=plan.id, service=plan.service)


def _cannot_move(result: RunResult) -> Iterator[Row]:
    for plan in result.plans:
        for entity, reason in plan.plan.cannot_move:
            yield {"plan": plan.id, "service": plan.service, "entity": str(entity), "reason": reason}


def _hand_overs(result: RunResult) -> Iterator[Row]:
    for report in result.moves:
        yield {
            "service": report.service,
            "source": report.source,
            "selected": report.selected,
            "moved": report.moved,
            "skipped": report.skipped,
            "not_moved": report.not_moved,
            "records_to_push": report.records_to_push,
            "seconds": round(report.seconds, 1),
            "note": report.note or None,
        }


ROWS: dict[str, Callable[[RunResult], Iterator[Row]]] = {
    "lane_results": _lane_results,
    "assignment": _assignment,
    "assigned": _assigned,
    "unassigned": _unassigned,
    "excluded": _excluded,
    "entities": _entities,
    "plans": _plans,
    "planned_moves": _planned_moves,
    "balance": _balance,
    "cannot_move": _cannot_move,
    "hand_overs": _hand_overs,
}
"""The tables of runs by name."""
