"""Runs that move entities: rebalance and drain make a plan, show it, and apply it unless the run is dry."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from prefect import get_run_logger

from workmesh_flows.domain.node import Excluded, Inventory, NodeState
from workmesh_flows.domain.reports import counted, excluded_in_words, first_reason
from workmesh_flows.domain.service import Mesh
from workmesh_flows.errors import ConfigurationError, UnknownName
from workmesh_flows.inventory.documents import load_inventory
from workmesh_flows.observability.best_effort import best_effort
from workmesh_flows.observability.plan_artifacts import publish_moves, publish_plans
from workmesh_flows.operations.moves.apply import MovesMade
from workmesh_flows.operations.moves.plan import DrainRequest, RebalanceRequest
from workmesh_flows.planning.rebalance.plan import PINNED
from workmesh_flows.planning.stored_plan import StoredPlan
from workmesh_flows.runs.finish import finish_run
from workmesh_flows.runs.result import RunResult, by_reason, failed_run
from workmesh_flows.runs.saved_plan import apply_saved_plan
from workmesh_flows.tasks import moves as tasks
from workmesh_flows.tasks import nodes as node_tasks

DRY = (
    "A dry run: nothing was moved. To make exactly these moves, run it again with the id of the plan in `plan` "
    "and with `dry_run` off."
)


@dataclass(frozen=True, slots=True)
class MoveOptions:
    """How plans are made and applied.

    A dry run applies none. With ``repush`` all data of a moved entity is sent again. With ``force``, entities also move
    to nodes that do not work.
    """

    dry_run: bool = True
    repush: bool = False
    force: bool = False


def rebalance(
    mesh: Mesh, name: str, request: RebalanceRequest, plan_id: str, options: MoveOptions
) -> RunResult:
    """Make a plan, or load the saved plan of that id, and apply it unless the run is dry."""
    excluded = _excluded_targets(mesh, [name], options)
    plan = (
        tasks.check(mesh, plan_id, excluded) if plan_id else tasks.plan_moves(mesh, name, request, excluded)
    )
    if (plan.service, plan.kind) != (name, "rebalance"):
        raise ConfigurationError(
            f"plan {plan_id} is a {plan.kind} of {plan.service}, not a rebalance of {name}"
        )
    return _run_plans(mesh, [plan], options, excluded, name)


def drain(mesh: Mesh, request: DrainRequest, plan_id: str, options: MoveOptions) -> RunResult:
    """Set nodes to draining, then move all entities that they hold; run it again to resume after a crash."""
    if not request.nodes:
        raise ConfigurationError("name the nodes to drain")
    excluded = _excluded_targets(mesh, [service.name for service in mesh.services], options, request.nodes)
    inventory = load_inventory().excluding(excluded)
    plans: Iterable[StoredPlan]
    if not plan_id:
        # Lazily: the plan of a service has to see the capacity that the moves of the service before it have taken.
        plans = (tasks.plan_moves(mesh, service.name, request, excluded) for service in mesh.services)
    else:
        plan = tasks.check(mesh, plan_id, excluded)
        if plan.kind != "drain" or set(plan.options["nodes"]) != set(request.nodes):
            raise ConfigurationError(f"plan {plan_id} is not a drain of {', '.join(request.nodes)}")
        plans = [plan]
    refusal = _no_targets_left(mesh, request.nodes, inventory)
    if not options.dry_run:
        tasks.check_names(mesh, request)
        if refusal:
            raise ConfigurationError(f"{refusal}; nothing was changed: add a node, or drain fewer nodes")
        for node in request.nodes:
            if node in inventory.nodes and inventory.nodes[node].state is not NodeState.DISABLED:
                tasks.set_state(node, NodeState.DRAINING.value)
    refusal = f"the drain would be refused: {refusal}; add a node, or drain fewer nodes" if refusal else ""
    return _run_plans(mesh, plans, options, excluded, refusal=refusal)


def _excluded_targets(
    mesh: Mesh, services: Sequence[str], options: MoveOptions, drained: Collection[str] = ()
) -> Excluded:
    """The nodes that must get no entities because they do not work; none with ``force``. No drained node is checked."""
    return {} if options.force else node_tasks.check_targets(mesh, services, list(drained))


def _no_targets_left(mesh: Mesh, nodes: Collection[str], inventory: Inventory) -> str:
    """Which service these nodes cannot be drained of, since no other node takes its entities; empty if none."""
    for service in mesh.services:
        excluded = inventory.excluded_from(service.name)
        takers = {name for name, node in inventory.nodes.items() if node.takes_new(service.name)} | {
            *excluded
        }
        if takers and takers <= {*nodes, *excluded}:
            return (
                f"{service.name} would have no active node left to take entities{excluded_in_words(excluded)}"
            )
    return ""


def revoke(mesh: Mesh, nodes: Sequence[str]) -> RunResult:
    """Set draining nodes to active; a drain that is running stops, and moved entities stay where they are.

    Other nodes stay as they are, and the summary says so.
    """
    inventory = load_inventory()
    for node in nodes:
        if node not in inventory.nodes:
            raise UnknownName("the mesh", "node", node, sorted(inventory.nodes))
    states = {node: inventory.nodes[node].state for node in nodes}
    draining = [node for node, state in states.items() if state is NodeState.DRAINING]
    for node in draining:
        tasks.set_state(node, NodeState.ACTIVE.value)
    parts = [f"{node} is {state}: nothing to undo" for node, state in states.items() if node not in draining]
    if draining:
        parts.insert(0, f"active again: {', '.join(draining)}; moved entities stay where they are")
    return finish_run(mesh, RunResult("; ".join(parts)))


def _run_plans(  # noqa: PLR0913, PLR0917 - what a run of moves is about
    mesh: Mesh,
    made: Iterable[StoredPlan],
    options: MoveOptions,
    excluded: Excluded,
    service: str | None = None,
    refusal: str = "",
) -> RunResult:
    """Show each plan when it is made; unless the run is dry, apply it before the next plan is made.

    ``refusal`` ends the summary of a dry run: why the plans would not be applied.
    """
    plans: list[StoredPlan] = []
    moves = MovesMade()
    for plan in made:
        plans.append(plan)
        _log_plan(plan)
        if options.dry_run:
            publish_plans(plans, DRY)
            continue
        with best_effort("the plan"):
            publish_plans(plans, "This run applies it now.")
        if plan.plan.moves:
            moves.add(apply_saved_plan(mesh, plan, excluded, repush=options.repush))
    if options.dry_run:
        listed = "; ".join(str(plan) for plan in plans)
        warning = f"; {refusal}" if refusal else ""
        return RunResult(f"dry run, nothing was moved: {listed}{warning}", plans=plans, refusal=refusal)
    summary = _summary(plans, moves)
    with best_effort("what became of the plans"):
        publish_plans(plans, f"Applied: {summary}.")
        publish_moves(moves.reports)
    result = finish_run(mesh, RunResult(summary, plans=plans, moves=moves.reports), service)
    if problems := moves.problems + _not_drained(plans):
        lines = "\n".join(f"  {problem}" for problem in problems)
        message = (
            f"{result.message}; not all entities could be moved:\n{lines}\n"
            "Nothing is lost: each entity is assigned to one node. Fix the cause, then rerun."
        )
        raise failed_run(message, result)
    return result


def _log_plan(plan: StoredPlan) -> None:
    logger = get_run_logger()
    logger.info("%s", plan)
    for entities, reason in by_reason(plan.plan.cannot_move):
        logger.warning("entities of %s cannot move (%s): %s", plan.service, entities, reason)


def _not_drained(plans: Sequence[StoredPlan]) -> list[str]:
    """A problem of each drain in which entities cannot move for another reason than that they are pinned."""
    return [
        f"{plan.service}: {counted(len(plan.plan.cannot_move), 'entity', 'entities')} cannot "
        f"move{first_reason(plan.plan.cannot_move)}"
        for plan in plans
        if plan.kind == "drain" and any(reason != PINNED for _, reason in plan.plan.cannot_move)
    ]


def _summary(plans: Sequence[StoredPlan], made: MovesMade) -> str:
    """How many entities were moved, and how many were not, in one sentence."""
    skipped = sum(report.skipped for report in made.reports)
    planned = sum(len(plan.plan.moves) for plan in plans)
    parts = [f"moved {counted(made.moved, 'entity', 'entities')}"]
    for number, words in (
        (skipped, "skipped"),
        (planned - made.moved - skipped, "not moved"),
        (sum(len(plan.plan.cannot_move) for plan in plans), "cannot move"),
    ):
        if number:
            parts.append(f"{number:,} {words}")
    if again := sum(report.records_to_push for report in made.reports):
        parts.append(f"{counted(again, 'record')} to push again")
    notes = [f"{plan.service}: {plan.plan.note}" for plan in plans if plan.plan.note]
    notes += dict.fromkeys(text for plan in plans if (text := excluded_in_words(plan.excluded).lstrip("; ")))
    notes += dict.fromkeys(f"{report.source}: {report.note}" for report in made.reports if report.note)
    return "; ".join([", ".join(parts), *notes])
