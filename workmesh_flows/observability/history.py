"""Status over time, read from the artifacts of earlier runs, for charts and notebooks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.client.schemas.sorting import ArtifactSort

from workmesh_flows.settings import artifact_key

if TYPE_CHECKING:
    import pandas as pd

VERSIONS = 200
"""Most versions of an artifact that one request to the server returns."""
HISTORY = "services"
"""Key of the services table. A prune keeps its last `VERSIONS` versions, because the charts of the pages show them."""


def service_history(*, limit: int = VERSIONS) -> pd.DataFrame:
    """The last ``limit`` services tables (at most 200), each with its ``time`` (UTC), oldest first.

    A run publishes its table where something has changed, or ten minutes after the last one.
    """
    return _versions(HISTORY, limit)


def node_history(*, limit: int = VERSIONS) -> pd.DataFrame:
    """The last ``limit`` nodes tables (at most 200), each with its ``time`` (UTC), oldest first.

    Old versions keep the columns of their time: in the oldest ones, ``workload`` is what is called ``weight`` now.
    """
    return _versions("nodes", limit)


def is_complete(history: pd.DataFrame) -> bool:
    """Whether a history of services that was read without a limit starts with the first run."""
    return len(history) > 0 and history["time"].nunique() < VERSIONS


def _versions(table: str, limit: int) -> pd.DataFrame:
    import pandas as pd

    asked = ArtifactFilter(key=ArtifactFilterKey(any_=[artifact_key(table)]))
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(
            artifact_filter=asked, sort=ArtifactSort.CREATED_DESC, limit=min(limit, VERSIONS)
        )
    rows = [
        {"time": artifact.created, **row}
        for artifact in reversed(found)
        for row in json.loads(str(artifact.data) if artifact.data else "[]")
    ]
    return pd.DataFrame(rows)
