"""Applying a saved plan: exactly its moves, wave by wave, resumed where it was interrupted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TypeAlias

from workmesh_flows.adapters.store.entities import entity_named
from workmesh_flows.adapters.store.moves import Step
from workmesh_flows.domain.reports import MoveReport
from workmesh_flows.domain.service import Service
from workmesh_flows.operations.moves.hand_over import hand_over
from workmesh_flows.operations.moves.move_context import MoveContext
from workmesh_flows.planning.stored_plan import StoredPlan


@dataclass(slots=True)
class MovesMade:
    """What was made of some moves: a report of each node that entities left, a problem of each one that failed."""

    reports: list[MoveReport] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether every move was made, or skipped with a reason."""
        return not self.problems and not any(report.not_moved for report in self.reports)

    @property
    def moved(self) -> int:
        """Entities that changed their node."""
        return sum(report.moved for report in self.reports)

    def add(self, more: MovesMade) -> None:
        """Count the result of more moves."""
        self.reports += more.reports
        self.problems += more.problems


RunWave: TypeAlias = Callable[[int, Sequence[str]], MovesMade]
"""Makes the moves of one wave, given by its number and the nodes that entities leave in it, in parallel or not."""


def apply_plan(
    plan: StoredPlan,
    run_wave: RunWave,
    *,
    start: Callable[[], object],
    finish: Callable[[MovesMade], object],
    on_step: Callable[[str], None],
) -> MovesMade:
    """Make the moves of a saved plan, wave after wave; a wave starts only when all waves before it are complete.

    ``start`` checks the plan and marks it as started, ``finish`` marks it as applied; it is called only where every
    wave is complete. ``on_step`` is called after both. May be called again after a crash: entities that are at their
    target already count as moved, and nothing more is done with them. Raises what the callables raise.
    """
    start()
    on_step("plan started")
    made = MovesMade()
    for wave, sources in waves(plan):
        made.add(run_wave(wave, sources))
        if not made.complete:
            return made
    finish(made)
    on_step("plan finished")
    return made


def waves(plan: StoredPlan) -> Iterator[tuple[int, list[str]]]:
    """The numbers of a plan's waves in order, each with the names of the nodes that entities leave in it."""
    for wave, moves in groupby(plan.plan.moves, key=lambda move: move.wave):
        yield wave, sorted({move.source for move in moves})


def hand_over_wave(
    context: MoveContext, plan: StoredPlan, wave: int, source: str, *, repush: bool = False
) -> MoveReport:
    """Make the moves of a plan that leave one node in one wave; raises what :func:`hand_over` raises.

    A drain is revocable: it stops when its node is active again.
    """
    context = replace(context, revocable=plan.kind == "drain")
    return hand_over(context, _steps(context.service, plan, wave, source), repush=repush, plan=plan.id)


def _steps(service: Service, plan: StoredPlan, wave: int, source: str) -> list[Step]:
    return [
        Step(entity_named(service, str(move.entity)), move.source, move.target, move.weight, move.why)
        for move in plan.plan.moves
        if (move.wave, move.source) == (wave, source)
    ]
