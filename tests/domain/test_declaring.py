"""A declaration is valid, or DefinitionError lists every problem in the user's words."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, literal, select, text

from tests.domain.declarations import parcel, parcel_flags, problems, protocol, pull, push, service
from tests.domain.declared_functions import Sender, send_one, take_record
from tests.domain.odd_columns import Crate, Customer, Parcel, Unmapped
from tests.support.shop import PULL_FLAGS, Order, Shop
from workmesh_flows import (
    DefinitionError,
    EntityNumber,
    EntityWeight,
    Flags,
    Protocol,
    Push,
    RoundRobin,
    Service,
    get,
    post,
)

NAME_RULE = (
    "must be up to 200 letters, digits, dots, dashes and underscores, and start with a letter or digit"
)
NO_FLAG = "null means that the record is pending"
CRITERIA = "criterion must be RoundRobin(), EntityNumber() or EntityWeight(...), not"


def test_a_valid_service_has_the_declared_attributes() -> None:
    order = protocol()
    declared = service(protocols=[order])
    assert (declared.name, declared.entity, declared.assigned_to) == ("shop.orders", Shop, Shop.node)
    assert declared.protocols == (order,)
    assert declared.protocol("order") is order
    assert declared.criterion == RoundRobin()
    assert len(order.path) == 1
    assert repr(declared) == "Service('shop.orders', entity=Shop)"
    assert repr(order) == "Protocol('order', record=Order)"


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"name": "S-1_a.b"}, id="all kinds of characters in the name"),
        pytest.param({"name": "s" * 200}, id="the longest name"),
        pytest.param({"protocols": ()}, id="no protocol"),
        pytest.param({"protocols": (each for each in [protocol()])}, id="protocols from a generator"),
        pytest.param({"criterion": EntityNumber()}, id="EntityNumber"),
        pytest.param({"criterion": EntityWeight(Shop.size)}, id="weight in a column"),
        pytest.param({"criterion": EntityWeight(Shop.size * 2 + 1)}, id="weight as SQL expression"),
        pytest.param({"criterion": EntityWeight(literal(1))}, id="constant weight"),
        pytest.param(
            {
                "criterion": EntityWeight(
                    select(func.count(Order.id)).where(Order.shop_id == Shop.id).scalar_subquery()
                )
            },
            id="weight as a subquery of another table",
        ),
        pytest.param({"criterion": EntityWeight(func.max(Shop.size, 1))}, id="max of two values of one row"),
        pytest.param({"criterion": EntityWeight(lambda shop: shop.size)}, id="weight as a function"),
        pytest.param({"protocols": [protocol(pull=None)]}, id="only push"),
        pytest.param({"protocols": [protocol(push=push(send=send_one))]}, id="a function of a record"),
        pytest.param(
            {"protocols": [protocol(push=push(send=send_one, batch_size=3))]}, id="a function of records"
        ),
        pytest.param({"protocols": [protocol(push=push(send=Sender()))]}, id="an object that can be called"),
        pytest.param({"protocols": [protocol(push=push(send=print))]}, id="a function written in C"),
        pytest.param(
            {"protocols": [protocol(push=push(send=post("/p", payload=take_record)))]}, id="a payload"
        ),
        pytest.param({"protocols": [protocol(pull=pull(fetch=send_one))]}, id="a function that fetches"),
        pytest.param(
            {"protocols": [protocol(pull=pull(fetch=get("/p", into={})))]}, id="no columns for results"
        ),
        pytest.param({"protocols": [protocol(sort=Order.id)]}, id="sorted by the id"),
        pytest.param(
            {"protocols": [parcel(push=parcel_flags(time=Parcel.fine_time))]}, id="time with microseconds"
        ),
        pytest.param({"protocols": [parcel(id=Parcel.unique)]}, id="a unique column as id"),
        pytest.param(
            {"protocols": [parcel(id=Parcel.unique_index)]}, id="a column with a unique index as id"
        ),
        pytest.param(
            {"protocols": [parcel(id=Parcel.constrained)]}, id="a column with a unique constraint as id"
        ),
        pytest.param({"protocols": [parcel(id=Parcel.indexed)]}, id="a column of a unique index as id"),
    ],
)
def test_a_declaration_is_valid(changes: dict[str, Any]) -> None:
    assert problems(**changes) == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        pytest.param({"name": "a/b"}, f"service name 'a/b' {NAME_RULE}", id="slash in the name"),
        pytest.param({"name": "-a"}, f"service name '-a' {NAME_RULE}", id="dash first"),
        pytest.param({"name": "a b"}, f"service name 'a b' {NAME_RULE}", id="space"),
        pytest.param({"name": "a\n"}, f"service name 'a\\n' {NAME_RULE}", id="line end"),
        pytest.param({"name": ""}, f"service name '' {NAME_RULE}", id="no name"),
        pytest.param({"name": 7}, f"service name 7 {NAME_RULE}", id="name not a string"),
        pytest.param(
            {"name": "s" * 201}, f"service name '{'s' * 37}...{'s' * 38}' {NAME_RULE}", id="name too long"
        ),
        pytest.param(
            {"protocols": [protocol("a/b")]},
            f"protocol 'a/b': protocol name 'a/b' {NAME_RULE}",
            id="slash in a protocol's name",
        ),
        pytest.param({"entity": "Shop"}, "entity must be a mapped class, not 'Shop'", id="entity a string"),
        pytest.param(
            {"entity": Unmapped},
            "entity Unmapped is not a class mapped by SQLAlchemy",
            id="entity not mapped",
        ),
        pytest.param(
            {"entity": Crate, "assigned_to": Crate.node, "protocols": []},
            "entity Crate has a primary key of several columns; it must have one column",
            id="entity with a key of two columns",
        ),
        pytest.param(
            {"assigned_to": None}, "assigned_to must be a column of Shop, not None", id="assigned_to None"
        ),
        pytest.param(
            {"assigned_to": Order.text},
            "assigned_to is Order.text, which is not a column of Shop",
            id="assigned_to a column of another class",
        ),
        pytest.param(
            {"assigned_to": Order.shop},
            "assigned_to must be a column of Shop, not Order.shop",
            id="assigned_to a relationship",
        ),
        pytest.param(
            {"assigned_to": Shop.size},
            "assigned_to Shop.size has the type int; it must be str",
            id="assigned_to a number",
        ),
        pytest.param(
            {"entity": Customer, "assigned_to": Customer.node, "protocols": []},
            "assigned_to Customer.node must be nullable: null means that the entity has no node",
            id="assigned_to not nullable",
        ),
        pytest.param(
            {"protocols": protocol()},
            "protocols must be a list of Protocol, not a Protocol",
            id="protocols a single protocol",
        ),
        pytest.param(
            {"protocols": "order"}, "protocols must be a list of Protocol, not a str", id="protocols a string"
        ),
        pytest.param(
            {"protocols": None}, "protocols must be a list of Protocol, not a NoneType", id="protocols None"
        ),
        pytest.param(
            {"protocols": [protocol(), "order"]},
            "protocols contains a str, which is not a Protocol",
            id="a string among protocols",
        ),
        pytest.param({"criterion": "weight"}, f"{CRITERIA} 'weight'", id="criterion a string"),
        pytest.param(
            {"criterion": EntityNumber},
            f"{CRITERIA} <class 'workmesh_flows.domain.criteria.EntityNumber'>",
            id="criterion a class",
        ),
        pytest.param(
            {"criterion": EntityWeight(Order.score)},
            "the weight Order.score is not a column of Shop",
            id="weight a column of another class",
        ),
        pytest.param(
            {"criterion": EntityWeight(Shop.node)},
            "the weight Shop.node has the type str; it must be int",
            id="weight a text column",
        ),
        pytest.param(
            {"criterion": EntityWeight("size")},  # type: ignore[arg-type]
            "the weight must be a column, a SQL expression or a function of the entity, not 'size'",
            id="weight a string",
        ),
        pytest.param(
            {"criterion": EntityWeight(Order.shop)},
            "the weight must be a column, a SQL expression or a function of the entity, not Order.shop",
            id="weight a relationship",
        ),
        pytest.param(
            {"criterion": EntityWeight(send_one)},  # type: ignore[arg-type]
            "the weight send_one cannot be called with (entity): missing a required argument: 'node'",
            id="weight a function of two parameters",
        ),
    ],
)
def test_a_single_problem_of_a_service_is_reported(changes: dict[str, Any], problem: str) -> None:
    assert problems(**changes) == [problem]


def test_a_weight_must_not_read_another_table() -> None:
    (problem,) = problems(criterion=EntityWeight(func.count(Order.id)))
    assert problem.endswith("reads other tables than that of the entity; make it a scalar_subquery()")


@pytest.mark.parametrize(
    ("weight", "aggregate"),
    [
        pytest.param(func.sum(Shop.size), "sum", id="a sum"),
        pytest.param(func.TOTAL(Shop.id), "TOTAL", id="in capitals"),
        pytest.param(func.coalesce(func.max(Shop.size), 0) + 1, "max", id="nested in other functions"),
        pytest.param(func.avg(Shop.size).filter(Shop.size > 1), "avg", id="of some rows"),
    ],
)
def test_a_weight_must_not_aggregate_entities(weight: Any, aggregate: str) -> None:
    (problem,) = problems(criterion=EntityWeight(weight))
    assert (
        f"the weight aggregates many entities with {aggregate}(...), but each entity needs a weight of its own"
        in problem
    )


def test_a_text_clause_is_not_a_weight() -> None:
    (problem,) = problems(criterion=EntityWeight(text("size")))  # type: ignore[arg-type]
    assert "the weight must be a column, a SQL expression or a function" in problem


def test_two_protocols_must_not_have_the_same_name() -> None:
    two = [protocol(pull=None), protocol(pull=None, push=push(flags=PULL_FLAGS))]
    assert problems(protocols=two) == ["two protocols have the name 'order'"]


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(DefinitionError) as caught:
        Service(
            "shop/orders",
            entity=Shop,
            assigned_to=Order.text,
            criterion="heaviest",  # type: ignore[arg-type]
            protocols=[
                Protocol(
                    "an order",
                    record=Order,
                    id=Order.shop_id,
                    sort=Order.score,
                    owner=[Shop.node],
                    push=Push(
                        post("push", "api_key", batch_size=0), flags=Flags(Order.at, Order.text, Order.id)
                    ),
                ),
                Protocol("empty", record=Unmapped, id=Order.id, sort=Order.at),
            ],
        )
    assert str(caught.value) == (
        "service 'shop/orders' is not a valid definition:"
        f"\n  - service name 'shop/orders' {NAME_RULE}"
        "\n  - assigned_to is Order.text, which is not a column of Shop"
        f"\n  - {CRITERIA} 'heaviest'"
        f"\n  - protocol 'an order': protocol name 'an order' {NAME_RULE}"
        "\n  - protocol 'an order': push endpoint must be a path that starts with '/', not 'push'"
        "\n  - protocol 'an order': push batch_size must be a whole number of at least 1, not 0"
        "\n  - protocol 'an order': push name 'api_key' is reserved for the API key of the request; choose another name"
        "\n  - protocol 'an order': id Order.shop_id must not be nullable: it identifies a record, and null cannot"
        "\n  - protocol 'an order': sort Order.score must not be nullable: it orders the records, and null has no order"
        "\n  - protocol 'an order': owner hop Shop.node has no foreign key"
        f"\n  - protocol 'an order': push flags time Order.at must be nullable: {NO_FLAG}"
        "\n  - protocol 'an order': push flags success Order.text has the type str; it must be bool"
        "\n  - protocol 'an order': push flags error Order.id has the type int; it must be str"
        "\n  - protocol 'empty': neither push nor pull is given; the protocol would do nothing"
        "\n  - protocol 'empty': record Unmapped is not a class mapped by SQLAlchemy"
    )


def test_an_invalid_entity_does_not_hide_problems_of_protocols() -> None:
    found = problems(entity=Unmapped, protocols=[protocol(sort=None)])
    assert found == [
        "entity Unmapped is not a class mapped by SQLAlchemy",
        "protocol 'order': sort must be a column of Order, not None",
    ]
