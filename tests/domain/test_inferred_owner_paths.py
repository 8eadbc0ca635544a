"""The owner path from a record to its entity, inferred from foreign keys."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Column, ForeignKey, ForeignKeyConstraint, Integer, String
from sqlalchemy.orm import mapped_column, relationship

from tests.domain.schemas import declare, entity, new_base, path, problems, record, to


@pytest.fixture
def base() -> Any:
    return new_base()


def test_a_record_that_is_the_entity_needs_no_hop(base: Any) -> None:
    shop = record(base, "Shop", node=mapped_column(String(50)))
    assert path(shop, shop) == []
    assert path(shop, shop, owner=[]) == []


@pytest.mark.parametrize("nullable", [True, False])
def test_one_hop_is_found(base: Any, nullable: bool) -> None:
    shop, order = entity(base), record(base, shop_id=to("shop.id", nullable=nullable))
    assert path(order, shop) == ["order.shop_id = shop.id"]


def test_two_and_three_hops_are_found(base: Any) -> None:
    shop = entity(base)
    declare(base, "Till", shop_id=to("shop.id"))
    order = record(base, till_id=to("till.id"))
    line = record(base, "Line", order_id=to("order.id"))
    assert path(order, shop) == ["order.till_id = till.id", "till.shop_id = shop.id"]
    assert path(line, shop) == [
        "line.order_id = order.id",
        "order.till_id = till.id",
        "till.shop_id = shop.id",
    ]


def test_foreign_keys_to_other_tables_are_ignored(base: Any) -> None:
    shop = entity(base, owner_id=to("person.id"))
    declare(base, "Person", friend_id=to("person.id"))
    order = record(base, buyer_id=to("person.id"), shop_id=to("shop.id"), parent_id=to("order.id"))
    assert path(order, shop) == ["order.shop_id = shop.id"]


def test_a_cycle_of_foreign_keys_gives_one_path(base: Any) -> None:
    shop = entity(base, best_order_id=to("order.id"))
    declare(base, "Till", shop_id=to("shop.id"), last_order_id=to("order.id"))
    order = record(base, till_id=to("till.id"))
    assert path(order, shop) == ["order.till_id = till.id", "till.shop_id = shop.id"]


def test_a_foreign_key_of_two_columns_is_one_hop(base: Any) -> None:
    till = declare(base, "Till", shop_id=to("shop.id", primary_key=True))
    shop = entity(base)
    order = record(
        base,
        till_id=mapped_column(Integer),
        till_shop_id=mapped_column(Integer),
        till=relationship(till),
        args=(ForeignKeyConstraint(["till_id", "till_shop_id"], ["till.id", "till.shop_id"]),),
    )
    both = ["order.till_id = till.id, order.till_shop_id = till.shop_id", "till.shop_id = shop.id"]
    assert path(order, shop) == both
    assert path(order, shop, owner=[order.till_shop_id, till.shop_id]) == both
    assert path(order, shop, owner=[order.till, till.shop_id]) == both


def test_a_missing_path_is_reported_with_the_argument_to_give(base: Any) -> None:
    assert problems(record(base), entity(base)) == [
        "no foreign keys lead from order to shop; give owner=[...], a list of relationships or foreign key columns"
    ]


def test_two_paths_are_both_listed(base: Any) -> None:
    shop = entity(base)
    order = record(base, seller_id=to("shop.id"), buyer_id=to("shop.id"))
    assert problems(order, shop) == [
        "foreign keys lead to shop in 2 ways (order.buyer_id; order.seller_id); choose one with owner=[...]"
    ]


def test_paths_of_several_hops_are_listed_hop_by_hop(base: Any) -> None:
    shop = entity(base)
    declare(base, "Till", shop_id=to("shop.id"))
    order = record(base, shop_id=to("shop.id"), till_id=to("till.id"))
    assert problems(order, shop) == [
        (
            "foreign keys lead to shop in 2 ways (order.shop_id; order.till_id > till.shop_id); "
            "choose one with owner=[...]"
        )
    ]


def test_only_five_of_many_paths_are_listed(base: Any) -> None:
    shop = entity(base)
    order = record(base, **{f"shop_{letter}": to("shop.id") for letter in "abcdefgh"})
    assert problems(order, shop) == [
        (
            "foreign keys lead to shop in over 5 ways "
            "(order.shop_a; order.shop_b; order.shop_c; order.shop_d; order.shop_e; ...); choose one with owner=[...]"
        )
    ]


@pytest.mark.parametrize("joined", [True, False], ids=["and the entity", "but not the entity"])
def test_the_search_ends_soon_in_a_dense_graph_of_foreign_keys(base: Any, joined: bool) -> None:
    names = [f"t{number}" for number in range(25)]
    for name in names:
        declare(base, name, **{f"{other}_id": to(f"{other}.id") for other in names})
    shop = entity(base)
    order = record(base, first=to("t0.id"))
    if joined:
        base.metadata.tables["t24"].append_column(Column("shop_id", ForeignKey("shop.id")))
    (problem,) = problems(order, shop)
    assert problem.startswith(
        "foreign keys lead to shop in over 5 ways" if joined else "no foreign keys lead"
    )


def test_a_foreign_key_to_an_undeclared_table_is_ignored(base: Any) -> None:
    shop = entity(base)
    order = record(base, region_id=to("region.id"), shop_id=to("shop.id"))
    assert path(order, shop) == ["order.shop_id = shop.id"]


def test_a_hop_to_an_undeclared_table_is_refused(base: Any) -> None:
    order = record(base, region_id=to("region.id"))
    (problem,) = problems(order, entity(base), owner=order.region_id)
    assert problem.startswith("owner hop Order.region_id refers to an unknown table: ")
    assert "could not find table 'region'" in problem


def test_foreign_keys_between_two_registries_are_found() -> None:
    one, other = new_base(), new_base()
    shop = entity(one)
    order = record(other, shop_id=to(shop.__table__.c.id), shop=relationship(shop))
    assert path(order, shop) == ["order.shop_id = shop.id"]
    assert path(order, shop, owner=order.shop) == ["order.shop_id = shop.id"]
