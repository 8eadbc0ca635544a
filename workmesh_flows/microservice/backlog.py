"""The backlog: stored records that are not processed yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import time_ns

from workmesh_flows.microservice.database import Database

# Without this hint SQLite finds the protocols first and then sorts all their records, again for each record.
NEXT_PENDING = """
SELECT seq, protocol, id, body FROM records INDEXED BY records_waiting WHERE processed_at IS NULL AND seq > ?
"""
STORE_RESULT = "UPDATE records SET processed_at = ?, result = ?, error = ?, failure = ? WHERE seq = ?"
WAITING_BY_PROTOCOL = """
SELECT protocol, count(*) FROM records INDEXED BY records_waiting WHERE processed_at IS NULL GROUP BY protocol
"""
LAST_FAILURE = "SELECT max(failure) FROM records INDEXED BY records_failed WHERE failure IS NOT NULL"


@dataclass(frozen=True)
class PendingRecord:
    """A stored record that is not processed yet; `body` is JSON."""

    seq: int
    protocol: str
    id: str
    body: str


@dataclass(frozen=True)
class ProcessingResult:
    """The outcome of processing a record: a result (JSON object) or the reason of its failure, never both."""

    seq: int
    result: str | None = None
    error: str | None = None


def next_pending(database: Database, protocols: Sequence[str], *, after: int = 0) -> PendingRecord | None:
    """The next unprocessed record in the order of arrival; only one, because a body may have many megabytes.

    Records of a protocol that is no longer declared stay in the backlog, and are counted, until it is declared again.
    """
    marks = ", ".join("?" * len(protocols))
    found = database.rows(
        f"{NEXT_PENDING}AND protocol IN ({marks}) ORDER BY seq LIMIT 1", (after, *protocols)
    )
    return PendingRecord(*found[0]) if found else None


def store_results(database: Database, results: Sequence[ProcessingResult]) -> None:
    """Store the results of a chunk of records in one transaction.

    A record that was replaced meanwhile has another number, and is processed again. The number of a failure is at least
    the time in microseconds: it also rises where an older copy of the database was restored.
    """
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    with database.transaction() as cursor:
        number = 0
        if any(item.error is not None for item in results):
            ((last,),) = cursor.execute(LAST_FAILURE).fetchall()
            number = max((last or 0) + 1, time_ns() // 1000)
        rows = [
            (now, item.result, item.error, None if item.error is None else number + at, item.seq)
            for at, item in enumerate(results)
        ]
        cursor.executemany(STORE_RESULT, rows)


def workload(database: Database) -> int:
    """The number of stored records that are not processed yet."""
    ((count,),) = database.rows("SELECT count(*) FROM records WHERE processed_at IS NULL")
    return int(count)


def workload_by_protocol(database: Database) -> dict[str, int]:
    """The same, by protocol; those without such records are left out."""
    return dict(database.rows(WAITING_BY_PROTOCOL))
