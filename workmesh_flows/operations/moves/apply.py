"""Applying a plan: its moves as they stand, wave by wave, and from where it was interrupted."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from workmesh_flows.adapters.store.entities import entity_named
from workmesh_flows.adapters.store.moves import Step
from workmesh_flows.domain.reports import MoveReport
from workmesh_flows.domain.service import Service
from workmesh_flows.operations.moves.hand_over import hand_over
from workmesh_flows.operations.moves.move_context import MoveContext
from workmesh_flows.operations.moves.plan import finish_plan, start_plan
from workmesh_flows.planning.stored_plan import StoredPlan


def apply_plan(context: MoveContext, plan: StoredPlan, *, repush: bool = False) -> list[MoveReport]:
    """Apply a plan that was kept, one hand-over after the other; a report of each.

    May be called again after a crash: what was moved is skipped, since it is no more at its source. Raises StalePlan
    before anything is moved, and what :func:`hand_over` raises.
    """
    start_plan(context.engine, context.mesh, plan.id, context.inventory())
    context.told("begun")
    reports = []
    for wave, sources in waves(plan):
        for source in sources:
            steps = steps_of(context.service, plan, wave, source)
            reports.append(hand_over(context, steps, repush=repush, plan=plan.id))
        if any(report.left for report in reports):
            return reports
    finish_plan(context.engine, plan.id)
    context.told("ended")
    return reports


def waves(plan: StoredPlan) -> Iterator[tuple[int, list[str]]]:
    """The plan's waves in order, each with the nodes that entities leave in it; these may be worked side by side."""
    for wave, moves in groupby(plan.plan.moves, key=lambda move: move.wave):
        yield wave, sorted({move.source for move in moves})


def steps_of(service: Service, plan: StoredPlan, wave: int, source: str) -> list[Step]:
    """The plan's moves out of one node in one wave, in order."""
    return [
        Step(entity_named(service, str(move.entity)), move.source, move.target, move.weight, move.why)
        for move in plan.plan.moves
        if (move.wave, move.source) == (wave, source)
    ]
