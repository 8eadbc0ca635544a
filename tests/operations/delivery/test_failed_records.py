"""Records that their node accepted and could not process: listed, and sent again by a replay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, delete, event, select, update
from sqlalchemy.orm import Session

from tests.microservice.caller import wait_for
from tests.operations.delivery.lane_runs import (
    FAILED,
    PUSH,
    as_node,
    lane_row,
    pull,
    pull_stops,
    push,
    push_stops,
    sent,
)
from tests.operations.delivery.refusals import refused_records
from tests.operations.moves.movers import moving
from tests.support.counts import NOTHING, Counts, counts
from tests.support.scripted_node import Answer, Asked, ScriptedNode, failure, scripted_node, success
from tests.support.shop import PUSH_FLAGS, Order, Shop, orders, shop_service, write_orders, write_shops
from workmesh_flows import Protocol, Push, RoundRobin, Service, post
from workmesh_flows.adapters.store.schema import failure_marks, replays
from workmesh_flows.domain.node import Inventory, Node
from workmesh_flows.domain.service import Mesh
from workmesh_flows.errors import ConfigurationError, UnknownName
from workmesh_flows.microservice import NodeProcess
from workmesh_flows.operations.counts import Count
from workmesh_flows.operations.delivery.replay import decide_refused, list_refused
from workmesh_flows.operations.moves.reassign import reassign, repush
from workmesh_flows.operations.status import read_status

BUG = 'record 25: KeyError: "a bug of today\'s deployment"'


def push_only(batch_size: int | None = 100, **more: Any) -> Service:
    send = post(PUSH, "order" if batch_size is None else "orders", batch_size=batch_size)
    made = Push(send, flags=PUSH_FLAGS, **more)
    protocol = Protocol("order", record=Order, id=Order.id, sort=Order.at, push=made)
    return Service(
        "shop.orders", entity=Shop, assigned_to=Shop.node, criterion=RoundRobin(), protocols=[protocol]
    )


def page(*failed: tuple[Any, str], following: Any = "1") -> Answer:
    entries = [{"id": id_, "reason": reason, "at": "2026-11-28T10:00:00+00:00"} for id_, reason in failed]
    return success({"failed": entries, "next": following})


@contextmanager
def failing(engine: Engine, count: int, *failed: int, service: Service) -> Iterator[ScriptedNode]:
    """A node that was sent ``count`` orders of one shop, and lists some as failed once."""
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * count)

    def script(asked: Asked) -> Answer:
        if asked.path != FAILED:
            return success(None)
        return page(*((id_, "a bug") for id_ in failed)) if asked.body["after"] is None else page()

    with scripted_node(script) as node:
        push(engine, service, node.node())
        node.asked.clear()
        yield node


def status_of(engine: Engine, service: Service) -> Count:
    """The sums over all nodes, and over what belongs to none."""
    first, *others = read_status(engine, Mesh([service]), Inventory({})).counts
    names = ("pending", "failed", "in_flight", "processed", "unprocessed", "missing")
    return replace(first, **{name: sum(getattr(one, name) for one in (first, *others)) for name in names})


def keys(node: ScriptedNode) -> list[str]:
    return [asked.headers["idempotency-key"] for asked in node.asked if asked.path == PUSH]


def salts(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return sorted(connection.scalars(select(replays.c.record)))


@pytest.mark.parametrize(
    "service", [push_only(), shop_service(batch_size=100)], ids=["no results", "results"]
)
def test_records_that_fail_are_listed_and_one_replay_processes_each_once(
    engine: Engine, tmp_path: Path, service: Service
) -> None:
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1, 2] * 250)
    bug, effects = tmp_path / "bug", tmp_path / "effects"
    bug.touch()
    has_pull = service.protocols[0].pull is not None
    with NodeProcess(
        "tests.operations.delivery.buggy_orders:orders",
        database=tmp_path / "n1.db",
        environment={"BUG": str(bug), "EFFECTS": str(effects)},
    ) as process:
        node = as_node(process)

        def all_processed(number: int) -> bool:
            return len(effects.read_text().splitlines()) == number and not process_queue(node)

        assert counts(push(engine, service, node)) == Counts(pushed=500)
        wait_for(lambda: effects.exists() and all_processed(480))
        report = pull(engine, service, node)
        assert report.failed == 20
        assert report.reasons["25"] == BUG
        listed = list_refused(engine, Mesh([service]))
        assert {int(record.record) for record in listed} == set(range(25, 501, 25))
        assert {(record.state, record.waiting, record.node) for record in listed} == {("failed", 0, "n1")}
        found = status_of(engine, service)
        assert (found.pending, found.failed, found.in_flight, found.processed) == (0, 20, 20, 480)

        bug.unlink()
        assert decide_refused(engine, service, "replay", failed=True) == 20
        assert counts(push(engine, service, node)) == Counts(pushed=20)
        wait_for(lambda: all_processed(500))
        report = pull(engine, service, node)
        assert counts(report) == (Counts(pulled=20) if has_pull else NOTHING)
    assert list_refused(engine, Mesh([service])) == []
    found = status_of(engine, service)
    assert (found.pending, found.failed, found.in_flight, found.processed) == (0, 0, 0, 500)
    assert set(Counter(effects.read_text().split()).values()) == {1}
    assert salts(engine) == []


def process_queue(node: Node) -> int:
    from workmesh_flows.adapters.node_http.client import node_client
    from workmesh_flows.domain.limits import Limits

    with node_client(node, Limits()) as client:
        return client.workload()


@pytest.mark.parametrize(
    ("answer", "warning"),
    [
        pytest.param(Answer(b"", code=404), "", id="404"),
        pytest.param(Answer(b"", code=302, headers={"Location": "/404"}), "", id="redirect"),
        pytest.param(
            Answer(b"", code=302, headers={"Location": "/500"}),
            "its error page",
            id="redirect to the error page",
        ),
        pytest.param(failure("no such access point"), "", id="refusal"),
        pytest.param(Answer(b"<html>", code=200), "is not JSON", id="no JSON"),
        pytest.param(Answer(b"", code=501), "", id="not implemented"),
        pytest.param(Answer(raw=b""), "", id="closed connection"),
        pytest.param(success(""), "", id="no list"),
        pytest.param(success({"failed": "many"}), "without a list of failures", id="something else"),
        pytest.param(
            success({"failed": [None, 7, {}, {"id": None}, {"id": [1]}]}),
            "5 of 5 entries have no id, for example None",
            id="no entries",
        ),
    ],
)
def test_a_node_that_lists_no_failures_is_no_problem_and_rubbish_is_logged_once(
    engine: Engine, answer: Answer, warning: str, caplog: pytest.LogCaptureFixture
) -> None:
    service = push_only()
    with failing(engine, 3, service=service) as node:
        node.script = lambda asked: answer if asked.path == FAILED else success()
        assert counts(pull(engine, service, node.node())) == NOTHING
        assert lane_row(engine, "pull").failures == 0
    assert refused_records(engine) == {}
    assert status_of(engine, service).processed == 3
    logged = [one.getMessage() for one in caplog.records if "cannot be read" in one.getMessage()]
    assert len(logged) == bool(warning)
    assert all(one.startswith("the failures that node n1 lists under") and warning in one for one in logged)


def test_a_node_that_is_down_stops_the_lane(engine: Engine) -> None:
    service = push_only()
    with failing(engine, 3, service=service) as node:
        node.script = lambda _: Answer(b"", code=503)
        assert pull_stops(engine, service, node.node()).transient


def test_a_node_is_not_asked_without_a_path(engine: Engine) -> None:
    assert push_only().protocols[0].is_asked
    assert push_only(failed="/own/failures").protocols[0].push.failed_path == "/own/failures"  # type: ignore[union-attr]
    assert not push_only(failed="").protocols[0].is_asked
    own = Push(lambda record, node: None, flags=PUSH_FLAGS)
    assert own.failed_path is None
    assert Push(post("/api/1.0/order/receive.json"), flags=PUSH_FLAGS).failed_path is None


def test_failures_are_read_page_by_page_from_the_last_mark(engine: Engine) -> None:
    service = push_only()
    with failing(engine, 5, service=service) as node:
        pages = {None: page((1, "a"), (2, "b"), following="m1"), "m1": page((4, ""), following="m2")}
        empty = success({"failed": [], "next": "m2"})
        node.script = lambda asked: (
            pages.get(asked.body["after"], empty) if asked.path == FAILED else success()
        )
        report = pull(engine, service, node.node())
        assert counts(report) == Counts(failed=3)
        assert report.reasons == {"1": "a", "2": "b", "4": "the node gives no reason"}
        node.asked.clear()
        assert counts(pull(engine, service, node.node())) == NOTHING
        assert [asked.body["after"] for asked in node.asked] == ["m2"]
        assert status_of(engine, service).failed == 3


def test_a_node_that_repeats_its_list_ends_the_run_and_adds_nothing(engine: Engine) -> None:
    service = push_only()
    with failing(engine, 5, service=service) as node:
        for following in ("same", None, 7, "", "x" * 256):
            node.script = lambda asked, mark=following: page((1, "a"), following=mark)  # type: ignore[misc]
            pull(engine, service, node.node())
        assert refused_records(engine) == {"1": ("failed", 1)}


def test_records_that_are_not_at_the_node_are_ignored(engine: Engine) -> None:
    service = push_only()
    with failing(engine, 3, 99, 2, service=service) as node:
        with Session(engine) as session, session.begin():
            session.add(Shop(id=2, node="n2"))
        write_orders(engine, [2], first=50)
        node.script = lambda asked: page(
            (50, "elsewhere"), (2**80, "?"), ("x\0", "?"), (2, "here"), following="m"
        )
        assert pull(engine, service, node.node()).reasons == {"2": "here"}


def test_a_failure_that_is_listed_before_its_record_is_flagged_is_kept(engine: Engine) -> None:
    service = push_only()
    write_shops(engine, ["n1"])
    write_orders(engine, [1])
    seen: list[int] = []

    def script(asked: Asked) -> Answer:
        if asked.path == PUSH and not seen:
            seen.append(1)
            pull(engine, service, node.node())  # while the push waits for its answer
        return page((1, "a bug")) if asked.path == FAILED else success()

    with scripted_node(script) as node:
        assert counts(push(engine, service, node.node())) == Counts(pushed=1)
    assert refused_records(engine) == {"1": ("failed", 1)}
    assert status_of(engine, service).failed == 1


def test_a_replay_that_fails_again_at_once_stays_listed(engine: Engine) -> None:
    service = push_only()
    with failing(engine, 3, 2, service=service) as node:
        pull(engine, service, node.node())
        decide_refused(engine, service, "replay", failed=True)

        def script(asked: Asked) -> Answer:
            if asked.path == PUSH:
                pull(engine, service, node.node())
            return page((2, "the same bug"), following="2") if asked.path == FAILED else success()

        node.script = script
        assert counts(push(engine, service, node.node())) == Counts(pushed=1)
    assert refused_records(engine) == {"2": ("failed", 1)}
    assert salts(engine) == []


def test_a_replayed_record_has_another_key_and_the_same_one_when_it_is_sent_again(engine: Engine) -> None:
    service = push_only(batch_size=None)
    with failing(engine, 3, 2, service=service) as node:
        with Session(engine) as session, session.begin():
            session.execute(update(Order).values(push_success=None))
        push(engine, service, node.node())
        before = keys(node)
        node.asked.clear()
        pull(engine, service, node.node())
        decide_refused(engine, service, "replay", failed=True)
        assert refused_records(engine) == {"2": ("replayed", 0)}
        accept = node.script

        def lost(_: Asked) -> Answer:
            return Answer(raw=b"") if keys(node) else success()  # the push, and all requests after it

        node.script = lost
        push_stops(engine, service, node.node())
        node.script = accept
        push(engine, service, node.node())
        assert len(keys(node)) > 1
        (key,) = set(keys(node))
    assert key not in before
    assert refused_records(engine) == {}


def test_records_that_were_replayed_at_different_times_are_not_sent_together(engine: Engine) -> None:
    service = push_only()
    with failing(engine, 8, 2, 3, 5, service=service) as node:
        pull(engine, service, node.node())
        assert decide_refused(engine, service, "replay", records=["2"]) == 1
        assert decide_refused(engine, service, "replay", failed=True) == 2
        write_orders(engine, [1], first=9)
        node.asked.clear()
        assert counts(push(engine, service, node.node())) == Counts(pushed=4)
        assert sent(node.asked) == [[2], [3, 5], [9]]
        assert len(set(keys(node))) == 3


def test_a_replayed_record_that_is_refused_keeps_its_key_until_it_is_accepted(engine: Engine) -> None:
    service = push_only(max_attempts=2)
    with failing(engine, 3, 2, service=service) as node:
        pull(engine, service, node.node())
        decide_refused(engine, service, "replay", failed=True)
        write_orders(engine, [1], first=4)
        accept = node.script
        node.script = lambda asked: failure("not yet") if asked.path == PUSH else success()
        node.asked.clear()
        for _ in range(2):
            push(engine, service, node.node())
        assert refused_records(engine) == {"2": ("parked", 2)}
        assert decide_refused(engine, service, "replay") == 1
        node.script = accept
        push(engine, service, node.node())
        alone = {key for key, ids in zip(keys(node), sent(node.asked), strict=True) if ids == [2]}
        assert len(alone) == 1
    assert (salts(engine), refused_records(engine)) == ([], {})


def test_a_failed_record_that_is_made_pending_by_hand_is_a_replay(engine: Engine) -> None:
    service = push_only(batch_size=None)
    with failing(engine, 3, 2, service=service) as node:
        pull(engine, service, node.node())
        node.asked.clear()
        with Session(engine) as session, session.begin():
            session.execute(update(Order).values(push_success=None))
        push(engine, service, node.node())
        replayed = keys(node)
        node.asked.clear()
        with Session(engine) as session, session.begin():
            session.execute(update(Order).values(push_success=None))
        push(engine, service, node.node())
        assert [one == other for one, other in zip(replayed, keys(node), strict=True)] == [True, False, True]
    assert refused_records(engine) == {}


def test_a_deleted_record_is_no_longer_listed(engine: Engine) -> None:
    service = push_only()
    with failing(engine, 3, 2, 3, service=service) as node:
        pull(engine, service, node.node())
        with Session(engine) as session, session.begin():
            session.execute(delete(Order).where(Order.id == 2))
        assert status_of(engine, service).failed == 1
        pull(engine, service, node.node())
    assert refused_records(engine) == {"3": ("failed", 1)}


def test_a_decision_names_what_it_may(engine: Engine) -> None:
    service = push_only()
    with failing(engine, 3, 2, service=service) as node:
        pull(engine, service, node.node())
        assert decide_refused(engine, service, "replay") == 0
        with pytest.raises(ConfigurationError, match="a failed record cannot be skipped"):
            decide_refused(engine, service, "skip", records=["2"], failed=True)
        with pytest.raises(UnknownName, match="has no refused record '2'"):
            decide_refused(engine, service, "skip", records=["2"])
        with pytest.raises(UnknownName, match="has no failed record '1'"):
            decide_refused(engine, service, "replay", records=["1"], failed=True)
        with pytest.raises(UnknownName, match="has no entity with failed records '7'"):
            decide_refused(engine, service, "replay", entities=["7"], failed=True)
        with pytest.raises(UnknownName, match="has no entity with refused or failed records '1'"):
            decide_refused(engine, service, "replay", entities=["1"])
        assert decide_refused(engine, service, "replay", entities=["1"], failed=True) == 1
        assert decide_refused(engine, service, "replay", records=["2"], failed=True) == 0


def test_a_replay_that_dies_changes_nothing(engine: Engine) -> None:
    service = push_only()
    with failing(engine, 3, 2, service=service) as node:
        pull(engine, service, node.node())

        def die(*_: object) -> None:
            raise KeyboardInterrupt

        event.listen(engine, "commit", die)
        with pytest.raises(KeyboardInterrupt):
            decide_refused(engine, service, "replay", failed=True)
        event.remove(engine, "commit", die)
    assert refused_records(engine) == {"2": ("failed", 1)}
    assert orders(engine)[2].push_success is True
    assert salts(engine) == []


def test_a_page_of_failures_is_saved_with_its_mark_or_not_at_all(engine: Engine) -> None:
    service = push_only()
    with failing(engine, 3, 2, service=service) as node:

        def die(statement: str) -> None:
            if "failure_marks" in statement and statement.startswith("INSERT"):
                raise KeyboardInterrupt

        def before(*arguments: Any) -> None:
            die(arguments[2])

        event.listen(engine, "before_cursor_execute", before)
        with pytest.raises(KeyboardInterrupt):
            pull(engine, service, node.node())
        event.remove(engine, "before_cursor_execute", before)
        assert refused_records(engine) == {}
        with engine.connect() as connection:
            assert connection.execute(select(failure_marks)).all() == []
        assert counts(pull(engine, service, node.node())) == Counts(failed=1)


@pytest.mark.parametrize("has_pull", [False, True], ids=["no results", "results"])
def test_data_that_is_sent_again_to_the_same_node_has_new_keys_for_failed_records(
    engine: Engine, has_pull: bool
) -> None:
    service = shop_service() if has_pull else push_only()
    with failing(engine, 3, 2, service=service) as node:
        first = keys(node)
        pull(engine, service, node.node())
        assert refused_records(engine) == {"2": ("failed", 1)}
        repush(moving(engine, service, node.node("shop.orders")), 1)
        assert refused_records(engine) == {"2": ("replayed", 0)}
        node.asked.clear()
        push(engine, service, node.node())
        assert sent(node.asked) == [[1], [2], [3]]
        assert not set(first) & set(keys(node))
    assert refused_records(engine) == {}


def test_a_move_does_not_wait_for_failed_records_and_sends_them_to_the_new_node(engine: Engine) -> None:
    service = shop_service()
    with failing(engine, 3, service=service) as node, scripted_node() as other:
        results = {"1": {"score": 1}, "2": "a bug", "3": {"score": 3}}
        node.script = lambda asked: success(
            3 if asked.path.endswith("status.json") else results if asked.path.endswith("pull.json") else ""
        )
        pull(engine, service, node.node())
        assert refused_records(engine) == {"2": ("failed", 1)}
        n2 = other.node("shop.orders", name="n2")
        context = moving(engine, service, node.node("shop.orders"), n2, settle_seconds=60)
        node.asked.clear()
        report = reassign(context, 1)
        assert (report.records_to_push, report.note, report.seconds < 10) == (1, "", True)
        order = orders(engine)[2]
        assert (order.push_success, order.pull_success, order.pull_error) == (None, None, None)
        assert counts(push(engine, service, n2)) == Counts(pushed=1)
    assert refused_records(engine) == {}


def test_a_result_that_comes_later_ends_the_failure(engine: Engine) -> None:
    service = shop_service()
    with failing(engine, 3, service=service) as node:
        results: dict[str, Any] = {"1": {"score": 1}, "2": "a bug", "3": "another"}
        node.script = lambda asked: success(
            3 if asked.path.endswith("status.json") else results if asked.path.endswith("pull.json") else ""
        )
        assert counts(pull(engine, service, node.node())) == Counts(pulled=1, failed=2)
        results |= {"2": {"score": 2}, "3": "yet another"}
        assert counts(pull(engine, service, node.node())) == Counts(pulled=1, failed=1)
        (listed,) = list_refused(engine, Mesh([service]))
        assert (listed.record, listed.state, listed.reason) == ("3", "failed", "yet another")
