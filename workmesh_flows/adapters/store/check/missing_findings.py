"""Checks for records that were pushed, but that the nodes of their entities do not have."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Engine

from workmesh_flows.adapters.store.check.finding import Finding, Level
from workmesh_flows.adapters.store.missing_records import MissingRecord, missing_records
from workmesh_flows.adapters.store.protocol_tables import pull_tables
from workmesh_flows.domain.columns import table_of
from workmesh_flows.domain.protocol import Protocol
from workmesh_flows.domain.service import Service


def missing_findings(engine: Engine, service: Service, protocol: Protocol) -> Iterator[Finding]:
    """One finding for each node with missing records, with the command that sends them again."""
    if protocol.push is None or protocol.pull is None:
        return
    by_node: dict[str, list[MissingRecord]] = {}
    for record in missing_records(engine, pull_tables(service, protocol)):
        by_node.setdefault(record.node, []).append(record)
    for node, records in sorted(by_node.items()):
        entities = sorted({str(record.entity) for record in records})
        number, first = len(records), records[0]
        what = (
            f"{number:,} {'record is' if number == 1 else 'records are'} missing at {node}, for example "
            f"{first.id}: pushed, but the node does not have {'it' if number == 1 else 'them'}"
        )
        more = "" if len(entities) == 1 else f", and likewise for {len(entities) - 1:,} more entities"
        to_do = (
            "pull from all nodes, which makes pending again what none of them has; if the records are still missing "
            f"then: workmesh assign --entity {first.entity} --repush{more}"
        )
        yield Finding(Level.ADVICE, table_of(protocol.record).fullname, what, to_do)
