"""Old rows of the move log.

A pull reads whether an entity was ever moved away from a node, or its data sent to another one again: such a node may
name, at any later time, a record whose push was never confirmed. Two rows of an entity are enough to answer this for every
node: its last move, and its last move to another target than that one. These stay, whatever their age, as long as the
entity exists; no code reads the other old rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Engine, Select, and_, case, delete, func, not_, or_, select

from workmesh_flows.adapters.store.engine import translated_errors
from workmesh_flows.adapters.store.keys import AT_ONCE, in_parts
from workmesh_flows.adapters.store.protocol_tables import entity_table
from workmesh_flows.adapters.store.pruning.existing_keys import surely_gone
from workmesh_flows.adapters.store.schema import moves
from workmesh_flows.domain.service import Service

READ_AT_ONCE = 50_000
"""Rows found by one query, which sorts all rows of a service."""


def prune_moves(engine: Engine, service: Service, before: datetime, *, dry_run: bool) -> Iterator[int]:
    """Delete rows from before a time that nothing needs, batch by batch; yield the number of each batch.

    Moves that are logged meanwhile change nothing: with more rows, the same rows are still not needed.
    """
    last = 0
    while True:
        with translated_errors(), engine.connect() as connection:
            rows = connection.execute(_old_rows(service.name, before, last)).all()
            kept = {row.entity for row in rows if row.kept}
            gone = surely_gone(connection, entity_table(service).key, kept)
        ids = [row.id for row in rows if not row.kept or row.entity in gone]
        for some in in_parts(ids, AT_ONCE):
            if dry_run:
                yield len(some)
                continue
            # Compared with the time again: SQLite may give the id of a deleted row to a new one.
            old = and_(moves.c.id.in_(some), moves.c.moved_at < before)
            with translated_errors(), engine.begin() as connection:
                number = connection.execute(delete(moves).where(old)).rowcount
            yield number
        if len(rows) < READ_AT_ONCE:
            return
        last = rows[-1].id


def _old_rows(service: str, before: datetime, after: int) -> Select[int, str, bool]:
    """Id, entity and ``kept`` of the rows from before a time, in the order of their ids."""
    entity, newest_first = moves.c.entity, moves.c.id.desc()
    placed = (
        select(
            moves.c.id,
            moves.c.entity,
            moves.c.target,
            moves.c.moved_at,
            func.row_number().over(partition_by=entity, order_by=newest_first).label("place"),
            func.first_value(moves.c.target)
            .over(partition_by=entity, order_by=newest_first)
            .label("last_target"),
        )
        .where(moves.c.service == service)
        .subquery()
    )
    differs = placed.c.target != placed.c.last_target
    others = func.sum(case((differs, 1), else_=0)).over(
        partition_by=placed.c.entity, order_by=placed.c.id.desc()
    )
    counted = select(placed, others.label("others")).subquery()
    kept = or_(
        counted.c.place == 1,
        and_(not_(counted.c.target == counted.c.last_target), counted.c.others == 1),
    )
    return (
        select(counted.c.id, counted.c.entity, kept.label("kept"))
        .where(counted.c.moved_at < before, counted.c.id > after)
        .order_by(counted.c.id)
        .limit(READ_AT_ONCE)
    )
