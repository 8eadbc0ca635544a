"""Small databases of a user, with keys of any type and with names that must be quoted."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Engine,
    ForeignKey,
    Integer,
    MetaData,
    String,
    insert,
)
from sqlalchemy.orm import Session, registry, relationship
from sqlalchemy.types import TypeEngine

from tests.adapters.store.key_types import KEY_TYPES
from workmesh_flows import Flags, Protocol, Pull, Push, Service, get, post

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class World:
    """Accounts, their users, and deliveries to them; ``key`` returns the key of a number."""

    service: Service
    account: type[Any]
    user: type[Any]
    delivery: type[Any]
    key: Callable[[int], Any]
    create: Callable[[Engine], None]

    @property
    def protocol(self) -> Protocol:
        return self.service.protocols[0]

    def fill(
        self,
        engine: Engine,
        nodes: Iterable[str | None],
        users: Iterable[int | None],
        deliveries: Iterable[int | None],
    ) -> None:
        """Accounts 1, 2, ... with their nodes, users with their accounts, deliveries with their users."""
        self.create(engine)

        def of(number: int | None) -> Any:
            return None if number is None else self.key(number)

        with Session(engine) as session:
            for cls, rows in (
                (self.account, [{"id": of(i), "node": node} for i, node in enumerate(nodes, 1)]),
                (self.user, [{"id": of(i), "account_id": of(a)} for i, a in enumerate(users, 1)]),
                (
                    self.delivery,
                    [{"id": of(i), "user_id": of(u), "at": at(i)} for i, u in enumerate(deliveries, 1)],
                ),
            ):
                if rows:
                    session.execute(insert(cls), rows)
            session.commit()


def at(number: float) -> datetime:
    """The time ``number`` seconds after START."""
    return START + timedelta(seconds=number)


def flag_columns(direction: str) -> dict[str, Column[Any]]:
    return {
        f"{direction}_time": Column(f"{direction} Time", DateTime(timezone=True)),
        f"{direction}_success": Column(f"{direction} Success", Boolean),
        f"{direction}_error": Column(f"{direction} Error", String(300)),
    }


def make_world(kind: str = "integers", *, schema: str | None = None) -> World:
    """A delivery is two hops from its account; each name is a reserved word or in mixed case."""
    make_type, key = KEY_TYPES[kind].type, KEY_TYPES[kind].key
    mapping = registry()
    base: Any = mapping.generate_base()
    place = "" if schema is None else f"{schema}."
    arguments = {"__table_args__": {"schema": schema}}
    account: Any = type(
        "Account",
        (base,),
        {
            "__tablename__": "Account",
            **arguments,
            "id": Column("Key", make_type(), primary_key=True, autoincrement=False),
            "node": Column("order", String(50)),
        },
    )
    user: Any = type(
        "User",
        (base,),
        {
            "__tablename__": "user",
            **arguments,
            "id": Column("table", make_type(), primary_key=True, autoincrement=False),
            "account_id": Column("Group", make_type(), ForeignKey(f"{place}Account.Key")),
            "account": relationship("Account"),
        },
    )
    delivery: Any = type(
        "Delivery",
        (base,),
        {
            "__tablename__": "select",
            **arguments,
            "id": Column("Id of it", make_type(), primary_key=True, autoincrement=False),
            "user_id": Column("User", make_type(), ForeignKey(f"{place}user.table")),
            "at": Column("where", DateTime(timezone=True), nullable=False),
            "score": Column("Score%", Integer),
            **flag_columns("push"),
            **flag_columns("pull"),
            "user": relationship("User"),
        },
    )
    service = Service(
        "deliveries",
        entity=account,
        assigned_to=account.node,
        protocols=[
            Protocol(
                "delivery",
                record=delivery,
                id=delivery.id,
                sort=delivery.at,
                push=Push(
                    post("/push.json", batch_size=10),
                    Flags(delivery.push_time, delivery.push_success, delivery.push_error),
                ),
                pull=Pull(
                    "/status.json",
                    get("/pull.json", into={"score": delivery.score}),
                    Flags(delivery.pull_time, delivery.pull_success, delivery.pull_error),
                ),
            )
        ],
    )
    return World(service, account, user, delivery, key, mapping.metadata.create_all)


def make_flat(
    sort: TypeEngine[Any],
    *,
    key: TypeEngine[Any] | None = None,
    shop_key: TypeEngine[Any] | None = None,
    **push: Any,
) -> FlatWorld:
    """Shops and their orders, one hop away: sort and key columns may have any type; ``push`` are fields of Push."""
    mapping = registry()
    base: Any = mapping.generate_base()
    shop: Any = type(
        "Shop",
        (base,),
        {
            "__tablename__": "shop",
            "id": Column(shop_key or Integer(), primary_key=True, autoincrement=False),
            "node": Column(String(50)),
        },
    )
    order: Any = type(
        "Order",
        (base,),
        {
            "__tablename__": "order",
            "id": Column(key or Integer(), primary_key=True, autoincrement=False),
            "shop_id": Column(shop_key or Integer(), ForeignKey("shop.id")),
            "at": Column(sort, nullable=False),
            **flag_columns("push"),
        },
    )
    flags = Flags(order.push_time, order.push_success, order.push_error)
    fields = {"send": post("/push.json", batch_size=10), "flags": flags, **push}
    protocol = Protocol("order", record=order, id=order.id, sort=order.at, push=Push(**fields))
    service = Service("orders", entity=shop, assigned_to=shop.node, protocols=[protocol])
    return FlatWorld(service, shop, order, mapping.metadata)


@dataclass(frozen=True, slots=True)
class FlatWorld:
    """Shops and their orders, as `make_flat` returns them."""

    service: Service
    shop: type[Any]
    order: type[Any]
    metadata: MetaData

    @property
    def protocol(self) -> Protocol:
        return self.service.protocols[0]

    def fill(self, engine: Engine, sorts: Iterable[Any], keys: Iterable[Any] | None = None) -> None:
        """Write one shop of node n1, and its orders 1, 2, ... (or with these keys) with these sort values."""
        self.metadata.create_all(engine)
        values = list(sorts)
        rows = [
            {"id": key, "shop_id": 1, "at": value}
            for key, value in zip(keys or range(1, len(values) + 1), values, strict=True)
        ]
        with Session(engine) as session:
            session.execute(insert(self.shop), [{"id": 1, "node": "n1"}])
            session.execute(insert(self.order), rows)
            session.commit()


def made_of(base: Any, title: str, /, **members: Any) -> Any:
    """A mapped class with these columns and relationships."""
    return type(title, (base,), {"__tablename__": title.lower(), **members})


def service_of(entity: Any, record: Any, owner: Any = None, send: Any = None) -> Service:
    """A service with one protocol, over classes whose columns have the usual names."""
    push = Push(
        send or post("/push.json", batch_size=10),
        Flags(record.push_time, record.push_success, record.push_error),
    )
    protocol = Protocol("p", record=record, id=record.id, sort=record.at, owner=owner, push=push)
    return Service("s", entity=entity, assigned_to=entity.node, protocols=[protocol])


def fill(engine: Engine, *rows: tuple[Any, list[dict[str, Any]]]) -> None:
    """Create the tables of the classes, and write their rows in this order."""
    rows[0][0].metadata.create_all(engine)
    with Session(engine) as session:
        for cls, values in rows:
            session.execute(insert(cls), values)
        session.commit()
