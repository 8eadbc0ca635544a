"""Storing the records of a push: once for each record id and Idempotency-Key, and not under a stale epoch.

A known record takes effect again where it arrives with another Idempotency-Key, and its content has changed or its
processing has failed: it is then stored anew, at the end of the arrival order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
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
INSERT INTO records (protocol, id, id_is_number, received_at, epoch, body, idempotency_key)
VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (protocol, id) DO NOTHING
"""
KNOWN_RECORDS = "SELECT id, body, failure, idempotency_key FROM records"
DELETE_RECORD = "DELETE FROM records WHERE protocol = ? AND id = ?"


def saved_answer(database: Database, protocol: str, key: str | None) -> str | None:
    """The value of the earlier answer to an Idempotency-Key, as JSON; None if there is none."""
    if key is None:
        return None
    found = database.rows(SAVED_ANSWER, (protocol, key))
    return found[0][0] if found else None


@dataclass(frozen=True)
class KnownRecords:
    """The ids, as text, of records of a push that are stored already: those without effect, and those to be replaced."""

    settled: set[str] = field(default_factory=set)
    replaced: set[str] = field(default_factory=set)


def known_records(
    database: Database, protocol: str, incoming: Sequence[IncomingRecord], key: str | None
) -> KnownRecords:
    """Find the records of a push that are stored already; without a key, none of them is replaced."""
    known = KnownRecords()
    found = database.rows_for(KNOWN_RECORDS, protocol, [item.id_text for item in incoming])
    given = {item.id_text: item.body for item in reversed(incoming)} if found else {}
    for id_text, body, failure, stored_key in found:
        is_repeated = key is None or key == stored_key
        settled = is_repeated or (failure is None and _is_same(body, given[id_text]))
        (known.settled if settled else known.replaced).add(id_text)
    return known


def _is_same(stored: str, given: str) -> bool:
    """Whether two JSON texts have the same content, in whichever order of keys."""
    return stored == given or bool(orjson.loads(stored) == orjson.loads(given))


def store_batch(  # noqa: PLR0913 - each is one fact of the push
    database: Database,
    protocol: str,
    incoming: Sequence[IncomingRecord],
    *,
    key: str | None,
    sender: Sender | None,
    has_known: bool = True,
) -> str:
    """Store a batch and its answer in one transaction; returns the value of the answer as JSON.

    ``has_known`` is false where none of the records was stored before. In the answer, "stored" is the number of records
    that will be processed.


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
        if has_known:
            replaced = known_records(database, protocol, incoming, key).replaced
            cursor.executemany(DELETE_RECORD, [(protocol, id_text) for id_text in replaced])
        cursor.executemany(
            STORE_RECORD,
            [
                (protocol, item.id_text, isinstance(item.id, int), now, epoch, item.body, key)
                for item in incoming
            ],
        )
        stored = cursor.rowcount if incoming else 0  # the number of inserted rows of the whole batch
        value = orjson.dumps({"stored": stored, "known": len(incoming) - stored}).decode()
        if key is not None:
            cursor.execute(SAVE_ANSWER, (protocol, key, value))
            cursor.execute(DELETE_OLD_ANSWERS, (SAVED_ANSWERS,))
    return value
