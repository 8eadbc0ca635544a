"""Old rows of the move log.

A pull reads whether an entity was ever moved away from a node, or its data sent to another one again: such a node may
name, at any later time, a record whose push was never confirmed. Two rows of an entity are enough to answer this for every
node: its last move, and its last move to another target than that one. These stay, whatever their age, as long as the
entity exists; no code reads the other old rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import Engine, Row, and_, delete, select

from workmesh_flows.adapters.store.engine import translated_errors
from workmesh_flows.adapters.store.keys import AT_ONCE, in_parts
from workmesh_flows.adapters.store.protocol_tables import entity_table
from workmesh_flows.adapters.store.pruning.existing_keys import surely_gone
from workmesh_flows.adapters.store.schema import moves
from workmesh_flows.domain.service import Service

READ_AT_ONCE = 5_000
"""Rows in one query."""


def prune_moves(engine: Engine, service: Service, before: datetime, *, dry_run: bool) -> Iterator[int]:
    """Delete rows from before a time that nothing needs, batch by batch; yield the number of each batch.

    Moves that are logged meanwhile change nothing: with more rows, the same rows are still not needed. Memory holds one
    entry for each entity that was ever moved.
    """
    last_targets: dict[str, str | None] = {}
    for rows in _pages(engine, service.name):
        kept = {row.id for row in rows if _is_needed(row, last_targets)}
        old = [row for row in rows if row.moved_at < before]
        with translated_errors(), engine.connect() as connection:
            entities = {row.entity for row in old if row.id in kept}
            gone = surely_gone(connection, entity_table(service).key, entities)
        ids = [row.id for row in old if row.id not in kept or row.entity in gone]
        for some in in_parts(ids, AT_ONCE):
            yield len(some) if dry_run else _delete(engine, some, before)


def _pages(engine: Engine, service: str) -> Iterator[Sequence[Row[int, str, str, datetime]]]:
    """All rows of a service, the newest first."""
    page = (
        select(moves.c.id, moves.c.entity, moves.c.target, moves.c.moved_at)
        .where(moves.c.service == service)
        .order_by(moves.c.id.desc())
        .limit(READ_AT_ONCE)
    )
    last: int | None = None
    while True:
        with translated_errors(), engine.connect() as connection:
            rows = connection.execute(page if last is None else page.where(moves.c.id < last)).all()
        yield rows
        if len(rows) < READ_AT_ONCE:
            return
        last = rows[-1].id


def _is_needed(row: Row[int, str, str, datetime], last_targets: dict[str, str | None]) -> bool:
    """Whether a row is one of the two of its entity; ``last_targets`` has None where both were found."""
    if row.entity not in last_targets:
        last_targets[row.entity] = row.target
        return True
    last_target = last_targets[row.entity]
    if last_target is None or last_target == row.target:
        return False
    last_targets[row.entity] = None
    return True


def _delete(engine: Engine, ids: Sequence[int], before: datetime) -> int:
    # Compared with the time again: SQLite may give the id of a deleted row to a new one.
    old = and_(moves.c.id.in_(ids), moves.c.moved_at < before)
    with translated_errors(), engine.begin() as connection:
        return connection.execute(delete(moves).where(old)).rowcount
