"""Checking a criterion and its weight."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from sqlalchemy import Exists, ScalarSelect, SelectBase, select
from sqlalchemy.sql import ClauseElement, ColumnElement
from sqlalchemy.sql.functions import FunctionElement

from workmesh_flows.domain.checks.functions import function_problem
from workmesh_flows.domain.columns import (
    belongs_to,
    column_of,
    described,
    is_column,
    python_type,
    table_of,
)
from workmesh_flows.domain.criteria import EntityNumber, EntityWeight, RoundRobin

_AGGREGATES = frozenset({"avg", "count", "max", "min", "sum", "total"})


def criterion_problems(criterion: object, entity: type[Any] | None) -> Iterator[str]:
    """Yield the problems of a criterion; ``entity`` is None if the entity itself is not valid."""
    if not isinstance(criterion, RoundRobin | EntityNumber | EntityWeight):
        yield (
            f"criterion must be RoundRobin(), EntityNumber() or EntityWeight(...), not {described(criterion)}"
        )
    elif isinstance(criterion, EntityWeight) and (problem := _weight_problem(criterion.weight, entity)):
        yield f"the weight {problem}"


def _weight_problem(weight: object, entity: type[Any] | None) -> str | None:
    if is_column(weight):
        found = python_type(column_of(weight))
        if entity is not None and not belongs_to(weight, entity):
            return f"{described(weight)} is not a column of {entity.__name__}"
        if found is not None and not issubclass(found, int | float | Decimal):
            return f"{described(weight)} has the type {found.__name__}; it must be int"
    elif isinstance(weight, ColumnElement):
        return _expression_problem(weight, entity)
    elif not callable(weight):
        return f"must be a column, a SQL expression or a function of the entity, not {described(weight)}"
    else:
        return function_problem(weight, "entity")
    return None


def _expression_problem(weight: ColumnElement[Any], entity: type[Any] | None) -> str | None:
    if entity is not None and set(select(weight).get_final_froms()) - {table_of(entity)}:
        return f"{described(weight)} reads other tables than that of the entity; make it a scalar_subquery()"
    if aggregate := _aggregate_in(weight):
        return (
            f"aggregates many entities with {aggregate}(...), but each entity needs a weight of its own; "
            "to aggregate rows of another table, use a scalar_subquery() that is correlated to the entity"
        )
    return None


def _aggregate_in(expression: ClauseElement) -> str | None:
    """Return the name of an aggregate over the entities; aggregates in subqueries are over other rows."""
    if isinstance(expression, FunctionElement) and getattr(expression, "name", "").lower() in _AGGREGATES:
        name: str = expression.name
        # With several arguments, SQLite's max and min compare the arguments of one row.
        if name.lower() not in {"max", "min"} or len(expression.clauses) == 1:
            return name
    parts = (
        part for part in expression.get_children() if not isinstance(part, SelectBase | ScalarSelect | Exists)
    )
    return next((found for part in parts if (found := _aggregate_in(part))), None)
