"""Storing what is pushed: once per record id, once per Idempotency-Key, never after a later sender's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import orjson

from workmesh_flows.microservice.database import Database
from workmesh_flows.microservice.epochs import Sender, raise_epoch
from workmesh_flows.microservice.incoming import IncomingRecord

REMEMBERED_ANSWERS = 10_000
"""A master repeats a request soon or never; older keys are forgotten, ids still make a repeat harmless."""

REMEMBERED = "SELECT value FROM answers WHERE protocol = ? AND idempotency_key = ?"
REMEMBER = "INSERT INTO answers (protocol, idempotency_key, value) VALUES (?, ?, ?)"
FORGET = "DELETE FROM answers WHERE seq <= (SELECT max(seq) FROM answers) - ?"
STORE = """
INSERT INTO records (protocol, id, id_is_number, received_at, epoch, body) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (protocol, id) DO NOTHING
"""


def remembered_answer(database: Database, protocol: str, key: str | None) -> str | None:
    """The value once answered to an Idempotency-Key, as JSON."""
    if key is None:
        return None
    found = database.rows(REMEMBERED, (protocol, key))
    return found[0][0] if found else None


def known_ids(database: Database, protocol: str, arriving: Sequence[IncomingRecord]) -> set[str]:
    """The ids, as text, of those records that are stored already."""
    found = database.rows_for("SELECT id FROM records", protocol, [item.id_text for item in arriving])
    return {id_text for (id_text,) in found}


def accept(
    database: Database,
    protocol: str,
    arriving: Sequence[IncomingRecord],
    *,
    key: str | None,
    sender: Sender | None,
) -> str:
    """Store a batch and remember its answer in one transaction; gives the answer's value as JSON.

    Raises `Denied` for a stale sender: a later one may have come while the batch was checked. A refusal is
    never remembered: a retry after a fix must be able to succeed.
    """
    epoch = None if sender is None else str(sender.epoch)
    with database.transaction() as cursor:
        raise_epoch(cursor, sender)
        remembered = remembered_answer(database, protocol, key)  # a twin request may have been quicker
        if remembered is not None:
            return remembered
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        cursor.executemany(
            STORE,
            [(protocol, item.id_text, isinstance(item.id, int), now, epoch, item.body) for item in arriving],
        )
        stored = cursor.rowcount if arriving else 0  # the rows inserted over all of the batch
        value = orjson.dumps({"stored": stored, "known": len(arriving) - stored}).decode()
        if key is not None:
            cursor.execute(REMEMBER, (protocol, key, value))
            cursor.execute(FORGET, (REMEMBERED_ANSWERS,))
    return value
