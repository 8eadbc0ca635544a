"""The SQLite file of a node: one row for each record, in the order of arrival."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

from workmesh_flows.errors import StartError

BUSY_SECONDS = 30
IDS_PER_STATEMENT = 500

SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order of arrival
    protocol TEXT NOT NULL,
    id TEXT NOT NULL,
    id_is_number INTEGER NOT NULL,          -- whether the id was a JSON number
    received_at TEXT NOT NULL,              -- UTC, ISO 8601, as all times in this file
    epoch TEXT,                             -- the Workmesh-Epoch of the push; earlier versions stored any text
    processed_at TEXT,                      -- null: not processed yet
    result TEXT,                            -- JSON object; null if processing failed
    error TEXT,                             -- the reason of a failure
    body TEXT NOT NULL,                     -- the record as JSON
    idempotency_key TEXT,                   -- of the push that stored this content
    failure INTEGER,                        -- rises with each failure; null if processing has not failed
    UNIQUE (protocol, id)
);
CREATE INDEX IF NOT EXISTS records_waiting ON records (seq, protocol) WHERE processed_at IS NULL;
CREATE INDEX IF NOT EXISTS records_processed ON records (protocol, seq) WHERE processed_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS answers (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    protocol TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    value TEXT NOT NULL,                    -- the value of the answer, as JSON
    UNIQUE (protocol, idempotency_key)
);
CREATE TABLE IF NOT EXISTS epochs (
    lane TEXT PRIMARY KEY,                  -- the Workmesh-Lane header; without one, the endpoint's path
    epoch INTEGER NOT NULL                  -- the highest one received
);
"""


ADDED = {
    "idempotency_key": ("ALTER TABLE records ADD COLUMN idempotency_key TEXT",),
    "failure": (
        "ALTER TABLE records ADD COLUMN failure INTEGER",
        # Lower than all later numbers, which are made of times.
        "UPDATE records SET failure = seq WHERE processed_at IS NOT NULL AND result IS NULL",
    ),
}
"""Columns of `records` that earlier versions did not create, and the statements that add each."""
ADDED_INDEX = """
CREATE INDEX IF NOT EXISTS records_failed ON records (failure, protocol) WHERE failure IS NOT NULL
"""


class Database:
    """One connection that all threads may use, one at a time."""

    def __init__(self, path: Path) -> None:
        self._lock = RLock()
        try:
            self._connection = sqlite3.connect(
                path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            # WAL allows reads while the node writes; FULL puts a commit on the disk before the request is answered.
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.executescript(SCHEMA)
            self._add_missing_columns()
        except sqlite3.Error as error:
            message = f"the database {path} cannot be used: {error}"
            raise StartError(message) from error

    def _add_missing_columns(self) -> None:
        with self.transaction() as cursor:
            known = {name for _, name, *_ in cursor.execute("PRAGMA table_info(records)").fetchall()}
            for column, statements in ADDED.items():
                for statement in statements if column not in known else ():
                    cursor.execute(statement)
            cursor.execute(ADDED_INDEX)

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        with self._lock:
            return self._connection.execute(sql, values).fetchall()

    def rows_for(self, select: str, protocol: str, ids: Sequence[str]) -> list[tuple[Any, ...]]:
        """Return the rows of a query over `records` for many ids, with a limited number of ids in each statement."""
        found: list[tuple[Any, ...]] = []
        for start in range(0, len(ids), IDS_PER_STATEMENT):
            some = ids[start : start + IDS_PER_STATEMENT]
            marks = ", ".join("?" * len(some))
            found += self.rows(f"{select} WHERE protocol = ? AND id IN ({marks})", (protocol, *some))
        return found

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Cursor]:
        """Commit all or nothing; takes SQLite's write lock at once, so that values read inside cannot change until the end."""
        with self._lock:
            cursor = self._connection.cursor()
            cursor.execute("BEGIN IMMEDIATE")
            try:
                yield cursor
                cursor.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    cursor.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the connection, after the statement that is being executed."""
        with self._lock:
            self._connection.close()
