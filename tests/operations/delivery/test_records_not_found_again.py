"""Records that cannot be flagged under their ids: no run may report them as done."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine, create_engine, delete, text
from sqlalchemy.orm import Session

from tests.operations.delivery.lane_runs import PUSH, pull_stops, push, push_stops, sent_ids
from tests.operations.delivery.parcels import parcel_id, parcel_service, write_parcels
from tests.support.counts import Counts, counts
from tests.support.scripted_node import Answer, Asked, scripted_node, success
from tests.support.shop import Order, shop_service, with_push_success, write_orders, write_shops
from workmesh_flows.adapters.store.own_tables import create_own_tables


def deleted(engine: Engine, number: int) -> None:
    with Session(engine) as session, session.begin():
        session.execute(delete(Order).where(Order.id == number))


def test_a_record_deleted_while_it_is_sent_makes_its_batch_be_sent_again(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 15)

    def script(asked: Asked) -> Answer:
        if asked.path == PUSH:
            deleted(engine, 12)
        return success()

    with scripted_node(script) as node:
        stopped = push_stops(engine, shop_service(), node.node())
        assert stopped.transient
        assert "1 of 5 records were not found again" in stopped.reason
        assert counts(stopped.report) == Counts(pushed=10, waiting=5)
        assert with_push_success(engine, True) == list(range(1, 11))
        assert push(engine, shop_service(), node.node()).pushed == 4
    assert sent_ids(node.asked) == [*range(1, 16), 11, 13, 14, 15]


def test_a_record_deleted_while_its_result_is_fetched_makes_its_batch_be_fetched_again(
    engine: Engine,
) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 5)

    def script(asked: Asked) -> Answer:
        if asked.path.endswith("status.json"):
            return success(5)
        if asked.path.endswith("pull.json"):
            deleted(engine, 2)
            return success({str(number): {"score": 1} for number in asked.body["ids"]})
        return success()

    with scripted_node(script) as node:
        push(engine, shop_service(), node.node())
        stopped = pull_stops(engine, shop_service(), node.node())
    assert stopped.transient
    assert counts(stopped.report) == Counts(in_flight=5)


def test_ids_that_another_program_wrote_in_another_form_are_never_reported_as_pushed(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'master.db'}")
    create_own_tables(engine)
    write_parcels(engine, [1, 2])
    with engine.begin() as connection:
        statement = text("UPDATE parcels SET id = :dashed WHERE id = :plain")
        connection.execute(statement, {"dashed": str(parcel_id(2)), "plain": parcel_id(2).hex})
    with scripted_node() as node:
        stopped = push_stops(engine, parcel_service(), node.node())
    engine.dispose()
    assert "UUIDs with dashes in SQLite" in stopped.reason
    assert counts(stopped.report) == Counts(waiting=2)
