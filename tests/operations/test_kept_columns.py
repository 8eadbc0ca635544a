"""Columns with ``onupdate`` say when the application changed a row: no statement of Workmesh changes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import DateTime, Engine, ForeignKey, String, event, func, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from tests.operations.delivery.lane_runs import PING, PULL, PUSH, STATUS, pull, push, sent_ids
from tests.operations.moves.movers import moving
from tests.support.flag_columns import Pulled, pull_flags_of, push_flags_of
from tests.support.schema_findings import run
from tests.support.scripted_node import Answer, Asked, failure, scripted_node, success
from workmesh_flows import Mesh, Protocol, Pull, Push, Service, get, post
from workmesh_flows.adapters.store.statements.updates import written_table
from workmesh_flows.domain.node import Inventory
from workmesh_flows.operations.assignment.assign import assign_all
from workmesh_flows.operations.check import Level, check_mesh
from workmesh_flows.operations.moves.reassign import reassign, repush

BEFORE = datetime(2026, 1, 1, tzinfo=UTC)


class Base(DeclarativeBase): ...


class Stamped:
    changed: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), onupdate=lambda: datetime.now(UTC), server_default=func.now()
    )
    changed_by: Mapped[str] = mapped_column(String(20), default="a person", onupdate=func.lower("SOMEBODY"))


class Shop(Stamped, Base):
    __tablename__ = "shop"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    node: Mapped[str | None] = mapped_column(String(50))


class Order(Pulled, Stamped, Base):
    __tablename__ = "order"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    shop_id: Mapped[int] = mapped_column(ForeignKey("shop.id"))


def service(batch_size: int | None = 10) -> Service:
    send = post(PUSH, "order" if batch_size is None else "orders", batch_size=batch_size)
    return Service(
        "shop.orders",
        entity=Shop,
        assigned_to=Shop.node,
        protocols=[
            Protocol(
                "order",
                record=Order,
                id=Order.id,
                sort=Order.changed,
                push=Push(send, push_flags_of(Order)),
                pull=Pull(STATUS, get(PULL, into={"score": Order.score}), pull_flags_of(Order)),
            )
        ],
    )


def write(engine: Engine) -> None:
    """Two shops with three orders each, all changed long ago."""
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all(Shop(id=i, changed=BEFORE) for i in (1, 2))
        session.flush()
        session.add_all(
            Order(id=i, shop_id=1 + i % 2, changed=BEFORE + timedelta(days=i)) for i in range(1, 7)
        )
        session.commit()


def stamps(engine: Engine) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [
            tuple(row)
            for cls in (Shop, Order)
            for row in connection.execute(select(cls.id, cls.changed, cls.changed_by).order_by(cls.id))
        ]


@pytest.mark.parametrize("batch_size", [10, None])
def test_no_operation_changes_a_column_with_onupdate(engine: Engine, batch_size: int | None) -> None:
    write(engine)
    before, one = stamps(engine), service(batch_size)
    refused = {3}

    def script(asked: Asked) -> Answer:
        if asked.path == PUSH:
            orders = asked.body["orders"] if batch_size else [asked.body["order"]]
            return failure("no") if refused & {order["id"] for order in orders} else success()
        if asked.path == STATUS:
            return success(2)
        return success({str(i): {"score": 1} for i in asked.body["ids"]} if asked.path == PULL else 0)

    writes: list[str] = []
    event.listen(
        engine,
        "before_cursor_execute",
        lambda *given: writes.append(given[2]) if given[2].startswith("UPDATE") else None,
    )
    with scripted_node(script) as node, scripted_node() as other:
        nodes = (
            node.node("shop.orders"),
            other.node("shop.orders", name="n2", max_entities={"shop.orders": 0}),
        )
        assign_all(engine, Mesh([one]), Inventory({each.name: each for each in nodes}))
        assert push(engine, one, nodes[0]).refused == 1
        assert push(engine, one, nodes[0]).refused == 1
        refused.clear()
        assert push(engine, one, nodes[0]).pushed == 2
        assert pull(engine, one, nodes[0]).pulled == 2
        nodes = nodes[0], other.node("shop.orders", name="n2")
        repush(moving(engine, one, *nodes), 1)
        reassign(moving(engine, one, *nodes), 2)
    assert stamps(engine) == before
    assert {text.split()[1].strip('"') for text in writes} >= {"shop", "order"}, "the statements were seen"


def test_records_sorted_by_such_a_column_keep_their_order_after_a_refusal(engine: Engine) -> None:
    write(engine)
    run(engine, "UPDATE shop SET node = 'n1'")
    ill = {2}

    def script(asked: Asked) -> Answer:
        bad = asked.path == PUSH and any(order["id"] in ill for order in asked.body["orders"])
        return failure("not now") if bad else success()

    with scripted_node(script) as node:
        push(engine, service(), node.node())
        ill.clear()
        node.asked.clear()
        push(engine, service(), node.node())
    assert sent_ids(node.asked) == [2, 4, 6]
    assert PING in node.paths()


def test_a_column_that_is_written_is_written_although_it_has_onupdate() -> None:
    table = written_table(Order.__table__)  # type: ignore[arg-type]
    text = str(update(table).values({table.c.changed_by: "workmesh", table.c.push_error: "no"}))
    assert text.partition("SET ")[2] == "push_error=:push_error, changed_by=:changed_by"


def test_check_advises_against_a_sort_column_with_onupdate(engine: Engine) -> None:
    write(engine)
    found = [f for f in check_mesh(engine, Mesh([service()])) if "onupdate" in f.what]
    assert [(f.level, f.where) for f in found] == [(Level.ADVICE, "order.changed")]


def notes(engine: Engine) -> list[str]:
    found = check_mesh(engine, Mesh([service()]))
    return [f"{f.where}: {f.what}" for f in found if f.level is Level.NOTE]


def test_check_notes_a_trigger_that_runs_when_flags_are_written(engine: Engine) -> None:
    write(engine)
    assert notes(engine) == []
    if engine.dialect.name == "sqlite":
        body = "BEGIN UPDATE shop SET node = node WHERE false; END"
        run(
            engine,
            f'CREATE TRIGGER touch AFTER UPDATE ON "order" {body}',
            f'CREATE TRIGGER insertion AFTER INSERT ON "order" {body}',
            f'CREATE TRIGGER other AFTER UPDATE OF shop_id ON "order" {body}',
            f'CREATE TRIGGER assigned AFTER UPDATE OF "node", changed ON shop {body}',
        )
    else:
        call = "FOR EACH ROW EXECUTE FUNCTION nothing()"
        run(
            engine,
            "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
            f'CREATE TRIGGER touch BEFORE UPDATE ON "order" {call}',
            f'CREATE TRIGGER insertion BEFORE INSERT ON "order" {call}',
            f'CREATE TRIGGER other BEFORE UPDATE OF shop_id ON "order" {call}',
            f"CREATE TRIGGER assigned BEFORE UPDATE OF node, changed ON shop {call}",
        )
    what = "runs whenever Workmesh writes its columns of a row"
    assert notes(engine) == [f"shop: the trigger assigned {what}", f"order: the trigger touch {what}"]
