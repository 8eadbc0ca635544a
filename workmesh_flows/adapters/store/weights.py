"""Weights of entities: by a column, an SQL expression, or a function of the entity."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, TypeVarTuple

from sqlalchemy import Connection, Float, Integer, Numeric, Result, Select, literal, select, type_coerce
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from sqlalchemy.sql import ColumnElement
from sqlalchemy.types import NullType

from workmesh_flows.adapters.store.protocol_tables import entity_table
from workmesh_flows.domain.columns import column_of, first_line, is_column
from workmesh_flows.domain.criteria import EntityWeight
from workmesh_flows.domain.service import Service
from workmesh_flows.planning.moves import PlannerEntity

Columns = TypeVarTuple("Columns")

READ_AT_ONCE = 2_000
"""Rows fetched at once from a streamed result; with more, Python's garbage collector takes longer."""
WEIGHED_AT_ONCE = 1_000
"""Entities loaded at once where the weight is a function of the entity."""
SHOWN_CHARACTERS = 40
"""Characters of a weight that a reason shows."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """Entities with a usable weight, as (key, weight), and all others, as (key, reason), both ordered by key."""

    entities: list[tuple[Any, int]] = field(default_factory=list)
    unusable: list[tuple[Any, str]] = field(default_factory=list)


class UnusableWeight(str):
    """Why a weight cannot be used, for people."""

    __slots__ = ()


def weight_column(service: Service) -> ColumnElement[Any] | None:
    """The weight as SQL; None where it is a function of the entity. Without declared weights it is 1."""
    if not isinstance(service.criterion, EntityWeight):
        return literal(1)
    weight = service.criterion.weight
    if is_column(weight):
        return column_of(weight)
    return weight if isinstance(weight, ColumnElement) else None


def weight_read(weight: ColumnElement[Any]) -> ColumnElement[Any]:
    """A weight to be read: as the driver returns numbers, because a type may raise for a value that is none."""
    return type_coerce(weight, NullType()) if isinstance(weight.type, Integer | Numeric | Float) else weight


def weighed(
    connection: Connection, service: Service, condition: ColumnElement[bool], limit: int | None = None
) -> Weighed:
    """The entities that match a condition, at most ``limit`` of those with a usable weight."""
    key, weight = entity_table(service).key, weight_column(service)
    found = Weighed()
    if weight is None:
        for entity, _, one in weighed_by_function(connection, service, condition):
            if len(found.entities) == limit:
                break
            _add(found, entity, one)
    elif isinstance(service.criterion, EntityWeight):
        statement = select(key, weight_read(weight)).where(condition).order_by(key).limit(limit)
        for rows in _streamed(connection, statement).partitions(READ_AT_ONCE):
            _add_rows(found, rows)
        if limit is not None and found.unusable:  # they took the places of others
            every = weighed(connection, service, condition)
            return Weighed(every.entities[:limit], every.unusable)
    else:
        keys_only = select(key).where(condition).order_by(key).limit(limit)
        for keys in _streamed(connection, keys_only).scalars().partitions(READ_AT_ONCE):
            found.entities.extend(zip(keys, repeat(1), strict=False))
    return found


def _add_rows(found: Weighed, rows: Sequence[Any]) -> None:
    usable = [(key, weight) for key, weight in rows if type(weight) is int and weight >= 0]
    if len(usable) == len(rows):
        found.entities.extend(usable)
        return
    for key, weight in rows:
        _add(found, key, checked_weight(weight))


def _add(found: Weighed, key: Any, weight: int | UnusableWeight) -> None:  # noqa: ANN401 - any key
    if isinstance(weight, UnusableWeight):
        found.unusable.append((key, str(weight)))
    else:
        found.entities.append((key, weight))


def weighed_by_function(
    connection: Connection, service: Service, condition: ColumnElement[bool] | None = None
) -> Iterator[tuple[Any, str | None, int | UnusableWeight]]:
    """Each entity as (key, node, weight), weighed by the user's function, whose changes of an entity are not saved."""
    assert isinstance(service.criterion, EntityWeight)  # noqa: S101 - only a weight can be a function
    weigh: Any = service.criterion.weight
    entities = entity_table(service)
    key = entities.key
    statement = select(key, entities.node, service.entity).order_by(key).limit(WEIGHED_AT_ONCE)
    page = statement if condition is None else statement.where(condition)
    with Session(connection, autoflush=False) as session:
        while rows := session.execute(page).unique().all():
            for entity_key, node, entity in rows:
                yield entity_key, node, _weighed_by(weigh, entity)
            session.expunge_all()
            page = statement.where(key > rows[-1][0], *([] if condition is None else [condition]))


def _weighed_by(weigh: Any, entity: Any) -> int | UnusableWeight:  # noqa: ANN401 - a user's function
    try:
        weight = weigh(entity)
    except SQLAlchemyError:  # the database fails, not the entity
        raise
    except Exception as error:  # noqa: BLE001 - a user's function may raise anything
        return UnusableWeight(f"its weight cannot be computed: {type(error).__name__}: {first_line(error)}")
    return checked_weight(weight)


def checked_weight(weight: Any) -> int | UnusableWeight:  # noqa: ANN401 - what a user's column or function gives
    """A weight as a whole number, 0 for None; any other value gives the reason why it is unusable."""
    if weight is None:
        return 0
    try:
        number = int(weight)
        if number >= 0 and number == weight:
            return number
    except (TypeError, ValueError, ArithmeticError):  # the last two: not a number, infinite
        pass
    text = repr(weight) if isinstance(weight, str | bytes) else str(weight)
    return UnusableWeight(f"its weight {text[:SHOWN_CHARACTERS]} is not a whole number from 0 up")


def _streamed(connection: Connection, statement: Select[*Columns]) -> Result[*Columns]:
    """A result to fetch in partitions; plain iteration would fetch its rows one by one."""
    return connection.execute(statement, execution_options={"stream_results": True})


@dataclass(frozen=True, slots=True)
class AssignedEntities:
    """The entities that have a node; an unusable weight counts as 0, ``unusable`` has those keys with reasons."""

    entities: list[PlannerEntity] = field(default_factory=list)
    unusable: list[tuple[Any, str]] = field(default_factory=list)

    def add(self, key: Any, node: str, weight: int | UnusableWeight) -> None:  # noqa: ANN401 - any key
        if isinstance(weight, UnusableWeight):
            self.unusable.append((key, str(weight)))
            weight = 0
        self.entities.append(PlannerEntity(key, node, weight))


def read_entities(connection: Connection, service: Service) -> AssignedEntities:
    """Each entity that has a node, in the order of their keys, with node and weight."""
    entities, weight = entity_table(service), weight_column(service)
    key, assigned = entities.key, entities.node
    found = AssignedEntities()
    if weight is None:
        for entity, node, one in weighed_by_function(connection, service, assigned.is_not(None)):
            if node is not None:
                found.add(entity, node, one)
        return found
    statement = select(key, assigned, weight_read(weight)).where(assigned.is_not(None)).order_by(key)
    for page in _streamed(connection, statement).partitions(READ_AT_ONCE):
        for entity, node, one in page:
            found.add(entity, node, checked_weight(one))
    return found
