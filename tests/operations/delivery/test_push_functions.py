from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from operator import itemgetter
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError

from tests.operations.delivery.lane_runs import PING, PUSH, push, push_stops, sent_ids
from tests.support.counts import Counts, counts
from tests.support.scripted_node import API_KEY, Answer, Asked, scripted_node, success
from tests.support.shop import (
    PUSH_FLAGS,
    Order,
    orders,
    shop_service,
    with_push_success,
    write_orders,
    write_shops,
)
from workmesh_flows import NodeClient, Push, RecordRefused, Service, post

Function = Callable[[Any, NodeClient], Any]


def one_by_one(function: Function) -> Service:
    return shop_service(push=Push(function, flags=PUSH_FLAGS))


def in_batches(function: Function, size: int = 10) -> Service:
    return shop_service(push=Push(function, flags=PUSH_FLAGS, batch_size=size))


def send_order(order: Order, node: NodeClient) -> None:
    node.post(PUSH, {"order": {"id": order.id, "shop": order.shop.size if order.shop else None}})


def send_orders(batch: list[Order], node: NodeClient) -> None:
    node.post(PUSH, {"orders": [{"id": order.id, "text": order.text} for order in batch]})


def test_a_function_gets_one_mapped_object_at_a_time(engine: Engine) -> None:
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1, 2, 1])
    with scripted_node() as node:
        report = push(engine, one_by_one(send_order), node.node())
    bodies = [asked.body["order"] for asked in node.asked if asked.path == PUSH]
    assert bodies == [{"id": 1, "shop": 1}, {"id": 2, "shop": 2}, {"id": 3, "shop": 1}]
    assert counts(report) == Counts(pushed=3)


def test_a_function_with_a_batch_size_gets_lists_of_mapped_objects(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 7)
    sizes = []

    def counting(batch: list[Order], node: NodeClient) -> None:
        sizes.append([type(order) for order in batch])
        send_orders(batch, node)

    with scripted_node() as node:
        assert push(engine, in_batches(counting, 3), node.node()).pushed == 7
    assert sizes == [[Order] * 3, [Order] * 3, [Order]]


def test_a_payload_function_reads_relationships_that_are_loaded_on_demand(engine: Engine) -> None:
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1, 2] * 5)

    def written(order: Order) -> dict[str, Any]:
        assert order.shop is not None
        return {"id": order.id, "size": order.shop.size}

    service = shop_service(push=Push(post(PUSH, "orders", batch_size=4, payload=written), flags=PUSH_FLAGS))
    with scripted_node() as node:
        assert push(engine, service, node.node()).pushed == 10
    wanted = [{"id": number, "size": 2 - number % 2} for number in range(1, 11)]
    read = [order for asked in node.asked for order in asked.body.get("orders", [])]
    assert sorted(read, key=itemgetter("id")) == wanted


def test_what_a_function_changes_on_a_record_is_not_saved(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 5)

    def meddle(order: Order, node: NodeClient) -> None:
        order.text = "changed"
        assert order.shop is not None
        order.shop.size = 99
        send_order(order, node)

    with scripted_node() as node:
        assert push(engine, one_by_one(meddle), node.node()).pushed == 5
    assert {order.text for order in orders(engine).values()} == {f"order {number}" for number in range(1, 6)}


def test_ids_that_a_function_returns_are_refused_and_the_others_are_pushed(engine: Engine) -> None:
    write_shops(engine, ["n1", "n1", "n1"])
    write_orders(engine, [1, 2, 3] * 2)

    def refuse_some(batch: list[Order], node: NodeClient) -> dict[Any, str]:
        send_orders(batch, node)
        return {5: "five is out", "6": "six as well"} if len(batch) > 1 else {}

    with scripted_node() as node:
        report = push(engine, in_batches(refuse_some), node.node())
    assert counts(report) == Counts(pushed=4, refused=2)
    assert report.reasons == {"5": "five is out", "6": "six as well"}
    assert len(node.asked) == 2, "a ping and one batch: nothing had to be searched for"


