"""Artifacts: tables under stable keys, so that each key has a history."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from workmesh_flows.domain.lane_figures import explain_figures
from workmesh_flows.reporting.markdown import escaped
from workmesh_flows.settings import artifact_key

if TYPE_CHECKING:
    import pandas as pd

    from workmesh_flows.adapters.store.refused_list import RefusedRecord
    from workmesh_flows.domain.lane import Direction
    from workmesh_flows.domain.reports import MoveReport
    from workmesh_flows.operations.status import Status
    from workmesh_flows.planning.assignment.plan import AssignmentPlan
    from workmesh_flows.planning.stored_plan import StoredPlan

TEXT = 60
"""Characters of a text that fit into a table that does not wrap."""
ROWS = 1_000
"""Rows of an assignment's plan; the page of a table gets slow with thousands."""
PARKED_SHOWN = (
    "record",
    "state",
    "reason",
    "attempts",
    "waiting",
    "since",
    "node",
    "entity",
    "protocol",
    "service",
)
"""Columns of refused records: the table is cut on the right."""
STUCK = 50
"""Lines of a list below a table: entities that cannot move, reasons."""


def publish_status(status: Status) -> None:
    """Both status tables."""
    from workmesh_flows.reporting.status_tables import (
        NODE_COLUMNS,
        SERVICE_COLUMNS,
        nodes_table,
        services_table,
    )

    nodes, services = nodes_table(status), services_table(status)
    create_table_artifact(
        key=artifact_key("nodes"),
        table=rows_of(nodes, NODE_COLUMNS),
        description="**Nodes.** `workload` is the weight held, `used` the share of its cap, `pending` includes `failed`.",
    )
    create_table_artifact(
        key=artifact_key("services"),
        table=rows_of(services, SERVICE_COLUMNS),
        description="**Services.** `in flight` is pushed and not pulled yet; `pending` includes `failed`.",
    )


def publish_page(key: str, page: str) -> None:
    """A page of Markdown.

    The list of an artifact's versions, the only address of it that stays, shows the description of the newest one: so
    that is where the page stands. A version's own page sets its body better than its description.
    """
    place = artifact_key(key)
    text = "\n".join(line for line in page.splitlines() if not line.startswith("!["))
    create_markdown_artifact(
        key=place,
        markdown=f"One version of [this page](../../artifacts/key/{place}), without its charts.\n\n{text}",
        description=page,
    )


def publish_parked(records: Sequence[RefusedRecord]) -> None:
    """The refused records, the longest refused first."""
    from workmesh_flows.reporting.status_tables import parked_table

    if not records:
        create_table_artifact(key=artifact_key("parked"), table=[], description="**No record is refused.**")
        return
    shown = f" The first {ROWS:,} of {len(records):,} are shown." if len(records) > ROWS else ""
    frame = parked_table(records[:ROWS])
    several = len(set(frame["service"])) > 1
    table = rows_of(frame, PARKED_SHOWN if several else PARKED_SHOWN[:-1])
    create_table_artifact(
        key=artifact_key("parked"),
        table=[{**row, "reason": _short(row["reason"])} for row in table],
        description=(
            "**Refused records.** `trying` are sent again by the next push; `parked` and `blocking` wait for you: mend "
            f"them and run `replay`, or skip them. `waiting` are the records behind.{shown}"
        ),
    )


def publish_lanes(service: str, action: Direction, rows: Sequence[dict[str, Any]]) -> None:
    """What a run did, a row a lane."""
    cut = [{key: _short(v) if isinstance(v, str) else v for key, v in row.items()} for row in rows]
    reasons = _listed(
        f"{row['protocol']}, node {row['node']}: {row['reason']}" for row in rows if row["reason"]
    )
    create_table_artifact(
        key=artifact_key(service, action),
        table=cut,
        description=f"**{service}.{action}**, lane by lane. {explain_figures(action)}{reasons}",
    )


