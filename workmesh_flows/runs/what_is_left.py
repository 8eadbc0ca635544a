"""What a run that did not fail left undone, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from workmesh_flows.domain.reports import counted, first_reason
from workmesh_flows.planning.rebalance.plan import PINNED
from workmesh_flows.runs.result import RunResult


def what_is_left(result: RunResult) -> list[str]:
    """A sentence about each lane, service, plan and hand-over that is not done; empty where all is done.

    A disabled node and a pinned entity are left out on purpose, and are not listed.
    """
    return [*_lanes(result), *_assignments(result), *_plans(result), *_hand_overs(result)]


def _lanes(result: RunResult) -> Iterator[str]:
    for each in result.lanes:
        if each.state in {"busy", "behind"}:
            yield f"{each.lane}: {each.state}: {each.reason}"


def _assignments(result: RunResult) -> Iterator[str]:
    for report in result.assigned:
        if report.unassigned:
            yield f"{report.service}: {_entities(report.unassigned)} could not be assigned{first_reason(report.reasons)}"
        yield from _excluded(report.service, report.excluded)
    if (planned := result.planned) is not None:
        if missing := planned.plan.unassigned:
            yield f"{planned.service}: {_entities(len(missing))} could not be assigned{first_reason(missing)}"
        yield from _excluded(planned.service, planned.excluded)


def _plans(result: RunResult) -> Iterator[str]:
    for plan in result.plans:
        stuck = [(entity, reason) for entity, reason in plan.plan.cannot_move if reason != PINNED]
        if stuck:
            yield f"{plan.service}: {_entities(len(stuck))} cannot move{first_reason(stuck)}"
        yield from _excluded(plan.service, plan.excluded)
    if result.refusal:
        yield result.refusal


def _hand_overs(result: RunResult) -> Iterator[str]:
    for report in result.moves:
        if report.skipped:
            reasons = list(report.reasons.items())
            yield f"{report.service}, {report.source}: {_entities(report.skipped)} skipped{first_reason(reasons)}"


def _excluded(service: str, excluded: Mapping[str, str]) -> Iterator[str]:
    for node, reason in excluded.items():
        yield f"{service}: {node} gets no entities: {reason}"


def _entities(number: int) -> str:
    return counted(number, "entity", "entities")
