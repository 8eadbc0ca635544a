"""Old versions of artifacts on the Prefect server, and artifacts without a key."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterKey,
    FlowRunFilter,
    FlowRunFilterId,
)
from prefect.client.schemas.sorting import ArtifactSort
from prefect.exceptions import ObjectNotFound

from workmesh_flows.observability.artifact_keys import artifact_keys
from workmesh_flows.observability.history import HISTORY, VERSIONS
from workmesh_flows.settings import artifact_key

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

PAGE = 100
"""Versions that one request reads, with their content; the server sends at most 200."""


def prune_versions(
    client: SyncPrefectClient, services: Iterable[str], before: datetime, *, dry_run: bool
) -> Iterator[int]:
    """Delete versions of a mesh's artifacts from before a time, page by page; yield the number of each page.

    The latest version of each key stays. So do those that the charts of the pages show.
    """
    for key in artifact_keys(services):
        kept = VERSIONS if key == artifact_key(HISTORY) else 1
        yield from _prune_key(client, key, kept, before, dry_run=dry_run)


def prune_keyless(client: SyncPrefectClient, runs: Collection[UUID], *, dry_run: bool) -> int:
    """Delete artifacts without a key, such as progress bars: they are shown on the page of their run only."""
    number = 0
    while True:
        found = client.read_artifacts(
            artifact_filter=ArtifactFilter(key=ArtifactFilterKey(exists_=False)),
            flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=list(runs))),
            limit=PAGE,
            offset=number if dry_run else 0,
        )
        number += len(found)
        if not dry_run:
            for artifact in found:
                _delete(client, artifact.id)
        if len(found) < PAGE:
            return number


def _prune_key(
    client: SyncPrefectClient, key: str, kept: int, before: datetime, *, dry_run: bool
) -> Iterator[int]:
    """From the oldest version on, which is the last of a list that starts with the newest; ``kept`` ones stay."""
    asked = ArtifactFilter(key=ArtifactFilterKey(any_=[key]))
    body = {"artifacts": asked.model_dump(mode="json", exclude_unset=True)}
    end = int(client.request("POST", "/artifacts/count", json=body).json())
    while end > kept:
        start = max(end - PAGE, kept)
        found = client.read_artifacts(
            artifact_filter=asked, sort=ArtifactSort.CREATED_DESC, limit=end - start, offset=start
        )
        old = [artifact.id for artifact in found if artifact.created and artifact.created < before]
        if not dry_run:
            for artifact in old:
                _delete(client, artifact)
        if old:
            yield len(old)
        if len(old) < len(found):
            return
        end = start


def _delete(client: SyncPrefectClient, artifact: UUID) -> None:
    try:
        client.delete_artifact(artifact)
    except ObjectNotFound:  # another prune was first
        return
