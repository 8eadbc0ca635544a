"""Hand-over: move entities from one node to others without losing a record or its result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic

from workmesh_flows.adapters.store.assignment import AssignmentWriter
from workmesh_flows.adapters.store.engine import database_clock
from workmesh_flows.adapters.store.lanes import LaneLease
from workmesh_flows.adapters.store.moves import Step, current_nodes, move
from workmesh_flows.domain.node import Inventory
from workmesh_flows.domain.reports import SHOWN, MoveReport
from workmesh_flows.operations.assignment.loads import loads_of, totals_of_all, writing_together
from workmesh_flows.operations.moves.move_context import REVOKED, MoveContext, is_revoked, lease_lanes
from workmesh_flows.operations.moves.settle import settle

MOVED_AT_ONCE = 100
"""Entities that change their node in one transaction."""


def hand_over(
    context: MoveContext, steps: Sequence[Step], *, repush: bool = False, plan: str | None = None
) -> MoveReport:
    """Move entities away from one node: settle, switch, and make pending again what was pushed but not pulled.

    All steps have one source. Its lanes are leased from before the first step until after the last one, so that no run
    that was paused meanwhile can flag a record as pushed there; a run that is pushing to the target sends the
    entities' records in their order. Each transaction moves up to 100 entities with their flags and the move log:
    wherever the process is killed, each entity has one node, and the same call again completes the rest.

    With ``repush`` everything is sent again from the beginning, and results are not waited for. A step with the same
    source and target only does that. Entities that are at neither their source nor their target, and those for which
    the target has no free capacity any more, are skipped. Raises LaneBusy, LaneLost or StoreError.
    """
    start, tally = monotonic(), _Tally(len(steps))
    source = steps[0].source
    context.progress(source, 0, len(steps))
    with lease_lanes(context, source) as leases:
        context.on_step("lanes leased")
        if not repush:
            pulls = [lease for lease in leases if lease.lane.direction == "pull"]
            tally.note = settle(context, source, pulls, [step.entity for step in steps])
        context.on_step("settled")
        for begin in range(0, len(steps), MOVED_AT_ONCE):
            if is_revoked(context, source):
                tally.note = REVOKED
                break
            _switch(context, leases, steps[begin : begin + MOVED_AT_ONCE], tally, repush=repush, plan=plan)
            context.on_step("moved")
            context.progress(source, tally.moved + tally.skipped, len(steps))
    return tally.report(context.service.name, source, monotonic() - start)


@dataclass(slots=True)
class _Tally:
    """The figures of a hand-over in progress."""

    selected: int
    moved: int = 0
    records_to_push: int = 0
    skipped: int = 0
    note: str = ""
    targets: Counter[str] = field(default_factory=Counter)
    reasons: dict[str, str] = field(default_factory=dict)

    def skip(self, step: Step, reason: str) -> None:
        self.skipped += 1
        if len(self.reasons) < SHOWN:
            self.reasons[str(step.entity)] = reason

    def report(self, service: str, source: str, seconds: float) -> MoveReport:
        not_moved = self.selected - self.moved - self.skipped
        figures = (self.selected, self.moved, self.skipped, not_moved, self.records_to_push)
        return MoveReport(service, source, *figures, self.targets, seconds, self.reasons, self.note)


def _switch(  # noqa: PLR0913 - each is one fact of the transaction
    context: MoveContext,
    leases: Sequence[LaneLease],
    steps: Sequence[Step],
    tally: _Tally,
    *,
    repush: bool,
    plan: str | None,
) -> None:
    """One transaction of a hand-over: it checks every lease, then moves those of the entities that can be moved."""
    inventory, now = context.inventory(), database_clock(context.engine)()
    skipped, again = list[tuple[Step, str]](), 0
    with writing_together(context.engine, context.mesh, [context.service], inventory) as (run,):
        for lease in leases:
            lease.advance(run.connection)
        nodes = current_nodes(run.connection, context.service, steps)
        here = [step for step in steps if nodes.get(step.entity) == step.source]
        # Moved by an earlier attempt of this hand-over whose commit was not confirmed, or by a run that died.
        before = [step for step in steps if step not in here and nodes.get(step.entity) == step.target]
        gone = [step for step in steps if step not in here and step not in before]
        skipped += [(step, f"it is not at {step.source} any more") for step in gone]
        fitting = _fitting(context, run, inventory, here, skipped)
        if fitting:
            again = move(run, fitting, repush=repush, now=now, plan=plan)
        context.on_step("moving")
    # Counted after the commit: a transaction that was rolled back adds nothing.
    tally.moved += len(fitting) + len(before)
    tally.targets.update(step.target for step in (*fitting, *before))
    tally.records_to_push += again
    for step, reason in skipped:
        tally.skip(step, reason)


def _fitting(
    context: MoveContext,
    run: AssignmentWriter,
    inventory: Inventory,
    steps: Sequence[Step],
    skipped: list[tuple[Step, str]],
) -> list[Step]:
    """The steps whose target has free capacity now; the others are added to ``skipped`` with the reason."""
    total = totals_of_all(run.connection, context.mesh, [context.service], inventory)
    loads = {load.node: load for load in loads_of(run, inventory, total)}
    excluded, fitting = inventory.excluded_from(context.service.name), []
    for step in steps:
        if step.target == step.source:
            fitting.append(step)
            continue
        load = loads.get(step.target)
        if load is None:
            why = f": {excluded[step.target]}" if step.target in excluded else ""
            skipped.append((step, f"{step.target} takes no new entities{why}"))
        elif reason := load.refusal(step.weight):
            skipped.append((step, reason))
        else:
            loads[step.target] = load.with_one_more(step.weight)
            fitting.append(step)
    return fitting
