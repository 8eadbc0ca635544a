"""Reassign: move one entity to another node, or send its data again."""

from __future__ import annotations

from typing import Any

from workmesh_flows.adapters.store.assignment import writing_assignments
from workmesh_flows.adapters.store.moves import Step
from workmesh_flows.domain.reports import MoveReport, excluded_in_words
from workmesh_flows.errors import NoCapacity
from workmesh_flows.operations.assignment.loads import loads_of, totals_of_all, writing_together
from workmesh_flows.operations.moves.hand_over import hand_over
from workmesh_flows.operations.moves.move_context import MoveContext
from workmesh_flows.planning.assignment.plan import plan_assignment


def reassign(context: MoveContext, entity: Any, *, repush: bool = False) -> MoveReport:  # noqa: ANN401 - any key
    """Move an entity by a hand-over to another node, chosen by the service's criterion.

    Raises NoCapacity where the entity has no node, or no other node has free capacity: its assignment is unchanged then. Raises
    UnknownName for an entity that does not exist.
    """
    inventory = context.inventory()
    with writing_together(context.engine, context.mesh, [context.service], inventory) as (run,):
        source, weight = run.node_of(entity), run.weight_of(entity)
        if source is None:
            raise NoCapacity(context.service.name, str(entity), "it has no node yet: assign it")
        total = totals_of_all(run.connection, context.mesh, [context.service], inventory)
        loads = [load for load in loads_of(run, inventory, total) if load.node != source]
        excluded = excluded_in_words(inventory.excluded_from(context.service.name))
        if not loads:
            reason = (
                f"no other active node {'that runs the service works' if excluded else 'runs the service'}"
            )
            raise NoCapacity(context.service.name, str(entity), reason + excluded)
        plan = plan_assignment(context.service.criterion, [(entity, weight)], loads, run.position)
        if not plan.assigned:
            raise NoCapacity(context.service.name, str(entity), plan.unassigned[0][1] + excluded)
        run.save_position(plan.position)
    step = Step(entity, source, plan.assigned[0][1], weight, "reassign")
    report = hand_over(context, [step], repush=repush)
    if report.skipped:
        raise NoCapacity(context.service.name, str(entity), report.reasons[str(entity)])
    return report


def repush(context: MoveContext, entity: Any) -> MoveReport:  # noqa: ANN401 - any key
    """Send all data of an entity to its node again, from the beginning; raises UnknownName, or NoCapacity without a node."""
    with writing_assignments(context.engine, context.service) as run:
        source, weight = run.node_of(entity), run.weight_of(entity)
    if source is None:
        raise NoCapacity(context.service.name, str(entity), "it has no node yet: assign it")
    return hand_over(context, [Step(entity, source, source, weight, "repush")], repush=True)
