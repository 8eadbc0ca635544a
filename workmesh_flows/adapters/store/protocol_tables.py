"""The tables and columns of a protocol, resolved once per lane and shared by all its statements.

Statement builders and stores take one of three views: :class:`ProtocolTables` for any protocol, :class:`PushTables`
where records are pushed, :class:`PullTables` where results are pulled as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, FromClause, Table, and_

from workmesh_flows.domain.columns import column_of, key_of, table_of
from workmesh_flows.domain.lane import Direction, Lane
from workmesh_flows.domain.protocol import Flags, Protocol, Pull, Push
from workmesh_flows.domain.service import Service


@dataclass(frozen=True, slots=True, eq=False)
class EntityTable:
    """A service's entities: ``key`` identifies one, ``node`` holds the name of its node (null: unassigned)."""

    service: Service
    table: Table
    key: Column[Any]
    node: Column[Any]


@dataclass(frozen=True, slots=True, eq=False)
class FlagColumns:
    """The table columns of the flags that push or pull writes."""

    time: Column[Any]
    success: Column[Any]
    error: Column[Any]

    @property
    def all(self) -> tuple[Column[Any], Column[Any], Column[Any]]:
        """Time, success and error, in the order in which their values are written."""
        return self.time, self.success, self.error


@dataclass(frozen=True, slots=True, eq=False)
class OwnerJoin:
    """The record table joined along the owner path; ``node`` and ``owner`` are columns of the entity at its end."""

    source: FromClause
    node: ColumnElement[Any]
    owner: ColumnElement[Any]


@dataclass(frozen=True, slots=True, eq=False)
class ProtocolTables:
    """What the statements of one protocol use: its tables, its columns, and the join from records to entities.

    ``push_flags`` and ``pull_flags`` are None where the protocol declares no such direction.
    """

    entities: EntityTable
    protocol: Protocol
    record: Table
    id: Column[Any]
    sort: Column[Any]
    joined: OwnerJoin
    push_flags: FlagColumns | None
    pull_flags: FlagColumns | None

    @property
    def service(self) -> Service:
        """The service that declares the protocol."""
        return self.entities.service

    @property
    def counted(self) -> Direction:
        """The direction whose lanes count processed records: pull, or push where no results are pulled."""
        return "push" if self.pull_flags is None else "pull"

    def lane(self, node: str, direction: Direction) -> Lane:
        """The identity of the protocol's lane to or from a node."""
        return Lane(self.service.name, self.protocol.name, node, direction)


@dataclass(frozen=True, slots=True, eq=False)
class PushTables(ProtocolTables):
    """The tables of a protocol that is pushed, with its declared push."""

    push: Push
    push_flags: FlagColumns


@dataclass(frozen=True, slots=True, eq=False)
class PullTables(PushTables):
    """The tables of a protocol that is pushed and pulled, with its declared pull."""

    pull: Pull
    pull_flags: FlagColumns


def entity_table(service: Service) -> EntityTable:
    """Resolve the entity class and the ``assigned_to`` column of a service."""
    return EntityTable(
        service, table_of(service.entity), key_of(service.entity), column_of(service.assigned_to)
    )


def protocol_tables(service: Service, protocol: Protocol) -> ProtocolTables:
    """Resolve any protocol of a service."""
    return ProtocolTables(**_resolved(service, protocol))


def push_tables(service: Service, protocol: Protocol) -> PushTables:
    """Resolve a protocol that is pushed; raises ValueError for one that declares no push."""
    if protocol.push is None:
        raise ValueError(f"protocol {protocol.name} of {service.name} declares no push")
    return PushTables(**_resolved(service, protocol), push=protocol.push)


def pull_tables(service: Service, protocol: Protocol) -> PullTables:
    """Resolve a protocol that is pulled, and therefore pushed; raises ValueError for one that declares no pull."""
    if protocol.push is None or protocol.pull is None:
        raise ValueError(f"protocol {protocol.name} of {service.name} declares no pull")
    return PullTables(**_resolved(service, protocol), push=protocol.push, pull=protocol.pull)


def all_push_tables(service: Service) -> list[PushTables]:
    """The tables of each protocol of a service that is pushed, in declared order."""
    return [push_tables(service, protocol) for protocol in service.protocols if protocol.push is not None]


def all_pull_tables(service: Service) -> list[PullTables]:
    """The tables of each protocol of a service that is pulled, in declared order."""
    return [pull_tables(service, protocol) for protocol in service.protocols if protocol.pull is not None]


def join_owner(entities: EntityTable, protocol: Protocol, *, outer: bool = False) -> OwnerJoin:
    """Join records to their entities; ``outer`` keeps the records that have none."""
    source: FromClause = table_of(protocol.record)
    last: FromClause = source
    for hop in protocol.path:
        target = hop.table.alias()
        on = and_(*(last.c[before.key] == target.c[after.key] for before, after in hop.pairs))
        source = source.join(target, on, isouter=outer)
        last = target
    return OwnerJoin(source, last.c[entities.node.key], last.c[entities.key.key])


def flag_columns(flags: Flags) -> FlagColumns:
    """Resolve the flags of one direction."""
    return FlagColumns(*(column_of(flag) for flag in flags.columns))


def _resolved(service: Service, protocol: Protocol) -> dict[str, Any]:
    entities = entity_table(service)
    return {
        "entities": entities,
        "protocol": protocol,
        "record": table_of(protocol.record),
        "id": column_of(protocol.id),
        "sort": column_of(protocol.sort),
        "joined": join_owner(entities, protocol),
        "push_flags": None if protocol.push is None else flag_columns(protocol.push.flags),
        "pull_flags": None if protocol.pull is None else flag_columns(protocol.pull.flags),
    }
