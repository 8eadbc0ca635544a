"""The pending records that no push will send: parked, blocking or skipped ones, and those that wait behind them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, String, Table, cast, inspect, select

from workmesh_flows.adapters.store import schema
from workmesh_flows.adapters.store.protocol_tables import entity_table, join_owner
from workmesh_flows.domain.columns import column_of
from workmesh_flows.domain.protocol import Protocol
from workmesh_flows.domain.service import Service

RETRYING, PARKED, BLOCKING, BEHIND = "trying", "parked", "blocking", "behind"


@dataclass(slots=True)
class ParkedRecords:
    """The parked records of one protocol: state by id, owners with a parked record, and nodes with a blocked lane.

    Ids and owners are text as the database casts them. Call `state_of` for each record in the order of (sort, id):
    ``waiting_owners`` collects the owners of which a record depends on another protocol's.
    """

    states: dict[str, str] = field(default_factory=dict)
    owners: set[str] = field(default_factory=set)
    nodes: set[str] = field(default_factory=set)
    waiting_owners: set[str | None] = field(default_factory=set)

    def state_of(self, record: str, owner: str | None, node: str | None, *, depends: bool) -> str | None:
        """Why a pending record will not be sent, None where it will; ``depends`` is on another protocol's record."""
        if record in self.states:
            return self.states[record]
        if depends or owner in self.waiting_owners:
            self.waiting_owners.add(owner)
            return BEHIND
        return BEHIND if owner in self.owners or node in self.nodes else None


def read_parked(connection: Connection, service: Service, protocol: Protocol) -> ParkedRecords:
    """Read the parked records of a protocol; there are none where the database has no table for them."""
    table: Table | None = schema.own.tables.get("workmesh_parked")
    found = ParkedRecords()
    if table is None or not inspect(connection).has_table(table.name, table.schema):
        return found
    of_protocol = (
        table.c.service == service.name,
        table.c.protocol == protocol.name,
        table.c.state != RETRYING,
    )
    rows = connection.execute(select(table.c.record, table.c.owner, table.c.state).where(*of_protocol)).all()
    for record, owner, state in rows:
        found.states[record] = state
        if state == PARKED:
            found.owners.add(owner)
    if blocking := [record for record, state in found.states.items() if state == BLOCKING]:
        joined = join_owner(entity_table(service), protocol)
        key: Any = cast(column_of(protocol.id), String)
        nodes = select(joined.node).select_from(joined.source).where(key.in_(blocking))
        found.nodes.update(connection.scalars(nodes))
    return found
