"""Artifacts that runs publish, under stable keys, so that each key has a history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from workmesh_flows.domain.lane import Direction, Lane
from workmesh_flows.domain.lane_figures import explain_figures, idle_in_words, words
from workmesh_flows.settings import artifact_key

if TYPE_CHECKING:
    from workmesh_flows.adapters.store.refused_list import RefusedRecord
    from workmesh_flows.domain.pruned import Pruned
    from workmesh_flows.observability.pages import RunPages
    from workmesh_flows.observability.publications import Publications
    from workmesh_flows.operations.health.diagnosis import Diagnosis
    from workmesh_flows.operations.status import Status
    from workmesh_flows.reporting.content_digest import StatusContent

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


def publish_status(artifacts: Publications, status: Status, content: StatusContent) -> None:
    """The tables of nodes and services."""
    artifacts.publish(artifact_key("nodes"), content, lambda: _create_nodes(status))
    artifacts.publish(artifact_key("services"), content, lambda: _create_services(status))


def _create_nodes(status: Status) -> None:
    from workmesh_flows.reporting.artifact_rows import rows_of
    from workmesh_flows.reporting.status_tables import NODE_COLUMNS, nodes_table

    create_table_artifact(
        key=artifact_key("nodes"),
        table=rows_of(nodes_table(status), NODE_COLUMNS),
        description=(
            "**Nodes.** `workload` is the length of a node's queue, `weight` the sum of the weights of its entities, `used` "
            "the share of its cap; `failed` are records that were refused, which are also `pending`, and records that the "
            "node could not process."
        ),
    )


def _create_services(status: Status) -> None:
    from workmesh_flows.reporting.artifact_rows import rows_of
    from workmesh_flows.reporting.status_tables import SERVICE_COLUMNS, services_table

    create_table_artifact(
        key=artifact_key("services"),
        table=rows_of(services_table(status), SERVICE_COLUMNS),
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


def publish_pruned(pruned: Sequence[Pruned], summary: str, *, dry_run: bool) -> None:
    """The table of a prune, one row for each kind."""
    from workmesh_flows.reporting.artifact_rows import rows_of
    from workmesh_flows.reporting.prune_table import PRUNE_COLUMNS, prune_table

    rows = rows_of(prune_table(pruned), PRUNE_COLUMNS)
    heading = "would delete" if dry_run else "deleted"
    create_table_artifact(
        key=artifact_key("prune"),
        table=[{"kind": row["kind"], "place": row["place"], heading: row["number"]} for row in rows],
        description=f"**Prune.** {summary}.",
    )


def publish_pages(artifacts: Publications, pages: RunPages) -> None:
    """The pages of a run."""
    for key, content in pages.contents().items():
        artifacts.publish(artifact_key(key), content, lambda key=key: _create_page(key, pages.render(key)))  # type: ignore[misc]


def _create_page(key: str, page: str) -> None:
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


def publish_refused(artifacts: Publications, records: Sequence[RefusedRecord]) -> None:
    """The table of refused and failed records, in the order given."""
    artifacts.publish(artifact_key("parked"), records, lambda: _create_refused(records))


def _create_refused(records: Sequence[RefusedRecord]) -> None:
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
            "`failed` were accepted by their node, which could not process them: fix the micro-service or the record and "
            "run `replay` with `failed`; `replayed` are sent again by the next push. `waiting` is the number of records that wait "
            f"behind each.{shown}"
        ),
    )


def publish_lanes(service: str, direction: Direction, rows: Sequence[dict[str, Any]], idle: int = 0) -> None:
    """What a run did, one row for each lane but ``idle`` ones, which had nothing to do."""
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
    rest = idle_in_words(direction, idle)
    create_table_artifact(
        key=artifact_key(service, direction),
        table=cut,
        description=f"**{service}.{direction}**, lane by lane{rest}. {explain_figures(direction)}{reasons}",
    )
