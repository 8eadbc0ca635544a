"""Weights of entities: by a column, an SQL expression, or a function of the entity."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, repeat
from typing import Any, TypeVarTuple

from sqlalchemy import Connection, Result, Select, literal, select
from sqlalchemy.orm import Session
from sqlalchemy.sql import ColumnElement

from workmesh_flows.adapters.store.protocol_tables import entity_table
from workmesh_flows.domain.columns import column_of, is_column
from workmesh_flows.domain.criteria import EntityWeight
from workmesh_flows.domain.service import Service
from workmesh_flows.errors import DefinitionError
from workmesh_flows.planning.moves import PlannerEntity

Columns = TypeVarTuple("Columns")

READ_AT_ONCE = 2_000
"""Rows fetched at once from a streamed result; with more, Python's garbage collector takes longer."""
WEIGHED_AT_ONCE = 1_000
"""Entities loaded at once where the weight is a function of the entity."""


def weight_column(service: Service) -> ColumnElement[Any] | None:
    """The weight as SQL; None where it is a function of the entity. Without declared weights it is 1."""
    if not isinstance(service.criterion, EntityWeight):
        return literal(1)
    weight = service.criterion.weight
    if is_column(weight):
        return column_of(weight)
    return weight if isinstance(weight, ColumnElement) else None


def weighed(
    connection: Connection, service: Service, condition: ColumnElement[bool], limit: int | None = None
) -> list[tuple[Any, int]]:
    """The entities that match a condition, in the order of their keys, each as (key, weight)."""
    key, weight = entity_table(service).key, weight_column(service)
    if weight is None:
        found = weighed_by_function(connection, service, condition)
        return [(key, weight) for key, _, weight in islice(found, limit)]
    found_by_key: list[tuple[Any, int]] = []
    if isinstance(service.criterion, EntityWeight):
        statement = select(key, weight).where(condition).order_by(key).limit(limit)
        for rows in _streamed(connection, statement).partitions(READ_AT_ONCE):
            found_by_key += [
                (key, weight if type(weight) is int and weight >= 0 else whole_weight(weight, key))
                for key, weight in rows
            ]
    else:
        keys_only = select(key).where(condition).order_by(key).limit(limit)
        for keys in _streamed(connection, keys_only).scalars().partitions(READ_AT_ONCE):
            found_by_key += zip(keys, repeat(1), strict=False)
    return found_by_key


def weighed_by_function(
    connection: Connection, service: Service, condition: ColumnElement[bool] | None = None
) -> Iterator[tuple[Any, str | None, int]]:
    """Each entity as (key, node, weight), weighed by the user's function; what that changes on an entity is not saved."""
    assert isinstance(service.criterion, EntityWeight)  # noqa: S101 - only a weight can be a function
    weigh: Any = service.criterion.weight
    entities = entity_table(service)
    key = entities.key
    statement = select(key, entities.node, service.entity).order_by(key).limit(WEIGHED_AT_ONCE)
    page = statement if condition is None else statement.where(condition)
    with Session(connection, autoflush=False) as session:
        while rows := session.execute(page).unique().all():
            for entity_key, node, entity in rows:
                yield entity_key, node, whole_weight(weigh(entity), entity_key)
            session.expunge_all()
            page = statement.where(key > rows[-1][0], *([] if condition is None else [condition]))


def whole_weight(weight: Any, key: Any) -> int:  # noqa: ANN401 - what a user's column or function gives
    """A weight as a whole number, 0 for None; raises DefinitionError for any other value."""
    if weight is None:
        return 0
    try:
        number = int(weight)
    except (TypeError, ValueError, OverflowError):  # the last two: not a number, infinite
        number = -1
    if number < 0 or number != weight:
        raise DefinitionError(
            "the weight", [f"entity {key!r} weighs {weight!r}; a weight is a whole number from 0 up"]
        )
    return number


def _streamed(connection: Connection, statement: Select[*Columns]) -> Result[*Columns]:
    """A result to fetch in partitions; plain iteration would fetch its rows one by one."""
    return connection.execute(statement, execution_options={"stream_results": True})


def read_entities(connection: Connection, service: Service) -> list[PlannerEntity]:
    """Each entity that has a node, in the order of their keys, with node and weight."""
    entities, weight = entity_table(service), weight_column(service)
    key, assigned = entities.key, entities.node
    if weight is None:
        found = weighed_by_function(connection, service, assigned.is_not(None))
        return [PlannerEntity(key, node, weight) for key, node, weight in found if node is not None]
    statement = select(key, assigned, weight).where(assigned.is_not(None)).order_by(key)
    rows = connection.execute(statement, execution_options={"stream_results": True})
    return [
        PlannerEntity(key, node, whole_weight(weight, key))
        for page in rows.partitions(READ_AT_ONCE)
        for key, node, weight in page
    ]
