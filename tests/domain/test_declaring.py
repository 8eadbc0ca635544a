"""A declaration is valid, or DefinitionError lists every problem in the user's words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from sqlalchemy import func, literal, select, text

from tests.domain.declaring import problems, protocol, protocol_problems, pull, push, service
from tests.domain.odd_columns import Crate, Customer, Parcel, Unmapped
from tests.support.shop import PULL_FLAGS, PUSH_FLAGS, Order, Shop
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
NO_PATH: Any = None
NO_FLAG = "null means that the record is pending"
CRITERIA = "criterion must be RoundRobin(), EntityNumber() or EntityWeight(...), not"
LATER = "must be a plain function: calling an async function or a generator runs nothing"


def send_one(record: Any, node: Any) -> None: ...


async def send_later(record: Any, node: Any) -> None: ...


def send_lazily(record: Any, node: Any) -> Iterator[None]:
    yield


async def send_lazily_later(record: Any, node: Any) -> AsyncIterator[None]:
    yield


def take_record(record: Any) -> dict[str, Any]:
    return {}


class Sender:
    def __call__(self, record: Any, node: Any) -> None: ...


class AsyncSender:
    async def __call__(self, record: Any, node: Any) -> None: ...

    def __repr__(self) -> str:
        return "AsyncSender()"


def parcel(**changes: Any) -> Protocol:
    flags = Flags(Parcel.time, Parcel.success, Parcel.error)
    parts = {"record": Parcel, "id": Parcel.id, "sort": Parcel.at, "push": push(flags=flags), "pull": None}
    return protocol("parcel", **{**parts, **changes})


def parcel_flags(**changes: Any) -> Push:
    parts = {"time": Parcel.time, "success": Parcel.success, "error": Parcel.error}
    return push(flags=Flags(**{**parts, **changes}))


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


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        pytest.param({"record": 5}, "record must be a mapped class, not 5", id="record a number"),
        pytest.param(
            {"record": int}, "record int is not a class mapped by SQLAlchemy", id="record not mapped"
        ),
        pytest.param({"id": None}, "id must be a column of Order, not None", id="no id"),
        pytest.param({"id": "id"}, "id must be a column of Order, not 'id'", id="id a string"),
        pytest.param(
            {"id": Order.shop}, "id must be a column of Order, not Order.shop", id="id a relationship"
        ),
        pytest.param(
            {"id": Order.__table__.c.id},
            "id must be a column of Order, not Column('id', Integer(), table=<select>, primary_key=True, nullable=False)",
            id="id a column of the bare table",
        ),
        pytest.param(
            {"id": Shop.id},
            "id is Shop.id, which is not a column of Order",
            id="id a column of another class",
        ),
        pytest.param(
            {"sort": Shop.size},
            "sort is Shop.size, which is not a column of Order",
            id="sort a column of another class",
        ),
        pytest.param({"sort": None}, "sort must be a column of Order, not None", id="no sort"),
        pytest.param(
            {"sort": Order.score, "pull": None},
            "sort Order.score must not be nullable: it orders the records, and null has no order",
            id="sort nullable",
        ),
        pytest.param(
            {"push": None, "pull": None},
            "neither push nor pull is given; the protocol would do nothing",
            id="no direction",
        ),
        pytest.param(
            {"push": None},
            "pull is given without push, but only pushed records have results",
            id="pull without push",
        ),
        pytest.param(
            {"push": PUSH_FLAGS.time}, "push must be Push(...), not Order.push_time", id="push a column"
        ),
        pytest.param({"pull": "/pull"}, "pull must be Pull(...), not '/pull'", id="pull a string"),
    ],
)
def test_a_single_problem_of_a_protocol_is_reported(changes: dict[str, Any], problem: str) -> None:
    assert protocol_problems(**changes) == [problem]


def test_a_post_that_is_not_in_a_push_is_reported() -> None:
    (problem,) = protocol_problems(push=post("/p"), pull=None)
    assert problem.startswith("push must be Push(...), not Post(path='/p'")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        pytest.param(
            {"id": Parcel.number},
            "id Parcel.number must not be nullable: it identifies a record, and null cannot",
            id="id nullable",
        ),
        pytest.param(
            {"id": Parcel.unique_or_null},
            "id Parcel.unique_or_null must not be nullable: it identifies a record, and null cannot",
            id="id unique but nullable",
        ),
        pytest.param(
            {"id": Parcel.shop_id},
            "id Parcel.shop_id is neither the primary key nor declared unique",
            id="id not unique",
        ),
        pytest.param(
            {"id": Parcel.pair_one},
            "id Parcel.pair_one is neither the primary key nor declared unique",
            id="id unique only with another column",
        ),
        pytest.param(
            {"id": Parcel.partly_unique},
            "id Parcel.partly_unique is neither the primary key nor declared unique",
            id="id unique among some rows",
        ),
        pytest.param(
            {"sort": Parcel.doubled},
            "sort must be a column of Parcel, not Parcel.doubled",
            id="sort a SQL expression",
        ),
        pytest.param(
            {"push": parcel_flags(time=None)},
            "push flags time must be a column of Parcel, not None",
            id="a flag None",
        ),
        pytest.param(
            {"push": parcel_flags(success=Parcel.shop)},
            "push flags success must be a column of Parcel, not Parcel.shop",
            id="a flag that is a relationship",
        ),
        pytest.param(
            {"push": parcel_flags(error=Order.push_error)},
            "push flags error is Order.push_error, which is not a column of Parcel",
            id="a flag that is a column of another class",
        ),
        pytest.param(
            {"push": parcel_flags(time=Parcel.number)},
            "push flags time Parcel.number has the type int; it must be datetime",
            id="time a number",
        ),
        pytest.param(
            {"push": parcel_flags(success=Parcel.number)},
            "push flags success Parcel.number has the type int; it must be bool",
            id="success a number",
        ),
        pytest.param(
            {"push": parcel_flags(error=Parcel.number)},
            "push flags error Parcel.number has the type int; it must be str",
            id="error a number",
        ),
        pytest.param(
            {"push": parcel_flags(time=Parcel.filled_time)},
            f"push flags time Parcel.filled_time must be nullable: {NO_FLAG}",
            id="time not nullable",
        ),
        pytest.param(
            {"push": parcel_flags(success=Parcel.filled_success)},
            f"push flags success Parcel.filled_success must be nullable: {NO_FLAG}",
            id="success not nullable",
        ),
        pytest.param(
            {"push": parcel_flags(error=Parcel.filled_error)},
            f"push flags error Parcel.filled_error must be nullable: {NO_FLAG}",
            id="error not nullable",
        ),
        pytest.param(
            {"push": parcel_flags(time=Parcel.coarse_time)},
            "push flags time Parcel.coarse_time must store microseconds, which the order of records needs",
            id="time in milliseconds",
        ),
        pytest.param(
            {"push": push(flags=Parcel.time)},
            "push flags must be Flags(time, success, error), not Parcel.time",
            id="flags not given as Flags",
        ),
    ],
)
def test_an_unsuitable_column_is_reported_with_the_reason(changes: dict[str, Any], problem: str) -> None:
    assert problems(protocols=[parcel(**changes)]) == [f"protocol 'parcel': {problem}"]


def test_a_synonym_is_not_a_column() -> None:
    (problem,) = problems(protocols=[parcel(id=Parcel.nickname)])
    assert problem.startswith("protocol 'parcel': id must be a column of Parcel, not ")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        pytest.param(
            {"send": 5}, "must be a function of (record, node), not 5; post(...) makes one", id="a number"
        ),
        pytest.param(
            {"send": [], "batch_size": 2},
            "must be a function of (records, node), not []; post(...) makes one",
            id="a list",
        ),
        pytest.param(
            {"send": get("/p", into={})}, "needs post(...) or a function, not get(...)", id="get in a push"
        ),
        pytest.param(
            {"send": take_record},
            "take_record cannot be called with (record, node): too many positional arguments; "
            "post(...) makes one",
            id="a function of one parameter",
        ),
        pytest.param({"send": send_later}, f"send_later {LATER}; post(...) makes one", id="async"),
        pytest.param({"send": send_lazily}, f"send_lazily {LATER}; post(...) makes one", id="a generator"),
        pytest.param(
            {"send": send_lazily_later},
            f"send_lazily_later {LATER}; post(...) makes one",
            id="an async generator",
        ),
        pytest.param(
            {"send": AsyncSender()}, f"AsyncSender() {LATER}; post(...) makes one", id="an async object"
        ),
        pytest.param(
            {"send": post("push")},
            "endpoint must be a path that starts with '/', not 'push'",
            id="no leading slash",
        ),
        pytest.param(
            {"send": post(NO_PATH)},
            "endpoint must be a path that starts with '/', not None",
            id="no path",
        ),
        pytest.param(
            {"send": post("/p", batch_size=5), "batch_size": 5},
            "has two values of batch_size; give it to post(...) only",
            id="two batch sizes",
        ),
        pytest.param(
            {"send": post("/p", batch_size=0)},
            "batch_size must be a whole number of at least 1, not 0",
            id="batch of 0",
        ),
        pytest.param(
            {"send": send_one, "batch_size": -1},
            "batch_size must be a whole number of at least 1, not -1",
            id="batch of -1",
        ),
        pytest.param(
            {"send": send_one, "batch_size": 2.5},
            "batch_size must be a whole number of at least 1, not 2.5",
            id="batch of 2.5",
        ),
        pytest.param(
            {"send": send_one, "batch_size": True},
            "batch_size must be a whole number of at least 1, not True",
            id="batch of True",
        ),
        pytest.param(
            {"send": post("/p", "api_key")},
            "name 'api_key' is reserved for the api key of the request; choose another name",
            id="the reserved name",
        ),
        pytest.param(
            {"send": post("/p", "")},
            "name must be a string that is not empty, not ''",
            id="an empty name",
        ),
        pytest.param(
            {"send": post("/p", payload={})},  # type: ignore[arg-type]
            "payload must be a function of (record), not {}",
            id="payload a dict",
        ),
        pytest.param(
            {"send": post("/p", payload=send_one)},  # type: ignore[arg-type]
            "payload send_one cannot be called with (record): missing a required argument: 'node'",
            id="payload a function of two parameters",
        ),
    ],
)
def test_a_push_that_cannot_work_is_reported(changes: dict[str, Any], problem: str) -> None:
    assert protocol_problems(push=push(**changes)) == [f"push {problem}"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        pytest.param({"status": "status"}, "pull status endpoint must be a path that starts with '/', not 'status'", id="status without a leading slash"),
        pytest.param({"status": None}, "pull status endpoint must be a path that starts with '/', not None", id="no status"),
        pytest.param({"fetch": post("/p")}, "pull needs get(...) or a function, not post(...)", id="post in a pull"),
        pytest.param({"fetch": None}, "pull must be a function of (record, node), not None; get(...) makes one", id="no fetch"),
        pytest.param({"fetch": send_later}, f"pull send_later {LATER}; get(...) makes one", id="async"),
        pytest.param({"fetch": get("p", into={})}, "pull endpoint must be a path that starts with '/', not 'p'", id="no leading slash"),
        pytest.param({"fetch": get("/p", into={}, batch_size=0)}, "pull batch_size must be a whole number of at least 1, not 0", id="batch of 0"),
        pytest.param(
            {"fetch": get("/p", into={}), "batch_size": 5},
            "pull has two values of batch_size; give it to get(...) only",
            id="two batch sizes",
        ),
        pytest.param(
            {"fetch": get("/p", into=None)},  # type: ignore[arg-type]
            "pull into must be a dict from keys of a result to columns, not None",
            id="into None",
        ),
        pytest.param(
            {"fetch": get("/p", into={"s": "score"})},  # type: ignore[dict-item]
            "pull into['s'] must be a column of Order, not 'score'",
            id="into a string",
        ),
        pytest.param(
            {"fetch": get("/p", into={"s": Shop.size})},
            "pull into['s'] is Shop.size, which is not a column of Order",
            id="into a column of another class",
        ),
        pytest.param(
            {"fetch": get("/p", into={1: Order.score})},  # type: ignore[dict-item]
            "pull into[1] can never be found: the keys of a result are strings",
            id="a key that is not a string",
        ),
        pytest.param(
            {"fetch": get("/p", into={"a": Order.score, "b": Order.score})},
            "pull into['b'] would write Order.score, which pull into['a'] writes too",
            id="two results into one column",
        ),
        pytest.param(
            {"fetch": get("/p", into={"a": Order.push_error})},
            "pull into['a'] would write Order.push_error, which is the push flag error",
            id="into a flag",
        ),
        pytest.param(
            {"fetch": get("/p", into={"a": Order.id})},
            "pull into['a'] would write Order.id, which is the id",
            id="into the id",
        ),
        pytest.param(
            {"fetch": get("/p", into={"a": Order.at})},
            "pull into['a'] would write Order.at, which is the sort column",
            id="into the sort column",
        ),
        pytest.param({"flags": None}, "pull flags must be Flags(time, success, error), not None", id="no flags"),
        pytest.param(
            {"flags": Flags(Order.pull_time, Order.pull_success, Order.shop_id)},
            "pull flags error Order.shop_id has the type int; it must be str",
            id="a flag of another type",
        ),
    ],
)  # fmt: skip
def test_a_pull_that_cannot_work_is_reported(changes: dict[str, Any], problem: str) -> None:
    assert protocol_problems(pull=pull(**changes)) == [problem]


def test_one_column_must_not_be_two_flags() -> None:
    mixed = pull(flags=Flags(Order.push_time, Order.pull_success, Order.push_error))
    assert protocol_problems(pull=mixed) == [
        f"Order.push_{part} is both protocol 'order' push flag {part} and protocol 'order' pull flag {part}; "
        "each flag needs its own column"
        for part in ("time", "error")
    ]


def test_two_protocols_must_not_share_flags() -> None:
    found = problems(protocols=[protocol("a", pull=None), protocol("b", pull=None)])
    assert found == [
        f"Order.push_{part} is both protocol 'a' push flag {part} and protocol 'b' push flag {part}; "
        "each flag needs its own column"
        for part in ("time", "success", "error")
    ]


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
        "\n  - protocol 'an order': push name 'api_key' is reserved for the api key of the request; choose another name"
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
