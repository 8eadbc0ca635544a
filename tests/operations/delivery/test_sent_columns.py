"""Records whose columns have other names than their attributes, or values without a JSON form."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import DateTime, Engine, ForeignKey, Integer, PickleType, TypeDecorator, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from tests.operations.delivery.lane_runs import as_node, order_node, pull, push, push_stops
from tests.support.counts import Counts, counts
from tests.support.flag_columns import Pulled, pull_flags_of, push_flags_of
from tests.support.scripted_node import scripted_node, success
from workmesh_flows import Mesh, Protocol, Pull, Push, Service, get, post
from workmesh_flows.operations.check import check_mesh

AT = datetime(2026, 3, 1, tzinfo=UTC)


class Base(DeclarativeBase):
    pass


class Firm(Base):
    __tablename__ = "firm"
    firm_id: Mapped[int] = mapped_column(primary_key=True)
    node: Mapped[str | None]


class Money:
    def __init__(self, cents: int) -> None:
        self.cents = cents


class MoneyType(TypeDecorator[Money]):
    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        return value and value.cents

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        return None if value is None else Money(value)


class Order(Pulled, Base):
    __tablename__ = "order"
    number: Mapped[int] = mapped_column("ORDER_NO", primary_key=True)
    firm_id: Mapped[int] = mapped_column("FK_FIRM", ForeignKey("firm.firm_id"))
    at: Mapped[datetime] = mapped_column("dtCreated", DateTime(timezone=True))
    text: Mapped[str] = mapped_column("cText", default="x")
    price: Mapped[Money | None] = mapped_column(MoneyType)
    anything: Mapped[Any] = mapped_column(PickleType, nullable=True)
    score: Mapped[int | None] = mapped_column("nScore")


def service(**options: Any) -> Service:
    protocol = Protocol(
        "order",
        record=Order,
        id=Order.number,
        sort=Order.at,
        push=Push(
            post("/api/1.0/order/push.json", "orders", batch_size=10, **options),
            flags=push_flags_of(Order),
            max_attempts=1,
        ),
        pull=Pull(
            "/api/1.0/order/status.json",
            get("/api/1.0/order/pull.json", into={"score": Order.score}),
            flags=pull_flags_of(Order),
        ),
    )
    return Service("shop.orders", entity=Firm, assigned_to=Firm.node, protocols=[protocol])


def write(engine: Engine, *orders: Order) -> None:
    Base.metadata.create_all(engine)
    with Session(engine) as session, session.begin():
        session.add(Firm(firm_id=1, node="n1"))
        session.flush()
        session.add_all(orders)


def orders(engine: Engine) -> list[Order]:
    with Session(engine, expire_on_commit=False) as session:
        return list(session.scalars(select(Order).order_by(Order.number)))


def order(number: int, **more: Any) -> Order:
    return Order(number=number, firm_id=1, at=AT, **more)


def test_a_record_whose_key_has_another_name_is_processed_by_a_node_that_expects_an_id(
    engine: Engine, tmp_path: Path
) -> None:
    write(engine, order(1), order(2))
    with order_node(tmp_path) as process:
        assert counts(push(engine, service(), as_node(process))) == Counts(pushed=2)
        sent = process.arrivals()[0].record
        while not all(arrival.processed_at for arrival in process.arrivals()):
            pass
        assert counts(pull(engine, service(), as_node(process))) == Counts(pulled=2)
    assert sent == {
        "id": 1,
        "number": 1,
        "firm_id": 1,
        "at": "2026-03-01T00:00:00+00:00",
        "text": "x",
        "price": None,
        "anything": None,
    }
    assert [one.score for one in orders(engine)] == [10, 20]


def test_a_column_without_a_json_form_stops_the_lane_and_flags_no_record(engine: Engine) -> None:
    write(engine, order(1), order(2, price=Money(500)))
    with scripted_node(lambda asked: success()) as node:
        stop = push_stops(engine, service(), node.node())
        assert (
            "push sends Order.price, whose values are Money, which has no JSON form; give post(..., p"
            in str(stop)
        )
        assert [one.push_success for one in orders(engine)] == [None, None]
        payload = service(payload=lambda one: {"id": one.number, "cents": one.price and one.price.cents})
        assert counts(push(engine, payload, node.node())) == Counts(pushed=2)
        assert node.asked[-1].body["orders"][1] == {"id": 2, "cents": 500}


def test_one_value_without_a_json_form_refuses_its_record(engine: Engine) -> None:
    write(engine, order(1, anything={"a": 1}), order(2, anything=1 + 2j))
    with scripted_node(lambda asked: success()) as node:
        assert counts(push(engine, service(), node.node())) == Counts(pushed=1, parked=1)


@pytest.mark.parametrize("price", [None, Money(500)])
def test_the_check_finds_a_column_without_a_json_form(engine: Engine, price: Money | None) -> None:
    write(engine, order(1, price=price))
    found = [str(finding) for finding in check_mesh(engine, Mesh([service()])) if "JSON" in str(finding)]
    assert len(found) == (price is not None)
    assert all("push sends Order.price, whose values are Money" in text for text in found)
