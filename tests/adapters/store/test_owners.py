"""Owners by every kind of path that a declaration may name."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Column,
    Engine,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    String,
    text,
)
from sqlalchemy.orm import foreign, registry, relationship

from tests.adapters.store.paging import ids, pages
from tests.adapters.store.worlds import fill, flag_columns, made_of, make_world, service_of


def test_tables_may_be_in_a_schema(postgresql: Engine) -> None:
    world = make_world("texts", schema="Its Own")
    with postgresql.begin() as connection:
        connection.execute(text('CREATE SCHEMA "Its Own"'))
    world.fill(postgresql, ["n1"], [1], [1, None, 1])
    assert ids(pages(postgresql, world.service, 1)) == [world.key(1), world.key(3)]


def test_a_record_may_be_the_entity_itself(engine: Engine) -> None:
    account: Any = made_of(
        registry().generate_base(),
        "Account",
        id=Column(Integer, primary_key=True),
        node=Column(String(50)),
        at=Column(Integer, nullable=False),
        **flag_columns("push"),
    )
    fill(engine, (account, [{"id": n, "node": "n1" if n % 2 else None, "at": -n} for n in range(1, 6)]))
    service = service_of(account, account)
    read = pages(engine, service, 2)
    assert [(item.id, item.owner) for page in read for item in page] == [(5, 5), (3, 3), (1, 1)]
    assert read[0][0].record == {"id": 5, "node": "n1", "at": -5}


def test_an_owner_by_a_foreign_key_of_two_columns(engine: Engine) -> None:
    base = registry().generate_base()
    shop: Any = made_of(base, "Shop", id=Column(Integer, primary_key=True), node=Column(String(50)))
    desk: Any = made_of(
        base,
        "Desk",
        country=Column(String(2), primary_key=True),
        number=Column(Integer, primary_key=True),
        shop_id=Column(Integer, ForeignKey("shop.id")),
    )
    order: Any = made_of(
        base,
        "Order",
        id=Column(Integer, primary_key=True),
        at=Column(Integer, nullable=False),
        country=Column(String(2)),
        number=Column(Integer),
        __table_args__=(ForeignKeyConstraint(["country", "number"], ["desk.country", "desk.number"]),),
        **flag_columns("push"),
    )
    places = [("de", 1), ("de", 2), ("fr", 1), ("de", None), (None, 1), ("fr", 1)]
    fill(
        engine,
        (shop, [{"id": 1, "node": "n1"}, {"id": 2, "node": "n2"}]),
        (
            desk,
            [
                {"country": c, "number": n, "shop_id": s}
                for c, n, s in (("de", 1, 1), ("de", 2, 2), ("fr", 1, 1))
            ],
        ),
        (order, [{"id": i, "at": 0, "country": c, "number": n} for i, (c, n) in enumerate(places)]),
    )
    service = service_of(shop, order)
    assert ids(pages(engine, service, 2)) == [0, 2, 5]
    assert ids(pages(engine, service, 2, "n2")) == [1]


def test_an_owner_by_a_relationship_that_the_database_does_not_know(engine: Engine) -> None:
    base = registry().generate_base()
    shop: Any = made_of(
        base,
        "Shop",
        id=Column(Integer, primary_key=True),
        code=Column(String(9), unique=True),
        node=Column(String(50)),
    )
    columns = {"id": Column(Integer, primary_key=True), "at": Column(Integer, nullable=False)}
    order: Any = made_of(
        base,
        "Order",
        **columns,
        shop_code=Column("Shop's", String(9)),
        **flag_columns("push"),
        shop=relationship(shop, primaryjoin=lambda: foreign(order.shop_code) == shop.code, viewonly=True),
    )
    fill(
        engine,
        (shop, [{"id": 1, "code": "one", "node": "n1"}]),
        (
            order,
            [{"id": i, "at": 0, "shop_code": code} for i, code in enumerate(["one", "two", None, "one"])],
        ),
    )
    read = pages(engine, service_of(shop, order, order.shop), 1)
    assert [(item.id, item.owner) for page in read for item in page] == [(0, 1), (3, 1)]
