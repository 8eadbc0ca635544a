"""Which pending records nobody is going to send now: refused for good, or waiting behind one that is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, String, Table, cast, inspect, select

from workmesh_flows.adapters.store import schema
from workmesh_flows.adapters.store.protocol_tables import join_owner
from workmesh_flows.domain.columns import column_of
from workmesh_flows.domain.protocol import Protocol
from workmesh_flows.domain.service import Service

RETRYING, PARKED, BLOCKING, BEHIND = "trying", "parked", "blocking", "behind"


@dataclass(slots=True)
class ParkedSets:
    """The parked records of one protocol by id, as the database writes it as text; owners likewise; and nodes.

    To be asked record by record in the order of (sort, id): ``held`` are owners that have a waiting record already.
    """

    records: dict[str, str] = field(default_factory=dict)
    owners: set[str] = field(default_factory=set)
    nodes: set[str] = field(default_factory=set)
    held: set[str | None] = field(default_factory=set)

    def state_of(self, record: str, owner: str | None, node: str | None, *, waits: bool) -> str | None:
        """How a pending record is set aside, None where it is not; ``waits`` is for another protocol's record."""
        if record in self.records:
            return self.records[record]
        if waits or owner in self.held:
            self.held.add(owner)
            return BEHIND
        return BEHIND if owner in self.owners or node in self.nodes else None


def read_parked(connection: Connection, service: Service, protocol: Protocol) -> ParkedSets:
    """What a database says of a protocol; nothing is set aside where it has no table for that."""
    table: Table | None = schema.own.tables.get("workmesh_parked")
    found = ParkedSets()
    if table is None or not inspect(connection).has_table(table.name):
        return found
    mine = (table.c.service == service.name, table.c.protocol == protocol.name, table.c.state != RETRYING)
    rows = connection.execute(select(table.c.record, table.c.owner, table.c.state).where(*mine)).all()
    for record, owner, state in rows:
        found.records[record] = state
        if state == PARKED:
            found.owners.add(owner)
    if blocking := [record for record, state in found.records.items() if state == BLOCKING]:
        joined = join_owner(service, protocol)
        key: Any = cast(column_of(protocol.id), String)
        nodes = select(joined.node).select_from(joined.source).where(key.in_(blocking))
        found.nodes.update(connection.scalars(nodes))
    return found
