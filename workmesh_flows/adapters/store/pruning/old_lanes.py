"""Lanes of nodes that are gone.

The row of a lane is needed while a run may use the lane, and while a record may be in flight there: the time of the last push
tells other lanes which records the node may have received. A node that returns under the same name gets a new row; it
rejects the first push, whose epoch is too low, and the run raises the epoch. The mark of the failures that were read from
the node stays: without it, the node would list old failures again. What the lane has counted as processed goes to the
correction of its protocol.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, and_, delete, not_, or_, select

from workmesh_flows.adapters.store.engine import translated_errors
from workmesh_flows.adapters.store.processed_counts import add_correction
from workmesh_flows.adapters.store.protocol_tables import all_pull_tables, protocol_tables
from workmesh_flows.adapters.store.pruning.gone_nodes import is_gone
from workmesh_flows.adapters.store.pruning.service_lock import holding_service
from workmesh_flows.adapters.store.schema import lanes
from workmesh_flows.adapters.store.statements.missing import pushed_without_result
from workmesh_flows.adapters.store.values import as_stored
from workmesh_flows.domain.service import Service

USES = ("lease_until", "retry_at", "last_push_time", "latest_time", "settled_at")
"""Times at which a lane was used, or may be used next."""


def prune_lanes(
    engine: Engine, service: Service, before: datetime, known: Collection[str], *, dry_run: bool
) -> Iterator[int]:
    """Delete the lanes of nodes that are gone and were not used since a time, node by node; yield the numbers.

    ``known`` are the names of all blocks. The lock of the service is held: no entity is assigned to the node meanwhile.
    """
    with translated_errors(), engine.connect() as connection:
        nodes = select(lanes.c.node).where(lanes.c.service == service.name).distinct()
        names = set(connection.scalars(nodes)) - set(known)
    for node in sorted(names):
        with translated_errors(), engine.connect() as connection:
            number = _count_unneeded(connection, service, node, before, known)
        if number and not dry_run:
            with holding_service(engine, service.name) as connection:
                number = _count_unneeded(connection, service, node, before, known)
                if number:
                    _keep_processed(connection, service, node)
                    connection.execute(delete(lanes).where(_of_node(service, node), _unused_since(before)))
        if number:
            yield number


def _count_unneeded(
    connection: Connection, service: Service, node: str, before: datetime, known: Collection[str]
) -> int:
    """The number of lanes of a node that is gone; 0 if a run or a record may still need one of them."""
    of_node = _of_node(service, node)
    rows = connection.execute(select(lanes).where(of_node)).all()
    used = connection.execute(select(lanes.c.node).where(of_node, not_(_unused_since(before)))).first()
    if used is not None or not is_gone(connection, service, node, known):
        return 0
    return 0 if _has_in_flight(connection, service, rows) else len(rows)


def _keep_processed(connection: Connection, service: Service, node: str) -> None:
    """Add what the lanes of a node have counted to the corrections, so that the sums stay exact."""
    rows = connection.execute(select(lanes).where(_of_node(service, node))).all()
    done = {(row.protocol, row.direction): row.done for row in rows}
    for protocol in service.protocols:
        tables = protocol_tables(service, protocol)
        add_correction(connection, tables, done.get((protocol.name, tables.counted), 0))


def _of_node(service: Service, node: str) -> ColumnElement[bool]:
    return and_(lanes.c.service == service.name, lanes.c.node == node)


def _unused_since(before: datetime) -> ColumnElement[bool]:
    return and_(*(or_(lanes.c[name].is_(None), lanes.c[name] <= before) for name in USES))


def _has_in_flight(connection: Connection, service: Service, rows: Collection[Row[Any]]) -> bool:
    """Whether a record that may have been pushed in one of these lanes has no result yet."""
    for tables in all_pull_tables(service):
        time = tables.push_flags.time
        for row in rows:
            if row.protocol == tables.protocol.name and row.last_push_time is not None:
                upto = as_stored(row.last_push_time, time)
                in_flight = pushed_without_result(tables).where(time <= upto).limit(1)
                if connection.execute(in_flight).first() is not None:
                    return True
    return False
