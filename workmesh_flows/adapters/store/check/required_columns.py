"""The columns that a declaration requires, with their roles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Table

from workmesh_flows.adapters.store.protocol_tables import entity_table
from workmesh_flows.domain.calls import Get
from workmesh_flows.domain.columns import column_of
from workmesh_flows.domain.owner_path import Hop
from workmesh_flows.domain.protocol import Protocol
from workmesh_flows.domain.service import Service


@dataclass(frozen=True, slots=True)
class RequiredColumn:
    """A column and its role; ``added`` is true if DDL can simply add it. ``way`` is push or pull for a flag."""

    column: Column[Any]
    role: str
    added: bool = False
    way: str = ""

    @property
    def title(self) -> str:
        """The role in words."""
        return f"{self.way} {self.role}".strip()


def required_of_entity(service: Service) -> Sequence[RequiredColumn]:
    """The entity's key and its assignment column."""
    entities = entity_table(service)
    return (
        RequiredColumn(entities.key, "key"),
        RequiredColumn(entities.node, "assignment", added=True),
    )


def required_of_record(protocol: Protocol) -> Sequence[RequiredColumn]:
    """A record's id, sort, flags and results."""
    return (
        RequiredColumn(column_of(protocol.id), "id"),
        RequiredColumn(column_of(protocol.sort), "sort"),
        *_flags(protocol),
        *_results(protocol),
    )


def required_of_path(protocol: Protocol) -> Iterator[tuple[Table, Sequence[RequiredColumn]]]:
    """The columns by which records are joined, grouped by table."""
    joined: dict[Table, list[RequiredColumn]] = {}
    for hop in hops(protocol):
        for before, after in hop.pairs:
            for column in (before, after):
                assert isinstance(column.table, Table)  # noqa: S101 - a hop joins tables
                joined.setdefault(column.table, []).append(RequiredColumn(column, "joined"))
    yield from joined.items()


def hops(protocol: Protocol) -> Sequence[Hop]:
    """The joins to the entity, and to the record that this one depends on."""
    return (*protocol.path, *(() if protocol.follows is None else (protocol.follows.hop,)))


def _flags(protocol: Protocol) -> Iterator[RequiredColumn]:
    for name, way in (("push", protocol.push), ("pull", protocol.pull)):
        if way is not None:
            for part, flag in zip(("time", "success", "error"), way.flags.columns, strict=True):
                yield RequiredColumn(column_of(flag), part, added=True, way=name)


def _results(protocol: Protocol) -> Iterator[RequiredColumn]:
    if protocol.pull is not None and isinstance(protocol.pull.fetch, Get):
        into: Mapping[str, Any] = protocol.pull.fetch.into
        for column in map(column_of, into.values()):
            yield RequiredColumn(column, "result", added=bool(column.nullable))
