"""The owner path from a record to its entity, as declared by the user."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Column, ForeignKey, ForeignKeyConstraint, Integer, String, Table, UniqueConstraint
from sqlalchemy.orm import foreign, mapped_column, relationship, remote

from tests.domain.schemas import declare, entity, new_base, path, problems, record, serve, to


@pytest.fixture
def base() -> Any:
    return new_base()


def two_hops(base: Any) -> tuple[Any, Any, Any]:
    shop = entity(base)
    till = declare(base, "Till", shop_id=to("shop.id"), shop=relationship(shop))
    order = record(
        base,
        till_id=to("till.id"),
        till=relationship(till),
        shop_id=to("shop.id"),
        shop=relationship(shop),
    )
    return shop, till, order


@pytest.mark.parametrize("first", ["till", "till_id"])
@pytest.mark.parametrize("second", ["shop", "shop_id"])
def test_a_path_may_mix_relationships_and_foreign_keys(base: Any, first: str, second: str) -> None:
    shop, till, order = two_hops(base)
    owner = [getattr(order, first), getattr(till, second)]
    assert path(order, shop, owner) == ["order.till_id = till.id", "till.shop_id = shop.id"]
    assert path(order, shop, tuple(owner)) == ["order.till_id = till.id", "till.shop_id = shop.id"]


@pytest.mark.parametrize("hop", ["shop", "shop_id"])
def test_a_single_hop_needs_no_list(base: Any, hop: str) -> None:
    shop, _, order = two_hops(base)
    assert path(order, shop, getattr(order, hop)) == ["order.shop_id = shop.id"]


def test_a_path_may_visit_a_table_twice(base: Any) -> None:
    shop = entity(base)
    order = record(base, shop_id=to("shop.id"), parent_id=to("order.id"))
    order.parent = relationship(order, remote_side=order.id)
    steps = ["order.parent_id = order.id", "order.shop_id = shop.id"]
    assert path(order, shop, [order.parent, order.shop_id]) == steps
    assert path(order, shop, [order.parent_id, order.shop_id]) == steps


def test_the_owner_may_be_the_parent_in_the_same_table(base: Any) -> None:
    shop = record(base, "Shop", node=mapped_column(String(50)), parent_id=to("shop.id"))
    assert path(shop, shop) == []
    assert path(shop, shop, owner=shop.parent_id) == ["shop.parent_id = shop.id"]


def test_a_relationship_without_a_foreign_key_is_valid(base: Any) -> None:
    shop = entity(base, code=mapped_column(String(9), unique=True))
    order = record(base, shop_code=mapped_column(String(9)))
    order.shop = relationship(shop, primaryjoin=foreign(order.shop_code) == shop.code)
    order.seen_shop = relationship(
        shop, primaryjoin=remote(shop.code) == foreign(order.shop_code), viewonly=True
    )
    assert path(order, shop, order.shop) == ["order.shop_code = shop.code"]
    assert path(order, shop, order.seen_shop) == ["order.shop_code = shop.code"]


def test_a_key_of_two_columns_without_a_foreign_key_is_valid(base: Any) -> None:
    shop = entity(
        base,
        country=mapped_column(String(2)),
        code=mapped_column(String(9)),
        args=(UniqueConstraint("country", "code"),),
    )
    order = record(base, shop_country=mapped_column(String(2)), shop_code=mapped_column(String(9)))
    order.shop = relationship(
        shop,
        primaryjoin=(foreign(order.shop_country) == shop.country) & (foreign(order.shop_code) == shop.code),
    )
    assert path(order, shop, order.shop) == ["order.shop_country = shop.country, order.shop_code = shop.code"]


def test_the_target_of_a_foreign_key_need_not_be_declared_unique(base: Any) -> None:
    shop = entity(base, code=mapped_column(String(9)))
    order = record(base, shop_code=to("shop.code"), shop=relationship(shop))
    assert path(order, shop, order.shop) == ["order.shop_code = shop.code"]


def join(base: Any, condition: Any) -> list[str]:
    """The problems if orders are joined to shops by this condition."""
    shop = entity(base, code=mapped_column(String(9)), open=mapped_column(Integer))
    order = record(base, shop_code=mapped_column(String(9)), shop_id=mapped_column(Integer))
    order.shop = relationship(shop, primaryjoin=lambda: condition(order, shop), viewonly=True)
    return problems(order, shop, order.shop)


@pytest.mark.parametrize(
    "condition",
    [
        pytest.param(lambda o, s: (foreign(o.shop_id) == s.id) & (s.open == 1), id="one more condition"),
        pytest.param(lambda o, s: (foreign(o.shop_id) == s.id) | (foreign(o.shop_code) == s.code), id="or"),
        pytest.param(lambda o, s: foreign(o.shop_id) >= remote(s.id), id="greater or equal"),
        pytest.param(lambda o, s: foreign(o.shop_id) == remote(s.id) + 1, id="arithmetic"),
        pytest.param(lambda o, s: foreign(o.shop_code).like(remote(s.code)), id="like"),
    ],
)
def test_a_join_that_is_not_an_equality_of_columns_is_refused(base: Any, condition: Any) -> None:
    assert join(base, condition) == [
        "owner hop Order.shop must join to one table by equality of columns only"
    ]


def test_a_join_that_could_find_two_owners_is_refused(base: Any) -> None:
    assert join(base, lambda o, s: foreign(o.shop_code) == remote(s.code)) == [
        (
            "owner hop Order.shop joins to code of shop, which is neither the primary key nor declared unique; "
            "it must lead to one row"
        )
    ]


def test_a_join_by_half_of_a_key_is_refused(base: Any) -> None:
    till = declare(base, "Till", shop_id=to("shop.id", primary_key=True))
    shop = entity(base)
    order = record(
        base,
        till_id=mapped_column(Integer),
        till_shop_id=mapped_column(Integer),
        args=(ForeignKeyConstraint(["till_id", "till_shop_id"], ["till.id", "till.shop_id"]),),
    )
    order.till = relationship(till, primaryjoin=foreign(order.till_id) == till.id, viewonly=True)
    (problem,) = problems(order, shop, [order.till, till.shop_id])
    assert problem.startswith(
        "owner hop Order.till joins to id of till, which is neither the primary key nor"
    )


def test_one_to_many_is_refused(base: Any) -> None:
    order = record(base)
    shop = entity(base, order_id=to("order.id"))
    order.shops = relationship(shop)
    assert problems(order, shop, order.shops) == [
        "owner hop Order.shops leads to many rows; it must lead to one"
    ]


def test_many_to_many_is_refused(base: Any) -> None:
    order, shop = record(base), entity(base)
    links = Table(
        "link",
        base.metadata,
        Column("order_id", ForeignKey("order.id")),
        Column("shop_id", ForeignKey("shop.id")),
    )
    order.shops = relationship(shop, secondary=links)
    assert problems(order, shop, [order.shops]) == [
        "owner hop Order.shops leads to many rows; it must lead to one"
    ]


@pytest.mark.parametrize(
    ("owner", "problem"),
    [
        pytest.param(
            lambda o, t, s: [],
            "the owner path ends at order, not at Shop (shop)",
            id="no hop",
        ),
        pytest.param(
            lambda o, t, s: [o.till],
            "the owner path ends at till, not at Shop (shop)",
            id="ends too early",
        ),
        pytest.param(
            lambda o, t, s: [t.shop],
            "owner hop Till.shop does not start at order, where the previous hop ends",
            id="starts at another table",
        ),
        pytest.param(
            lambda o, t, s: [o.till_id, o.shop],
            "owner hop Order.shop does not start at till, where the previous hop ends",
            id="second hop starts at another table",
        ),
        pytest.param(
            lambda o, t, s: [o.shop, s.node],
            "owner hop Shop.node has no foreign key",
            id="a column without foreign key",
        ),
        pytest.param(
            lambda o, t, s: "till",
            "owner holds 'till', which is neither a relationship nor a foreign key column",
            id="a string",
        ),
        pytest.param(
            lambda o, t, s: [o.till, "shop"],
            "owner holds 'shop', which is neither a relationship nor a foreign key column",
            id="a string among hops",
        ),
        pytest.param(
            lambda o, t, s: [o],
            "owner holds <class 'tests.domain.schemas.Order'>, "
            "which is neither a relationship nor a foreign key column",
            id="a class",
        ),
    ],
)
def test_a_broken_path_is_reported_with_the_wrong_hop(base: Any, owner: Any, problem: str) -> None:
    shop, till, order = two_hops(base)
    assert problems(order, shop, owner(order, till, shop)) == [problem]


def test_a_column_with_two_foreign_keys_is_ambiguous_as_a_hop(base: Any) -> None:
    declare(base, "Warehouse")
    shop = entity(base)
    place = mapped_column(Integer, ForeignKey("shop.id"), ForeignKey("warehouse.id"))
    order = record(base, place_id=place)
    assert path(order, shop) == ["order.place_id = shop.id"]
    assert problems(order, shop, order.place_id) == [
        "owner hop Order.place_id has 2 foreign keys; use a relationship"
    ]


def test_the_protocol_has_the_path(base: Any) -> None:
    shop, order = entity(base), record(base, shop_id=to("shop.id"))
    (hop,) = serve(order, shop).protocols[0].path
    assert hop.table is shop.__table__
    assert hop.pairs == ((order.__table__.c.shop_id, shop.__table__.c.id),)