def test_refusals_that_the_node_gives_by_id_are_understood(engine: Engine) -> None:
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1, 2, 1, 2])

    def script(asked: Asked) -> Answer:
        return success({"stored": 3, "refused": {"3": f"no, {API_KEY}"}} if asked.path == PUSH else "")

    with scripted_node(script) as node:
        report = push(engine, shop_service(), node.node())
    assert counts(report) == Counts(pushed=3, refused=1)
    assert orders(engine)[3].push_error == "no, ***"


@pytest.mark.parametrize("refused", [{"77": "who is that"}, {"three": "no number"}])
def test_a_refusal_of_a_record_that_was_not_sent_stops_the_lane(
    engine: Engine, refused: dict[str, str]
) -> None:
    """A record was refused and it is unknown which: to flag all as pushed could lose it."""
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 3)
    with scripted_node(lambda asked: success({"refused": refused})) as node:
        stopped = push_stops(engine, shop_service(), node.node())
    assert f"refuses '{next(iter(refused))}', which is no id of a record that was sent" in str(stopped)
    assert with_push_success(engine, None) == [1, 2, 3]


def test_a_function_that_raises_record_refused_refuses_that_record_alone(engine: Engine) -> None:
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1, 2] * 4)

    def picky(order: Order, node: NodeClient) -> None:
        if order.id == 3:
            raise RecordRefused("three is not for sale")
        send_order(order, node)

    with scripted_node() as node:
        report = push(engine, one_by_one(picky), node.node())
    assert counts(report) == Counts(pushed=5, refused=1, waiting=2)
    assert orders(engine)[3].push_error == "three is not for sale"
    assert [asked.body["order"]["id"] for asked in node.asked if asked.path == PUSH] == [1, 2, 4, 6, 8]


def test_a_function_that_raises_any_exception_fails_only_the_record_at_fault(engine: Engine) -> None:
    write_shops(engine, ["n1"] * 20)
    write_orders(engine, range(1, 21))

    def careless(batch: list[Order], node: NodeClient) -> None:
        prices = {order.id: 5 for order in batch if order.id != 13}
        node.post(PUSH, {"orders": [{"id": order.id, "price": prices[order.id]} for order in batch]})

    with scripted_node() as node:
        report = push(engine, in_batches(careless), node.node())
    assert counts(report) == Counts(pushed=19, refused=1)
    assert report.reasons == {"13": "the function raised KeyError: 13"}
    assert sorted(sent_ids(node.asked)) == [*range(1, 13), *range(14, 21)]


def test_an_api_key_in_an_exception_of_a_function_is_masked(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1, 2])

    def leaky(order: Order, node: NodeClient) -> None:
        raise (RecordRefused if order.id == 1 else ValueError)(
            f"with {API_KEY} in {{'key': '{API_KEY.lower()}'}}"
        )

    with caplog.at_level(logging.DEBUG), scripted_node() as node:
        report = push(engine, one_by_one(leaky), node.node())
    assert report.refused == 2
    assert orders(engine)[1].push_error == "with *** in {'key': '***'}"
    assert API_KEY.strip("{}").lower() not in (caplog.text + str(report.reasons)).lower()


def test_a_function_with_a_client_of_its_own_that_cannot_connect_stops_the_lane(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 6)

    def own_client(order: Order, node: NodeClient) -> None:
        httpx.post(
            "http://127.0.0.1:1/elsewhere" if order.id == 4 else f"http://127.0.0.1:{own.port}{PUSH}", json={}
        )

    with scripted_node() as own:
        stopped = push_stops(engine, one_by_one(own_client), own.node())
    assert "node n1: no connection (ConnectError" in str(stopped)
    assert stopped.transient
    assert counts(stopped.report) == Counts(pushed=3, waiting=1)
    assert with_push_success(engine, False) == []
    assert with_push_success(engine, None) == [4, 5, 6]


