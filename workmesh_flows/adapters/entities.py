"""Entities: what nodes hold of them, and the assignation written so that no two runs assign one twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias

from sqlalchemy import Connection, Engine, literal, select, update
from sqlalchemy.orm import Session
from sqlalchemy.sql import ColumnElement

from workmesh_flows.adapters import statements
from workmesh_flows.adapters.database import translated_errors
from workmesh_flows.adapters.schema import ensure_row, services
from workmesh_flows.domain.columns import column_of, is_column
from workmesh_flows.domain.criteria import EntityWeight
from workmesh_flows.domain.service import Service
from workmesh_flows.errors import DefinitionError

WRITTEN_AT_ONCE = 5_000
"""Entities that one UPDATE gives their node; SQLite takes 32,766 parameters a statement."""
WEIGHED_AT_ONCE = 1_000
"""Entities that are loaded at once where the weight is a function of them."""

Held: TypeAlias = dict[str | None, tuple[int, int]]
"""Entities and weight by node; under None what has no node."""


@dataclass(frozen=True, slots=True)
class Assigning:
    """A service's assignation inside one transaction; another run waits until it ends."""

    connection: Connection
    service: Service
    position: str | None

    def held(self) -> Held:
        """What each node holds now."""
        return _held(self.connection, self.service)

    def unassigned(self, limit: int | None) -> list[tuple[Any, int]]:
        """Entities without a node, by key, each with its weight."""
        key = statements.entity_key(self.service)
        unassigned = column_of(self.service.assigned_to).is_(None)
        weight = _weight_column(self.service)
        if weight is not None:
            statement = select(key, weight).where(unassigned).order_by(key).limit(limit)
            return [(row[0], _whole(row[1], row[0])) for row in self.connection.execute(statement)]
        weighed = _weighed(self.connection, self.service, unassigned)
        return [(key, weight) for key, _, weight in islice(weighed, limit)]

    def write(self, assigned: Sequence[tuple[Any, str]]) -> int:
        """Write nodes; return how many entities had none until now."""
        statement, written = statements.write_assignation(self.service), 0
        keys = defaultdict[str, list[Any]](list)
        for key, node in assigned:
            keys[node].append(key)
        for node, given in keys.items():
            for start in range(0, len(given), WRITTEN_AT_ONCE):
                parameters = {"workmesh_ids": given[start : start + WRITTEN_AT_ONCE], "workmesh_node": node}
                written += self.connection.execute(statement, parameters).rowcount
        return written

    def keep_position(self, position: str | None) -> None:
        """Remember where round robin stands."""
        self.connection.execute(
            update(services).where(services.c.service == self.service.name).values(position=position)
        )


@contextmanager
def assigning(engine: Engine, service: Service) -> Iterator[Assigning]:
    """One assignment run: read and write in this block; it commits at the end, or not at all."""
    with translated_errors():
        ensure_row(engine, services, service=service.name)
        mine = services.c.service == service.name
        with engine.begin() as connection:
            # The first statement is a write: it makes a second run wait here, on both databases.
            connection.execute(update(services).where(mine).values(revision=services.c.revision + 1))
            position = connection.scalar(select(services.c.position).where(mine))
            yield Assigning(connection, service, position)


def held_by_nodes(engine: Engine, service: Service) -> Held:
    """Entities and their weight by node."""
    with translated_errors(), engine.connect() as connection:
        return _held(connection, service)


def _held(connection: Connection, service: Service) -> Held:
    weight = _weight_column(service)
    if weight is not None:
        rows = connection.execute(statements.entity_counts(service, weight))
        return {row.node: (row.entities, int(row.weight)) for row in rows}
    held: Held = {}
    for _, node, entity_weight in _weighed(connection, service):
        entities, total = held.get(node, (0, 0))
        held[node] = (entities + 1, total + entity_weight)
    return held


def _weight_column(service: Service) -> ColumnElement[Any] | None:
    """The weight as SQL; None where it is a function of the entity. Without weights each entity counts 1."""
    if not isinstance(service.criterion, EntityWeight):
        return literal(1)
    weight = service.criterion.weight
    if is_column(weight):
        return column_of(weight)
    return weight if isinstance(weight, ColumnElement) else None


def _weighed(
    connection: Connection, service: Service, condition: ColumnElement[bool] | None = None
) -> Iterator[tuple[Any, str | None, int]]:
    """Each entity's key, node and weight, by a function of the loaded entity; what it changes is not saved."""
    assert isinstance(service.criterion, EntityWeight)  # noqa: S101 - only weights need loaded entities
    weigh: Any = service.criterion.weight
    key = statements.entity_key(service)
    statement = (
        select(key, column_of(service.assigned_to), service.entity).order_by(key).limit(WEIGHED_AT_ONCE)
    )
    page = statement if condition is None else statement.where(condition)
    with Session(connection, autoflush=False) as session:
        while rows := session.execute(page).unique().all():
            for entity_key, node, entity in rows:
                yield entity_key, node, _whole(weigh(entity), entity_key)
            session.expunge_all()
            page = statement.where(key > rows[-1][0], *([] if condition is None else [condition]))


def _whole(weight: Any, key: Any) -> int:  # noqa: ANN401 - what a user's column or function gives
    """A weight as a whole number; nothing counts as 0."""
    if weight is None:
        return 0
    try:
        whole = int(weight)
    except (TypeError, ValueError, OverflowError):  # the last two: not a number, infinite
        whole = -1
    if whole < 0 or whole != weight:
        raise DefinitionError(
            "the weight", [f"entity {key!r} weighs {weight!r}; a weight is a whole number from 0 up"]
        )
    return whole
