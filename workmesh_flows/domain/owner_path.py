"""The owner path: the joins that lead from a record to the entity it belongs to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias

from sqlalchemy import Column, ForeignKeyConstraint, Table
from sqlalchemy.exc import NoReferenceError
from sqlalchemy.orm import InstrumentedAttribute, RelationshipDirection, RelationshipProperty
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import BinaryExpression, BooleanClauseList

from workmesh_flows.domain.columns import are_unique, column_of, described, first_line, is_column, table_of

MANY = 5
"""Paths named in a message; where there are more, it says no more than that."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One join: from the table before to ``table``, where each pair (column before, column of table) is equal."""

    table: Table
    pairs: tuple[tuple[Column[Any], Column[Any]], ...]


OwnerPath: TypeAlias = tuple[Hop, ...]
"""The hops from the record's table to the entity's; empty where the record is the entity."""


def infer_path(record: Table, entity: Table) -> tuple[OwnerPath | None, str]:
    """The only path that foreign keys give, or None and why there is not exactly one."""
    paths = list(islice(_ForeignKeys().paths(record, entity), MANY + 1))
    if len(paths) == 1:
        return paths[0], ""
    if not paths:
        return None, (
            f"no foreign keys lead from {record.fullname} to {entity.fullname}; "
            "give owner=[...], a list of relationships or foreign key columns"
        )
    told = "; ".join(_spelled(path) for path in paths[:MANY])
    count, more = (f"over {MANY}", "; ...") if len(paths) > MANY else (len(paths), "")
    return (
        None,
        f"foreign keys lead to {entity.fullname} in {count} ways ({told}{more}); choose one with owner=[...]",
    )


def read_path(hops: Sequence[object], record: type[Any], entity: type[Any]) -> tuple[OwnerPath | None, str]:
    """The path that the user spelled out, or None and what is wrong with it."""
    at, path = table_of(record), list[Hop]()
    for hop in hops:
        if not isinstance(hop, InstrumentedAttribute):
            return (
                None,
                f"owner holds {described(hop)}, which is neither a relationship nor a foreign key column",
            )
        read, problem = read_hop(hop, "owner hop")
        if read is None:
            return None, problem
        if read.pairs[0][0].table is not at:
            return (
                None,
                f"owner hop {described(hop)} does not start at {at.fullname}, where the hop before it ends",
            )
        path.append(read)
        at = read.table
    goal = table_of(entity)
    if at is not goal:
        return None, f"the owner path ends at {at.fullname}, not at {entity.__name__} ({goal.fullname})"
    return tuple(path), ""


def read_hop(attribute: InstrumentedAttribute[Any], role: str) -> tuple[Hop | None, str]:
    """The join of a relationship or foreign key column to one row, or None and why it is none, as ``role``."""
    named = f"{role} {described(attribute)}"
    return _column_hop(attribute, named) if is_column(attribute) else _relationship_hop(attribute, named)


class _ForeignKeys:
    """The joins that foreign keys give, read once a table."""

    def __init__(self) -> None:
        self._hops: dict[Table, list[Hop]] = {}

    def paths(self, at: Table, goal: Table, seen: frozenset[Table] = frozenset()) -> Iterator[OwnerPath]:
        """All ways that come by no table twice; a step that leads nowhere is not taken, so each is found soon."""
        if at is goal:
            yield ()
            return
        seen |= {at}
        for hop in self.of(at):
            if self._reaches(hop.table, goal, seen):
                yield from ((hop, *rest) for rest in self.paths(hop.table, goal, seen))

    def _reaches(self, at: Table, goal: Table, seen: frozenset[Table]) -> bool:
        known, waiting = set(seen), [at]
        while waiting:
            table = waiting.pop()
            if table is goal:
                return True
            if table not in known:
                known.add(table)
                waiting += [hop.table for hop in self.of(table)]
        return False

    def of(self, table: Table) -> list[Hop]:
        """The joins of one table."""
        if table not in self._hops:
            hops = self._hops[table] = []
            for constraint in sorted(table.foreign_key_constraints, key=_spelled_key):
                with suppress(NoReferenceError):  # to a table that is not declared: no way to the entity
                    hops.append(_hop(constraint))
        return self._hops[table]


def _spelled_key(constraint: ForeignKeyConstraint) -> list[tuple[str, str]]:
    return [(element.parent.name, element.target_fullname) for element in constraint.elements]


def _hop(constraint: ForeignKeyConstraint) -> Hop:
    pairs = tuple((element.parent, element.column) for element in constraint.elements)
    return Hop(constraint.referred_table, pairs)


def _column_hop(attribute: InstrumentedAttribute[Any], named: str) -> tuple[Hop | None, str]:
    column = column_of(attribute)
    constraints = [
        constraint
        for constraint in column.table.foreign_key_constraints
        if any(element.parent is column for element in constraint.elements)
    ]
    if not constraints:
        return None, f"{named} carries no foreign key"
    if len(constraints) > 1:
        return (
            None,
            f"{named} carries {len(constraints)} foreign keys; name a relationship",
        )
    try:
        return _hop(constraints[0]), ""
    except NoReferenceError as error:
        return None, f"{named} leads nowhere: {first_line(error)}"


def _relationship_hop(attribute: InstrumentedAttribute[Any], named: str) -> tuple[Hop | None, str]:
    try:
        relationship = attribute.property
    except Exception as error:  # noqa: BLE001 - a relationship may be given as a function, which may raise anything
        return None, f"SQLAlchemy cannot configure {described(attribute)}: {first_line(error)}"
    if not isinstance(relationship, RelationshipProperty):
        return None, f"{named} is neither a relationship nor a foreign key column"
    if relationship.direction is not RelationshipDirection.MANYTOONE:
        return None, f"{named} leads to many rows, it must lead to one"
    pairs = tuple(_equal_columns(relationship))
    targets = {remote.table for _, remote in pairs}
    if len(targets) != 1 or len(pairs) != len(_conditions(relationship)):
        return None, f"{named} does not join by equal columns alone to one table"
    if not _holds_foreign_key(pairs) and not are_unique([remote for _, remote in pairs]):
        columns = ", ".join(remote.name for _, remote in pairs)
        return None, (
            f"{named} joins to {columns} of {targets.pop()}, neither the primary key nor "
            "declared unique; it must lead to one row"
        )
    return Hop(targets.pop(), pairs), ""


def _conditions(relationship: RelationshipProperty[Any]) -> Sequence[Any]:
    condition = relationship.primaryjoin
    alone = not isinstance(condition, BooleanClauseList) or condition.operator is not operators.and_
    return [condition] if alone else condition.clauses


def _equal_columns(relationship: RelationshipProperty[Any]) -> Iterator[tuple[Column[Any], Column[Any]]]:
    """The pairs (column before, column of the target) that a relationship's join compares for equality."""
    pairs = relationship.local_remote_pairs or []
    columns = [(a, b) for a, b in pairs if isinstance(a, Column) and isinstance(b, Column)]
    for condition in _conditions(relationship):
        if isinstance(condition, BinaryExpression) and condition.operator is operators.eq:
            sides = {condition.left, condition.right}
            yield from (pair for pair in columns if sides == set(pair))


def _holds_foreign_key(pairs: tuple[tuple[Column[Any], Column[Any]], ...]) -> bool:
    table = pairs[0][0].table
    return isinstance(table, Table) and any(set(hop.pairs) <= set(pairs) for hop in _ForeignKeys().of(table))


def _spelled(path: OwnerPath) -> str:
    return " > ".join(f"{hop.pairs[0][0].table}.{hop.pairs[0][0].name}" for hop in path)