def publish_plans(plans: Sequence[StoredPlan], said: str) -> None:
    """The moves of plans, a row each: the rows that applying them executes; ``said`` is what comes of them."""
    from workmesh_flows.reporting.plan_tables import MOVE_COLUMNS, balance_table, moves_table

    parts = [f"**{said}**"]
    parts += [f"**{plan.service}, {plan.kind}**, plan `{plan.id}`: {plan.plan}" for plan in plans]
    for plan in plans:
        if plan.plan.nodes:
            parts.append(f"**Nodes of {plan.service}, before and after**\n\n{_as_text(balance_table(plan))}")
        if plan.plan.stuck:
            stuck = _listed(f"{entity}: {reason}" for entity, reason in plan.plan.stuck)
            parts.append(f"**Cannot move** ({len(plan.plan.stuck):,}){stuck}")
    if any(plan.plan.moves for plan in plans):
        parts.append(
            "`gain` is by how much a move brings its nodes nearer to their even share; moves of one `wave` are made side "
            "by side."
        )
    several = len({plan.service for plan in plans}) > 1
    columns = [column for column in MOVE_COLUMNS if several or column != "service"]
    create_table_artifact(
        key=artifact_key("plan"), table=rows_of(moves_table(plans), columns), description="\n\n".join(parts)
    )


def publish_assignment(service: str, plan: AssignmentPlan) -> None:
    """Which entity would get which node, the first rows of it, and what fits nowhere."""
    rows = [{"entity": str(entity), "to": node, "why": ""} for entity, node in plan.assigned[:ROWS]]
    rows += [
        {"entity": str(entity), "to": "", "why": _short(reason)}
        for entity, reason in plan.unassigned[: ROWS - len(rows)]
    ]
    counts = Counter(node for _, node in plan.assigned)
    nodes = ", ".join(f"{node} {count:,}" for node, count in sorted(counts.items()))
    shown = f", the first {ROWS:,} of them shown" if len(plan.assigned) > ROWS else ""
    create_table_artifact(
        key=artifact_key("plan"),
        table=rows,
        description=f"**{service}.assign**, dry run: {plan}{shown}. {nodes}",
    )


def publish_moves(reports: Sequence[MoveReport]) -> None:
    """What was handed over, a row a node and wave."""
    rows = [
        {
            "service": report.service,
            "from": report.source,
            "moved": report.moved,
            "skipped": report.skipped,
            "left": report.left,
            "again": report.again,
            "seconds": round(report.seconds, 1),
            "note": _short(_note(report)),
        }
        for report in reports
    ]
    notes = _listed(
        f"{report.service}, from {report.source}: {_note(report)}" for report in reports if _note(report)
    )
    create_table_artifact(
        key=artifact_key("moves"),
        table=rows,
        description=(
            "**Hand-overs.** `skipped` entities were elsewhere already, or fit no more; `left` were not come to; `again` are records "
            f"that will be pushed again.{notes}"
        ),
    )


def _note(report: MoveReport) -> str:
    return report.note or "; ".join(f"{key}: {why}" for key, why in report.reasons.items())


def _short(text: str) -> str:
    """What fits into a cell; one that goes on ends in dots."""
    return text if len(text) <= TEXT else f"{text[: TEXT - 1].rstrip()}…"


def _listed(texts: Iterable[str]) -> str:
    """In full, below a table, whatever one of its cells may not hold."""
    kept = list(texts)
    more = [f"and {len(kept) - STUCK:,} more"] if len(kept) > STUCK else []
    lines = "\n".join(f"- {escaped(text)}" for text in [*kept[:STUCK], *more])
    return f"\n\n{lines}" if lines else ""


def _as_text(frame: pd.DataFrame) -> str:
    """A frame as a block of text; the page sets the columns of Markdown tables without a space between them."""
    names = frame[frame.columns[0]].astype(str)
    width = max([len(name) for name in names] + [len(str(names.name))])
    shown = frame.fillna("").assign(**{str(names.name): names.str.ljust(width)})
    return f"```text\n{shown.to_string(index=False)}\n```"


def rows_of(frame: pd.DataFrame, columns: Sequence[str]) -> list[dict[str, Any]]:
    """A frame's rows as plain JSON: no NaN, no infinity, no numpy."""
    rows: list[dict[str, Any]] = json.loads(frame[list(columns)].to_json(orient="records", date_format="iso"))
    return rows
