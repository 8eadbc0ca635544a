"""Old rows in each of the Workmesh tables, of the shop and of a service of another mesh."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, insert, update
from sqlalchemy.orm import Session

from tests.support.shop import START, Order, write_orders, write_shops
from workmesh_flows.adapters.store.schema import (
    failure_marks,
    former_pushes,
    lanes,
    missing,
    moves,
    parked,
    plans,
)

S = "shop.orders"
KEY = {"service": S, "protocol": "order"}
BEFORE = START + timedelta(days=30)
"""What the tests prune is older than this."""
OLD, NEW = START, BEFORE + timedelta(days=1)


def add(engine: Engine, table: Any, *rows: dict[str, Any]) -> None:
    with engine.begin() as connection:
        for row in rows:
            connection.execute(insert(table).values(**row))


def move(entity: int | str, source: str, target: str, at: datetime = OLD, service: str = S) -> dict[str, Any]:
    return {
        "service": service,
        "entity": str(entity),
        "source": source,
        "target": target,
        "why": "a test",
        "moved_at": at,
        "epoch": 1,
    }


def plan(name: str, state: str = "planned", at: datetime = OLD, service: str = S) -> dict[str, Any]:
    return {
        "id": name,
        "service": service,
        "kind": "drain",
        "state": state,
        "planned_at": at,
        "body": "{}",
    }


def left(node: str, record: int, at: datetime = OLD) -> dict[str, Any]:
    """A former push, or a missing record."""
    return KEY | {"node": node, "record": str(record), "push_time": at}


def skipped(record: int, at: datetime = OLD, state: str = "skipped") -> dict[str, Any]:
    return KEY | {
        "record": str(record),
        "owner": "1",
        "state": state,
        "attempts": 5,
        "reason": "bad",
        "since": at,
    }


def lane(node: str, direction: str = "push", **more: Any) -> dict[str, Any]:
    return KEY | {"node": node, "direction": direction, "epoch": 3} | more


def flag(
    engine: Engine, record: int, *, pushed: bool | None, pulled: bool | None, at: datetime = OLD
) -> None:
    with Session(engine) as session:
        row = update(Order).where(Order.id == record)
        session.execute(
            row.values(
                push_success=pushed, push_time=at, pull_success=pulled, pull_time=at if pulled else None
            )
        )
        session.commit()


def write_history(engine: Engine) -> None:
    """Shop 1 at n1 with orders 1 to 3, of which 1 and 2 are pulled; rows that a prune deletes, and others, in each table."""
    write_shops(engine, ["n1"])
    write_orders(engine, [1, 1, 1])
    for record in (1, 2):
        flag(engine, record, pushed=True, pulled=True)
    add(
        engine,
        moves,
        move(1, "n2", "n3"),
        move(1, "n3", "n2"),
        move(1, "n2", "n1"),
        move(7, "n2", "n1"),  # shop 7 is deleted
        move(1, "n1", "n1", NEW),
        move(1, "n2", "n3", service="others"),
        move(1, "n2", "n3", service="others"),
    )
    add(
        engine,
        plans,
        plan("planned"),
        plan("applied", "applied"),
        plan("started", "applying"),
        plan("new", at=NEW),
        plan("of others", service="others"),
    )
    add(engine, former_pushes, left("gone", 1), left("gone", 3), left("gone", 9), left("gone", 2, NEW))
    add(engine, missing, left("gone", 1), left("gone", 3), left("gone", 9), left("gone", 2, NEW))
    add(engine, parked, skipped(3), skipped(9), skipped(8, NEW), skipped(10, state="parked"))
    add(
        engine,
        lanes,
        lane("gone", last_push_time=OLD),
        lane("gone", "pull", latest_time=OLD, latest_id="2"),
        lane("n1", last_push_time=OLD),
    )
    add(engine, failure_marks, KEY | {"node": "gone", "mark": "7"})
