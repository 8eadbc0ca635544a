"""Pull flags: results and flags of a batch, written in one transaction; and how flags are written at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Update
from sqlalchemy.exc import StatementError

from workmesh_flows.adapters import statements
from workmesh_flows.adapters.database import refuses_value, translated_errors
from workmesh_flows.adapters.lanes import Hold
from workmesh_flows.adapters.schema import as_stored, lanes, stored_text
from workmesh_flows.domain.columns import column_of, first_line
from workmesh_flows.domain.protocol import Flags, Protocol
from workmesh_flows.errors import NotFlagged


def flag_pulled(
    engine: Engine,
    hold: Hold,
    protocol: Protocol,
    results: Mapping[Any, Mapping[str, Any] | str | None],
    time: datetime,
) -> dict[Any, str]:
    """Write results and flags in one transaction; return the records that did not fit, with reasons.

    A text in place of values flags the pull as failed. Where the database refuses a value, the records are
    written one by one, so that one bad result does not stop the others.
    """
    try:
        _write_results(engine, hold, protocol, results, time)
    except (
        StatementError,
        OverflowError,
        TypeError,
        ValueError,
    ) as error:  # drivers raise the last three bare
        if isinstance(error, StatementError) and not refuses_value(error):
            with translated_errors():
                raise
        if len(results) > 1:
            misfits: dict[Any, str] = {}
            for record_id, result in results.items():
                misfits |= flag_pulled(engine, hold, protocol, {record_id: result}, time)
            return misfits
        reason = f"the result does not fit: {first_line(getattr(error, 'orig', None) or error)}"
        record_id = next(iter(results))
        with translated_errors():
            _write_results(engine, hold, protocol, {record_id: reason}, time)
        return {record_id: reason}
    return {}


def _write_results(
    engine: Engine,
    hold: Hold,
    protocol: Protocol,
    results: Mapping[Any, Mapping[str, Any] | str | None],
    time: datetime,
) -> None:
    assert protocol.pull is not None  # noqa: S101 - only a declared pull has results
    flags = protocol.pull.flags
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for record_id, result in results.items():
        failed = result if isinstance(result, str) else None
        values = result if isinstance(result, Mapping) else {}
        row = flag_row(flags, record_id, time, success=failed is None, error=failed)
        row |= {f"workmesh_{i}": value for i, value in enumerate(values.values(), start=len(flags.columns))}
        alike.setdefault(tuple(values), []).append(row)
    with engine.begin() as connection:
        bad = sum(isinstance(result, str) for result in results.values())
        hold.advance(connection, done=lanes.c.done + len(results) - bad, refused=lanes.c.refused + bad)
        for keys, rows in alike.items():
            columns = [column_of(getattr(protocol.record, key)) for key in keys]
            write_rows(connection, statements.write_flags(protocol, flags, columns), rows)


def write_rows(connection: Connection, statement: Update, rows: Sequence[dict[str, Any]]) -> None:
    """Write a row each; a report that counts what was not written would be a lie."""
    written = connection.execute(statement, rows).rowcount
    if written != len(rows):
        raise NotFlagged(
            f"{len(rows) - written} of {len(rows)} records were not found again under their ids: deleted meanwhile, "
            f"or stored in another form than their type writes (UUIDs with dashes in SQLite); nothing was flagged, "
            "run again"
        )


def flag_row(
    flags: Flags,
    record_id: Any,  # noqa: ANN401 - any key
    time: datetime,
    *,
    success: bool,
    error: str | None = None,
) -> dict[str, Any]:
    """The parameters that flag one record; a text is cut to its column."""
    room = getattr(column_of(flags.error).type, "length", None)
    return {
        "workmesh_id": record_id,
        "workmesh_0": as_stored(time, column_of(flags.time)),
        "workmesh_1": success,
        "workmesh_2": None if error is None else stored_text(error, room),
    }
