"""The indexes that Workmesh's statements need, and why."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Boolean, Column, ColumnElement, Table
from sqlalchemy import column as bare_column

from workmesh_flows.domain.columns import column_of, table_of
from workmesh_flows.domain.protocol import Protocol
from workmesh_flows.domain.service import Mesh, Service

LONGEST_NAME = 63
"""Longest name in PostgreSQL, in bytes."""


@dataclass(frozen=True, slots=True)
class RequiredIndex:
    """A required index. ``purpose`` is a word for its name, ``why`` the reason as a sentence.

    The order of ``columns`` matters if ``sorted``; ``covered`` columns only have to be in the index. ``where`` has
    columns with the value that the condition compares them to: (success, False) is ``success IS NOT TRUE``.
    """

    table: Table
    purpose: str
    why: str
    columns: tuple[Column[Any], ...]
    covered: tuple[Column[Any], ...] = ()
    where: tuple[tuple[Column[Any], bool], ...] = ()
    sorted: bool = True

    @property
    def all_columns(self) -> tuple[Column[Any], ...]:
        """All columns in their order in the index."""
        return tuple(dict.fromkeys((*self.columns, *self.covered)))

    def covers(self, other: RequiredIndex) -> bool:
        """Whether this index does what another one is for, and more."""
        if (self.table, self.where) != (other.table, other.where):
            return False
        if len(self.all_columns) <= len(other.all_columns):
            return False
        leading = self.all_columns[: len(other.columns)]
        right = leading == other.columns if other.sorted else set(leading) == set(other.columns)
        return right and set(other.covered) <= set(self.all_columns)

    @property
    def conditions(self) -> list[ColumnElement[bool]]:
        """The conditions as the statements write them: a planner recognises them only in this form."""
        return [
            bare_column(flag.name, Boolean).is_(True)
            if wanted
            else bare_column(flag.name, Boolean).is_not(True)
            for flag, wanted in self.where
        ]

    @property
    def name(self) -> str:
        """The same on every machine, and unique per index."""
        names = [[column.name for column in self.all_columns], [(c.name, w) for c, w in self.where]]
        signature = f"{self.table.schema!r} {self.table.name!r} {names}"
        digest = hashlib.sha256(signature.encode()).hexdigest()[:8]
        plain = re.sub(r"[^a-z0-9]+", "_", self.table.name.lower()).strip("_")
        end = f"_{self.purpose}_{digest}"
        return f"workmesh_{plain}"[: LONGEST_NAME - len(end)] + end


def entity_indexes(service: Service) -> Iterator[RequiredIndex]:
    """The index for finding entities by their node."""
    node = column_of(service.assigned_to)
    why = "finds the entities of a node, and those without one"
    yield RequiredIndex(table_of(service.entity), "node", why, (node,))


def record_indexes(protocol: Protocol) -> Iterator[RequiredIndex]:
    """The indexes of the record's table for push, pull and counts, and of the owner path for moving an entity."""
    table, key, sort = table_of(protocol.record), column_of(protocol.id), column_of(protocol.sort)
    successes: list[Column[Any]] = []
    if protocol.push is not None:
        success = column_of(protocol.push.flags.success)
        successes.append(success)
        order = tuple(dict.fromkeys((sort, key)))
        yield RequiredIndex(
            table, "pending", "push reads pending records in order", order, where=((success, False),)
        )
        if protocol.pull is not None:
            pulled = column_of(protocol.pull.flags.success)
            successes.append(pulled)
            order = (column_of(protocol.push.flags.time), key)
            in_flight = ((success, True), (pulled, False))
            yield RequiredIndex(
                table,
                "pullable",
                "pull reads records in flight, in the order of their push",
                order,
                where=in_flight,
            )
    yield from _owner_indexes(protocol, successes)


def mesh_indexes(mesh: Mesh) -> list[RequiredIndex]:
    """All indexes that a mesh needs."""
    return [
        index
        for service in mesh.services
        for indexes in (entity_indexes(service), *map(record_indexes, service.protocols))
        for index in indexes
    ]


def _owner_indexes(protocol: Protocol, successes: Sequence[Column[Any]]) -> Iterator[RequiredIndex]:
    for number, hop in enumerate(protocol.path):
        before = tuple(column for column, _ in hop.pairs)
        table = before[0].table
        assert isinstance(table, Table)  # noqa: S101 - a hop starts at a table
        if number:
            why = "a move finds the records of an entity through it"
            yield RequiredIndex(table, "owner", why, before, sorted=False)
        else:
            why = "an exact count reads this index alone, and a move finds the records of an entity"
            yield RequiredIndex(table, "status", why, before, covered=tuple(successes), sorted=False)
