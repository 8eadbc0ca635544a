"""Checking a service's declaration: every problem found, in the user's words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from workmesh_flows.domain.calls import Get, Post
from workmesh_flows.domain.columns import (
    ColumnRef,
    belongs_to,
    column_of,
    described,
    is_column,
    is_unique,
    mapper_of,
    mapper_problem,
    python_type,
    table_of,
)
from workmesh_flows.domain.owner_path import infer_path, read_path
from workmesh_flows.domain.protocol import Flags, Protocol, Pull, Push

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
MICROSECONDS = 6


def name_problem(kind: str, name: object) -> str | None:
    """Say why a name will not do: it has to fit into flow names, file names and addresses."""
    if isinstance(name, str) and NAME.fullmatch(name):
        return None
    return (
        f"{kind} name {name!r} must be letters, digits, dots, dashes and underscores, a letter or digit first"
    )


def column_problem(
    role: str, attribute: object, cls: type[Any], kind: type | None = None, *, nullable: bool | None = None
) -> str | None:
    """Say why an attribute cannot play a role: not a column, not of this class, of a wrong type or nullability."""
    if not is_column(attribute):
        return f"{role} must be a column of {cls.__name__}, not {described(attribute)}"
    if not belongs_to(attribute, cls):
        return f"{role} is {described(attribute)}, a column of another class than {cls.__name__}"
    column = column_of(attribute)
    found = python_type(column)
    if kind is not None and found is not None and not issubclass(found, kind):
        return f"{role} {described(attribute)} holds {found.__name__}, it must hold {kind.__name__}"
    if nullable is True and not column.nullable:
        return f"{role} {described(attribute)} must be nullable: null means that it was not tried yet"
    if nullable is False and column.nullable:
        return f"{role} {described(attribute)} must not be nullable: it decides the order, and null has none"
    return None


def entity_problems(entity: object, assigned_to: object) -> Iterator[str]:
    """What is wrong with an entity class and its assignation column."""
    if problem := mapper_problem(entity, "entity"):
        yield problem
        return
    assert isinstance(entity, type)  # noqa: S101 - mapper_problem has seen to it
    if len(mapper_of(entity).primary_key) != 1:
        yield f"entity {entity.__name__} has a primary key of several columns; one column must identify it"
    if problem := column_problem("assigned_to", assigned_to, entity, str, nullable=True):
        yield problem


def protocol_problems(protocol: object, entity: type[Any]) -> Iterator[str]:
    """What is wrong with a protocol whose entity is well; fills in its owner path."""
    if not isinstance(protocol, Protocol):
        yield f"protocols holds {protocol!r}, which is not a Protocol"
        return
    if problem := name_problem("protocol", protocol.name) or mapper_problem(protocol.record, "record"):
        yield problem
        return
    yield from _key_problems(protocol)
    yield from _owner_problems(protocol, entity)
    if protocol.push is None and protocol.pull is None:
        yield "neither push nor pull is given: it would do nothing"
    if protocol.push is not None:
        yield from _push_problems(protocol.push, protocol.record)
    if protocol.pull is not None:
        if protocol.push is None:
            yield "pull is given without push: what was never pushed is never pulled"
        yield from _pull_problems(protocol.pull, protocol.record)


def repeated(kind: str, names: list[Any]) -> Iterator[str]:
    """Names that are there twice."""
    for name in sorted({str(name) for name in names if names.count(name) > 1}):
        yield f"two {kind}s are called {name!r}"


def shared_flags(protocols: list[tuple[str, Protocol]]) -> Iterator[str]:
    """Flag columns that two directions or protocols would both write."""
    seen: dict[Any, str] = {}
    for where, protocol in protocols:
        for direction, way in (("push", protocol.push), ("pull", protocol.pull)):
            for flag in getattr(getattr(way, "flags", None), "columns", ()):
                if not is_column(flag):
                    continue
                user = f"{where} {direction}"
                if other := seen.get(column_of(flag)):
                    yield f"{described(flag)} is a flag of both {other} and {user}; each needs its own"
                seen[column_of(flag)] = user


def _key_problems(protocol: Protocol) -> Iterator[str]:
    if problem := column_problem("id", protocol.id, protocol.record):
        yield problem
    elif not is_unique(column_of(protocol.id)):
        yield f"id {described(protocol.id)} is neither the primary key nor declared unique"
    if problem := column_problem("sort", protocol.sort, protocol.record, nullable=False):
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


def _push_problems(push: Push, record: type[Any]) -> Iterator[str]:
    yield from _function_problems("push", push.send, push.batch_size, ready_made=Post)
    if isinstance(push.send, Post) and push.send.name == "api_key":
        yield "push posts its records under the name 'api_key', which is the key's place; choose another name"
    yield from _flag_problems("push flags", push.flags, record)


def _pull_problems(pull: Pull, record: type[Any]) -> Iterator[str]:
    yield from _function_problems("pull", pull.fetch, pull.batch_size, ready_made=Get)
    yield from _path_problems("pull status", pull.status)
    if isinstance(pull.fetch, Get):
        for key, column in pull.fetch.into.items():
            if problem := column_problem(f"pull into[{key!r}]", column, record):
                yield problem
    yield from _flag_problems("pull flags", pull.flags, record)


def _function_problems(
    where: str, function: object, batch_size: object, *, ready_made: type[Post | Get]
) -> Iterator[str]:
    if isinstance(function, ready_made):
        yield from _path_problems(where, function.path)
        if batch_size is not None:
            yield f"{where} names batch_size twice; give it to {ready_made.__name__.lower()}(...) alone"
        batch_size = function.batch_size
    elif not callable(function):
        yield f"{where} needs a function or {ready_made.__name__.lower()}(...), not {function!r}"
    if batch_size is not None and (not isinstance(batch_size, int) or batch_size < 1):
        yield f"{where} batch_size must be a whole number of at least 1, not {batch_size!r}"


def _path_problems(where: str, path: object) -> Iterator[str]:
    if not isinstance(path, str) or not path.startswith("/"):
        yield f"{where} access point must be a path that starts with '/', not {path!r}"


def _flag_problems(where: str, flags: object, record: type[Any]) -> Iterator[str]:
    if not isinstance(flags, Flags):
        yield f"{where} must be Flags(time, success, error), not {flags!r}"
        return
    kinds = (("time", flags.time, datetime), ("success", flags.success, bool), ("error", flags.error, str))
    for part, attribute, kind in kinds:
        if problem := column_problem(f"{where} {part}", attribute, record, kind, nullable=True):
            yield problem
        elif part == "time" and _is_coarse(attribute):
            yield f"{where} time {described(attribute)} keeps less than microseconds, which order needs"


def _is_coarse(attribute: ColumnRef) -> bool:
    precision = getattr(column_of(attribute).type, "precision", None)
    return precision is not None and precision < MICROSECONDS
