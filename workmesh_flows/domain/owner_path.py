"""The owner path: the joins that lead from a record to the entity it belongs to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import Column, ForeignKeyConstraint, Table
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import InstrumentedAttribute, RelationshipDirection, RelationshipProperty

from workmesh_flows.domain.columns import column_of, described, is_column, table_of

MANY = 5
"""Paths named in a message before the rest are only counted."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One join: from the table before to ``table``, where each pair (column before, column of table) is equal."""

    table: Table
    pairs: tuple[tuple[Column[Any], Column[Any]], ...]


OwnerPath: TypeAlias = tuple[Hop, ...]
"""The hops from the record's table to the entity's; empty where the record is the entity."""


def infer_path(record: Table, entity: Table) -> tuple[OwnerPath | None, str]:
    """The only path that foreign keys give, or None and why there is not exactly one."""
    paths = list(_paths(record, entity, frozenset([record])))
    if len(paths) == 1:
        return paths[0], ""
    if not paths:
        return None, (
            f"no foreign keys lead from {record.name} to {entity.name}; "
            "give owner=[...], a list of relationships or foreign key columns"
        )
    told = "; ".join(_spelled(path) for path in paths[:MANY])
    more = f"; and {len(paths) - MANY} more" if len(paths) > MANY else ""
    return (
        None,
        f"foreign keys lead to {entity.name} in {len(paths)} ways ({told}{more}); choose one with owner=[...]",
    )


def read_path(hops: Sequence[object], record: type[Any], entity: type[Any]) -> tuple[OwnerPath | None, str]:
    """The path that the user spelled out, or None and what is wrong with it."""
    at, path = table_of(record), list[Hop]()
    for hop in hops:
        if not isinstance(hop, InstrumentedAttribute):
            return None, f"owner holds {hop!r}, which is neither a relationship nor a foreign key column"
        read, problem = _column_hop(hop) if is_column(hop) else _relationship_hop(hop)
        if read is None:
            return None, problem
        if read.pairs[0][0].table is not at:
            return (
                None,
                f"owner hop {described(hop)} does not start at {at.name}, where the hop before it ends",
            )
        path.append(read)
        at = read.table
    if at is not table_of(entity):
        return None, f"the owner path ends at {at.name}, not at {entity.__name__} ({table_of(entity).name})"
    return tuple(path), ""


def _paths(at: Table, goal: Table, seen: frozenset[Table]) -> Iterator[OwnerPath]:
    if at is goal:
        yield ()
        return
    for constraint in sorted(at.foreign_key_constraints, key=lambda c: [column.name for column in c.columns]):
        target = constraint.referred_table
        if target not in seen:
            for rest in _paths(target, goal, seen | {target}):
                yield (_hop(constraint), *rest)


def _hop(constraint: ForeignKeyConstraint) -> Hop:
    pairs = tuple((element.parent, element.column) for element in constraint.elements)
    return Hop(constraint.referred_table, pairs)


def _column_hop(attribute: InstrumentedAttribute[Any]) -> tuple[Hop | None, str]:
    column = column_of(attribute)
    constraints = [c for c in column.table.foreign_key_constraints if column.name in c.column_keys]
    if len(constraints) != 1:
        return None, f"owner hop {described(attribute)} carries {len(constraints)} foreign keys, not one"
    return _hop(constraints[0]), ""


def _relationship_hop(attribute: InstrumentedAttribute[Any]) -> tuple[Hop | None, str]:
    try:
        relationship = attribute.property
    except SQLAlchemyError as error:
        return None, f"SQLAlchemy cannot configure {described(attribute)}: {str(error).splitlines()[0]}"
    if not isinstance(relationship, RelationshipProperty):
        return None, f"owner hop {described(attribute)} is neither a relationship nor a foreign key column"
    if relationship.direction is not RelationshipDirection.MANYTOONE:
        return None, f"owner hop {described(attribute)} leads to many rows; a record has one owner"
    target = relationship.mapper.local_table
    pairs = tuple(
        (local, remote)
        for local, remote in relationship.local_remote_pairs or ()
        if isinstance(local, Column) and isinstance(remote, Column)
    )
    if not isinstance(target, Table) or not pairs:
        return None, f"owner hop {described(attribute)} does not join by equal columns to one table"
    return Hop(target, pairs), ""


def _spelled(path: OwnerPath) -> str:
    return " > ".join(f"{hop.pairs[0][0].table.name}.{hop.pairs[0][0].name}" for hop in path)
