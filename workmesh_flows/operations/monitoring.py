"""Everything that the metrics of a mesh need of the database, read at one time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Engine

from workmesh_flows.adapters.store.lanes import read_lanes
from workmesh_flows.adapters.store.monitored_records import count_undecided, oldest_times
from workmesh_flows.adapters.store.probes import SavedProbe, read_probes
from workmesh_flows.adapters.store.protocol_tables import all_push_tables
from workmesh_flows.domain.node import Inventory
from workmesh_flows.domain.service import Mesh
from workmesh_flows.operations.status import Status, read_status
from workmesh_flows.planning.refusals import RefusalState


class Stream(NamedTuple):
    """The records of one protocol at one node; an empty node stands for entities without a node."""

    service: str
    protocol: str
    node: str


@dataclass(frozen=True, slots=True)
class Monitored:
    """The facts behind the metrics; ``counted`` are the directions whose lanes count processed records, by protocol."""

    status: Status
    lanes: Sequence[Mapping[str, Any]]
    counted: Mapping[tuple[str, str], str]
    oldest: Mapping[Stream, datetime] = field(default_factory=dict)
    undecided: Mapping[tuple[Stream, RefusalState], int] = field(default_factory=dict)
    probes: Sequence[SavedProbe] = ()


def read_monitored(engine: Engine, mesh: Mesh, inventory: Inventory) -> Monitored:
    """Read them; raises StoreError."""
    oldest: dict[Stream, datetime] = {}
    undecided: dict[tuple[Stream, RefusalState], int] = {}
    for service in mesh.services:
        for tables in all_push_tables(service):
            name = tables.protocol.name
            for node, time in oldest_times(engine, tables).items():
                oldest[Stream(service.name, name, node)] = time
            for (at, state), number in count_undecided(engine, tables).items():
                undecided[Stream(service.name, name, at or ""), state] = number
    counted = {
        (service.name, protocol.name): "push" if protocol.pull is None else "pull"
        for service in mesh.services
        for protocol in service.protocols
    }
    status = read_status(engine, mesh, inventory)
    return Monitored(status, read_lanes(engine), counted, oldest, undecided, read_probes(engine))
