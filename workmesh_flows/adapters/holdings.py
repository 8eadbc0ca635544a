"""Which entity is where, and what it weighs: the facts that plans of moves are made from."""

from __future__ import annotations

from sqlalchemy import Connection, select

from workmesh_flows.adapters import statements
from workmesh_flows.adapters.weights import READ_AT_ONCE, weighed_by_function, weight_column, whole
from workmesh_flows.domain.columns import column_of
from workmesh_flows.domain.service import Service
from workmesh_flows.planning.moves import Held


def read_held(connection: Connection, service: Service) -> list[Held]:
    """Each entity that has a node, by key."""
    assigned, key = column_of(service.assigned_to), statements.entity_key(service)
    weight = weight_column(service)
    if weight is None:
        found = weighed_by_function(connection, service, assigned.is_not(None))
        return [Held(key, node, weight) for key, node, weight in found if node is not None]
    statement = select(key, assigned, weight).where(assigned.is_not(None)).order_by(key)
    rows = connection.execute(statement, execution_options={"stream_results": True})
    return [
        Held(key, node, whole(weight, key))
        for page in rows.partitions(READ_AT_ONCE)
        for key, node, weight in page
    ]
