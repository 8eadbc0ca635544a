"""Runs that assign: all entities without a node, or entities given by key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prefect import get_run_logger

from workmesh_flows.domain.node import Excluded
from workmesh_flows.domain.reports import AssignReport, MoveReport, counted, excluded_in_words
from workmesh_flows.domain.service import Mesh
from workmesh_flows.errors import ConfigurationError, NoCapacity
from workmesh_flows.observability.best_effort import best_effort
from workmesh_flows.observability.plan_artifacts import publish_assignment, publish_moves
from workmesh_flows.runs.finish import finish_run
from workmesh_flows.runs.result import PlannedAssignment, RunResult, by_reason, failed_run
from workmesh_flows.tasks import assignment as tasks
from workmesh_flows.tasks import moves as move_tasks
from workmesh_flows.tasks import nodes as node_tasks


@dataclass(frozen=True, slots=True)
class AssignRequest:
    """A request to assign all entities without a node, at most ``limit``, or the ``entities`` of these keys.

    With ``force``, entities are also assigned to nodes that do not work.
    """

    entities: Sequence[str] = ()
    limit: int | None = None
    reassign: bool = False
    repush: bool = False
    dry_run: bool = False
    force: bool = False

    def __post_init__(self) -> None:
        """Raise ConfigurationError for options that cannot be combined."""
        if (self.reassign or self.repush) and not self.entities:
            raise ConfigurationError(
                "name the entities to reassign or to push again; to balance all entities of a service use rebalance"
            )
        if self.dry_run and self.entities:
            raise ConfigurationError("a dry run plans all entities without a node: name no entities")


def assign(mesh: Mesh, name: str, request: AssignRequest) -> RunResult:
    """Assign as requested, then finish the run; a dry run only publishes the plan."""
    if request.dry_run:
        excluded = excluded_targets(mesh, [name], force=request.force)
        plan = tasks.plan_assign(mesh, name, request.limit, excluded)
        left_out = {node: reasons[name] for node, reasons in excluded.items()}
        note = excluded_in_words(left_out)
        publish_assignment(name, plan, note)
        planned = PlannedAssignment(name, plan, left_out)
        return RunResult(f"dry run, nothing was assigned: {plan}{note}", planned=planned)
    if request.entities:
        return finish_run(mesh, _assign_named(mesh, name, request), name)
    report = assign_all(mesh, name, request.limit, force=request.force)
    return finish_run(mesh, RunResult(str(report), assigned=[report], assigning=request.limit is None), name)


def assign_mesh(mesh: Mesh, *, force: bool = False) -> RunResult:
    """Assign the entities of all services in one transaction, then finish the run."""
    names = [service.name for service in mesh.services]
    if waiting := tasks.unassigned_services(mesh, names):
        reports = tasks.assign_together(mesh, excluded_targets(mesh, waiting, force=force))
    else:
        reports = {name: AssignReport(name) for name in names}
    for name, report in reports.items():
        _log(name, report)
    summary = "; ".join(f"{name}: {report}" for name, report in reports.items())
    return finish_run(mesh, RunResult(summary, assigned=list(reports.values()), assigning=True))


def assign_all(mesh: Mesh, name: str, limit: int | None = None, *, force: bool = False) -> AssignReport:
    """Assign the entities of a service that have no node, at most ``limit`` of them; without any, there is no task run."""
    report = AssignReport(name)
    if tasks.unassigned_services(mesh, [name]):
        excluded = excluded_targets(mesh, [name], force=force)
        report = tasks.assign_entities(mesh, name, limit, excluded)
    _log(name, report)
    return report


def excluded_targets(mesh: Mesh, services: Sequence[str], *, force: bool) -> Excluded:
    """The nodes that must get no entities because they do not work; none with ``force``.

    Nodes are checked only where entities have no node.
    """
    waiting = [] if force else tasks.unassigned_services(mesh, services)
    return node_tasks.check_targets(mesh, waiting) if waiting else {}


def _log(name: str, report: AssignReport) -> None:
    get_run_logger().info("%s: %s", name, report)
    for entities, reason in by_reason(report.reasons):
        get_run_logger().warning("entities of %s could not be assigned (%s): %s", name, entities, reason)


def _assign_named(mesh: Mesh, name: str, request: AssignRequest) -> RunResult:
    """Assign, reassign or push again the requested entities one by one.

    Raises RunFailed after the last entity if one of them could not be assigned.
    """
    done, failed, moves, placed = [], [], [], []
    targets = request.reassign or not request.repush  # data that is only sent again stays at its node
    check = targets and not request.force
    excluded: Excluded = node_tasks.check_targets(mesh, [name]) if check else {}
    for entity in request.entities:
        try:
            if request.reassign or request.repush:
                moves.append(
                    move_tasks.reassign(mesh, name, entity, request.reassign, request.repush, excluded)
                )
                done.append(_summary(entity, moves[-1]))
            else:
                node = tasks.assign_one(mesh, name, entity, excluded)
                placed.append((entity, node))
                done.append(f"entity {entity} is assigned to {node}")
        except NoCapacity as error:
            failed.append(str(error))
    if moves:
        with best_effort("the hand-overs"):
            publish_moves(moves)
    result = RunResult("; ".join([*done, *failed]), placed=placed, moves=moves)
    if failed:
        raise failed_run(result.message, result)
    return result


def _summary(entity: str, report: MoveReport) -> str:
    """Where an entity was moved, and how many of its records are pending again."""
    (target,) = report.targets
    again = f", {counted(report.records_to_push, 'record')} to push again" if report.records_to_push else ""
    note = f" ({report.note})" if report.note else ""
    move = f"stays at {target}" if target == report.source else f"moved from {report.source} to {target}"
    return f"entity {entity} {move}{again}{note}"
