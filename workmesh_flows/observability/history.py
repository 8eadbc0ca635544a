"""Status over time, read back from the artifacts that runs have left: for charts and notebooks."""

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
"""Versions of an artifact that one question to the server gives."""


def service_history(*, limit: int = VERSIONS) -> pd.DataFrame:
    """The services table of each of the last ``limit`` runs, with its ``time`` (UTC), the oldest first."""
    return _versions("services", limit)


def node_history(*, limit: int = VERSIONS) -> pd.DataFrame:
    """The nodes table of each of the last ``limit`` runs, with its ``time`` (UTC), the oldest first."""
    return _versions("nodes", limit)


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
