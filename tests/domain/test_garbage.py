"""Any value in any argument of a declaration is valid or raises DefinitionError, and no other exception."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import MetaData, create_engine, func, select, text
from sqlalchemy.orm import aliased

import workmesh_flows
from tests.domain.declarations import protocol, pull, push, service
from tests.domain.odd_columns import Base, Crate, Parcel
from tests.support.shop import PUSH_FLAGS, Order, Shop
from workmesh_flows import (
    DefinitionError,
    EntityNumber,
    EntityWeight,
    Flags,
    Mesh,
    Protocol,
    RoundRobin,
    get,
    post,
)


class Hostile:
    """Raises an error on repr, comparison, bool and len."""

    def _refuse(self, *args: Any) -> Any:
        message = "must not be called"
        raise RuntimeError(message)

    __repr__ = __eq__ = __bool__ = __len__ = _refuse
    __hash__ = None  # type: ignore[assignment]


GARBAGE: list[Any] = [
    *(None, NotImplemented, ..., True, 0, -1, 3, 1.5, float("nan"), 10**400, 2j),
    *("", "x", "/x", "a/b", "\0", "\ud800", b"x", "x" * 10_000),
    *([], (), {}, set(), [None], [[]], ["x"], {"a": 1}, {1: None}, range(3), iter([]), frozenset([1])),
    *(object(), object, int, type, Hostile(), ValueError("x"), workmesh_flows, print, len, abs, lambda: None),
    *(lambda *args: None, (each for each in "ab"), property(), classmethod(print), staticmethod(print)),
    *(Shop, Order, Parcel, Crate, Base, Order(), aliased(Order), Order.__table__, Order.__mapper__),
    *(Order.id, Order.shop, Shop.node, Parcel.doubled, Parcel.nickname, Parcel.shop, aliased(Order).id),
    *(Order.__table__.c.id, Order.id == 1, select(Order), text("x"), func.count(), MetaData()),
    *(post, get, post("/x"), post("x", batch_size=0), get("/x", into={}), RoundRobin, RoundRobin()),
    *(EntityNumber(), EntityWeight(None), Flags, PUSH_FLAGS, push(), pull(), protocol(), Protocol, service()),  # type: ignore[arg-type]
    create_engine("sqlite://"),
]

Declare = Callable[[Any], object]


def with_protocol(**changes: Any) -> object:
    return service(protocols=[protocol(**changes)])


ARGUMENTS: dict[str, Declare] = {
    "service name": service,
    "entity": lambda it: service(entity=it),
    "assigned_to": lambda it: service(assigned_to=it),
    "protocols": lambda it: service(protocols=it),
    "a protocol": lambda it: service(protocols=[it, it]),
    "criterion": lambda it: service(criterion=it),
    "weight": lambda it: service(criterion=EntityWeight(it)),
    "protocol name": lambda it: service(protocols=[protocol(it), protocol(it)]),
    "record": lambda it: with_protocol(record=it),
    "id": lambda it: with_protocol(id=it),
    "sort": lambda it: with_protocol(sort=it),
    "owner": lambda it: with_protocol(owner=it),
    "a hop": lambda it: with_protocol(owner=[it]),
    "a second hop": lambda it: with_protocol(owner=[Order.shop, it]),
    "push": lambda it: with_protocol(push=it),
    "push send": lambda it: with_protocol(push=push(send=it)),
    "push batch_size": lambda it: with_protocol(push=push(batch_size=it)),
    "push flags": lambda it: with_protocol(push=push(flags=it)),
    "time": lambda it: with_protocol(push=push(flags=Flags(it, Order.push_success, Order.push_error))),
    "success": lambda it: with_protocol(push=push(flags=Flags(Order.push_time, it, Order.push_error))),
    "error": lambda it: with_protocol(push=push(flags=Flags(Order.push_time, Order.push_success, it))),
    "all flags": lambda it: with_protocol(push=push(flags=Flags(it, it, it))),
    "post path": lambda it: with_protocol(push=push(send=post(it))),
    "post name": lambda it: with_protocol(push=push(send=post("/p", it))),
    "post batch_size": lambda it: with_protocol(push=push(send=post("/p", batch_size=it))),
    "post payload": lambda it: with_protocol(push=push(send=post("/p", payload=it))),
    "pull": lambda it: with_protocol(pull=it),
    "pull status": lambda it: with_protocol(pull=pull(status=it)),
    "pull fetch": lambda it: with_protocol(pull=pull(fetch=it)),
    "pull batch_size": lambda it: with_protocol(pull=pull(batch_size=it)),
    "pull flags": lambda it: with_protocol(pull=pull(flags=it)),
    "get path": lambda it: with_protocol(pull=pull(fetch=get(it, into={}))),
    "get into": lambda it: with_protocol(pull=pull(fetch=get("/p", into=it))),
    "get into value": lambda it: with_protocol(pull=pull(fetch=get("/p", into={"a": it, "b": it}))),
    "get batch_size": lambda it: with_protocol(pull=pull(fetch=get("/p", into={}, batch_size=it))),
    "services": Mesh,
    "a service": lambda it: Mesh([it]),
    "database": lambda it: Mesh([service()], database=it),
}


def problem_text(declare: Callable[[], object]) -> str:
    """The text of the DefinitionError that a declaration raises, empty for none; any other exception fails the test."""
    try:
        declare()
    except DefinitionError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("declare", ARGUMENTS.values(), ids=ARGUMENTS)
def test_any_value_of_one_argument_is_valid_or_a_definition_error(declare: Declare) -> None:
    texts = [problem_text(lambda it=it: declare(it)) for it in GARBAGE]  # type: ignore[misc]
    assert sum(1 for text in texts if text.count("\n  - ")) > len(GARBAGE) / 2


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
anything = st.sampled_from(GARBAGE) | st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3), max_leaves=5
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(["name", "record", "id", "sort", "owner", "push", "pull"]), anything))
def test_any_values_of_a_protocol_are_valid_or_a_definition_error(changes: dict[str, Any]) -> None:
    problem_text(lambda: with_protocol(**changes))


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["name", "entity", "assigned_to", "protocols", "criterion"]), anything)
)
def test_any_values_of_a_service_are_valid_or_a_definition_error(changes: dict[str, Any]) -> None:
    problem_text(lambda: service(**changes))
