"""Pull flags: the results and flags of a batch, written in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    Boolean,
    Column,
    Connection,
    Date,
    DateTime,
    Engine,
    Enum,
    Float,
    Integer,
    Interval,
    LargeBinary,
    Numeric,
    String,
    Time,
    Uuid,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import INTERVAL
from sqlalchemy.exc import StatementError
from sqlalchemy.types import TypeEngine

from workmesh_flows.adapters.store.engine import refuses_value, translated_errors
from workmesh_flows.adapters.store.failures import save_failed_results
from workmesh_flows.adapters.store.flag_rows import flag_row, write_rows
from workmesh_flows.adapters.store.flagged_again import FlaggedBefore, count_again, write_expected_rows
from workmesh_flows.adapters.store.keys import in_parts
from workmesh_flows.adapters.store.lanes import LaneLease
from workmesh_flows.adapters.store.protocol_tables import PullTables
from workmesh_flows.adapters.store.schema import lanes
from workmesh_flows.adapters.store.statements.flags import expected_before_pull, write_flags
from workmesh_flows.domain.columns import column_of, first_line

_READABLE = (
    ARRAY,
    Boolean,
    Date,
    DateTime,
    Enum,
    Float,
    Integer,
    Interval,
    INTERVAL,
    JSON,
    LargeBinary,
    Numeric,
    String,
    Time,
    Uuid,
)


class _Unreadable(ValueError):
    """A written value cannot be read."""


_MISFITS = (StatementError, OverflowError, TypeError, ValueError)
"""What a value that does not fit raises; drivers raise the last three bare."""


def flag_pulled(
    engine: Engine,
    lease: LaneLease,
    tables: PullTables,
    results: Mapping[Any, Mapping[str, Any] | str | None],
    time: datetime,
) -> dict[Any, str]:
    """Write results and flags in one transaction; return the records whose results did not fit, with reasons.

    A text in place of values flags the pull as failed. Where the database refuses a value, or what it holds cannot be
    read back, the records are written one by one, so that one bad result does not stop the others.
    """
    try:
        _write_results(engine, lease, tables, results, time)
    except _MISFITS as error:
        if isinstance(error, StatementError) and not refuses_value(error):
            with translated_errors():
                raise
        if len(results) > 1:
            misfits: dict[Any, str] = {}
            for record_id, result in results.items():
                misfits |= flag_pulled(engine, lease, tables, {record_id: result}, time)
            return misfits
        (record_id, result), cause = next(iter(results.items())), getattr(error, "orig", None) or error
        key = _misfit(engine, tables, record_id, result) if isinstance(result, Mapping) else None
        reason = f"the result does not fit{f' {key}' if key else ''}: {first_line(cause)}"
        with translated_errors():
            _write_results(engine, lease, tables, {record_id: reason}, time)
        return {record_id: reason}
    return {}


def failed_results(engine: Engine, tables: PullTables, ids: Sequence[Any]) -> set[Any]:
    """Those of these records whose last pull failed."""
    found = set[Any]()
    with translated_errors(), engine.connect() as connection:
        for some in in_parts(ids):
            failed = tables.pull_flags.success.is_(False)
            found.update(connection.scalars(select(tables.id).where(tables.id.in_(some), failed)))
    return found


def _write_results(
    engine: Engine,
    lease: LaneLease,
    tables: PullTables,
    results: Mapping[Any, Mapping[str, Any] | str | None],
    time: datetime,
) -> None:
    try:
        _write_in_transaction(engine, lease, tables, results, time)
    except FlaggedBefore:
        _write_in_transaction(engine, lease, tables, results, time, again=True)


def _write_in_transaction(  # noqa: PLR0913 - each is one fact of the batch
    engine: Engine,
    lease: LaneLease,
    tables: PullTables,
    results: Mapping[Any, Mapping[str, Any] | str | None],
    time: datetime,
    *,
    again: bool = False,
) -> None:
    """Unless ``again``, raises FlaggedBefore, with nothing written, where a record has other flags than expected."""
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
        good = 0 if again else len(results) - bad
        lease.advance(connection, done=lanes.c.done + good, refused=lanes.c.refused + bad)
        if again:
            successes = {record_id: not isinstance(result, str) for record_id, result in results.items()}
            count_again(connection, lease, tables, "pull", successes)
        for keys, rows in rows_by_columns.items():
            columns = [column_of(getattr(record, key)) for key in keys]
            write = write_flags(tables, flags, columns)
            if again:
                write_rows(connection, write, rows)
            else:
                write_expected_rows(connection, write.where(*expected_before_pull(tables, write.table)), rows)
            _read_back(connection, tables, columns, [row["workmesh_id"] for row in rows])
        save_failed_results(connection, tables, results, time)


def _read_back(
    connection: Connection, tables: PullTables, columns: Sequence[Column[Any]], ids: Sequence[Any]
) -> None:
    """Read the written values whose types are not SQLAlchemy's own; raises _Unreadable for one that cannot be read.

    A column that cannot be read makes the application fail on each read of its row.
    """
    if doubtful := [column for column in columns if not _is_readable(column.type)]:
        rows = connection.execute(select(*doubtful).where(tables.id.in_(ids)))
        try:
            rows.all()
        except Exception as error:
            raise _Unreadable(first_line(error)) from error


def _is_readable(kind: TypeEngine[Any]) -> bool:
    """Whether the type reads whatever it wrote. A result has the values of these types when it comes here."""
    return isinstance(kind, _READABLE) and (not isinstance(kind, ARRAY) or _is_readable(kind.item_type))


def _misfit(engine: Engine, tables: PullTables, record_id: Any, result: Mapping[str, Any]) -> str | None:  # noqa: ANN401 - any key
    """The name of the value that does not fit; None if only all together do not. Nothing stays written."""
    for key, value in result.items():
        column = column_of(getattr(tables.protocol.record, key))
        statement = update(tables.record).where(tables.id == record_id).values({column: value})
        with engine.connect() as connection:
            try:
                connection.execute(statement)
                _read_back(connection, tables, [column], [record_id])
            except _MISFITS:
                return key
            finally:
                connection.rollback()
    return None
