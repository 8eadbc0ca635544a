"""Open records of each node: counted through the indexes of pending records and of those in flight, and saved.

What they cost depends on the number of open records only. A service whose records are not counted by a run is shown as
it was counted last.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import TypeAlias

from sqlalchemy import Engine, select

from workmesh_flows.adapters.store.engine import translated_errors
from workmesh_flows.adapters.store.failures import count_failures
from workmesh_flows.adapters.store.missing_records import missing_records
from workmesh_flows.adapters.store.protocol_tables import pull_tables, push_tables
from workmesh_flows.adapters.store.schema import open_counts
from workmesh_flows.adapters.store.statements.counts import in_flight_counts, pending_counts
from workmesh_flows.adapters.store.statements.updates import insert_into
from workmesh_flows.domain.protocol import Protocol
from workmesh_flows.domain.service import Service


@dataclass(slots=True)
class OpenCount:
    """Numbers of open records: the fields of the same names of `operations.counts.Count`."""

    pending: int = 0
    failed: int = 0
    in_flight: int = 0
    unprocessed: int = 0
    missing: int = 0


Place: TypeAlias = tuple[str | None, bool]
"""The node of records, None where their entity has none, and whether they have an entity."""
OpenCounts: TypeAlias = Mapping[str, Mapping[Place, OpenCount]]
"""The open records of a service, by protocol and place."""


def count_open(engine: Engine, service: Service) -> OpenCounts:
    """Count the open records of all protocols of a service."""
    return {protocol.name: _count(engine, service, protocol) for protocol in service.protocols}


def _count(engine: Engine, service: Service, protocol: Protocol) -> dict[Place, OpenCount]:
    found = defaultdict[Place, OpenCount](OpenCount)
    if protocol.push is None:
        return found
    with translated_errors(), engine.connect() as connection:
        for row in connection.execute(pending_counts(push_tables(service, protocol))):
            each = found[row.node, bool(row.owned)]
            each.pending, each.failed = row.records, int(row.failed)
        if protocol.pull is not None:
            for row in connection.execute(in_flight_counts(pull_tables(service, protocol))):
                each, unprocessed = found[row.node, bool(row.owned)], int(row.failed)
                each.in_flight, each.unprocessed = row.records, unprocessed
                each.failed += unprocessed
    if protocol.pull is None:
        for place, number in count_failures(engine, push_tables(service, protocol)).items():
            each = found[place]
            each.in_flight, each.unprocessed = number, number
            each.failed += number
    else:
        for record in missing_records(engine, pull_tables(service, protocol)):
            found[record.node, True].missing += 1
    return found


def read_open(engine: Engine, service: Service) -> OpenCounts | None:
    """The open records of a service as they were saved last; None unless all its protocols were."""
    found: dict[str, dict[Place, OpenCount]] = {}
    with translated_errors(), engine.connect() as connection:
        for row in connection.execute(select(open_counts).where(open_counts.c.service == service.name)):
            places = found.setdefault(row.protocol, {})
            if any(figures := [getattr(row, name) for name in _FIGURES]):
                places[row.node or None, bool(row.owned)] = OpenCount(*figures)
    return found if all(protocol.name in found for protocol in service.protocols) else None


def save_open(engine: Engine, service: Service, found: OpenCounts) -> None:
    """Save the open records of a service: the rows that have changed, in one transaction.

    No row is deleted, and they are written in one order, so that two runs never wait for each other.
    """
    before, after, nothing = _flat(read_open(engine, service) or {}), _flat(found), OpenCount()
    changed = sorted(
        row for row in before.keys() | after.keys() if before.get(row) != after.get(row, nothing)
    )
    if not changed:
        return
    rows = [
        {
            "service": service.name,
            **dict(zip(_PLACE, row, strict=True)),
            **dict(zip(_FIGURES, astuple(after.get(row, nothing)), strict=True)),
        }
        for row in changed
    ]
    with translated_errors(), engine.begin() as connection:
        write = insert_into(open_counts, connection)
        new = {name: write.excluded[name] for name in _FIGURES}
        connection.execute(write.on_conflict_do_update(index_elements=("service", *_PLACE), set_=new), rows)


_PLACE = ("protocol", "node", "owned")
_FIGURES = ("pending", "failed", "in_flight", "unprocessed", "missing")


def _flat(found: OpenCounts) -> dict[tuple[str, str, bool], OpenCount]:
    """The rows by protocol, node (empty for none) and whether the records have an entity."""
    rows = {(protocol, "", True): OpenCount() for protocol in found}
    return rows | {
        (protocol, node or "", owned): each
        for protocol, places in found.items()
        for (node, owned), each in places.items()
    }
