"""Queries of a master about processed and failed records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from workmesh_flows.microservice.database import Database
from workmesh_flows.microservice.protocol import RecordId

LATEST = """
SELECT id, id_is_number FROM records WHERE protocol = ? AND processed_at IS NOT NULL ORDER BY seq DESC LIMIT 1
"""
FAILED = """
SELECT id, id_is_number, error, processed_at, failure FROM records INDEXED BY records_failed
WHERE failure > ? AND protocol = ? ORDER BY failure LIMIT ?
"""
FAILED_AT_ONCE = 500
REASONS_AT_ONCE = 250_000
"""Characters of reasons in one answer, so that it stays below the size that a master reads."""


def latest_processed(database: Database, protocol: str) -> RecordId | None:
    """The id of the record that was processed last, also if it failed, in its original JSON type."""
    for id_text, is_number in database.rows(LATEST, (protocol,)):
        return int(id_text) if is_number else str(id_text)
    return None


def results_of(database: Database, protocol: str, ids: Sequence[RecordId]) -> dict[str, Any]:
    """The result, as JSON, of each processed record, or the reason of its failure; other ids are left out."""
    found = database.rows_for(
        "SELECT id, processed_at, result, error FROM records", protocol, [str(id_) for id_ in ids]
    )
    return {
        id_text: error if result is None else orjson.Fragment(result)
        for id_text, processed_at, result, error in found
        if processed_at is not None
    }


def failed_records(database: Database, protocol: str, after: str | None) -> dict[str, Any]:
    """The records whose processing failed, in the order of their failures after a mark, and the mark of the last one.

    A record that was sent again since is not one of them.
    """
    found = database.rows(FAILED, (int(after or 0), protocol, FAILED_AT_ONCE))
    failed: list[dict[str, Any]] = []
    characters, mark = 0, after
    for id_text, is_number, error, at, number in found:
        characters += len(error)
        if failed and characters > REASONS_AT_ONCE:
            break
        failed.append({"id": int(id_text) if is_number else id_text, "reason": error, "at": at})
        mark = str(number)
    return {"failed": failed, "next": mark}
