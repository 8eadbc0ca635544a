"""What a run does that moves entities: plan, show the plan, and only when asked apply it, wave by wave."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from prefect import get_run_logger
from prefect.futures import PrefectFuture

from workmesh_flows.domain.node import Inventory, NodeState
from workmesh_flows.domain.reports import MoveReport, first_reason
from workmesh_flows.domain.service import Mesh
from workmesh_flows.errors import ConfigurationError, RunFailed, UnknownName
from workmesh_flows.inventory.documents import load_inventory
from workmesh_flows.observability.artifacts import publish_moves, publish_plans
from workmesh_flows.observability.best_effort import best_effort
from workmesh_flows.operations.moves.apply import waves
from workmesh_flows.operations.moves.plan import DrainRequest, RebalanceRequest
from workmesh_flows.planning.rebalance.plan import PINNED
from workmesh_flows.planning.stored_plan import StoredPlan
from workmesh_flows.runs.conditions import report_plan_applied
from workmesh_flows.runs.finish import finish_run, task_error
from workmesh_flows.runs.result import RunResult, by_reason, counted
from workmesh_flows.tasks import moves as tasks
from workmesh_flows.tasks.retries import with_retries

DRY = (
    "A dry run: nothing was moved. To make exactly these moves, run it again with the id of the plan in `plan` and with "
    "`dry_run` off."
)


@dataclass(frozen=True, slots=True)
class MoveOptions:
    """How plans are applied: not at all in a dry run; with ``repush`` all data of a moved entity is sent again."""

    dry_run: bool = True
    repush: bool = False


def rebalance(mesh: Mesh, name: str, asked: RebalanceRequest, plan: str, how: MoveOptions) -> RunResult:
    """Plan, or take the plan of that id, and apply it unless the run is dry."""
    made = tasks.plan_moves(mesh, name, asked) if not plan else tasks.check(mesh, plan)
    if (made.service, made.kind) != (name, "rebalance"):
        raise ConfigurationError(f"plan {plan} is a {made.kind} of {made.service}, not a rebalance of {name}")
    return _run_plans(mesh, [made], how, name)


def drain(mesh: Mesh, asked: DrainRequest, plan: str, how: MoveOptions) -> RunResult:
    """Have the nodes take nothing new, then move all that they hold; a run that died is simply run again."""
    if not asked.nodes:
        raise ConfigurationError("name the nodes to drain")
    inventory = load_inventory()
    plans: Iterable[StoredPlan]
    if not plan:
        # One after the other: a service's plan is made when the moves of the one before have taken their room.
        plans = (tasks.plan_moves(mesh, service.name, asked) for service in mesh.services)
    else:
        kept = tasks.check(mesh, plan)
        if kept.kind != "drain" or set(kept.options["nodes"]) != set(asked.nodes):
            raise ConfigurationError(f"plan {plan} is no drain of {', '.join(asked.nodes)}")
        plans = [kept]
    alone = _no_targets_left(mesh, asked.nodes, inventory)
    if not how.dry_run:
        tasks.check_names(mesh, asked)
        if alone:
            raise ConfigurationError(f"{alone}; nothing was changed: add a node, or drain fewer")
        for node in asked.nodes:
            if node in inventory.nodes and inventory.nodes[node].state is not NodeState.DISABLED:
                tasks.set_state(node, NodeState.DRAINING.value)
    doubt = f"; it would be refused as it is: {alone}, so add a node, or drain fewer" if alone else ""
    return _run_plans(mesh, plans, how, doubt=doubt)


def _no_targets_left(mesh: Mesh, nodes: Collection[str], inventory: Inventory) -> str:
    """What is wrong with draining these nodes; empty where other nodes are left for each service."""
    for service in mesh.services:
        takers = {name for name, node in inventory.nodes.items() if node.takes_new(service.name)}
        if takers and takers <= set(nodes):
            return f"{service.name} would have no active node left to take entities"
    return ""


def revoke(mesh: Mesh, nodes: Sequence[str]) -> RunResult:
    """Let draining nodes take entities again; a drain that runs stops, and what it moved stays where it is."""
    inventory = load_inventory()
    for node in nodes:
        if node not in inventory.nodes:
            raise UnknownName("node", node, sorted(inventory.nodes))
        if inventory.nodes[node].state is NodeState.DRAINING:
            tasks.set_state(node, NodeState.ACTIVE.value)
    return finish_run(mesh, RunResult(f"active again: {', '.join(nodes)}; what was moved stays where it is"))


def _run_plans(
    mesh: Mesh, made: Iterable[StoredPlan], how: MoveOptions, service: str | None = None, doubt: str = ""
) -> RunResult:
    """Show each plan as it is made; unless the run is dry, apply it before the next one is made.

    ``doubt`` is what else a dry run has to say.
    """
    logger = get_run_logger()
    plans: list[StoredPlan] = []
    reports: list[MoveReport] = []
    problems: list[str] = []
    for plan in made:
        plans.append(plan)
        logger.info("%s", plan)
        for entities, reason in by_reason(plan.plan.stuck):
            logger.warning("entities of %s cannot move (%s): %s", plan.service, entities, reason)
        if how.dry_run:
            publish_plans(plans, DRY)
            continue
        with best_effort("the plan"):
            publish_plans(plans, "Is being applied by the run that shows it.")
        if plan.plan.moves:
            _apply(mesh, plan, how, reports, problems)
    if how.dry_run:
        return RunResult(
            f"dry run, nothing was moved: {'; '.join(str(plan) for plan in plans)}{doubt}", plans=plans
        )
    told = _summary(plans, reports)
    with best_effort("what became of the plans"):
        publish_plans(plans, f"Applied: {told}.")
        publish_moves(reports)
    outcome = finish_run(mesh, RunResult(told, plans=plans, moves=reports), service)
    stuck = [
        plan for plan in plans if plan.kind == "drain" and any(why != PINNED for _, why in plan.plan.stuck)
    ]
    problems += [
        f"{plan.service}: {len(plan.plan.stuck):,} cannot move{first_reason(plan.plan.stuck)}"
        for plan in stuck
    ]
    if problems:
        lines = "\n".join(f"  {problem}" for problem in problems)
        raise RunFailed(
            f"{outcome.message}; not all could be handed over:\n{lines}\n"
            "Nothing is lost: each entity has one node. Mend the cause, then run again."
        )
    return outcome


def _summary(plans: Sequence[StoredPlan], reports: Sequence[MoveReport]) -> str:
    """What was done, in one sentence, and what was not and why."""
    moved, skipped = (sum(getattr(report, what) for report in reports) for what in ("moved", "skipped"))
    planned = sum(len(plan.plan.moves) for plan in plans)
    parts = [f"moved {counted(moved, 'entity', 'entities')}"]
    for number, what in (
        (skipped, "skipped"),
        (planned - moved - skipped, "left"),
        (sum(len(plan.plan.stuck) for plan in plans), "cannot move"),
    ):
        if number:
            parts.append(f"{number:,} {what}")
    if again := sum(report.again for report in reports):
        parts.append(f"{counted(again, 'record')} to push again")
    notes = [f"{plan.service}: {plan.plan.note}" for plan in plans if plan.plan.note]
    notes += dict.fromkeys(f"{report.source}: {report.note}" for report in reports if report.note)
    return "; ".join([", ".join(parts), *notes])


def _apply(
    mesh: Mesh, plan: StoredPlan, how: MoveOptions, reports: list[MoveReport], problems: list[str]
) -> None:
    """Wave after wave, the sources of a wave side by side; no wave begins behind one that failed."""
    tasks.start(mesh, plan.id)
    task = with_retries(tasks.hand_over_wave)
    for wave, sources in waves(plan):
        futures: list[tuple[str, PrefectFuture[MoveReport]]] = [
            (source, task.submit(mesh, plan.service, plan.id, source, wave, how.repush)) for source in sources
        ]
        failed = False
        for source, future in futures:
            future.wait()
            if future.state.is_completed():
                report = future.result()
                get_run_logger().info("%s", report)
                reports.append(report)
                failed = failed or bool(report.left)
            else:
                failed = True
                problems.append(f"{plan.service}, node {source}: {task_error(future)}")
        if failed:
            return
    report_plan_applied(plan, sum(report.moved for report in reports if report.service == plan.service))
    tasks.finish(mesh, plan.id)
