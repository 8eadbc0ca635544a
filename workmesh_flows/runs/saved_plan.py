"""Applying a saved plan in a run: a task for each node of a wave, in parallel."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from prefect import get_run_logger

from workmesh_flows.domain.node import Excluded
from workmesh_flows.domain.service import Mesh
from workmesh_flows.operations.moves.apply import MovesMade, apply_plan
from workmesh_flows.planning.stored_plan import StoredPlan
from workmesh_flows.runs.conditions import report_plan_applied
from workmesh_flows.runs.finish import task_error
from workmesh_flows.tasks import moves as tasks
from workmesh_flows.tasks.retries import with_retries


def apply_saved_plan(mesh: Mesh, plan: StoredPlan, excluded: Excluded, *, repush: bool) -> MovesMade:
    """Make the moves of a plan, none of them to a node in ``excluded``.

    A task that fails, or whose worker process exits, is a problem of its node. Raises StalePlan, ConfigurationError or
    StoreError where the plan cannot be started; nothing was moved then.
    """

    def run_wave(wave: int, sources: Sequence[str]) -> MovesMade:
        return _run_wave(mesh, plan, wave, sources, excluded, repush=repush)

    def finish(made: MovesMade) -> None:
        report_plan_applied(plan, made.moved)
        tasks.finish(mesh, plan.id)

    start = partial(tasks.start, mesh, plan.id, excluded)
    return apply_plan(plan, run_wave, start=start, finish=finish, on_step=get_run_logger().debug)


def _run_wave(  # noqa: PLR0913 - each is part of the task
    mesh: Mesh, plan: StoredPlan, wave: int, sources: Sequence[str], excluded: Excluded, *, repush: bool
) -> MovesMade:
    task, made = with_retries(tasks.hand_over), MovesMade()
    futures = {
        source: task.submit(mesh, plan.service, plan.id, source, wave, repush, excluded) for source in sources
    }
    for source, future in futures.items():
        future.wait()
        if future.state.is_completed():
            report = future.result()
            get_run_logger().info("%s", report)
            made.reports.append(report)
        else:
            made.problems.append(f"{plan.service}, node {source}: {task_error(future)}")
    return made
