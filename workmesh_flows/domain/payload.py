"""What is sent of a record where no payload function is declared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column
from sqlalchemy.orm.exc import UnmappedColumnError

from workmesh_flows.domain.calls import Get
from workmesh_flows.domain.columns import column_of, is_column, mapper_of, table_of
from workmesh_flows.domain.protocol import Flags, Protocol, Pull, Push

ID = "id"
"""The name under which nodes expect the id of a record."""


def payload_columns(protocol: Protocol) -> dict[str, Column[Any]]:
    """The columns that are sent, by attribute name: all but flags and results.

    Where neither the declared id nor another attribute is called ``id``, the id is sent under that name, too.
    """
    columns = sent_columns(protocol)
    return columns if ID in columns else {ID: column_of(protocol.id), **columns}


def sent_columns(protocol: Protocol) -> dict[str, Column[Any]]:
    """The columns of a record but flags and results, by attribute name; of a declaration that may be wrong."""
    excluded = {
        column_of(flag)
        for direction in (protocol.push, protocol.pull)
        if isinstance(direction, Push | Pull) and isinstance(direction.flags, Flags)
        for flag in direction.flags.columns
        if is_column(flag)
    }
    fetch = protocol.pull.fetch if isinstance(protocol.pull, Pull) else None
    if isinstance(fetch, Get) and isinstance(fetch.into, Mapping):
        excluded |= {column_of(column) for column in fetch.into.values() if is_column(column)}
    return {
        name: column
        for column in table_of(protocol.record).columns
        if column not in excluded and (name := _attribute_of(protocol.record, column))
    }


def _attribute_of(record: type[Any], column: Column[Any]) -> str | None:
    try:
        return str(mapper_of(record).get_property_by_column(column).key)
    except UnmappedColumnError:
        return None
