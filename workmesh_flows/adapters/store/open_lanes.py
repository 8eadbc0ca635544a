"""Which lanes of a service have something to do, and which report something although they have not."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, NamedTuple

from sqlalchemy import Engine, Row, select

from workmesh_flows.adapters.store.engine import translated_errors
from workmesh_flows.adapters.store.protocol_tables import PullTables, PushTables
from workmesh_flows.adapters.store.schema import missing, parked
from workmesh_flows.adapters.store.statements import open_lanes as statements
from workmesh_flows.domain.lane import Direction
from workmesh_flows.domain.service import Service
from workmesh_flows.planning.refusals import RefusalState


class OfNode(NamedTuple):
    """A lane of a service, in a direction that is known."""

    protocol: str
    node: str


def nodes_with_pending(engine: Engine, tables: PushTables, *, include_parked: bool) -> set[str]:
    """The nodes that have records to receive; without parked ones, records that wait behind those are left out too."""
    statement = statements.nodes_with_pending(tables, include_parked=include_parked)
    with translated_errors(), engine.connect() as connection:
        return set(connection.scalars(statement))


def nodes_in_flight(engine: Engine, tables: PullTables) -> set[str]:
    """The nodes that have records whose results are not pulled."""
    with translated_errors(), engine.connect() as connection:
        return set(connection.scalars(statements.nodes_in_flight(tables)))


def nodes_of_refused(engine: Engine, tables: PushTables, state: RefusalState) -> set[str]:
    """The nodes with refused records in a state."""
    with translated_errors(), engine.connect() as connection:
        return set(connection.scalars(statements.nodes_of_refused(tables, state)))


def listed_states(engine: Engine, service: Service) -> dict[str, set[RefusalState]]:
    """The states of the refused and failed records of a service, by protocol."""
    listed = select(parked.c.protocol, parked.c.state).distinct().where(parked.c.service == service.name)
    states: dict[str, set[RefusalState]] = defaultdict(set)
    with translated_errors(), engine.connect() as connection:
        for protocol, state in connection.execute(listed):
            states[protocol].add(RefusalState(state))
    return states


def protocols_with_missing(engine: Engine, service: Service) -> set[str]:
    """The protocols of which a node does not have a record: the pulls of all nodes ask for it."""
    found = select(missing.c.protocol).distinct().where(missing.c.service == service.name)
    with translated_errors(), engine.connect() as connection:
        return set(connection.scalars(found))


def eventful_lanes(engine: Engine, service: Service, direction: Direction) -> dict[OfNode, Row[Any]]:
    """The rows of the lanes that a run holds, that are paused, or whose last attempt failed."""
    with translated_errors(), engine.connect() as connection:
        rows = connection.execute(statements.eventful_lanes(service, direction)).all()
    return {OfNode(row.protocol, row.node): row for row in rows}


def unsettled_lanes(engine: Engine, service: Service) -> set[OfNode]:
    """The lanes whose nodes may list more failures than were read."""
    with translated_errors(), engine.connect() as connection:
        found = [
            OfNode(row.protocol, row.node)
            for statement in (statements.unsettled_lanes(service), statements.resumed_lanes(service))
            for row in connection.execute(statement)
        ]
    return set(found)
