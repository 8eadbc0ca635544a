"""The owner path: the joins from a record's table to the table of its entity."""

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

MAX_LISTED = 5
"""Largest number of paths that an error message lists."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One join to ``table``, by equality of each pair (column of the previous table, column of ``table``)."""

    table: Table
    pairs: tuple[tuple[Column[Any], Column[Any]], ...]


OwnerPath: TypeAlias = tuple[Hop, ...]
"""The hops from the record's table to the entity's table; empty if the record is the entity."""


def infer_path(record: Table, entity: Table) -> tuple[OwnerPath | None, str]:
    """Return the only path along foreign keys, or None and why there is not exactly one."""
    paths = list(islice(_ForeignKeys().paths(record, entity), MAX_LISTED + 1))
    if len(paths) == 1:
        return paths[0], ""
    if not paths:
        return None, (
            f"no foreign keys lead from {record.fullname} to {entity.fullname}; "
            "give owner=[...], a list of relationships or foreign key columns"
        )
    listed = "; ".join(_as_text(path) for path in paths[:MAX_LISTED])
    count, more = (f"over {MAX_LISTED}", "; ...") if len(paths) > MAX_LISTED else (len(paths), "")
    return (
        None,
        f"foreign keys lead to {entity.fullname} in {count} ways ({listed}{more}); choose one with owner=[...]",
    )


def read_path(hops: Sequence[object], record: type[Any], entity: type[Any]) -> tuple[OwnerPath | None, str]:
    """Return the path that the user declared, or None and what is wrong with it."""
    table, path = table_of(record), list[Hop]()
    for hop in hops:
        if not isinstance(hop, InstrumentedAttribute):
            return (
                None,
                f"owner holds {described(hop)}, which is neither a relationship nor a foreign key column",
            )
        read, problem = read_hop(hop, "owner hop")
        if read is None:
            return None, problem
        if read.pairs[0][0].table is not table:
            return (
                None,
                f"owner hop {described(hop)} does not start at {table.fullname}, where the previous hop ends",
            )
        path.append(read)
        table = read.table
    goal = table_of(entity)
    if table is not goal:
        return None, f"the owner path ends at {table.fullname}, not at {entity.__name__} ({goal.fullname})"
    return tuple(path), ""


def read_hop(attribute: InstrumentedAttribute[Any], role: str) -> tuple[Hop | None, str]:
    """Return the join of a relationship or foreign key column, or None and a problem.

    The join must lead to one row. ``role`` is the name of the argument in the problem's text.
    """
    named = f"{role} {described(attribute)}"
    return _column_hop(attribute, named) if is_column(attribute) else _relationship_hop(attribute, named)


class _ForeignKeys:
    """The joins of all foreign keys; the foreign keys of each table are read once."""

    def __init__(self) -> None:
        self._hops: dict[Table, list[Hop]] = {}

    def paths(self, start: Table, goal: Table, seen: frozenset[Table] = frozenset()) -> Iterator[OwnerPath]:
        """Yield all paths that visit no table twice, by depth-first search.

        Hops from which the goal cannot be reached are not followed, so the next path is found quickly.
        """
        if start is goal:
            yield ()
            return
        seen |= {start}
        for hop in self.of(start):
            if self._reaches(hop.table, goal, seen):
                yield from ((hop, *rest) for rest in self.paths(hop.table, goal, seen))

    def _reaches(self, start: Table, goal: Table, seen: frozenset[Table]) -> bool:
        visited, stack = set(seen), [start]
        while stack:
            table = stack.pop()
            if table is goal:
                return True
            if table not in visited:
                visited.add(table)
                stack += [hop.table for hop in self.of(table)]
        return False

    def of(self, table: Table) -> list[Hop]:
        """The joins of one table."""
        if table not in self._hops:
            hops = self._hops[table] = []
            for constraint in sorted(table.foreign_key_constraints, key=_column_names):
                with suppress(NoReferenceError):  # a table that is not declared cannot lead to the entity
                    hops.append(_hop(constraint))
        return self._hops[table]


def _column_names(constraint: ForeignKeyConstraint) -> list[tuple[str, str]]:
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
        return None, f"{named} has no foreign key"
    if len(constraints) > 1:
        return None, f"{named} has {len(constraints)} foreign keys; use a relationship"
    try:
        return _hop(constraints[0]), ""
    except NoReferenceError as error:
        return None, f"{named} refers to an unknown table: {first_line(error)}"


def _relationship_hop(attribute: InstrumentedAttribute[Any], named: str) -> tuple[Hop | None, str]:
    try:
        relationship = attribute.property
    except Exception as error:  # noqa: BLE001 - a relationship may be declared by a function
        return None, f"SQLAlchemy cannot configure {described(attribute)}: {first_line(error)}"
    if not isinstance(relationship, RelationshipProperty):
        return None, f"{named} is neither a relationship nor a foreign key column"
    if relationship.direction is not RelationshipDirection.MANYTOONE:
        return None, f"{named} leads to many rows; it must lead to one"
    pairs = tuple(_equal_columns(relationship))
    targets = {remote.table for _, remote in pairs}
    if len(targets) != 1 or len(pairs) != len(_conditions(relationship)):
        return None, f"{named} must join to one table by equality of columns only"
    if not _holds_foreign_key(pairs) and not are_unique([remote for _, remote in pairs]):
        columns = ", ".join(remote.name for _, remote in pairs)
        return None, (
            f"{named} joins to {columns} of {targets.pop()}, which is neither the primary key nor declared unique; "
            "it must lead to one row"
        )
    return Hop(targets.pop(), pairs), ""


def _conditions(relationship: RelationshipProperty[Any]) -> Sequence[Any]:
    condition = relationship.primaryjoin
    alone = not isinstance(condition, BooleanClauseList) or condition.operator is not operators.and_
    return [condition] if alone else condition.clauses


def _equal_columns(relationship: RelationshipProperty[Any]) -> Iterator[tuple[Column[Any], Column[Any]]]:
    """The pairs (column of the previous table, column of the target) whose equality the join requires."""
    pairs = relationship.local_remote_pairs or []
    columns = [(a, b) for a, b in pairs if isinstance(a, Column) and isinstance(b, Column)]
    for condition in _conditions(relationship):
        if isinstance(condition, BinaryExpression) and condition.operator is operators.eq:
            sides = {condition.left, condition.right}
            yield from (pair for pair in columns if sides == set(pair))


def _holds_foreign_key(pairs: tuple[tuple[Column[Any], Column[Any]], ...]) -> bool:
    table = pairs[0][0].table
    return isinstance(table, Table) and any(set(hop.pairs) <= set(pairs) for hop in _ForeignKeys().of(table))


def _as_text(path: OwnerPath) -> str:
    return " > ".join(f"{hop.pairs[0][0].table}.{hop.pairs[0][0].name}" for hop in path)
