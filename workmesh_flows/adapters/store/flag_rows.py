"""Flags of push and pull, written row by row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Update

from workmesh_flows.adapters.store.protocol_tables import FlagColumns
from workmesh_flows.adapters.store.values import as_stored, stored_text
from workmesh_flows.errors import NotFlagged


def write_rows(connection: Connection, statement: Update, rows: Sequence[dict[str, Any]]) -> None:
    """Execute an UPDATE once per row; raises NotFlagged where fewer rows were written, so that no report overstates."""
    written = connection.execute(statement, rows).rowcount
    if written != len(rows):
        raise NotFlagged(
            f"{len(rows) - written} of {len(rows)} records were not found again under their ids: deleted meanwhile, "
            f"or stored in another form than their type writes (UUIDs with dashes in SQLite); nothing was flagged, "
            "run again"
        )


def flag_row(
    flags: FlagColumns,
    record_id: Any,  # noqa: ANN401 - any key
    time: datetime,
    *,
    success: bool,
    error: str | None = None,
) -> dict[str, Any]:
    """The parameters that flag one record; the error text is cut to the length of its column."""
    length = getattr(flags.error.type, "length", None)
    return {
        "workmesh_id": record_id,
        "workmesh_0": as_stored(time, flags.time),
        "workmesh_1": success,
        "workmesh_2": None if error is None else stored_text(error, length),
    }
