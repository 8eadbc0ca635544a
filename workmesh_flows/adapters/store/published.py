"""What was published last on a Prefect server: a digest of each artifact's content, and when."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine, delete, insert, select
from sqlalchemy.exc import IntegrityError

from workmesh_flows.adapters.store.engine import translated_errors
from workmesh_flows.adapters.store.schema import published

KEPT = timedelta(days=1)
"""How long it is known what was published; a server that nothing was published on for so long gets everything again."""


@dataclass(frozen=True, slots=True)
class Published:
    """The digest of an artifact's content, and when it was published."""

    digest: str
    at: datetime


def read_published(engine: Engine, server: str) -> dict[str, Published]:
    """What was published last on a server, by the artifact's key."""
    rows = select(published.c.key, published.c.digest, published.c.published_at)
    with translated_errors(), engine.connect() as connection:
        return {
            row.key: Published(row.digest, row.published_at)
            for row in connection.execute(rows.where(published.c.server == server))
        }


def save_published(engine: Engine, server: str, digests: Mapping[str, str], now: datetime) -> None:
    """Save what was published now, and forget what was published a day ago.

    Nothing is saved where another run saves at the same time: the next run publishes these artifacts again.
    """
    if not digests:
        return
    rows = [
        {"server": server, "key": key, "digest": digest, "published_at": now}
        for key, digest in sorted(digests.items())
    ]
    here = published.c.server == server
    with translated_errors(), suppress(IntegrityError), engine.begin() as connection:
        connection.execute(delete(published).where(here, published.c.key.in_(list(digests))))
        connection.execute(delete(published).where(published.c.published_at < now - KEPT))
        connection.execute(insert(published), rows)
