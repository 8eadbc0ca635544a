"""A snapshot of a protocol: every record with its flags, in the order of (sort, id), read through declared columns."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Engine, Row, Select, String, and_, cast, false, null, select

from workmesh_flows.adapters.node_http.encoding import encode
from workmesh_flows.adapters.store.engine import translated_errors
from workmesh_flows.adapters.store.protocol_tables import entity_table, join_owner
from workmesh_flows.adapters.store.values import as_utc
from workmesh_flows.domain.columns import column_of
from workmesh_flows.domain.protocol import Protocol
from workmesh_flows.domain.service import Service
from workmesh_flows.testing.history.events import Id, Sort

ROWS_PER_FETCH = 2_000
LARGEST_INTEGER = 2**63 - 1
"""Larger integers are written as text, or as a float where they sort records."""


def snapshot_rows(engine: Engine, service: Service, protocol: Protocol) -> Iterator[Row[Any]]:
    """Yield a row for each record: id, sort, owner, node, flags, and whether it depends on another protocol's record.

    Id and owner are also given as text.
    """
    with translated_errors(), engine.connect() as connection:
        rows = connection.execution_options(yield_per=ROWS_PER_FETCH).execute(snapshot(service, protocol))
        yield from rows


def snapshot(service: Service, protocol: Protocol) -> Select[Any]:
    """The statement of `snapshot_rows`."""
    assert protocol.push is not None  # noqa: S101 - only pushed records have a state
    flags, joined = protocol.push.flags, join_owner(entity_table(service), protocol, outer=True)
    key, sort = column_of(protocol.id), column_of(protocol.sort)
    pulled = null() if protocol.pull is None else column_of(protocol.pull.flags.success)
    source = joined.source
    depends: ColumnElement[bool] = false()
    if protocol.follows is not None and protocol.follows.protocol.push is not None:
        hop, leading = protocol.follows.hop, protocol.follows.protocol.push.flags.success
        target = hop.table.alias()
        source = source.join(
            target, and_(*(before == target.c[after.key] for before, after in hop.pairs)), isouter=True
        )
        has_reference = [before.is_not(None) for before, _ in hop.pairs]
        depends = and_(*has_reference, target.c[column_of(leading).key].is_not(True))
    return (
        select(
            key.label("id"),
            sort.label("sort"),
            joined.owner.label("owner"),
            joined.node.label("node"),
            column_of(flags.success).label("push_success"),
            column_of(flags.time).label("push_time"),
            pulled.label("pull_success"),
            cast(key, String).label("id_text"),
            cast(joined.owner, String).label("owner_text"),
            depends.label("depends"),
        )
        .select_from(source)
        .order_by(sort, key)
    )


def as_id(key: Any) -> Id:  # noqa: ANN401 - any key
    """A key as the HTTP contract encodes it."""
    if isinstance(key, bool) or not isinstance(key, int | str):
        key = orjson.loads(encode(key))
    return key if isinstance(key, str) or (isinstance(key, int) and abs(key) <= LARGEST_INTEGER) else str(key)


def as_sort(value: Any) -> Sort:  # noqa: ANN401 - whatever orders records
    """A JSON value that sorts as the database does: times become UTC text of a fixed length."""
    match value:
        case datetime():
            return as_utc(value).isoformat(timespec="microseconds")
        case date():
            return value.isoformat()
        case Decimal():
            return float(value)
        case None | int() | float() | str():
            return value if not isinstance(value, int) or abs(value) <= LARGEST_INTEGER else float(value)
        case _:
            return str(as_id(value))
