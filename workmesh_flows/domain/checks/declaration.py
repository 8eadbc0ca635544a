"""Checking a service's declaration: every problem found, in the user's words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from sqlalchemy import Exists, ScalarSelect, SelectBase, select
from sqlalchemy.sql import ClauseElement, ColumnElement
from sqlalchemy.sql.functions import FunctionElement

from workmesh_flows.domain.calls import Get
from workmesh_flows.domain.checks.functions import function_problem, pull_call_problems, push_call_problems
from workmesh_flows.domain.columns import (
    ColumnRef,
    are_unique,
    belongs_to,
    column_of,
    described,
    is_column,
    mapper_of,
    mapper_problem,
    python_type,
    table_of,
)
from workmesh_flows.domain.criteria import EntityNumber, EntityWeight, RoundRobin
from workmesh_flows.domain.owner_path import infer_path, read_path
from workmesh_flows.domain.protocol import Flags, Protocol, Pull, Push

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
MICROSECONDS = 6
_AGGREGATES = frozenset({"avg", "count", "max", "min", "sum", "total"})

T = TypeVar("T")


def name_problem(kind: str, name: object) -> str | None:
    """Say why a name will not do: it has to fit into flow names, file names, addresses and columns of ours."""
    if isinstance(name, str) and NAME.fullmatch(name):
        return None
    return (
        f"{kind} name {described(name)} must be up to 200 letters, digits, dots, dashes and underscores, "
        "a letter or digit first"
    )


def read_members(role: str, given: object, kind: type[T]) -> tuple[tuple[T, ...], tuple[str, ...]]:
    """The members of a list that are of a kind, and what is wrong with the list or with the others.

    Values are not shown: one that was given in the wrong place may be an address with a password.
    """
    if not isinstance(given, Iterable) or isinstance(given, str | bytes | Mapping):
        return (), (f"{role} must be a list of {kind.__name__}, not a {type(given).__name__}",)
    members = tuple(given)
    strangers = (member for member in members if not isinstance(member, kind))
    return (
        tuple(member for member in members if isinstance(member, kind)),
        tuple(
            f"{role} holds a {type(stranger).__name__}, which is not a {kind.__name__}"
            for stranger in strangers
        ),
    )


def column_problem(  # noqa: PLR0913 - each is one demand
    role: str,
    attribute: object,
    cls: type[Any],
    kind: type | None = None,
    *,
    nullable: str = "",
    filled: str = "",
) -> str | None:
    """Say why an attribute cannot play a role: not a column, not of this class, of a wrong type or nullability.

    ``nullable`` is why it must take null, ``filled`` why it must not.
    """
    if not is_column(attribute):
        return f"{role} must be a column of {cls.__name__}, not {described(attribute)}"
    if not belongs_to(attribute, cls):
        return f"{role} is {described(attribute)}, a column of another class than {cls.__name__}"
    column = column_of(attribute)
    found = python_type(column)
    if kind is not None and found is not None and not issubclass(found, kind):
        return f"{role} {described(attribute)} holds {found.__name__}, it must hold {kind.__name__}"
    if nullable and not column.nullable:
        return f"{role} {described(attribute)} must be nullable: {nullable}"
    if filled and column.nullable:
        return f"{role} {described(attribute)} must not be nullable: {filled}"
    return None


def entity_problems(entity: object, assigned_to: object) -> Iterator[str]:
    """What is wrong with an entity class and its assignation column."""
    if problem := mapper_problem(entity, "entity"):
        yield problem
        return
    assert isinstance(entity, type)  # noqa: S101 - mapper_problem has seen to it
    if len(mapper_of(entity).primary_key) != 1:
        yield f"entity {entity.__name__} has a primary key of several columns; one column must identify it"
    if problem := column_problem(
        "assigned_to", assigned_to, entity, str, nullable="null means that it has no node"
    ):
        yield problem


def criterion_problems(criterion: object, entity: type[Any] | None) -> Iterator[str]:
    """What is wrong with a criterion; no entity is given where it is not well."""
    if not isinstance(criterion, RoundRobin | EntityNumber | EntityWeight):
        yield (
            f"criterion must be RoundRobin(), EntityNumber() or EntityWeight(...), not {described(criterion)}"
        )
    elif isinstance(criterion, EntityWeight) and (problem := _weight_problem(criterion.weight, entity)):
        yield f"the weight {problem}"


def protocol_problems(protocol: Protocol, entity: type[Any] | None) -> Iterator[str]:
    """What is wrong with a protocol; fills in its owner path. No entity is given where it is not well."""
    if problem := name_problem("protocol", protocol.name):
        yield problem
    yield from _direction_problems(protocol.push, protocol.pull)
    if problem := mapper_problem(protocol.record, "record"):
        yield problem
        return
    yield from _key_problems(protocol)
    if entity is not None:
        yield from _owner_problems(protocol, entity)
    if isinstance(protocol.push, Push):
        yield from _flag_problems("push flags", protocol.push.flags, protocol.record)
    if isinstance(protocol.pull, Pull):
        yield from _flag_problems("pull flags", protocol.pull.flags, protocol.record)
        if isinstance(protocol.pull.fetch, Get):
            yield from _into_problems(protocol.pull.fetch.into, protocol)


def repeated(kind: str, names: list[object]) -> Iterator[str]:
    """Names that are there twice."""
    texts = [name for name in names if isinstance(name, str)]
    for name in sorted({name for name in texts if texts.count(name) > 1}):
        yield f"two {kind}s are called {name!r}"


def shared_flags(protocols: list[tuple[str, Protocol]]) -> Iterator[str]:
    """Columns that would serve as two flags."""
    seen: dict[Any, str] = {}
    for where, protocol in protocols:
        for role, flag in _flags_of(protocol):
            user = f"{where} {role}"
            if other := seen.get(column_of(flag)):
                yield f"{described(flag)} is both {other} and {user}; each needs a column of its own"
            seen[column_of(flag)] = user


def _weight_problem(weight: object, entity: type[Any] | None) -> str | None:
    if is_column(weight):
        found = python_type(column_of(weight))
        if entity is not None and not belongs_to(weight, entity):
            return f"{described(weight)} is a column of another class than {entity.__name__}"
        if found is not None and not issubclass(found, int | float | Decimal):
            return f"{described(weight)} holds {found.__name__}, it must hold int"
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
            f"takes {aggregate}(...) over many entities, but each weighs for itself; to add up rows of another table, "
            "use a scalar_subquery() that is correlated to the entity"
        )
    return None


def _aggregate_in(expression: ClauseElement) -> str | None:
    """The aggregate that an expression takes over the entity's own rows; those of a subquery are of other rows."""
    if isinstance(expression, FunctionElement) and getattr(expression, "name", "").lower() in _AGGREGATES:
        name: str = expression.name
        # Those two compare the values of one row where they are given several, in SQLite.
        if name.lower() not in {"max", "min"} or len(expression.clauses) == 1:
            return name
    parts = (
        part for part in expression.get_children() if not isinstance(part, SelectBase | ScalarSelect | Exists)
    )
    return next((found for part in parts if (found := _aggregate_in(part))), None)


