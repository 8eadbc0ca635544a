"""Checking the entity and the protocols of a service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from workmesh_flows.domain.calls import Get
from workmesh_flows.domain.checks.columns import column_problem
from workmesh_flows.domain.checks.flags import flag_problems, into_problems
from workmesh_flows.domain.checks.functions import pull_call_problems, push_call_problems
from workmesh_flows.domain.checks.members import name_problem
from workmesh_flows.domain.checks.payload import payload_problems
from workmesh_flows.domain.columns import (
    are_unique,
    column_of,
    described,
    mapper_of,
    mapper_problem,
    table_of,
)
from workmesh_flows.domain.owner_path import infer_path, read_path
from workmesh_flows.domain.protocol import Protocol, Pull, Push


def entity_problems(entity: object, assigned_to: object) -> Iterator[str]:
    """Yield the problems of an entity class and its ``assigned_to`` column."""
    if problem := mapper_problem(entity, "entity"):
        yield problem
        return
    assert isinstance(entity, type)  # noqa: S101 - mapper_problem checked it
    if len(mapper_of(entity).primary_key) != 1:
        yield f"entity {entity.__name__} has a primary key of several columns; it must have one column"
    if problem := column_problem(
        "assigned_to", assigned_to, entity, str, nullable="null means that the entity has no node"
    ):
        yield problem


def protocol_problems(protocol: Protocol, entity: type[Any] | None) -> Iterator[str]:
    """Yield the problems of a protocol; set its owner path. ``entity`` is None if it is not valid itself."""
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
        yield from flag_problems("push flags", protocol.push.flags, protocol.record)
    if isinstance(protocol.pull, Pull):
        yield from flag_problems("pull flags", protocol.pull.flags, protocol.record)
        if isinstance(protocol.pull.fetch, Get):
            yield from into_problems(protocol.pull.fetch.into, protocol)
    yield from payload_problems(protocol)


def _direction_problems(push: object, pull: object) -> Iterator[str]:
    """Yield the problems of both directions that do not depend on the record class."""
    if push is None and pull is None:
        yield "neither push nor pull is given; the protocol would do nothing"
    if isinstance(push, Push):
        yield from push_call_problems(push)
    elif push is not None:
        yield f"push must be Push(...), not {described(push)}"
    if isinstance(pull, Pull):
        yield from pull_call_problems(pull)
    elif pull is not None:
        yield f"pull must be Pull(...), not {described(pull)}"
    if pull is not None and push is None:
        yield "pull is given without push, but only pushed records have results"


def _key_problems(protocol: Protocol) -> Iterator[str]:
    if problem := column_problem(
        "id", protocol.id, protocol.record, filled="it identifies a record, and null cannot"
    ):
        yield problem
    elif not are_unique([column_of(protocol.id)]):
        yield f"id {described(protocol.id)} is neither the primary key nor declared unique"
    if problem := column_problem(
        "sort", protocol.sort, protocol.record, filled="it orders the records, and null has no order"
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
