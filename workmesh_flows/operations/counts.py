"""Records of each node: open ones are counted, processed ones added up from what the lanes have counted.

A count at the end of a run reads no processed record, so that it costs the same after years.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from workmesh_flows.adapters.store.engine import utc_now
from workmesh_flows.adapters.store.open_counts import (
    OpenCount,
    Place,
    count_open,
    read_open,
    save_open,
)
from workmesh_flows.adapters.store.processed_counts import (
    Processed,
    count_exactly,
    key_of_counts,
    read_processed,
)
from workmesh_flows.adapters.store.protocol_tables import ProtocolTables, protocol_tables
from workmesh_flows.domain.service import Service


@dataclass(frozen=True, slots=True)
class Count:
    """Numbers of records of one protocol at one node.

    ``node`` is None where their entity has no node; ``owned`` is false where they have no entity. ``failed`` records are
    also counted as pending or in flight; ``unprocessed`` are the failed ones in flight, which their node could not
    process: those whose result is the reason, or of a protocol without results those that the node lists. ``missing``
    are those in flight that their node did not have at the last pull, although it processed later ones.

    ``processed`` are those that the lane of this node counted, wherever their entities are now. Without a node they are
    what no lane counted: they may be less than 0, and make the sum of a protocol exact.
    """

    service: str
    protocol: str
    node: str | None
    owned: bool
    pending: int
    failed: int
    in_flight: int
    processed: int
    unprocessed: int = 0
    missing: int = 0

    @property
    def records(self) -> int:
        """All of them: each is pending, in flight or processed."""
        return self.pending + self.in_flight + self.processed


@dataclass(frozen=True, slots=True)
class Correction:
    """By how much an exact count corrected the processed records of a protocol."""

    service: str
    protocol: str
    by: int

    def __str__(self) -> str:
        """As one sentence."""
        return f"corrected the processed records of {self.service}.{self.protocol} by {self.by:+,}"


def count_records(
    engine: Engine, services: Sequence[Service], anew: Collection[str] | None = None
) -> list[Count]:
    """The records of all services; those named in ``anew``, by default all, are counted now.

    The open records of the others are those of their last count. A protocol that was never counted is counted exactly.
    """
    names = [service.name for service in services]
    known = read_processed(engine, names)
    every = [tables for service in services for tables in _tables(service)]
    uncounted = [
        tables
        for tables in every
        if (one := known.get(key_of_counts(tables))) is None or one.counted_at is None
    ]
    for tables in uncounted:
        count_exactly(engine, tables, utc_now())
    if uncounted:
        known = read_processed(engine, names)
    counts: list[Count] = []
    for service in services:
        found = None if anew is None or service.name in anew else read_open(engine, service)
        if found is None:
            found = count_open(engine, service)
            if anew is not None and len(services) > 1:
                save_open(engine, service, found)
        for tables in _tables(service):
            counts += _counts(tables, found[tables.protocol.name], known[key_of_counts(tables)])
    return counts


def correct_counts(engine: Engine, services: Sequence[Service]) -> list[Correction]:
    """Count the processed records of these services exactly; return what had to be corrected.

    The first count of a protocol corrects nothing: it starts the counting.
    """
    found = []
    for service in services:
        for tables in _tables(service):
            by, first = count_exactly(engine, tables, utc_now())
            if by and not first:
                found.append(Correction(service.name, tables.protocol.name, by))
    return found


def _tables(service: Service) -> list[ProtocolTables]:
    return [protocol_tables(service, protocol) for protocol in service.protocols]


def _counts(tables: ProtocolTables, found: Mapping[Place, OpenCount], known: Processed) -> Iterator[Count]:
    """One count per place, in the order of the nodes' names; the place without a node has what no lane counted."""
    # Where no results are pulled, a record counts as processed when it is pushed; its node may list it as failed later.
    failed = {place: each.unprocessed if tables.pull_flags is None else 0 for place, each in found.items()}
    nodes = {node for node, _ in found if node is not None} | known.by_node.keys()
    processed = {node: max(known.by_node.get(node, 0) - failed.get((node, True), 0), 0) for node in nodes}
    total = sum(known.by_node.values()) + known.correction - sum(failed.values())
    others = total - sum(processed.values())
    places: list[Place] = [(node, True) for node in sorted(nodes)]
    if others or (None, True) in found:
        places.append((None, True))
    if (None, False) in found:
        places.append((None, False))
    for node, owned in places:
        each = found.get((node, owned), OpenCount())
        here = 0 if not owned else others if node is None else processed[node]
        yield Count(
            tables.service.name,
            tables.protocol.name,
            node,
            owned,
            each.pending,
            each.failed,
            each.in_flight,
            here,
            each.unprocessed,
            each.missing,
        )
