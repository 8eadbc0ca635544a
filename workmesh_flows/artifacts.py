"""Artifacts: tables under stable keys, so that each key has a history."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from prefect.artifacts import create_table_artifact

if TYPE_CHECKING:
    import pandas as pd

    from workmesh_flows.operations.status import Status

NODES_KEY = "workmesh-nodes"
SERVICES_KEY = "workmesh-services"
TEXT = 60
"""Characters of a text that fit into a table that does not wrap."""


def publish_status(status: Status) -> None:
    """Both status tables."""
    from workmesh_flows.operations.tables import (
        NODE_COLUMNS,
        SERVICE_COLUMNS,
        nodes_table,
        services_table,
    )

    nodes, services = nodes_table(status), services_table(status)
    create_table_artifact(
        key=NODES_KEY,
        table=rows_of(nodes, NODE_COLUMNS),
        description="**Nodes.** `workload` is the weight held, `used` the share of its cap, `pending` includes `failed`.",
    )
    create_table_artifact(
        key=SERVICES_KEY,
        table=rows_of(services, SERVICE_COLUMNS),
        description="**Services.** `in flight` is pushed and not pulled yet; `pending` includes `failed`.",
    )


def publish_lanes(service: str, action: str, rows: Sequence[dict[str, Any]]) -> None:
    """What a run did, a row a lane."""
    cut = [{key: v[:TEXT] if isinstance(v, str) else v for key, v in row.items()} for row in rows]
    create_table_artifact(
        key=artifact_key("workmesh", service, action),
        table=cut,
        description=f"**{service}.{action}**, lane by lane.",
    )


def artifact_key(*parts: str) -> str:
    """Parts as an artifact key: lower-case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")


def rows_of(frame: pd.DataFrame, columns: Sequence[str]) -> list[dict[str, Any]]:
    """A frame's rows as plain JSON: no NaN, no infinity, no numpy."""
    rows: list[dict[str, Any]] = json.loads(frame[list(columns)].to_json(orient="records", date_format="iso"))
    return rows
