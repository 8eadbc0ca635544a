"""Artifacts that every run publishes, under stable keys, so that each key has a history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from workmesh_flows.domain.lane import Direction, Lane
from workmesh_flows.domain.lane_figures import explain_figures, words
from workmesh_flows.settings import artifact_key

if TYPE_CHECKING:
    from workmesh_flows.adapters.store.refused_list import RefusedRecord
    from workmesh_flows.operations.health.diagnosis import Diagnosis
    from workmesh_flows.operations.status import Status

ROWS = 1_000
"""Rows of refused and failed records; the page of a table gets slow with thousands."""
REFUSED_SHOWN = (
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
"""Columns of refused and failed records, the most important first: the UI cuts the table on the right."""


def publish_status(status: Status) -> None:
    """The tables of nodes and services."""
    from workmesh_flows.reporting.artifact_rows import rows_of
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
        description=(
            "**Nodes.** `weight` is the sum of the weights of a node's entities, `used` the share of its cap; "
            "`failed` are records that were refused, which are also `pending`, and records that the node could not "
            "process."
        ),
    )
    create_table_artifact(
        key=artifact_key("services"),
        table=rows_of(services, SERVICE_COLUMNS),
        description=(
            "**Services.** `in flight` is pushed and not pulled yet; `failed` are records that were refused, which "
            "are also `pending`, and records that a node could not process, which are also `in flight`."
        ),
    )


def publish_doctor(found: Sequence[Diagnosis]) -> None:
    """The table of the doctor: problems first; a list below it has their texts in full."""
    from workmesh_flows.operations.health.diagnosis import Result, count_diagnoses
    from workmesh_flows.reporting.artifact_rows import listed, rows_of, short
    from workmesh_flows.reporting.doctor_table import DOCTOR_COLUMNS, doctor_table

    order = [Result.PROBLEM, Result.WARNING, Result.OK]
    rows = sorted(found, key=lambda one: order.index(one.result))
    table = rows_of(doctor_table(rows[:ROWS]), DOCTOR_COLUMNS)
    wrong = listed(str(one) for one in rows if one.result is not Result.OK)
    create_table_artifact(
        key=artifact_key("doctor"),
        table=[{name: short(text) for name, text in row.items()} for row in table],
        description=f"**Doctor.** {count_diagnoses(found)}.{wrong}",
    )


def publish_page(key: str, page: str) -> None:
    """A Markdown page, as the description of an artifact.

    The list of an artifact's versions is its only stable address, and it shows the description of the newest version.
    The page of a single version shows its body better than its description: the body has the page without charts.
    """
    place = artifact_key(key)
    text = "\n".join(line for line in page.splitlines() if not line.startswith("!["))
    create_markdown_artifact(
        key=place,
        markdown=f"One version of [this page](../../artifacts/key/{place}), without its charts.\n\n{text}",
        description=page,
    )


def publish_refused(records: Sequence[RefusedRecord]) -> None:
    """The table of refused and failed records, in the order given."""
    from workmesh_flows.reporting.artifact_rows import rows_of, short
    from workmesh_flows.reporting.status_tables import refused_table

    if not records:
        create_table_artifact(
            key=artifact_key("parked"), table=[], description="**No record is refused or failed.**"
        )
        return
    shown = f" The first {ROWS:,} of {len(records):,} are shown." if len(records) > ROWS else ""
    frame = refused_table(records[:ROWS])
    several = len(set(frame["service"])) > 1
    table = rows_of(frame, REFUSED_SHOWN if several else REFUSED_SHOWN[:-1])
    create_table_artifact(
        key=artifact_key("parked"),
        table=[{**row, "reason": short(row["reason"])} for row in table],
        description=(
            "**Refused and failed records.** `retrying` are sent again by the next push; `parked` and `blocking` "
            "wait for your decision: fix them and run `replay`, or skip them; `skipped` are not sent any more. "
            "Nodes could not process `failed` ones: fix the micro-service or the record and run `replay` with "
            "`failed`; `replayed` are sent again by the next push. `waiting` is the number of records that wait "
            f"behind each.{shown}"
        ),
    )


def publish_lanes(service: str, direction: Direction, rows: Sequence[dict[str, Any]]) -> None:
    """What a run did, one row per lane."""
    from workmesh_flows.reporting.artifact_rows import listed, short

    cut = [
        {words(name): short(value) if isinstance(value, str) else value for name, value in row.items()}
        for row in rows
    ]
    reasons = listed(
        f"{Lane(service, row['protocol'], row['node'], direction)}: {row['reason']}"
        for row in rows
        if row["reason"]
    )
    create_table_artifact(
        key=artifact_key(service, direction),
        table=cut,
        description=f"**{service}.{direction}**, lane by lane. {explain_figures(direction)}{reasons}",
    )
