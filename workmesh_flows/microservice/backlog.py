"""What waits to be processed, and how it leaves the backlog."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from workmesh_flows.microservice.database import Database

# Left to itself SQLite looks the protocols up first and then sorts all their records, again for each one.
WAITING = """
SELECT seq, protocol, body FROM records INDEXED BY records_waiting WHERE processed_at IS NULL AND seq > ?
"""
SETTLE = "UPDATE records SET processed_at = ?, result = ?, error = ? WHERE seq = ?"


@dataclass(frozen=True)
class Waiting:
    """A stored record that was not processed yet; `body` is JSON."""

    seq: int
    protocol: str
    body: str


@dataclass(frozen=True)
class ProcessingResult:
    """What became of a record: a result (JSON object) or the reason of its failure, never both."""

    seq: int
    result: str | None = None
    error: str | None = None


def next_waiting(database: Database, protocols: Sequence[str], *, after: int = 0) -> Waiting | None:
    """The first record in order of arrival that waits; one at a time, since a body may have many megabytes.

    Records of a protocol that is no longer declared wait until it is again: they are counted, never dropped.
    """
    marks = ", ".join("?" * len(protocols))
    found = database.rows(f"{WAITING}AND protocol IN ({marks}) ORDER BY seq LIMIT 1", (after, *protocols))
    return Waiting(*found[0]) if found else None


def settle(database: Database, outcomes: Sequence[ProcessingResult]) -> None:
    """Record what became of a chunk of records, in one transaction."""
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    with database.transaction() as cursor:
        cursor.executemany(SETTLE, [(now, item.result, item.error, item.seq) for item in outcomes])


def workload(database: Database) -> int:
    """Number of records stored and not yet processed."""
    ((count,),) = database.rows("SELECT count(*) FROM records WHERE processed_at IS NULL")
    return int(count)
