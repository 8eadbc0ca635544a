"""A miniature SaaS for tests: shops are assigned, their orders are pushed. Names of columns are reserved words."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import DateTime, Engine, ForeignKey, String, insert, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from tests.support.flag_columns import Pulled, pull_flags_of, push_flags_of
from workmesh_flows import Mesh, Protocol, Pull, Push, RoundRobin, Service, get, post
from workmesh_flows.domain.criteria import Criterion

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Base(DeclarativeBase):
    pass


class Shop(Base):
    __tablename__ = "Shop"
    id: Mapped[int] = mapped_column("ShopId", primary_key=True, autoincrement=False)
    size: Mapped[int] = mapped_column(default=1)
    node: Mapped[str | None] = mapped_column("order", String(50))


class Order(Pulled, Base):
    __tablename__ = "select"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    shop_id: Mapped[int | None] = mapped_column("Group", ForeignKey("Shop.ShopId"))
    at: Mapped[datetime] = mapped_column("where", DateTime(timezone=True))
    text: Mapped[str] = mapped_column(String(200), default="an order")
    shop: Mapped[Shop | None] = relationship()


PUSH_FLAGS = push_flags_of(Order)
PULL_FLAGS = pull_flags_of(Order)


def shop_service(
    *,
    push: Push | None = None,
    pull: Pull | None = None,
    batch_size: int | None = 10,
    criterion: Criterion | None = None,
) -> Service:
    """The service over orders, with batches of ten by default."""
    send = post(
        "/api/1.0/order/push.json", "order" if batch_size is None else "orders", batch_size=batch_size
    )
    fetch = get("/api/1.0/order/pull.json", into={"score": Order.score}, batch_size=10)
    return Service(
        "shop.orders",
        entity=Shop,
        assigned_to=Shop.node,
        criterion=criterion or RoundRobin(),
        protocols=[
            Protocol(
                "order",
                record=Order,
                id=Order.id,
                sort=Order.at,
                push=push or Push(send, flags=PUSH_FLAGS),
                pull=pull or Pull("/api/1.0/order/status.json", fetch, flags=PULL_FLAGS),
            )
        ],
    )


def shop_mesh(**more: Any) -> Mesh:
    return Mesh([shop_service(**more)])


def write_shops(engine: Engine, nodes: Iterable[str | None]) -> None:
    """Write shops 1, 2, 3, ... with their nodes."""
    Base.metadata.create_all(engine)
    rows = [{"id": number, "size": number, "node": node} for number, node in enumerate(nodes, start=1)]
    with Session(engine) as session:
        session.execute(insert(Shop), rows)
        session.commit()


def write_orders(engine: Engine, shops: Iterable[int | None], *, first: int = 1) -> None:
    """Write orders first, first + 1, ... of these shops, one second apart."""
    rows = [
        {"id": number, "shop_id": shop, "at": START + timedelta(seconds=number), "text": f"order {number}"}
        for number, shop in enumerate(shops, start=first)
    ]
    with Session(engine) as session:
        session.execute(insert(Order), rows)
        session.commit()


def orders(engine: Engine) -> dict[int, Order]:
    """All orders by id, as currently stored."""
    with Session(engine, expire_on_commit=False) as session:
        return {order.id: order for order in session.scalars(select(Order).order_by(Order.id))}


def with_push_success(engine: Engine, value: bool | None) -> list[int]:
    """The ids of orders with this push success, in order."""
    return sorted(number for number, order in orders(engine).items() if order.push_success is value)
