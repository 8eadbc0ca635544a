"""Processed records: each lane counts its own in the transaction of their flags; a correction covers all others.

The sum of the lanes' counters and the correction is the number of processed records of a protocol, except for what
other programs have changed since the last exact count: deleted records, and flags that were written by hand.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, TypeAlias

from sqlalchemy import ColumnElement, Connection, Engine, Table, and_, func, select

from workmesh_flows.adapters.store.engine import translated_errors
from workmesh_flows.adapters.store.protocol_tables import ProtocolTables
from workmesh_flows.adapters.store.schema import counts, lanes
from workmesh_flows.adapters.store.statements.counts import processed_count
from workmesh_flows.adapters.store.statements.updates import insert_into

Key: TypeAlias = tuple[str, str, str]
"""Service, protocol and direction: the key of a row of corrections."""


def key_of_counts(tables: ProtocolTables) -> Key:
    """The key of a protocol's correction."""
    return tables.service.name, tables.protocol.name, tables.counted


@dataclass(slots=True)
class Processed:
    """The processed records of one protocol: by the node whose lane counted them, and the correction.

    ``counted_at`` is None before the first exact count.
    """

    by_node: dict[str, int] = field(default_factory=dict)
    correction: int = 0
    counted_at: datetime | None = None


def read_processed(engine: Engine, services: Collection[str]) -> dict[Key, Processed]:
    """What is known of the protocols of these services, by key; reads no record."""
    done = select(lanes.c.service, lanes.c.protocol, lanes.c.direction, lanes.c.node, lanes.c.done)
    known = select(counts).where(counts.c.service.in_(services))
    found: dict[Key, Processed] = {}
    with translated_errors(), engine.connect() as connection:
        for *key, node, number in connection.execute(
            done.where(lanes.c.service.in_(services), lanes.c.done > 0)
        ):
            found.setdefault((key[0], key[1], key[2]), Processed()).by_node[node] = number
        for row in connection.execute(known):
            each = found.setdefault((row.service, row.protocol, row.direction), Processed())
            each.correction, each.counted_at = row.correction, row.counted_at
    return found


def add_correction(connection: Connection, tables: ProtocolTables, by: int) -> None:
    """Add to the correction of a protocol, in the transaction that changes the flags of the records."""
    if by:
        added = {"correction": counts.c.correction + by}
        row = {**_key(tables), "correction": by}
        connection.execute(
            insert_into(counts, connection).values(row).on_conflict_do_update(index_elements=_KEY, set_=added)
        )


class ExactCount(NamedTuple):
    """An exact count: by how much it changed the correction, and whether it was the first one of the protocol."""

    by: int
    first: bool


def count_exactly(engine: Engine, tables: ProtocolTables, now: datetime) -> ExactCount:
    """Count all processed records of a protocol, and correct the sum.

    One statement reads the records, the counters and the correction at one moment. Runs may change all three before the
    difference is added: they change them together. Where another exact count was faster, its correction is kept.
    """
    row = _is(tables)
    query = select(
        processed_count(tables).scalar_subquery(),
        select(func.coalesce(func.sum(lanes.c.done), 0)).where(_is(tables, lanes)).scalar_subquery(),
        select(func.coalesce(func.sum(counts.c.correction), 0)).where(row).scalar_subquery(),
        select(counts.c.counted_at).where(row).scalar_subquery(),
    )
    with translated_errors(), engine.connect() as connection:
        exact, counted, correction, last = connection.execute(query).one()
    by = int(exact - counted - correction)
    with translated_errors(), engine.begin() as connection:
        first = {**_key(tables), "correction": by, "since": now, "counted_at": now}
        later = {
            "correction": counts.c.correction + by,
            "since": func.coalesce(counts.c.since, now),
            "counted_at": now,
        }
        write = insert_into(counts, connection).values(first)
        unchanged = counts.c.counted_at.is_not_distinct_from(last)
        write = write.on_conflict_do_update(index_elements=_KEY, set_=later, where=unchanged)
        done = connection.execute(write, execution_options={"preserve_rowcount": True})
        corrected = done.rowcount == 1
    return ExactCount(by if corrected else 0, first=last is None)


_KEY = ("service", "protocol", "direction")


def _key(tables: ProtocolTables) -> dict[str, str]:
    return dict(zip(_KEY, key_of_counts(tables), strict=True))


def _is(tables: ProtocolTables, table: Table = counts) -> ColumnElement[bool]:
    return and_(*(table.c[name] == value for name, value in _key(tables).items()))
