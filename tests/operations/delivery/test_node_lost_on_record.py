"""A record that makes the node stop answering is found by smaller batches; an accident is forgotten."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from tests.operations.delivery.lane_runs import PING, PUSH, QUICK, lane_row, push, sent
from tests.operations.delivery.refusals import few_attempts, refused_records, refusing_these
from tests.support.counts import Counts, counts
from tests.support.scripted_node import Answer, Asked, ScriptedNode, scripted_node, success
from tests.support.shop import orders, shop_service, with_push_success, write_orders, write_shops
from workmesh_flows import Service
from workmesh_flows.domain.limits import Limits
from workmesh_flows.errors import LaneStopped
from workmesh_flows.operations.delivery.lane_context import LaneContext
from workmesh_flows.operations.delivery.push import push_lane
from workmesh_flows.operations.delivery.replay import decide_refused

NEVER_OPEN = Limits(connect_timeout=1, read_timeout=5, breaker_failures=1_000)
GONE = Answer(raw=b"")
AWAY = Answer(code=502)


def run(engine: Engine, service: Service, node: ScriptedNode) -> bool:
    """One run whose breaker does not open; returns whether it finished."""
    work = LaneContext(engine, service, service.protocols[0], node.node(), holder="test", limits=NEVER_OPEN)
    try:
        push_lane(work)
    except LaneStopped:
        return False
    return True


@pytest.mark.parametrize("death", [GONE, Answer(code=502), Answer(code=504)], ids=["closed", "502", "504"])
@pytest.mark.parametrize("batch_size", [20, None], ids=["batches", "a record a request"])
def test_a_record_that_makes_the_node_stop_answering_is_found_and_parked(
    engine: Engine, death: Answer, batch_size: int | None
) -> None:
    write_shops(engine, ["n1"] * 4)
    write_orders(engine, [1, 2, 3, 4] * 8)
    service = few_attempts(attempts=3, batch_size=batch_size)
    with scripted_node(refusing_these(11, answer=death)) as node:
        for attempts, state in enumerate(["trying", "trying", "parked"], start=1):
            assert run(engine, service, node), "a node that answers a ping stops no lane"
            assert refused_records(engine) == {"11": (state, attempts)}
        reason = orders(engine)[11].push_error or ""
        assert reason.startswith("the node stops answering while it handles the record: ")
        behind = [15, 19, 23, 27, 31]
        assert with_push_success(engine, True) == [n for n in range(1, 33) if n not in {11, *behind}]
        assert (lane_row(engine).done, lane_row(engine).refused) == (26, 3)
        node.script = lambda asked: success()
        decide_refused(engine, service, "replay")
        assert counts(push(engine, service, node.node())) == Counts(pushed=6)


def test_one_network_failure_counts_against_no_record_and_the_batches_grow_again(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 90)
    failures = iter([True])

    def script(asked: Asked) -> Answer:
        return AWAY if asked.path == PUSH and next(failures, False) else success()

    service = few_attempts(attempts=1, batch_size=32)
    with scripted_node(script) as node:
        assert run(engine, service, node)
    assert [len(batch) for batch in sent(node.asked)] == [32, 8, 8, 8, 8, 8, 16, 8, 26]
    assert refused_records(engine) == {}
    assert (lane_row(engine).next_batch, lane_row(engine).failures) == (None, 0)


def test_the_larger_batch_size_is_saved_where_a_run_has_only_one_batch(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 3)
    failures = iter([True])
    gone = False

    def script(asked: Asked) -> Answer:
        nonlocal gone
        gone = next(failures, False) if asked.path == PUSH else gone
        return AWAY if gone else success()

    service = few_attempts(attempts=1, batch_size=None)
    with scripted_node(script) as node:
        assert not run(engine, service, node), "the ping after the lost connection fails, too"
        assert lane_row(engine).next_batch == 1
        gone = False
        work = LaneContext(engine, service, service.protocols[0], node.node(), holder="test", limits=QUICK)
        push_lane(work)
        assert lane_row(engine).next_batch is None
        failures = iter([True])
        write_orders(engine, [1], first=4)
        assert not run(engine, service, node)
    assert refused_records(engine) == {}, "an accident months later is no second attempt"


def test_a_node_that_is_unreachable_or_fails_at_the_ping_counts_against_no_record(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1])
    service = few_attempts(attempts=1, batch_size=None)
    with scripted_node(lambda asked: GONE if asked.path == PING else success()) as node:
        for _ in range(3):
            assert not run(engine, service, node)
    for _ in range(3):
        assert not run(engine, service, node)
    assert refused_records(engine) == {}
    assert lane_row(engine).next_batch is None


def test_a_blocking_record_that_makes_the_node_stop_answering_stops_the_lane(engine: Engine) -> None:
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1, 2])
    service = few_attempts(attempts=1, policy="block", batch_size=None)
    with scripted_node(refusing_these(1, answer=GONE)) as node:
        assert not run(engine, service, node)
        assert not run(engine, service, node)
        assert refused_records(engine) == {"1": ("blocking", 1)}
        with pytest.raises(LaneStopped, match="record 1 blocks it: the node stops answering") as stopped:
            push(engine, service, node.node())
    assert not stopped.value.transient


def test_a_record_that_makes_the_node_stop_answering_is_found_among_refused_ones(engine: Engine) -> None:
    """Held-back records do not let the next batch grow, so the record at fault is still isolated."""
    write_shops(engine, ["n1"] * 3)
    write_orders(engine, [1] * 8 + [2, 3])
    service = few_attempts(attempts=20, batch_size=20)

    def script(asked: Asked) -> Answer:
        poison = refusing_these(9, answer=GONE)(asked)
        return poison if poison == GONE else refusing_these(1)(asked)

    with scripted_node(script) as node:
        for _ in range(6):
            run(engine, service, node)
    assert refused_records(engine)["9"][1] >= 2
    assert shop_service().name == service.name
