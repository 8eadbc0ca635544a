"""What an assignment run does: all entities without a node, or some that a person names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prefect import get_run_logger

from workmesh_flows.domain.reports import AssignReport, MoveReport
from workmesh_flows.domain.service import Mesh
from workmesh_flows.errors import ConfigurationError, NoCapacity, RunFailed
from workmesh_flows.observability.best_effort import best_effort
from workmesh_flows.observability.plan_artifacts import publish_assignment, publish_moves
from workmesh_flows.runs.finish import finish_run
from workmesh_flows.runs.result import RunResult, by_reason, counted
from workmesh_flows.tasks import assignment as tasks
from workmesh_flows.tasks import moves as move_tasks


@dataclass(frozen=True, slots=True)
class AssignRequest:
    """What is asked of an assignment run: of all entities without a node, or of some by key."""

    entities: Sequence[str] = ()
    limit: int | None = None
    reassign: bool = False
    repush: bool = False
    dry_run: bool = False

    def __post_init__(self) -> None:
        """Raise ConfigurationError where the wishes do not go together."""
        if (self.reassign or self.repush) and not self.entities:
            raise ConfigurationError(
                "name the entities to reassign or to push again; to even out a whole service use rebalance"
            )
        if self.dry_run and self.entities:
            raise ConfigurationError("a dry run is for all entities without a node: name none")


def assign(mesh: Mesh, name: str, how: AssignRequest) -> RunResult:
    """Assign, then count."""
    if how.dry_run:
        plan = tasks.plan_assign(mesh, name, how.limit)
        publish_assignment(name, plan)
        return RunResult(f"dry run, nothing was assigned: {plan}")
    if how.entities:
        return finish_run(mesh, _assign_named(mesh, name, how), name)
    report = assign_all(mesh, name, how.limit)
    return finish_run(mesh, RunResult(str(report), assigned=report, assigning=how.limit is None), name)


def assign_mesh(mesh: Mesh) -> RunResult:
    """Assign all services together, then count."""
    reports = tasks.assign_together(mesh)
    for name, report in reports.items():
        _log(name, report)
    return finish_run(
        mesh, RunResult("; ".join(f"{name}: {report}" for name, report in reports.items()), assigning=True)
    )


def assign_all(mesh: Mesh, name: str, limit: int | None = None) -> AssignReport:
    """Give each entity without a node one, at most ``limit`` of them."""
    report: AssignReport = tasks.assign_entities(mesh, name, limit)
    _log(name, report)
    return report


def _log(name: str, report: AssignReport) -> None:
    get_run_logger().info("%s: %s", name, report)
    for entities, reason in by_reason(report.reasons):
        get_run_logger().warning("no node for entities of %s (%s): %s", name, entities, reason)


def _assign_named(mesh: Mesh, name: str, how: AssignRequest) -> RunResult:
    """One entity after the other; what fits nowhere does not keep the others waiting, and fails the run."""
    told, refused, moves = [], [], []
    for entity in how.entities:
        try:
            if how.reassign or how.repush:
                moves.append(move_tasks.reassign(mesh, name, entity, how.reassign, how.repush))
                told.append(_moved(entity, moves[-1]))
            else:
                told.append(f"{entity} is at {tasks.assign_one(mesh, name, entity)}")
        except NoCapacity as error:
            refused.append(str(error))
    if moves:
        with best_effort("the hand-overs"):
            publish_moves(moves)
    if refused:
        raise RunFailed("; ".join([*told, *refused]))
    return RunResult("; ".join(told), moves=moves)


def _moved(entity: str, report: MoveReport) -> str:
    """What became of one entity."""
    (target,) = report.targets
    again = f", {counted(report.again, 'record')} to push again" if report.again else ""
    note = f" ({report.note})" if report.note else ""
    way = f"stays at {target}" if target == report.source else f"moved from {report.source} to {target}"
    return f"{entity} {way}{again}{note}"
