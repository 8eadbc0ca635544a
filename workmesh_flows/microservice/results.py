"""Queries of a master about processed records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from workmesh_flows.microservice.database import Database
from workmesh_flows.microservice.protocol import RecordId

LATEST = """
SELECT id, id_is_number FROM records WHERE protocol = ? AND processed_at IS NOT NULL ORDER BY seq DESC LIMIT 1
"""


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
