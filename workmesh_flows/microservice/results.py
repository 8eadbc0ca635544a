"""What a master may ask about processed records."""

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
    """The id of the record processed last, failed ones included, in the JSON type it came in."""
    for known_as, is_number in database.rows(LATEST, (protocol,)):
        return int(known_as) if is_number else str(known_as)
    return None


def pulled(database: Database, protocol: str, ids: Sequence[RecordId]) -> dict[str, Any]:
    """The result, as JSON, of each id that was processed, or a text: why it failed. Others are left out."""
    found = database.rows_for(
        "SELECT id, processed_at, result, error FROM records", protocol, [str(id_) for id_ in ids]
    )
    return {
        known_as: error if result is None else orjson.Fragment(result)
        for known_as, processed_at, result, error in found
        if processed_at is not None
    }
