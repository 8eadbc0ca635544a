"""Pull flags: the results and flags of a batch, written in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import StatementError

from workmesh_flows.adapters.store.engine import refuses_value, translated_errors
from workmesh_flows.adapters.store.flag_rows import flag_row, write_rows
from workmesh_flows.adapters.store.lanes import LaneLease
from workmesh_flows.adapters.store.protocol_tables import PullTables
from workmesh_flows.adapters.store.schema import lanes
from workmesh_flows.adapters.store.statements.flags import write_flags
from workmesh_flows.domain.columns import column_of, first_line


def flag_pulled(
    engine: Engine,
    lease: LaneLease,
    tables: PullTables,
    results: Mapping[Any, Mapping[str, Any] | str | None],
    time: datetime,
) -> dict[Any, str]:
    """Write results and flags in one transaction; return the records whose results did not fit, with reasons.

    A text in place of values flags the pull as failed. Where the database refuses a value, the records are
    written one by one, so that one bad result does not stop the others.
    """
    try:
        _write_results(engine, lease, tables, results, time)
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
                misfits |= flag_pulled(engine, lease, tables, {record_id: result}, time)
            return misfits
        reason = f"the result does not fit: {first_line(getattr(error, 'orig', None) or error)}"
        record_id = next(iter(results))
        with translated_errors():
            _write_results(engine, lease, tables, {record_id: reason}, time)
        return {record_id: reason}
    return {}


def _write_results(
    engine: Engine,
    lease: LaneLease,
    tables: PullTables,
    results: Mapping[Any, Mapping[str, Any] | str | None],
    time: datetime,
) -> None:
    flags, record = tables.pull_flags, tables.protocol.record
    rows_by_columns: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for record_id, result in results.items():
        failed = result if isinstance(result, str) else None
        values = result if isinstance(result, Mapping) else {}
        row = flag_row(flags, record_id, time, success=failed is None, error=failed)
        row |= {f"workmesh_{i}": value for i, value in enumerate(values.values(), start=len(flags.all))}
        rows_by_columns.setdefault(tuple(values), []).append(row)
    with engine.begin() as connection:
        bad = sum(isinstance(result, str) for result in results.values())
        lease.advance(connection, done=lanes.c.done + len(results) - bad, refused=lanes.c.refused + bad)
        for keys, rows in rows_by_columns.items():
            columns = [column_of(getattr(record, key)) for key in keys]
            write_rows(connection, write_flags(tables, flags, columns), rows)
