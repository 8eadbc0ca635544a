"""What the doctor reads from the database about the delivery of a service."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, Integer, insert, literal_column, update

from tests.operations.delivery.lane_runs import PING, PUSH, context_on, push, refusing
from tests.support.scripted_node import Answer, failure, scripted_node
from tests.support.shop import PUSH_FLAGS, Order, Shop, shop_mesh, shop_service, write_orders, write_shops
from workmesh_flows import EntityWeight, Mesh, Push, post
from workmesh_flows.adapters.store.conditions import ConditionChanges, save_changes
from workmesh_flows.adapters.store.schema import lanes, parked
from workmesh_flows.domain.limits import Limits
from workmesh_flows.errors import LaneStopped
from workmesh_flows.operations.delivery.push import push_lane
from workmesh_flows.operations.health.delivery_diagnoses import delivery_diagnoses

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
LATER = datetime(2999, 6, 1, 12, tzinfo=UTC)


def diagnoses(engine: Engine, mesh: Mesh | None = None) -> dict[str, tuple[str, str, str]]:
    """Result, detail and remedy of each check of the shop's service."""
    found = delivery_diagnoses(engine, mesh or shop_mesh())
    assert {one.subject for one in found} <= {"service shop.orders"}
    return {one.check: (str(one.result), one.detail, one.to_do) for one in found}


def write_lane(engine: Engine, **columns: Any) -> None:
    key = {"service": "shop.orders", "protocol": "order", "node": "n1", "direction": "push"}
    with engine.begin() as connection:
        connection.execute(insert(lanes).values(**{**key, **columns}))


def test_a_service_in_which_nothing_waits_is_ok(engine: Engine) -> None:
    write_shops(engine, ["n1", None])
    write_orders(engine, [1, 1])
    assert diagnoses(engine)["delivery"][0] == "ok"


def test_nothing_is_said_before_the_first_run_has_created_the_tables(database_url: str) -> None:
    from workmesh_flows.adapters.store.engine import make_engine

    engine = make_engine(database_url)
    assert diagnoses(engine) == {}
    engine.dispose()


def test_a_lane_whose_breaker_opened_is_a_problem_with_the_last_failure(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1])
    with scripted_node(lambda asked: Answer(code=429)) as node:
        context = context_on(engine, shop_service(), node.node(), limits=Limits(breaker_failures=1))
        with pytest.raises(LaneStopped):
            push_lane(context)
    result, detail, to_do = diagnoses(engine)["lane order to n1"]
    assert result == "problem"
    assert detail.startswith("its circuit breaker is open until ")
    assert f"after 1 consecutive failure, the last one: {PING} answers 429" in detail
    assert to_do == "fix the cause, then: workmesh push shop.orders --node n1 --now"


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        pytest.param(
            {"breaker": "half-open", "failures": 5, "last_failure": "no answer"},
            (
                "problem",
                "its circuit breaker is half-open after 5 consecutive failures, the last one: no answer",
            ),
            id="after the pause of its breaker, until a batch is accepted",
        ),
        pytest.param(
            {"retry_at": LATER, "failures": 1, "last_failure": "it is full"},
            ("warning", "the node asked for a pause until 2999-06-01 12:00:00 UTC: it is full"),
            id="the node asked for a pause",
        ),
        pytest.param(
            {"failures": 2, "last_failure": "no answer"},
            ("warning", "2 consecutive failures, the last one: no answer"),
            id="fewer failures than the breaker needs",
        ),
    ],
)
def test_a_lane_whose_last_run_failed_is_reported(
    engine: Engine, columns: dict[str, Any], expected: tuple[str, str]
) -> None:
    write_shops(engine, ["n1"])
    write_lane(engine, **columns)
    assert diagnoses(engine)["lane order to n1"][:2] == expected


def test_a_lane_that_stopped_for_another_reason_is_a_problem_as_long_as_its_node_holds_entities(
    engine: Engine,
) -> None:
    write_shops(engine, ["n1"])
    started = {
        "shop.orders/order/n1/pull": f"{PUSH} answers 404",
        "shop.orders/order/left/push": "an old reason",
        "another/order/n1/push": "of another mesh",
    }
    save_changes(engine, ConditionChanges("lane stopped", started, {}), NOON)
    assert diagnoses(engine) == {
        "lane order from n1": (
            "problem",
            f"stopped since 2026-06-01 12:00:00 UTC: {PUSH} answers 404",
            "fix the cause, then: workmesh pull shop.orders --node n1",
        )
    }


@pytest.mark.parametrize(
    ("policy", "check", "result", "waiting"),
    [
        ("park_entity", "parked records of order", "warning", 2),
        ("block", "blocking records of order", "problem", 3),
    ],
)
def test_a_record_that_holds_others_is_reported_with_their_number(
    engine: Engine, policy: Any, check: str, result: str, waiting: int
) -> None:
    send = post(PUSH, "orders", batch_size=10)
    service = shop_service(push=Push(send, flags=PUSH_FLAGS, policy=policy, max_attempts=1))
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1, 1, 1])
    with (
        scripted_node(refusing(lambda number: number == 1, failure("bad text"))) as node,
        suppress(LaneStopped),
    ):
        push(engine, service, node.node())
    write_orders(engine, [2], first=9)
    assert diagnoses(engine, Mesh([service]))[check] == (
        result,
        f"1 record, {waiting} records wait behind: 1 of entity 1: bad text",
        (
            "fix the cause (workmesh failed shop.orders lists all), "
            "then: workmesh replay shop.orders --protocol order"
        ),
    )


def test_failed_records_are_counted_with_the_first_reason(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1, 1])
    listed = {"service": "shop.orders", "protocol": "order", "owner": "1", "attempts": 1, "state": "failed"}
    rows = [{**listed, "record": str(number), "reason": "no text", "since": NOON} for number in (1, 2)]
    with engine.begin() as connection:
        connection.execute(update(Order).values(push_success=True, pull_success=False))
        connection.execute(insert(parked), rows)
    result, detail, to_do = diagnoses(engine)["failed records of order"]
    assert (result, detail) == ("warning", "2 records: for example 1 of entity 1: no text")
    assert to_do.endswith("then: workmesh replay shop.orders --protocol order --failed")


def test_pending_records_of_entities_without_a_node_are_counted(engine: Engine) -> None:
    write_shops(engine, ["n1", None, None])
    write_orders(engine, [1, 2, 3, 3, None])
    assert diagnoses(engine) == {
        "records without node": (
            "warning",
            "3 pending records cannot be sent: 2 entities have no node",
            "workmesh assign shop.orders",
        )
    }


def test_a_weight_that_cannot_be_used_is_named_as_the_cause(engine: Engine) -> None:
    write_shops(engine, ["n1", None])
    write_orders(engine, [1, 2])
    with engine.begin() as connection:
        connection.execute(update(Shop).where(Shop.id == 2).values(size=-1))
    found = diagnoses(engine, shop_mesh(criterion=EntityWeight(Shop.size)))
    assert found["weights"][:2] == (
        "problem",
        "1 entity has a weight that cannot be used: 2: its weight -1 is not a whole number from 0 up",
    )
    assert found["records without node"][2] == "correct the weights, then: workmesh assign shop.orders"


def test_a_weight_that_the_database_cannot_compute_is_left_to_the_check_of_the_tables(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    broken = shop_service(criterion=EntityWeight(literal_column("no_such_column", Integer)))
    assert delivery_diagnoses(engine, Mesh([broken])) == []