def test_a_function_that_cannot_read_the_answer_of_a_failing_node_stops_the_lane(engine: Engine) -> None:
    """The ping that follows distinguishes a bad record from an unreachable node."""
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 3)
    html = Answer(b"<html>bad gateway</html>")

    def own_client(order: Order, node: NodeClient) -> None:
        httpx.post(f"http://127.0.0.1:{scripted.port}{PUSH}", json={"id": order.id}).json()["status"]

    def script(asked: Asked) -> Answer:
        if asked.body == {"id": 2}:
            scripted.script = lambda asked: html
        return scripted.script(asked) if scripted.script is not script else success()

    with scripted_node(script) as scripted:
        stopped = push_stops(engine, one_by_one(own_client), scripted.node())
    assert "is not JSON" in str(stopped)
    assert stopped.transient
    assert with_push_success(engine, True) == [1]
    assert with_push_success(engine, False) == []


@pytest.mark.parametrize("nonsense", [True, "ok", [1, 2], 7])
def test_a_function_that_returns_a_wrong_type_stops_the_lane_with_a_clear_error(
    engine: Engine, nonsense: object
) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 3)
    with scripted_node() as node:
        stopped = push_stops(engine, in_batches(lambda batch, node: nonsense), node.node())
    kind = type(nonsense).__name__
    assert f"it returned a {kind}; it must return None, or the refused ids with reasons" in str(stopped)
    assert not stopped.transient
    assert counts(stopped.report) == Counts(waiting=3)
    assert with_push_success(engine, None) == [1, 2, 3]


def test_a_payload_that_json_cannot_hold_is_refused_and_the_others_go_on(engine: Engine) -> None:
    write_shops(engine, ["n1"] * 10)
    write_orders(engine, range(1, 11))

    def written(order: Order) -> dict[str, Any]:
        return {"id": order.id, "what": object() if order.id == 4 else Decimal("1.10")}

    service = shop_service(push=Push(post(PUSH, "orders", batch_size=5, payload=written), flags=PUSH_FLAGS))
    with scripted_node() as node:
        report = push(engine, service, node.node())
    assert counts(report) == Counts(pushed=9, refused=1)
    assert (orders(engine)[4].push_error or "").startswith("cannot be written as JSON")
    assert {order["what"] for asked in node.asked for order in asked.body.get("orders", [])} == {"1.10"}


def test_the_ready_made_call_writes_all_columns_but_flags_and_results(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1])
    with scripted_node() as node:
        push(engine, shop_service(batch_size=None), node.node())
    (body,) = [asked.body["order"] for asked in node.asked if asked.path == PUSH]
    at = body.pop("at")
    assert body == {"id": 1, "shop_id": 1, "text": "order 1"}
    assert datetime.fromisoformat(at) == datetime(2026, 3, 1, 12, 0, 1, tzinfo=UTC)


def test_the_same_records_sent_again_carry_the_same_idempotency_key(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 4)
    service = shop_service()
    with scripted_node(lambda asked: success() if asked.path == PING else Answer(code=429)) as node:
        push_stops(engine, service, node.node())
        push_stops(engine, service, node.node())
    first, second = [asked.headers for asked in node.asked if asked.path == PUSH]
    assert first["idempotency-key"] == second["idempotency-key"]
    assert int(first["workmesh-epoch"]) < int(second["workmesh-epoch"])


def test_a_database_that_becomes_unreachable_during_a_function_stops_the_lane(engine: Engine) -> None:
    """Raised by a listener: stopping the server would affect other tests."""
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1, 2])

    def fail(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if 'FROM "Shop"' in statement and "count" not in statement:
            raise OperationalError(statement, None, Exception("it is unreachable"))

    def lazy(order: Order, node: NodeClient) -> None:
        event.listen(engine, "before_cursor_execute", fail)
        send_order(order, node)

    with scripted_node() as node:
        stopped = push_stops(engine, one_by_one(lazy), node.node())
    event.remove(engine, "before_cursor_execute", fail)
    assert stopped.transient
    assert "it is unreachable" in str(stopped)
    assert "SELECT" not in str(stopped)
    assert with_push_success(engine, None) == [1, 2]


def test_a_function_of_one_record_may_return_the_nodes_answer(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1])
    with scripted_node(lambda asked: success({"stored": 1})) as node:
        report = push(
            engine, one_by_one(lambda order, node: node.post(PUSH, {"order": order.id})), node.node()
        )
    assert report.pushed == 1
    assert json.dumps(node.asked[-1].body["order"]) == "1"
