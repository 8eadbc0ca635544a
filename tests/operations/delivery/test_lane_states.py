"""Which lanes of a run have something to do or to report, before any of them starts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, delete, insert, text, update
from sqlalchemy.orm import Session

from tests.operations.delivery.lane_runs import FAILED, PUSH, pull, push, push_stops
from tests.operations.delivery.refusals import few_attempts, refusing_these
from tests.operations.delivery.test_failed_records import page, push_only
from tests.support.scripted_node import Answer, Asked, ScriptedNode, scripted_node, success
from tests.support.shop import Order, Shop, shop_service, write_orders, write_shops
from workmesh_flows import Mesh, Service
from workmesh_flows.adapters.store.engine import database_clock
from workmesh_flows.adapters.store.lanes import lease_lane
from workmesh_flows.adapters.store.probes import SavedProbe, save_probes
from workmesh_flows.adapters.store.protocol_tables import pull_tables, push_tables
from workmesh_flows.adapters.store.schema import lanes, missing
from workmesh_flows.adapters.store.statements.open_lanes import nodes_in_flight, nodes_with_pending
from workmesh_flows.domain.lane import Lane
from workmesh_flows.errors import LaneBusy, LanePaused, LaneStopped
from workmesh_flows.operations.check import check_mesh, missing_ddl
from workmesh_flows.operations.delivery.lane_states import LaneStates, pull_states, push_states
from workmesh_flows.operations.delivery.replay import decide_refused

S = shop_service()


def lane(node: str, direction: Any = "push") -> Lane:
    return Lane("shop.orders", "order", node, direction)


def to_push(engine: Engine, service: Service = S, *, now: bool = False, patience: float = 0) -> LaneStates:
    return push_states(engine, service, service.protocols, now=now, patience=patience)


def to_pull(engine: Engine, service: Service = S, *nodes: str) -> LaneStates:
    return pull_states(engine, service, service.protocols, nodes, now=False, patience=0)


def flagged(engine: Engine, *ids: int, **flags: Any) -> None:
    with Session(engine) as session:
        session.execute(update(Order).where(Order.id.in_(ids)).values(**flags))
        session.commit()


def write_lane(engine: Engine, node: str, direction: str = "push", **columns: Any) -> None:
    with engine.begin() as connection:
        connection.execute(insert(lanes).values(**lane(node, direction).key, **columns))


def test_a_lane_is_open_for_a_push_while_its_node_has_records_to_receive(engine: Engine) -> None:
    write_shops(engine, ["n1", "n2", "n3", None])
    write_orders(engine, [1, 2, 3, 4, None])
    flagged(engine, 1, push_success=True)
    flagged(engine, 2, push_success=False)
    assert to_push(engine) == LaneStates(open=frozenset({lane("n2"), lane("n3")}))


def test_a_lane_is_open_for_a_pull_while_its_node_has_records_in_flight(engine: Engine) -> None:
    write_shops(engine, ["n1", "n2", "n3"])
    write_orders(engine, [1, 2, 3])
    flagged(engine, 2, 3, push_success=True)
    flagged(engine, 3, pull_success=True)
    assert to_pull(engine) == LaneStates(open=frozenset({lane("n2", "pull")}))


def test_a_lane_whose_records_all_wait_for_a_decision_is_not_open(engine: Engine) -> None:
    service = few_attempts(attempts=1)
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1, 1, 2])
    with scripted_node(refusing_these(1)) as node:
        push(engine, service, node.node())
        assert to_push(engine, service) == LaneStates(waiting=frozenset({lane("n1")}))
        write_orders(engine, [2], first=4)
        assert to_push(engine, service).open == {lane("n1")}
    decide_refused(engine, service, "replay")
    assert to_push(engine, service) == LaneStates(open=frozenset({lane("n1")}))


def test_a_lane_is_open_again_once_the_parked_record_is_deleted(engine: Engine) -> None:
    service = few_attempts(attempts=1)
    write_shops(engine, ["n1"])
    write_orders(engine, [1, 1])
    with scripted_node(refusing_these(1)) as node:
        push(engine, service, node.node())
    with Session(engine) as session:
        session.execute(delete(Order).where(Order.id == 1))
        session.commit()
    assert to_push(engine, service) == LaneStates(open=frozenset({lane("n1")}))


def test_a_lane_that_a_record_blocks_says_which_until_the_record_is_gone(engine: Engine) -> None:
    service = few_attempts(attempts=1, policy="block")
    write_shops(engine, ["n1"])
    write_orders(engine, [1, 1])
    with scripted_node(refusing_these(1)) as node:
        stopped = push_stops(engine, service, node.node())
    error = to_push(engine, service).obstacles[lane("n1")]
    assert (type(error), error.reason) == (LaneStopped, stopped.reason)
    flagged(engine, 1, push_success=True)
    assert to_push(engine, service) == LaneStates(open=frozenset({lane("n1")}))


def test_an_idle_lane_that_is_held_is_busy_and_an_open_one_waits_for_its_turn(engine: Engine) -> None:
    write_shops(engine, ["n1", "n2"])
    write_orders(engine, [2])
    clock = database_clock(engine)
    with (
        lease_lane(engine, lane("n1"), holder="a drain", clock=clock, lease_seconds=30),
        lease_lane(engine, lane("n2"), holder="a run", clock=clock, lease_seconds=30),
    ):
        found = to_push(engine)
    assert found.open == {lane("n2")}
    assert {name: type(error) for name, error in found.obstacles.items()} == {lane("n1"): LaneBusy}
    assert "held by a drain until" in found.obstacles[lane("n1")].reason
    assert to_push(engine).obstacles == {}


@pytest.mark.parametrize(
    ("breaker", "seconds", "patience", "is_paused"),
    [
        pytest.param("open", 5, 60, True, id="an open circuit breaker"),
        pytest.param("closed", 5, 60, False, id="a short pause that the node asked for"),
        pytest.param("closed", 90, 60, True, id="a long pause that the node asked for"),
        pytest.param("open", -5, 60, False, id="a pause that is over"),
    ],
)
def test_a_paused_lane_is_not_started(
    engine: Engine, breaker: str, seconds: float, patience: float, is_paused: bool
) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1])
    until = datetime.now(UTC) + timedelta(seconds=seconds)
    write_lane(engine, "n1", breaker=breaker, failures=5, retry_at=until, last_failure="no connection")
    found = to_push(engine, patience=patience)
    assert found.open == {lane("n1")}
    assert [type(error) for error in found.obstacles.values()] == [LanePaused] * is_paused
    assert to_push(engine, patience=patience, now=True).obstacles == {}


def test_a_pull_lane_whose_last_attempt_failed_is_open_until_its_breaker_is_closed(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_lane(engine, "n1", "pull", failures=2, breaker="half-open")
    assert to_pull(engine).open == {lane("n1", "pull")}
    with scripted_node(lambda _: success(None)) as node:
        pull(engine, S, node.node())
    assert to_pull(engine).open == set()


def test_all_nodes_are_asked_for_a_record_that_one_of_them_does_not_have(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    with engine.begin() as connection:
        row = insert(missing).values(service="shop.orders", protocol="order", node="n1", record="1")
        connection.execute(row.values(push_time=datetime.now(UTC)))
    assert to_pull(engine, S, "n1", "n2").open == {lane("n1", "pull"), lane("n2", "pull")}


def test_the_lanes_with_open_records_are_found_by_the_partial_indexes(postgresql: Engine) -> None:
    """One open record of each kind among many processed ones; the plan must not read the table."""
    engine = postgresql
    write_shops(engine, ["n1", "n2"])
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(
            text(
                'INSERT INTO "select" (id, "Group", "where", text, push_time, push_success, pull_success) '
                "SELECT i, 1 + i % 2, now(), '', now(), true, true FROM generate_series(1, 20000) i"
            )
        )
        for statement in missing_ddl(check_mesh(engine, Mesh([S]))):
            connection.execute(text(statement))
        flagged(engine, 7, push_success=None)
        flagged(engine, 8, pull_success=None)
        connection.execute(text("VACUUM ANALYZE"))
        for query, purpose in (
            (nodes_with_pending(push_tables(S, S.protocols[0]), include_parked=True), "pending"),
            (nodes_with_pending(push_tables(S, S.protocols[0]), include_parked=False), "pending"),
            (nodes_in_flight(pull_tables(S, S.protocols[0])), "pullable"),
        ):
            compiled = query.compile(engine, compile_kwargs={"literal_binds": True})
            plan = "\n".join(row[0] for row in connection.execute(text(f"EXPLAIN {compiled}")))
            assert f"_{purpose}_" in plan, plan
            assert 'Seq Scan on "select"' not in plan, plan
    assert to_push(engine).open == {lane("n2")}
    assert to_pull(engine).open == {lane("n1", "pull")}


def listing(*failed: tuple[int, str]) -> Any:
    """A node that lists these records as failed once."""

    def script(asked: Asked) -> Answer:
        if asked.path != FAILED:
            return success(None)
        return page(*failed) if asked.body["after"] is None else page()

    return script


def seen(engine: Engine, workload: int | None, seconds: float = 0) -> None:
    """Node n1 was probed, some seconds from now."""
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    save_probes(engine, [SavedProbe("n1", "", True, True, "1", "", workload, at)])


def pushed_to(engine: Engine, node: ScriptedNode, service: Service, first: int = 1) -> None:
    write_orders(engine, [1], first=first)
    push(engine, service, node.node())
    assert PUSH in node.paths()


def last_push(engine: Engine, ago: timedelta) -> None:
    """Set the time of the last push to n1."""
    with engine.begin() as connection:
        row = update(lanes).where(lanes.c.direction == "push")
        connection.execute(row.values(last_push_time=datetime.now(UTC) - ago))


def settle(engine: Engine, node: ScriptedNode, service: Service) -> None:
    """Push to n1, and read its failures to the end, after its queue was empty."""
    pushed_to(engine, node, service)
    last_push(engine, timedelta(seconds=30))
    seen(engine, 0)
    pull(engine, service, node.node())


def test_failures_are_read_until_the_node_was_seen_with_an_empty_queue(engine: Engine) -> None:
    service = push_only()
    write_shops(engine, ["n1"])
    with scripted_node(listing((1, "a bug"))) as node:
        pushed_to(engine, node, service)
        last_push(engine, timedelta(seconds=30))
        for workload in (None, 3):
            seen(engine, workload)
            assert to_pull(engine, service).open == {lane("n1", "pull")}
            pull(engine, service, node.node())
        seen(engine, 0)
        assert to_pull(engine, service).open == {lane("n1", "pull")}, "it was empty after the last reading"
        pull(engine, service, node.node())
        assert to_pull(engine, service).open == set()
        pushed_to(engine, node, service, first=2)
        assert to_pull(engine, service).open == {lane("n1", "pull")}


def test_a_queue_that_was_empty_before_the_last_push_settles_nothing(engine: Engine) -> None:
    service = push_only()
    write_shops(engine, ["n1"])
    with scripted_node(listing()) as node:
        seen(engine, 0, seconds=-60)
        pushed_to(engine, node, service)
        pull(engine, service, node.node())
    assert to_pull(engine, service).open == {lane("n1", "pull")}


@pytest.mark.parametrize(("hours", "is_open"), [(23, True), (25, False)])
def test_failures_of_a_node_without_a_workload_are_read_for_a_day(
    engine: Engine, hours: int, is_open: bool
) -> None:
    service = push_only()
    write_shops(engine, ["n1"])
    with scripted_node(listing()) as node:
        pushed_to(engine, node, service)
        last_push(engine, timedelta(hours=hours))
        assert to_pull(engine, service).open == {lane("n1", "pull")}, "the last reading comes after the day"
        pull(engine, service, node.node())
    assert bool(to_pull(engine, service).open) is is_open


def test_a_node_that_works_although_nothing_was_pushed_may_list_failures_again(engine: Engine) -> None:
    """As after a restore from a backup, or where a node tries its failed records again."""
    service = push_only()
    write_shops(engine, ["n1"])
    with scripted_node(listing()) as node:
        settle(engine, node, service)
        assert to_pull(engine, service).open == set()
        seen(engine, 5, seconds=1)
        assert to_pull(engine, service).open == {lane("n1", "pull")}
        pull(engine, service, node.node())
        seen(engine, 0, seconds=2)
        assert to_pull(engine, service).open == {lane("n1", "pull")}, (
            "to the end, when its queue is empty again"
        )


def test_a_queue_that_another_lane_explains_opens_no_settled_lane(engine: Engine) -> None:
    service = push_only()
    write_shops(engine, ["n1"])
    with scripted_node(listing()) as node:
        settle(engine, node, service)
    with engine.begin() as connection:
        pushed = datetime.now(UTC)
        connection.execute(
            insert(lanes).values(
                service="another", protocol="p", node="n1", direction="push", last_push_time=pushed
            )
        )
    seen(engine, 5, seconds=1)
    assert to_pull(engine, service).open == set()


def test_a_replayed_record_that_fails_again_is_read(engine: Engine) -> None:
    service = push_only()
    write_shops(engine, ["n1"])
    with scripted_node(listing((1, "a bug"))) as node:
        pushed_to(engine, node, service)
        last_push(engine, timedelta(seconds=30))
        seen(engine, 0)
        assert pull(engine, service, node.node()).failed == 1
        assert to_pull(engine, service).open == set()
        assert decide_refused(engine, service, "replay", failed=True) == 1
        push(engine, service, node.node())
    assert to_pull(engine, service).open == {lane("n1", "pull")}


def test_a_failed_record_that_is_deleted_is_forgotten_although_its_lane_is_idle(engine: Engine) -> None:
    service = push_only()
    write_shops(engine, ["n1"])
    with scripted_node(listing((1, "a bug"))) as node:
        settle(engine, node, service)
    with Session(engine) as session:
        session.execute(delete(Order))
        session.execute(update(Shop).values(node="n1"))
        session.commit()
    assert to_pull(engine, service).open == set()
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM workmesh_parked")) == 0
