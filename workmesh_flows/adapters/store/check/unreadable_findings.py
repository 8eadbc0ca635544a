"""Checks of a sample of rows for values that the driver or a column's type cannot read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, Engine, select
from sqlalchemy.orm import Session

from workmesh_flows.adapters.store.check.finding import Finding, Level
from workmesh_flows.adapters.store.engine import translated_errors
from workmesh_flows.adapters.store.protocol_tables import PushTables, entity_table
from workmesh_flows.adapters.store.record_pages import RowContent
from workmesh_flows.adapters.store.unreadable_rows import unreadable_rows
from workmesh_flows.adapters.store.weights import weight_column
from workmesh_flows.domain.calls import Get
from workmesh_flows.domain.payload import payload_columns
from workmesh_flows.domain.service import Service
from workmesh_flows.errors import StoreUnavailable

ROWS = 300
"""Rows of a sample."""
NAMED = 3
"""Unreadable rows that a finding names."""


def unreadable_records(engine: Engine, tables: PushTables) -> Iterator[Finding]:
    """The finding for records that cannot be read, in a sample of pending ones and one of all."""
    pull = tables.protocol.pull
    rows_only = tables.push.wants_rows and (pull is None or isinstance(pull.fetch, Get))
    what = payload_columns(tables.protocol) if rows_only else tables.protocol.record
    pending = tables.push_flags.success.is_not(True)
    yield from _findings(
        engine,
        RowContent(tables.id, what),
        (pending, None),
        "correct the value: until then the record is refused, and later ones of its entity wait",
    )


def unreadable_entities(engine: Engine, service: Service) -> Iterator[Finding]:
    """The finding for entities that cannot be read, in a sample."""
    entities = entity_table(service)
    what = service.entity if weight_column(service) is None else {"key": entities.key, "node": entities.node}
    yield from _findings(engine, RowContent(entities.key, what), (None,), "correct the value")


def _findings(
    engine: Engine, content: RowContent, samples: tuple[ColumnElement[bool] | None, ...], to_do: str
) -> Iterator[Finding]:
    table, found = content.key.table, dict[Any, str]()
    with Session(engine) as session:
        for condition in samples:
            statement = select(content.key).limit(ROWS)
            keys = _keys(session, statement if condition is None else statement.where(condition))
            fresh = [key for key in keys if key not in found]
            found.update((key, row.reason) for key, row in unreadable_rows(session, content, fresh))
    if found:
        reasons = list(found.values())
        more = f"; and {len(reasons) - NAMED:,} more of the sample" if len(reasons) > NAMED else ""
        yield Finding(Level.PROBLEM, str(table), f"{'; '.join(reasons[:NAMED])}{more}", to_do)


def _keys(session: Session, statement: Any) -> list[Any]:  # noqa: ANN401 - a select of any key
    """The keys of a sample; none where a key cannot be read, which another check reports."""
    try:
        with translated_errors():
            return list(session.scalars(statement))
    except StoreUnavailable:
        raise
    except Exception:  # noqa: BLE001 - a user-defined type raises anything
        session.rollback()
        return []
