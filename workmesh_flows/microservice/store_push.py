"""Storing the records of a push: once for each record id and Idempotency-Key, and not under a stale epoch."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import orjson

from workmesh_flows.microservice.database import Database
from workmesh_flows.microservice.epochs import Sender, raise_epoch
from workmesh_flows.microservice.incoming import IncomingRecord

SAVED_ANSWERS = 10_000
"""Number of saved answers; a master repeats a request soon or never. Without one, ids still prevent duplicates."""

SAVED_ANSWER = "SELECT value FROM answers WHERE protocol = ? AND idempotency_key = ?"
SAVE_ANSWER = "INSERT INTO answers (protocol, idempotency_key, value) VALUES (?, ?, ?)"
DELETE_OLD_ANSWERS = "DELETE FROM answers WHERE seq <= (SELECT max(seq) FROM answers) - ?"
STORE_RECORD = """
INSERT INTO records (protocol, id, id_is_number, received_at, epoch, body) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (protocol, id) DO NOTHING
"""


def saved_answer(database: Database, protocol: str, key: str | None) -> str | None:
    """The value of the earlier answer to an Idempotency-Key, as JSON; None if there is none."""
    if key is None:
        return None
    found = database.rows(SAVED_ANSWER, (protocol, key))
    return found[0][0] if found else None


def known_ids(database: Database, protocol: str, incoming: Sequence[IncomingRecord]) -> set[str]:
    """The ids, as text, of the records that are stored already."""
    found = database.rows_for("SELECT id FROM records", protocol, [item.id_text for item in incoming])
    return {id_text for (id_text,) in found}


def store_batch(
    database: Database,
    protocol: str,
    incoming: Sequence[IncomingRecord],
    *,
    key: str | None,
    sender: Sender | None,
) -> str:
    """Store a batch and its answer in one transaction; returns the value of the answer as JSON.

    Raises `RequestDenied` for a stale epoch: another sender may have replaced this one while the batch was checked.
    A refusal is never saved: a retry after a fix must be able to succeed.
    """
    epoch = None if sender is None else str(sender.epoch)
    with database.transaction() as cursor:
        raise_epoch(cursor, sender)
        saved = saved_answer(
            database, protocol, key
        )  # a concurrent request with the same key may have been faster
        if saved is not None:
            return saved
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        cursor.executemany(
            STORE_RECORD,
            [(protocol, item.id_text, isinstance(item.id, int), now, epoch, item.body) for item in incoming],
        )
        stored = cursor.rowcount if incoming else 0  # the number of inserted rows of the whole batch
        value = orjson.dumps({"stored": stored, "known": len(incoming) - stored}).decode()
        if key is not None:
            cursor.execute(SAVE_ANSWER, (protocol, key, value))
            cursor.execute(DELETE_OLD_ANSWERS, (SAVED_ANSWERS,))
    return value
