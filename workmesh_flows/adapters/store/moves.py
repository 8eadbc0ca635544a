"""Moving entities: their node, the flags of records that are pushed again, and the move log, in one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Engine, insert, select

from workmesh_flows.adapters.store.assignment import AssignmentWriter
from workmesh_flows.adapters.store.engine import translated_errors
from workmesh_flows.adapters.store.former_pushes import write_former_pushes
from workmesh_flows.adapters.store.keys import in_parts
from workmesh_flows.adapters.store.protocol_tables import PushTables, all_pull_tables, all_push_tables
from workmesh_flows.adapters.store.refused_records import forget_refusals_of_owners
from workmesh_flows.adapters.store.replays import replay_moved
from workmesh_flows.adapters.store.resets import reset_records
from workmesh_flows.adapters.store.schema import moves, services
from workmesh_flows.adapters.store.statements import moves as statements
from workmesh_flows.adapters.store.values import as_utc
from workmesh_flows.domain.service import Service
from workmesh_flows.errors import StoreError

KEYS_AT_ONCE = 5_000
"""Keys in one statement; SQLite takes 32,766 parameters."""
LARGEST_WEIGHT = 2**63 - 1
"""Largest weight that the move log holds; a larger one is logged as this."""


@dataclass(frozen=True, slots=True)
class Step:
    """One entity's move and its reason; source and target are equal where its data is only sent again."""

    entity: Any
    source: str
    target: str
    weight: int
    why: str


def current_nodes(connection: Connection, service: Service, steps: Sequence[Step]) -> dict[Any, str | None]:
    """The nodes of the steps' entities by key; a deleted entity is left out."""
    nodes: dict[Any, str | None] = {}
    for keys in in_parts([step.entity for step in steps], KEYS_AT_ONCE):
        nodes.update(connection.execute(statements.nodes_of(service, keys)).all())
    return nodes


def move(
    run: AssignmentWriter, steps: Sequence[Step], *, repush: bool, now: datetime, plan: str | None = None
) -> int:
    """Assign entities to their new nodes inside an assignment run; return the number of records to be pushed again.

    Records that were pushed and are not pulled become pending again, with ``repush`` all records. The caller must have
    leased the lanes of the source, or know that no run can process them. All steps have one source; raises StoreError,
    and writes nothing, where an entity is not assigned to it any more.
    """
    again = Counter[Any]()
    for tables in all_push_tables(run.service):
        again += _reset(run, tables, steps, now, repush=repush)
    if repush:
        forget_refusals_of_owners(run.connection, run.service, [step.entity for step in steps])
    by_target = sorted(steps, key=lambda step: step.target)
    for target, group in groupby(by_target, key=lambda step: step.target):
        keys = [step.entity for step in group]
        if target != steps[0].source:
            _write_node(run.connection, run.service, keys, steps[0].source, target)
    own_row = services.c.service == run.service.name
    revision = run.connection.scalar(select(services.c.revision).where(own_row)) or 0
    run.written += len(steps)
    run.connection.execute(
        insert(moves),
        [
            {
                "service": run.service.name,
                "entity": str(step.entity),
                "source": step.source,
                "target": step.target,
                "why": step.why,
                "weight": min(step.weight, LARGEST_WEIGHT),
                "again": again[step.entity],
                "moved_at": now,
                "epoch": revision + 1,
                "plan": plan,
            }
            for step in steps
        ],
    )
    return again.total()


def count_in_flight(connection: Connection, service: Service, entities: Sequence[Any]) -> int:
    """The number of records of these entities that were pushed and are not pulled."""
    return sum(
        connection.scalar(statements.count_in_flight(tables, keys)) or 0
        for tables in all_pull_tables(service)
        for keys in in_parts(entities, KEYS_AT_ONCE)
    )


def read_moves(engine: Engine, *, limit: int) -> list[dict[str, Any]]:
    """The latest rows of the move log, by column, newest first; at most ``limit``."""
    newest = select(moves).order_by(moves.c.id.desc()).limit(limit)
    with translated_errors(), engine.connect() as connection:
        return [dict(row) for row in connection.execute(newest).mappings()]


def _write_node(
    connection: Connection, service: Service, entities: Sequence[Any], source: str, target: str
) -> None:
    for keys in in_parts(entities, KEYS_AT_ONCE):
        written = connection.execute(statements.write_node(service, keys, source, target)).rowcount
        if written != len(keys):
            raise StoreError(
                f"{len(keys) - written} entities of {service.name} left {source} meanwhile; nothing was moved, run "
                "again"
            )


def _reset(
    run: AssignmentWriter, tables: PushTables, steps: Sequence[Step], now: datetime, *, repush: bool
) -> Counter[Any]:
    """Make records pending again, failed ones as replays; return their number by entity."""
    again = Counter[Any]()
    if tables.pull_flags is None and not repush:
        return again  # without a pull, a pushed record is finished
    source, leaving = steps[0].source, {step.entity for step in steps if step.target != step.source}
    lane = tables.lane(source, "pull")
    for keys in in_parts([step.entity for step in steps], KEYS_AT_ONCE):
        pushed = run.connection.execute(statements.pushed(tables, keys, everything=repush)).all()
        again.update(row.owner for row in pushed)
        if tables.pull_flags is not None:
            left = (row for row in pushed if row.owner in leaving and not row.pulled and row.time is not None)
            write_former_pushes(run.connection, lane, [(row.id, as_utc(row.time)) for row in left])
        for rows in in_parts(pushed, KEYS_AT_ONCE):
            ids = [row.id for row in rows]
            reset_records(run.connection, tables, ids)
            replay_moved(run.connection, tables, ids, now)
    return again
