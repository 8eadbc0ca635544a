"""Replay: list refused and failed records, and decide about them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Engine

from workmesh_flows.adapters.store.protocol_tables import all_push_tables, push_tables
from workmesh_flows.adapters.store.refused_decisions import Decision, decide
from workmesh_flows.adapters.store.refused_list import RefusedRecord, refused_records
from workmesh_flows.domain.protocol import Protocol
from workmesh_flows.domain.service import Mesh, Service
from workmesh_flows.errors import ConfigurationError


def list_refused(engine: Engine, mesh: Mesh, names: Sequence[str] = ()) -> list[RefusedRecord]:
    """The refused and failed records of the named services, or of all; raises UnknownName."""
    chosen = [mesh.service(name) for name in names] or mesh.services
    return [
        record
        for service in chosen
        for tables in all_push_tables(service)
        for record in refused_records(engine, tables)
    ]


def decide_refused(  # noqa: PLR0913 - each narrows the choice
    engine: Engine,
    service: Service,
    decision: Decision,
    *,
    protocols: Sequence[Protocol] = (),
    records: Sequence[str] = (),
    entities: Sequence[str] = (),
    failed: bool = False,
) -> int:
    """Replay or skip refused records, or replay ``failed`` ones; return their number.

    Skipping needs named records or entities: it loses data. Raises ConfigurationError where none are named to be
    skipped, or ``failed`` ones are to be, UnknownName where a named one was not refused, or has not failed.
    """
    if decision == "skip" and failed:
        raise ConfigurationError(
            "a failed record cannot be skipped: its node has it already; replay it, or leave it"
        )
    if decision == "skip" and not (records or entities):
        raise ConfigurationError(
            "name the records or entities to skip: a skipped record is not sent any more (workmesh failed lists them)"
        )
    chosen = [
        push_tables(service, protocol)
        for protocol in protocols or service.protocols
        if protocol.push is not None
    ]
    return decide(engine, service, chosen, decision, records=records, entities=entities, failed=failed)
