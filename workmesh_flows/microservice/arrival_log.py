"""The arrival log, for people and tests: the records of a node in the order of arrival, with their results."""

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
    """A stored record; `result` is None until it is processed, or if that failed: then `error` is the reason."""

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
    """Return the records that arrived after a sequence number, in the order of arrival.

    Reads a snapshot, also while the node runs, and never writes. Raises sqlite3.OperationalError for a missing file.
    """
    uri = f"{Path(database).absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        return [_arrival(*row) for row in connection.execute(LOG, (after,))]


def _arrival(  # noqa: PLR0913, PLR0917 - the columns of LOG
    seq: int,
    protocol: str,
    id_text: str,
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
        id=int(id_text) if id_is_number else id_text,
        received_at=datetime.fromisoformat(received_at),
        epoch=epoch,
        processed_at=None if processed_at is None else datetime.fromisoformat(processed_at),
        record=orjson.loads(body),
        result=None if result is None else orjson.loads(result),
        error=error,
    )
