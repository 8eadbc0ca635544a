"""Artifacts about plans, their moves, and assignments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from prefect.artifacts import create_table_artifact

from workmesh_flows.domain.reports import excluded_in_words
from workmesh_flows.settings import artifact_key

if TYPE_CHECKING:
    from workmesh_flows.domain.reports import MoveReport
    from workmesh_flows.planning.assignment.plan import AssignmentPlan
    from workmesh_flows.planning.stored_plan import StoredPlan

ROWS = 1_000
"""Rows of an assignment plan; the page of a table gets slow with thousands."""


def publish_plans(plans: Sequence[StoredPlan], summary: str) -> None:
    """The moves of plans, one row each: the rows that applying the plans executes; ``summary`` comes first."""
    from workmesh_flows.reporting.artifact_rows import as_text, listed, rows_of
    from workmesh_flows.reporting.plan_tables import MOVE_COLUMNS, balance_table, moves_table

    parts = [f"**{summary}**"]
    parts += [
        f"**{plan.service}, {plan.kind}**, plan `{plan.id}`: {plan.plan}{excluded_in_words(plan.excluded)}"
        for plan in plans
    ]
    for plan in plans:
        if plan.plan.nodes:
            parts.append(f"**Nodes of {plan.service}, before and after**\n\n{as_text(balance_table(plan))}")
        if plan.plan.cannot_move:
            reasons = listed(f"{entity}: {reason}" for entity, reason in plan.plan.cannot_move)
            parts.append(f"**Cannot move** ({len(plan.plan.cannot_move):,}){reasons}")
    if any(plan.plan.moves for plan in plans):
        parts.append(
            "`gain` is how much closer a move brings its two nodes to their even share; the moves of one `wave` run in "
            "parallel."
        )
    several = len({plan.service for plan in plans}) > 1
    columns = [column for column in MOVE_COLUMNS if several or column != "service"]
    create_table_artifact(
        key=artifact_key("plan"), table=rows_of(moves_table(plans), columns), description="\n\n".join(parts)
    )


def publish_assignment(service: str, plan: AssignmentPlan, note: str = "") -> None:
    """The plan of an assignment: the first ``ROWS`` entities with their nodes, and entities that fit on no node.

    ``note`` ends the description.
    """
    from workmesh_flows.reporting.artifact_rows import short

    rows = [{"entity": str(entity), "to": node, "why": ""} for entity, node in plan.assigned[:ROWS]]
    rows += [
        {"entity": str(entity), "to": "", "why": short(reason)}
        for entity, reason in plan.unassigned[: ROWS - len(rows)]
    ]
    shown = f", of which the first {ROWS:,} are shown" if len(plan.assigned) > ROWS else ""
    create_table_artifact(
        key=artifact_key("plan"),
        table=rows,
        description=f"**{service}.assign**, dry run: {plan}{shown}{note}.",
    )


def publish_moves(reports: Sequence[MoveReport]) -> None:
    """The hand-overs of a run, one row per source node and wave."""
    from workmesh_flows.reporting.artifact_rows import listed, short

    rows = [
        {
            "service": report.service,
            "from": report.source,
            "moved": report.moved,
            "skipped": report.skipped,
            "not moved": report.not_moved,
            "records to push": report.records_to_push,
            "seconds": round(report.seconds, 1),
            "note": short(_note(report)),
        }
        for report in reports
    ]
    notes = listed(
        f"{report.service}, from {report.source}: {_note(report)}" for report in reports if _note(report)
    )
    create_table_artifact(
        key=artifact_key("moves"),
        table=rows,
        description=(
            "**Hand-overs.** `skipped` entities had already left the node, or no longer fit on their target; `not "
            "moved` were not reached; `records to push` is the number of records that will be pushed "
            f"again.{notes}"
        ),
    )


def _note(report: MoveReport) -> str:
    return report.note or "; ".join(f"{key}: {why}" for key, why in report.reasons.items())
