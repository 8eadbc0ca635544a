"""Errors of the node, the network or the key: the lane stops, and only what happened is flagged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, update
from sqlalchemy.orm import Session

from tests.operations.delivery.lane_runs import (
    PING,
    PUSH,
    as_node,
    forwarded,
    order_node,
    push,
    push_stops,
    sent,
)
from tests.operations.delivery.refusals import refused_records
from tests.support.counts import NOTHING, Counts, counts
from tests.support.scripted_node import API_KEY, Answer, Asked, Script, failure, scripted_node, success
from tests.support.shop import Order, orders, shop_service, with_push_success, write_orders, write_shops

WRONG_KEY = failure("Wrong api_key")
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n"

ERRORS = [
    pytest.param(Answer(code=302, headers={"Location": "/404"}), False, "redirects to /404", id="a redirect"),
    pytest.param(Answer(code=401), False, "the node rejects the API key", id="401"),
    pytest.param(Answer(code=404), False, "no such endpoint", id="404"),
    pytest.param(Answer(code=405), False, "does not allow POST", id="405"),
    pytest.param(Answer(code=429), True, "answers 429", id="429"),
]
NOT_ANSWERED = [
    pytest.param(Answer(b"<html>hello</html>"), "is not JSON", id="HTML"),
    *(pytest.param(Answer(code=code), f"answers {code}", id=str(code)) for code in (408, 502, 503, 524)),
    pytest.param(Answer(raw=HEAD + b'{"sta'), "its answer is incomplete", id="half an answer"),
    pytest.param(Answer(raw=b""), "its answer is incomplete", id="a closed connection"),
    pytest.param(Answer(raw=b"SSH-2.0-OpenSSH\r\n\r\n"), "not HTTP", id="no HTTP"),
]


def failing_on(path: str, answer: Answer, *, after: int = 0) -> Script:
    """A node that answers until a path was requested a number of times."""
    left: Iterator[int] = iter(range(after))

    def script(asked: Asked) -> Answer:
        return answer if asked.path == path and next(left, None) is None else success()

    return script


@pytest.mark.parametrize(("answer", "transient", "reported"), ERRORS)
def test_an_error_of_the_node_during_a_push_stops_the_lane(
    engine: Engine, answer: Answer, transient: bool, reported: str
) -> None:
    write_shops(engine, ["n1"] * 30)
    write_orders(engine, range(1, 31))
    with scripted_node(failing_on(PUSH, answer, after=1)) as node:
        stopped = push_stops(engine, shop_service(), node.node())
        assert len(sent(node.asked)) == 2
        assert reported in str(stopped)
        assert "node n1" in str(stopped)
        assert stopped.transient is transient
        assert counts(stopped.report) == Counts(pushed=10, waiting=10)
        assert with_push_success(engine, True) == list(range(1, 11))
        assert with_push_success(engine, None) == list(range(11, 31))
        node.script = lambda asked: success()
        assert counts(push(engine, shop_service(), node.node())) == Counts(pushed=20)


@pytest.mark.parametrize(("answer", "reported"), NOT_ANSWERED)
def test_a_node_that_answers_pings_but_no_push_stops_the_lane_and_nothing_counts(
    engine: Engine, answer: Answer, reported: str
) -> None:
    write_shops(engine, ["n1"] * 30)
    write_orders(engine, range(1, 31))
    with scripted_node(failing_on(PUSH, answer, after=1)) as node:
        stopped = push_stops(engine, shop_service(), node.node())
        assert reported in str(stopped)
        assert "refuses everything" in str(stopped)
        assert stopped.transient
        assert counts(stopped.report) == Counts(pushed=10, waiting=10)
        assert with_push_success(engine, True) == list(range(1, 11))
        assert set(refused_records(engine).values()) == {("trying", 0)}
        node.script = lambda asked: success()
        assert counts(push(engine, shop_service(), node.node())) == Counts(pushed=20)
    assert refused_records(engine) == {}


@pytest.mark.parametrize(
    ("answer", "transient", "reported"),
    [
        pytest.param(WRONG_KEY, False, "ping.json is refused: Wrong api_key", id="a wrong key"),
        pytest.param(failure(f"Invalid ({API_KEY})"), False, "Invalid (***)", id="a key that is echoed"),
        pytest.param(Answer(code=500), True, "answers 500", id="a crash"),
        pytest.param(Answer(b"<html>"), True, "is not JSON", id="HTML"),
        pytest.param(
            Answer(code=303, headers={"Location": "/404"}), False, "redirects to /404", id="a redirect"
        ),
        pytest.param(Answer(code=413), True, "too large", id="413"),
    ],
)
def test_after_an_error_at_the_ping_no_record_is_sent(
    engine: Engine, answer: Answer, transient: bool, reported: str
) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 3)
    with scripted_node(failing_on(PING, answer)) as node:
        stopped = push_stops(engine, shop_service(), node.node())
    assert node.paths() == [PING]
    assert reported in str(stopped)
    assert stopped.transient is transient
    assert counts(stopped.report) == NOTHING
    assert with_push_success(engine, None) == [1, 2, 3]


def test_an_unreachable_node_stops_the_lane_with_a_transient_error(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 3)
    with scripted_node() as node:
        down = node.node()
    stopped = push_stops(engine, shop_service(), down)
    assert "no connection (ConnectError" in str(stopped)
    assert stopped.transient
    assert with_push_success(engine, None) == [1, 2, 3]


@pytest.mark.parametrize("batch_size", [None, 10])
def test_a_key_that_is_changed_in_the_middle_of_a_lane_flags_nothing_as_failed(
    engine: Engine, batch_size: int | None
) -> None:
    write_shops(engine, ["n1"] * 30)
    write_orders(engine, range(1, 31))
    changed = False

    def script(asked: Asked) -> Answer:
        nonlocal changed
        changed = changed or (asked.path == PUSH and '"id": 15' in json.dumps(asked.body))
        return WRONG_KEY if changed else success()

    with scripted_node(script) as node:
        stopped = push_stops(engine, shop_service(batch_size=batch_size), node.node())
    assert "ping.json is refused: Wrong api_key" in str(stopped)
    assert not stopped.transient
    assert with_push_success(engine, False) == []
    assert with_push_success(engine, True) == list(range(1, 15 if batch_size is None else 11))


def test_a_key_that_is_changed_during_bisection_flags_nothing_as_failed(
    engine: Engine,
) -> None:
    write_shops(engine, ["n1"] * 10)
    write_orders(engine, range(1, 11))

    def script(asked: Asked) -> Answer:
        ids = [order["id"] for order in asked.body.get("orders", [])]
        if len(ids) == 3 and 1 in ids:  # the half of a half
            node.script = lambda asked: WRONG_KEY
        return failure("record 1 is bad") if 1 in ids else success()

    with scripted_node(script) as node:
        stopped = push_stops(engine, shop_service(), node.node())
    assert "Wrong api_key" in str(stopped)
    assert with_push_success(engine, False) == []
    assert with_push_success(engine, None) == list(range(1, 11))


def test_an_answer_dropped_after_the_node_committed_is_sent_again_and_counts_once(
    engine: Engine, tmp_path: Path
) -> None:
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1, 2] * 10)
    dropped = iter([False, True, True])

    with order_node(tmp_path) as process:

        def script(asked: Asked) -> Answer:
            reply = forwarded(process, asked)
            return Answer(raw=b"") if asked.path == PUSH and next(dropped, False) else reply

        with scripted_node(script) as proxy:
            behind_proxy = as_node(process, port=proxy.port)
            assert counts(push(engine, shop_service(), behind_proxy)) == Counts(pushed=20)
            assert len(sent(proxy.asked)) > 2, "the node had them, only its answer was lost"
        assert [arrival.id for arrival in process.arrivals()] == list(range(1, 21))


def test_a_real_node_with_another_key_stops_the_lane_at_its_ping(engine: Engine, tmp_path: Path) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1])
    with order_node(tmp_path) as process:
        process.api_key = "{00000000-0000-0000-0000-000000000000}"
        stopped = push_stops(engine, shop_service(), as_node(process))
    assert "ping.json is refused: Wrong api_key" in str(stopped)
    assert orders(engine)[1].push_success is None


def test_a_real_node_refuses_a_record_and_takes_the_rest(engine: Engine, tmp_path: Path) -> None:
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1, 2] * 4)
    with Session(engine) as session, session.begin():
        session.execute(update(Order).where(Order.id == 3).values(text=""))
    with order_node(tmp_path) as process:
        assert counts(push(engine, shop_service(), as_node(process))) == Counts(
            pushed=5, refused=1, waiting=2
        )
        assert orders(engine)[3].push_error == "an order needs a text"
        assert [arrival.id for arrival in process.arrivals()] == [1, 2, 4, 6, 8]