def _direction_problems(push: object, pull: object) -> Iterator[str]:
    """What can be told of both directions without the record."""
    if push is None and pull is None:
        yield "neither push nor pull is given: it would do nothing"
    if isinstance(push, Push):
        yield from push_call_problems(push)
    elif push is not None:
        yield f"push must be Push(...), not {described(push)}"
    if isinstance(pull, Pull):
        yield from pull_call_problems(pull)
    elif pull is not None:
        yield f"pull must be Pull(...), not {described(pull)}"
    if pull is not None and push is None:
        yield "pull is given without push: what was never pushed is never pulled"


def _key_problems(protocol: Protocol) -> Iterator[str]:
    if problem := column_problem(
        "id", protocol.id, protocol.record, filled="it tells records apart, and null does not"
    ):
        yield problem
    elif not are_unique([column_of(protocol.id)]):
        yield f"id {described(protocol.id)} is neither the primary key nor declared unique"
    if problem := column_problem(
        "sort", protocol.sort, protocol.record, filled="it decides the order, and null has none"
    ):
        yield problem


def _owner_problems(protocol: Protocol, entity: type[Any]) -> Iterator[str]:
    match protocol.owner:
        case None:
            path, problem = infer_path(table_of(protocol.record), table_of(entity))
        case list() | tuple():
            path, problem = read_path(protocol.owner, protocol.record, entity)
        case hop:
            path, problem = read_path([hop], protocol.record, entity)
    if path is None:
        yield problem
    else:
        protocol.path = path


def _into_problems(into: object, protocol: Protocol) -> Iterator[str]:
    if not isinstance(into, Mapping):
        yield f"pull into must be a dict of a result's keys to columns, not {described(into)}"
        return
    taken = {column_of(flag): f"the {role}" for role, flag in _flags_of(protocol)}
    taken |= {
        column_of(attribute): f"the {role}"
        for role, attribute in (("id", protocol.id), ("sort column", protocol.sort))
        if is_column(attribute)
    }
    for key, attribute in into.items():
        role = f"pull into[{described(key)}]"
        if not isinstance(key, str):
            yield f"{role} is never found: the keys of a result are texts"
        if problem := column_problem(role, attribute, protocol.record):
            yield problem
        elif other := taken.get(column_of(attribute)):
            yield f"{role} would write {described(attribute)}, which is {other}"
        else:
            taken[column_of(attribute)] = f"what {role} writes"


def _flag_problems(where: str, flags: object, record: type[Any]) -> Iterator[str]:
    if not isinstance(flags, Flags):
        yield f"{where} must be Flags(time, success, error), not {described(flags)}"
        return
    kinds = (("time", flags.time, datetime), ("success", flags.success, bool), ("error", flags.error, str))
    for part, attribute, kind in kinds:
        role = f"{where} {part}"
        if problem := column_problem(
            role, attribute, record, kind, nullable="null means that it was not tried yet"
        ):
            yield problem
        elif part == "time" and _is_coarse(attribute):
            yield f"{role} {described(attribute)} keeps less than microseconds, which order needs"


def _flags_of(protocol: Protocol) -> Iterator[tuple[str, ColumnRef]]:
    """The flags that are columns at all, by role."""
    for direction, way in (("push", protocol.push), ("pull", protocol.pull)):
        if isinstance(way, Push | Pull) and isinstance(way.flags, Flags):
            for part, flag in zip(("time", "success", "error"), way.flags.columns, strict=True):
                if is_column(flag):
                    yield f"{direction} flag {part}", flag


def _is_coarse(attribute: ColumnRef) -> bool:
    precision = getattr(column_of(attribute).type, "precision", None)
    return precision is not None and precision < MICROSECONDS
