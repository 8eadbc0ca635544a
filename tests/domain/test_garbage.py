"""Whatever is passed where, it is valid or a DefinitionError: never a traceback from inside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import MetaData, create_engine, func, select, text
from sqlalchemy.orm import aliased

import workmesh_flows
from tests.domain.declaring import protocol, pull, push, service
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
    """Cannot be shown, compared, tested or counted."""

    def _refuse(self, *args: Any) -> Any:
        message = "hands off"
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


def spoilt(**changes: Any) -> object:
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
    "record": lambda it: spoilt(record=it),
    "id": lambda it: spoilt(id=it),
    "sort": lambda it: spoilt(sort=it),
    "owner": lambda it: spoilt(owner=it),
    "a hop": lambda it: spoilt(owner=[it]),
    "a second hop": lambda it: spoilt(owner=[Order.shop, it]),
    "push": lambda it: spoilt(push=it),
    "push send": lambda it: spoilt(push=push(send=it)),
    "push batch_size": lambda it: spoilt(push=push(batch_size=it)),
    "push flags": lambda it: spoilt(push=push(flags=it)),
    "time": lambda it: spoilt(push=push(flags=Flags(it, Order.push_success, Order.push_error))),
    "success": lambda it: spoilt(push=push(flags=Flags(Order.push_time, it, Order.push_error))),
    "error": lambda it: spoilt(push=push(flags=Flags(Order.push_time, Order.push_success, it))),
    "all flags": lambda it: spoilt(push=push(flags=Flags(it, it, it))),
    "post path": lambda it: spoilt(push=push(send=post(it))),
    "post name": lambda it: spoilt(push=push(send=post("/p", it))),
    "post batch_size": lambda it: spoilt(push=push(send=post("/p", batch_size=it))),
    "post payload": lambda it: spoilt(push=push(send=post("/p", payload=it))),
    "pull": lambda it: spoilt(pull=it),
    "pull status": lambda it: spoilt(pull=pull(status=it)),
    "pull fetch": lambda it: spoilt(pull=pull(fetch=it)),
    "pull batch_size": lambda it: spoilt(pull=pull(batch_size=it)),
    "pull flags": lambda it: spoilt(pull=pull(flags=it)),
    "get path": lambda it: spoilt(pull=pull(fetch=get(it, into={}))),
    "get into": lambda it: spoilt(pull=pull(fetch=get("/p", into=it))),
    "get into value": lambda it: spoilt(pull=pull(fetch=get("/p", into={"a": it, "b": it}))),
    "get batch_size": lambda it: spoilt(pull=pull(fetch=get("/p", into={}, batch_size=it))),
    "services": Mesh,
    "a service": lambda it: Mesh([it]),
    "database": lambda it: Mesh([service()], database=it),
}


def text_told(declare: Callable[[], object]) -> str:
    """Runs a declaration; anything it raises but a DefinitionError that can be read fails the test."""
    try:
        declare()
    except DefinitionError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("declare", ARGUMENTS.values(), ids=ARGUMENTS)
def test_garbage_in_one_place_is_a_definition_error_or_valid(declare: Declare) -> None:
    told = [text_told(lambda it=it: declare(it)) for it in GARBAGE]  # type: ignore[misc]
    assert sum(1 for text in told if text.count("\n  - ")) > len(GARBAGE) / 2


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
anything = st.sampled_from(GARBAGE) | st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3), max_leaves=5
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(["name", "record", "id", "sort", "owner", "push", "pull"]), anything))
def test_garbage_in_several_places_is_a_definition_error_or_valid(changes: dict[str, Any]) -> None:
    text_told(lambda: spoilt(**changes))


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["name", "entity", "assigned_to", "protocols", "criterion"]), anything)
)
def test_a_service_of_garbage_is_a_definition_error_or_valid(changes: dict[str, Any]) -> None:
    text_told(lambda: service(**changes))
