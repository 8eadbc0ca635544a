"""Check of a mesh against its database: what is wrong, what is slow, and the DDL that is missing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Column, Engine, Table

from workmesh_flows.adapters.node_http.encoding import has_json_form
from workmesh_flows.adapters.store.check.column_checks import column_findings, table_findings
from workmesh_flows.adapters.store.check.finding import Finding, Level
from workmesh_flows.adapters.store.check.index_checks import index_findings, key_findings, path_key_findings
from workmesh_flows.adapters.store.check.live_schema import LiveSchema
from workmesh_flows.adapters.store.check.missing_findings import missing_findings
from workmesh_flows.adapters.store.check.own_tables import own_findings
from workmesh_flows.adapters.store.check.required_columns import (
    RequiredColumn,
    required_of_entity,
    required_of_path,
    required_of_record,
)
from workmesh_flows.adapters.store.check.required_indexes import (
    RequiredIndex,
    entity_indexes,
    mesh_indexes,
    record_indexes,
)
from workmesh_flows.adapters.store.check.row_checks import (
    key_form_findings,
    owner_findings,
    payload_findings,
    sort_findings,
    weight_findings,
)
from workmesh_flows.adapters.store.check.unreadable_findings import unreadable_entities, unreadable_records
from workmesh_flows.adapters.store.check.update_checks import changing_sort_findings, trigger_findings
from workmesh_flows.adapters.store.engine import naming_database, translated_errors
from workmesh_flows.adapters.store.own_tables import is_stored, read_version, require_schemas
from workmesh_flows.adapters.store.protocol_tables import push_tables
from workmesh_flows.adapters.store.schema import missing
from workmesh_flows.domain.columns import column_of, table_of
from workmesh_flows.domain.protocol import Protocol
from workmesh_flows.domain.service import Mesh, Service

DIALECTS = ("sqlite", "postgresql")

__all__ = ["Finding", "Level", "check_mesh", "missing_ddl"]


def check_mesh(engine: Engine, mesh: Mesh, nodes: Collection[str] | None = None) -> Sequence[Finding]:
    """All findings; nothing is changed. The assignment columns must be long enough for the names in ``nodes``.

    Raises StoreError if the database is unreachable.
    """
    if engine.dialect.name not in DIALECTS:
        what = f"the database is {engine.dialect.name}, which is not supported"
        return [Finding(Level.PROBLEM, "the database", what, f"use one of {', '.join(DIALECTS)}")]
    require_schemas(engine)
    with naming_database(engine), translated_errors(), engine.connect() as connection:
        catalogue, indexes = LiveSchema(connection), mesh_indexes(mesh)
        found = list(own_findings(catalogue, read_version(connection), stored=is_stored(connection)))
        for service in mesh.services:
            found += [
                replace(finding, service=service.name)
                for finding in _service_findings(engine, catalogue, service, nodes, indexes)
            ]
    return list(_once(found))


def missing_ddl(findings: Iterable[Finding]) -> list[str]:
    """The statements that fix the findings, without duplicates: columns before indexes, which may need them."""
    statements = dict.fromkeys(statement for finding in findings for statement in finding.ddl)
    return sorted(
        statements, key=lambda statement: "INDEX" in statement.split("(", maxsplit=1)[0].split()[:3]
    )


def _service_findings(
    engine: Engine,
    catalogue: LiveSchema,
    service: Service,
    nodes: Collection[str] | None,
    indexes: Collection[RequiredIndex],
) -> Iterator[Finding]:
    entity, demands = table_of(service.entity), required_of_entity(service)
    broken = list(table_findings(catalogue, entity, demands))
    yield from broken
    yield from column_findings(catalogue, demands, nodes)
    yield from key_findings(catalogue, demands[:1])
    yield from index_findings(catalogue, entity_indexes(service), _coming(demands), indexes)
    if not broken:
        yield from weight_findings(engine, service)
        yield from key_form_findings(engine, demands[0].column, demands[0].title)
        yield from unreadable_entities(engine, service)
        yield from trigger_findings(catalogue, entity, demands)
    for protocol in service.protocols:
        for finding in _protocol_findings(engine, catalogue, service, protocol, indexes, sound=not broken):
            yield replace(finding, protocol=protocol.name)


def _protocol_findings(  # noqa: PLR0913 - each is one fact
    engine: Engine,
    catalogue: LiveSchema,
    service: Service,
    protocol: Protocol,
    indexes: Collection[RequiredIndex],
    *,
    sound: bool,
) -> Iterator[Finding]:
    """``sound`` is true if the entity's table is as declared."""
    record, demands = table_of(protocol.record), required_of_record(protocol)
    joined = dict(required_of_path(protocol))
    broken = [*table_findings(catalogue, record, demands)] if record is not table_of(service.entity) else []
    for table, columns in joined.items():
        if table not in {record, table_of(service.entity)}:
            broken += table_findings(catalogue, table, columns)
    yield from broken
    every = [*demands, *(demand for demands_of in joined.values() for demand in demands_of)]
    yield from column_findings(catalogue, every, None)
    yield from key_findings(catalogue, demands[:1])
    yield from path_key_findings(catalogue, protocol)
    yield from index_findings(catalogue, record_indexes(protocol), _coming(demands), indexes)
    if sound and not broken:
        yield from key_form_findings(engine, demands[0].column, demands[0].title)
        yield from owner_findings(engine, service, protocol)
        if catalogue.table(missing) is not None:
            yield from missing_findings(engine, service, protocol)
        yield from changing_sort_findings(protocol)
        yield from trigger_findings(catalogue, record, demands)
        if protocol.push is not None:
            yield from _value_findings(engine, service, protocol)
        if _may_be_null(catalogue, record, column_of(protocol.sort)):
            yield from sort_findings(engine, protocol, catalogue.write.alter_column)


def _value_findings(engine: Engine, service: Service, protocol: Protocol) -> Iterator[Finding]:
    """Findings for values of records, each column once."""
    unreadable = list(unreadable_records(engine, push_tables(service, protocol)))
    yield from unreadable
    if protocol.push is not None and protocol.push.wants_rows:
        named = " ".join(finding.what for finding in unreadable)
        for finding in payload_findings(engine, protocol, has_json_form):
            if f"{finding.where} of record" not in named:
                yield finding


def _may_be_null(catalogue: LiveSchema, table: Table, column: Column[Any]) -> bool:
    found, name = catalogue.table(table), catalogue.name(column.name)
    # SQLite reports a primary key as nullable although it is not.
    return found is not None and found.plain and found.columns[name]["nullable"] and found.key != {name}


def _coming(demands: Iterable[RequiredColumn]) -> set[Column[Any]]:
    return {demand.column for demand in demands if demand.added}


def _once(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Without duplicates, which occur for tables that several protocols share."""
    seen = set[Finding]()
    for finding in findings:
        plain = replace(finding, service=None, protocol=None)
        if plain not in seen:
            seen.add(plain)
            yield finding
