"""Classes mapped to one table are valid with any keys and names; other mappings are refused."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    TypeDecorator,
    Uuid,
    join,
)
from sqlalchemy.ext.declarative import DeferredReflection
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    MappedAsDataclass,
    mapped_column,
    registry,
    relationship,
)

from tests.domain.declarations import protocol_problems, push
from tests.domain.schemas import declare, entity, new_base, path, problems, record, to
from tests.support.shop import Order
from workmesh_flows import Flags


@pytest.fixture
def base() -> Any:
    return new_base()


@pytest.mark.parametrize("kind", [Integer, BigInteger, Uuid, Uuid(as_uuid=False), String(40)], ids=repr)
def test_keys_may_be_of_any_type(base: Any, kind: Any) -> None:
    shop = entity(base, id=mapped_column(kind, primary_key=True))
    order = record(base, id=mapped_column(kind, primary_key=True), shop_id=to("shop.id"))
    assert path(order, shop) == ["order.shop_id = shop.id"]


def test_names_may_be_mixed_case_reserved_or_differ_from_the_attribute(base: Any) -> None:
    shop = entity(
        base,
        table="Group",
        id=mapped_column("ShopId", Integer, primary_key=True),
        node=mapped_column("order", String),
    )
    order = record(
        base,
        table="select",
        id=mapped_column("Key", Integer, primary_key=True),
        at=mapped_column("where", DateTime, nullable=False),
        shop_id=mapped_column("from", ForeignKey("Group.ShopId")),
        push_time=mapped_column("Push Time", DateTime),
    )
    assert path(order, shop) == ["select.from = Group.ShopId"]
    assert path(order, shop, order.shop_id) == ["select.from = Group.ShopId"]


def test_a_column_may_have_another_key_in_its_table(base: Any) -> None:
    shop = entity(base)
    order = record(base, shop_id=mapped_column("Shop Nr", ForeignKey("shop.id"), key="nr"))
    assert path(order, shop) == ["order.Shop Nr = shop.id"]
    assert path(order, shop, order.shop_id) == ["order.Shop Nr = shop.id"]


def test_tables_may_be_in_schemas(base: Any) -> None:
    shop = entity(base, args={"schema": "Sales"})
    order = record(base, args={"schema": "log"}, shop_id=to("Sales.shop.id"), shop=relationship(shop))
    assert path(order, shop) == ["log.order.shop_id = Sales.shop.id"]
    assert path(order, shop, [order.shop]) == ["log.order.shop_id = Sales.shop.id"]


def test_tables_of_one_name_in_two_schemas_are_distinct(base: Any) -> None:
    shop = entity(base, table="thing", args={"schema": "Sales"})
    order = record(base, table="thing")
    assert problems(order, shop) == [
        (
            "no foreign keys lead from thing to Sales.thing; "
            "give owner=[...], a list of relationships or foreign key columns"
        )
    ]
    assert problems(order, shop, owner=[]) == ["the owner path ends at thing, not at Shop (Sales.thing)"]


class Moment(TypeDecorator[datetime]):
    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return value


class YesNo(TypeDecorator[bool]):
    impl = String(1)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return {True: "Y", False: "N", None: None}[value]


def test_columns_may_have_user_defined_types(base: Any) -> None:
    class Code(TypeDecorator[UUID]):
        impl = String(32)
        cache_ok = True

    shop = entity(base, id=mapped_column(Code, primary_key=True))
    order = record(
        base,
        id=mapped_column(Code, primary_key=True),
        at=mapped_column(Moment, nullable=False),
        shop_id=to("shop.id"),
        push_time=mapped_column(Moment),
        push_success=mapped_column(YesNo),
    )
    assert path(order, shop) == ["order.shop_id = shop.id"]


class DataBase(MappedAsDataclass, DeclarativeBase):
    pass


class DataShop(DataBase):
    __tablename__ = "shop"
    id: Mapped[int] = mapped_column(primary_key=True)
    node: Mapped[str | None] = mapped_column(default=None)


class DataOrder(DataBase):
    __tablename__ = "order"
    id: Mapped[int] = mapped_column(primary_key=True)
    shop_id: Mapped[int] = mapped_column(ForeignKey("shop.id"))
    at: Mapped[datetime] = mapped_column(default=datetime(2026, 3, 1, tzinfo=UTC))
    push_time: Mapped[datetime | None] = mapped_column(default=None)
    push_success: Mapped[bool | None] = mapped_column(default=None)
    push_error: Mapped[str | None] = mapped_column(default=None)
    shop: Mapped[DataShop | None] = relationship(default=None)


def test_classes_may_be_mapped_as_dataclasses() -> None:
    assert path(DataOrder, DataShop, DataOrder.shop) == ["order.shop_id = shop.id"]


def test_classes_may_be_mapped_imperatively() -> None:
    mapping, tables = registry(), MetaData()
    shop_table = Table("shop", tables, Column("nr", Integer, primary_key=True), Column("place", String))
    order_table = Table(
        "order",
        tables,
        Column("nr", Integer, primary_key=True),
        Column("shop_nr", ForeignKey("shop.nr")),
        Column("at", DateTime, nullable=False),
        Column("push_time", DateTime),
        Column("push_success", Boolean),
        Column("push_error", String),
    )

    @dataclass
    class Shop:
        id: int
        node: str | None

    @dataclass
    class Order:
        id: int

    mapping.map_imperatively(Shop, shop_table, properties={"id": shop_table.c.nr, "node": shop_table.c.place})
    mapping.map_imperatively(
        Order, order_table, properties={"id": order_table.c.nr, "shop": relationship(Shop)}
    )
    order: Any = Order
    assert path(order, Shop) == ["order.shop_nr = shop.nr"]
    assert path(order, Shop, order.shop) == ["order.shop_nr = shop.nr"]


# Refused mappings

KINDS: dict[str, type] = {}
REFUSED = "is mapped by inheritance or to a join; use a class mapped to one table"


@pytest.mark.parametrize("table", ["special", None], ids=["joined tables", "one table"])
def test_an_entity_mapped_by_inheritance_is_refused(base: Any, table: str | None) -> None:
    shop = entity(
        base,
        kind=mapped_column(String(20)),
        __mapper_args__={"polymorphic_on": "kind", "polymorphic_identity": "shop"},
    )
    own = {} if table is None else {"__tablename__": table, "id": to("shop.id", primary_key=True)}
    special: Any = type("Special", (shop,), {"__mapper_args__": {"polymorphic_identity": "special"}, **own})
    order = record(base, shop_id=to("shop.id"))
    assert problems(order, special) == [f"entity Special {REFUSED}"]
    assert path(order, shop) == ["order.shop_id = shop.id"]


def test_a_record_mapped_by_inheritance_is_refused(base: Any) -> None:
    shop, order = entity(base), record(base, shop_id=to("shop.id"))
    own = {"__tablename__": "gift", "id": to("order.id", primary_key=True)}
    gift: Any = type("Gift", (order,), own)
    assert problems(gift, shop) == [f"record Gift {REFUSED}"]


def test_a_class_mapped_to_a_join_is_refused(base: Any) -> None:
    shop, order = entity(base), record(base, shop_id=to("shop.id"))
    both = join(order.__table__, shop.__table__)
    sold: Any = type("Sold", (), {})
    keys = [order.__table__.c.id, shop.__table__.c.id]
    base.registry.map_imperatively(
        sold, both, primary_key=keys, properties={"order_key": keys[0], "shop_key": keys[1]}
    )
    sold.id = order.id
    assert problems(sold, shop) == [f"record Sold {REFUSED}"]


def test_a_relationship_to_an_unknown_class_is_reported_in_sqlalchemys_words(base: Any) -> None:
    shop = entity(base)
    order = record(base, shop_id=to("shop.id"), buyer=relationship("Buyer"))
    shown, again = problems(order, shop)
    assert shown.startswith("SQLAlchemy cannot configure Shop: ")
    assert again.startswith("SQLAlchemy cannot configure Order: ")
    assert "Buyer" in shown
    assert "\n" not in shown + again


def test_an_error_of_a_relationship_function_is_reported(base: Any) -> None:
    shop = entity(base, friend=relationship(lambda: KINDS["Friend"]))
    order = record(base, shop_id=to("shop.id"))
    shown, _ = problems(order, shop)
    assert shown == "SQLAlchemy cannot configure Shop: 'Friend'"


def test_a_hop_that_sqlalchemy_cannot_configure_is_reported(base: Any) -> None:
    shop, order = entity(base), record(base, shop_id=to("shop.id"))
    stray = declare(new_base(), "Stray", ghost=relationship("Ghost"))
    (problem,) = problems(order, shop, owner=stray.ghost)
    assert problem.startswith("SQLAlchemy cannot configure Stray.ghost: ")


def test_a_class_with_deferred_reflection_is_reported(base: Any) -> None:
    shop: Any = type("Shop", (DeferredReflection, base), {"__tablename__": "shop", "node": None})
    order = record(base)
    (problem,) = problems(order, shop)
    assert problem.startswith(
        "SQLAlchemy cannot configure Shop: Class tests.domain.test_schemas.Shop is a subclass"
    )
    assert ".prepare()" in problem


def test_a_column_of_a_mixin_is_not_a_column_of_the_class() -> None:
    mixin: Any = type("Flagged", (), {"push_time": mapped_column(DateTime)})
    flags = Flags(mixin.push_time, Order.push_success, Order.push_error)
    (problem,) = protocol_problems(push=push(flags=flags))
    assert problem.startswith("push flags time must be a column of Order, not <")
