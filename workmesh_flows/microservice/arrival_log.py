"""The arrival log, for people and tests: what came in, in which order, and what became of it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from workmesh_flows.microservice.protocol import Record, RecordId

LOG = """
SELECT seq, protocol, id, id_is_number, received_at, epoch, processed_at, error, body, result
FROM records WHERE seq > ? ORDER BY seq
"""


@dataclass(frozen=True)
class Arrival:
    """A record as the node holds it; `result` is None while it waits and when it failed, `error` says why."""

    seq: int
    protocol: str
    id: RecordId
    received_at: datetime
    epoch: str | None
    processed_at: datetime | None
    record: Record
    result: dict[str, Any] | None
    error: str | None


def arrivals(database: str | Path, *, after: int = 0) -> list[Arrival]:
    """All that came in after a sequence number, in order of arrival.

    Reads a snapshot, also while the node runs, and never writes; the file must exist.
    """
    uri = f"{Path(database).absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        return [_arrival(*row) for row in connection.execute(LOG, (after,))]


def _arrival(  # noqa: PLR0913, PLR0917 - the columns of LOG
    seq: int,
    protocol: str,
    known_as: str,
    id_is_number: int,
    received_at: str,
    epoch: str | None,
    processed_at: str | None,
    error: str | None,
    body: str,
    result: str | None,
) -> Arrival:
    return Arrival(
        seq=seq,
        protocol=protocol,
        id=int(known_as) if id_is_number else known_as,
        received_at=datetime.fromisoformat(received_at),
        epoch=epoch,
        processed_at=None if processed_at is None else datetime.fromisoformat(processed_at),
        record=orjson.loads(body),
        result=None if result is None else orjson.loads(result),
        error=error,
    )
