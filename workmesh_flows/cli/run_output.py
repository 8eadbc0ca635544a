"""The result of a run as output of a command."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from workmesh_flows.cli.exit_status import ExitStatus
from workmesh_flows.cli.output import Output, Shown, emit, json_request, titled
from workmesh_flows.errors import RunFailed

if TYPE_CHECKING:
    from workmesh_flows.runs.result import RunResult

LANES = ("lane_results",)
ASSIGNMENT = ("assignment", "assigned", "unassigned", "excluded")
NAMED = ("entities", "hand_overs")
MOVES = ("plans", "planned_moves", "balance", "cannot_move", "excluded", "hand_overs")
"""Names of tables; a table may be empty."""


def emit_run(run: Callable[[], RunResult], *tables: str) -> None:
    """Run a flow and print its result; raises typer.Exit if something is left.

    With --json, the document of a run that failed has the tables of what it did before.
    """
    try:
        result = run()
    except RunFailed as error:
        from workmesh_flows.runs.result import RunResult

        if json_request() is None or not isinstance(error.report, RunResult):
            raise
        emit(replace(run_output(error.report, *tables), status=ExitStatus.FAILED, error=error))
    else:
        emit(run_output(result, *tables))


def run_output(result: RunResult, *tables: str) -> Output:
    """The summary and the plans of a run for people, and its tables of these names."""
    from workmesh_flows.cli.run_rows import ROWS
    from workmesh_flows.runs.what_is_left import what_is_left

    left = what_is_left(result)
    return Output(
        shown=[result.message, *_shown_plans(result)],
        tables={name: list(ROWS[name](result)) for name in tables},
        message=result.message,
        problems=left,
        status=ExitStatus.LEFT if left else ExitStatus.DONE,
    )


def _shown_plans(result: RunResult) -> Iterator[Shown]:
    """Each plan: its moves, the nodes before and after, and the entities that cannot move."""
    from workmesh_flows.reporting.plan_tables import balance_table, moves_table
    from workmesh_flows.runs.result import by_reason

    for plan in result.plans:
        if plan.plan.moves:
            yield titled(f"Plan {plan.id} of {plan.service}", moves_table([plan]).drop(columns="service"))
            yield titled("Nodes, before and after", balance_table(plan))
        for entities, reason in by_reason(plan.plan.cannot_move):
            yield f"entities of {plan.service} that cannot move ({reason}): {entities}"
