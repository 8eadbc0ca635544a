"""The record that a node names as its latest, and the results that are pulled then."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text, update
from sqlalchemy.orm import Session

from tests.operations.delivery.lane_runs import (
    FAILED,
    PULL,
    STATUS,
    as_node,
    context_on,
    lane_row,
    order_node,
    pull,
    pull_stops,
    push,
)
from tests.support.counts import NOTHING, Counts, counts
from tests.support.scripted_node import API_KEY, Answer, Asked, ScriptedNode, failure, scripted_node, success
from tests.support.shop import PULL_FLAGS, Order, orders, shop_service, write_orders, write_shops
from workmesh_flows import Pull
from workmesh_flows.errors import LanePaused
from workmesh_flows.operations.delivery.pull import pull_lane


@contextmanager
def pushed(
    engine: Engine, count: int, *, latest: Any, missing: frozenset[int] = frozenset()
) -> Iterator[ScriptedNode]:
    """A node that was sent ``count`` orders and names one as the latest; a result is ten times the id."""
    write_shops(engine, ["n1", "n2"])
    write_orders(engine, [1] * count)

    def script(asked: Asked) -> Answer:
        if asked.path == STATUS:
            return success(latest)
        if asked.path == PULL:
            return success({str(n): {"score": 10 * n} for n in asked.body["ids"] if n not in missing})
        return success()

    with scripted_node(script) as node:
        push(engine, shop_service(), node.node())
        node.asked.clear()
        yield node


def pulled(engine: Engine) -> list[int]:
    return sorted(number for number, order in orders(engine).items() if order.pull_success)


def test_a_pull_reports_its_progress_and_the_total(engine: Engine) -> None:
    reported: list[tuple[int, int]] = []
    with pushed(engine, 25, latest=25) as node:
        lane = context_on(engine, shop_service(), node.node())
        pull_lane(replace(lane, progress=lambda *figures: reported.append(figures)))
    assert reported == [(10, 25), (20, 25), (25, 25)]


def test_a_node_that_has_processed_nothing_gives_nothing(engine: Engine) -> None:
    with pushed(engine, 5, latest=None) as node:
        report = pull(engine, shop_service(), node.node())
    assert counts(report) == NOTHING
    assert report.note == "the node has processed nothing yet"
    assert node.paths() == [STATUS, FAILED]


@pytest.mark.parametrize("latest", [13, "13"])
def test_all_records_up_to_the_latest_one_processed_are_pulled(engine: Engine, latest: object) -> None:
    with pushed(engine, 25, latest=latest) as node:
        report = pull(engine, shop_service(), node.node())
    assert counts(report) == Counts(pulled=13)
    assert pulled(engine) == list(range(1, 14))
    asked = [request.body["ids"] for request in node.asked if request.path == PULL]
    assert asked == [list(range(1, 11)), [11, 12, 13]]
    order = orders(engine)[13]
    assert (order.score, order.pull_error) == (130, None)
    assert order.pull_time is not None


def test_an_older_latest_record_gives_only_what_was_left_behind_it(engine: Engine) -> None:
    with pushed(engine, 10, latest=7, missing=frozenset({2})) as node:
        assert counts(pull(engine, shop_service(), node.node())) == Counts(pulled=6, in_flight=1)
        node.script = lambda asked: success(4 if asked.path == STATUS else {"2": {"score": 1}})
        assert counts(pull(engine, shop_service(), node.node())) == Counts(pulled=1)
    assert pulled(engine) == [1, 2, 3, 4, 5, 6, 7]


def test_a_newer_latest_record_gives_the_rest(engine: Engine) -> None:
    with pushed(engine, 10, latest=4) as node:
        assert counts(pull(engine, shop_service(), node.node())) == Counts(pulled=4)
        script = node.script
        node.script = lambda asked: success(9) if asked.path == STATUS else script(asked)
        assert counts(pull(engine, shop_service(), node.node())) == Counts(pulled=5)
    assert pulled(engine) == list(range(1, 10))


@pytest.mark.parametrize("latest", [99, -1, 2**63, "nobody", "", 1.5, True, [], {"id": 1}])
def test_an_unknown_latest_record_stops_the_lane_and_pulls_nothing(engine: Engine, latest: object) -> None:
    with pushed(engine, 3, latest=latest) as node:
        stopped = pull_stops(engine, shop_service(), node.node())
    assert "node n1: its status names" in str(stopped)
    assert not stopped.transient
    assert counts(stopped.report) == NOTHING
    assert node.paths() == [STATUS]
    assert pulled(engine) == []


def test_a_latest_record_of_another_lane_stops_the_lane_and_pulls_nothing(engine: Engine) -> None:
    with pushed(engine, 3, latest=50) as node:
        write_orders(engine, [2], first=50)
        push(engine, shop_service(), node.node(name="n2"))
        stopped = pull_stops(engine, shop_service(), node.node())
    assert "names record '50', which is not one of those sent to it" in str(stopped)
    assert pulled(engine) == []


def test_a_processed_record_without_a_push_flag_holds_back_no_other_result(
    engine: Engine,
) -> None:
    with pushed(engine, 25, latest=77, missing=frozenset(range(8, 26))) as node:
        write_orders(engine, [1], first=77)
        report = pull(engine, shop_service(), node.node())
        asked = [request.body["ids"] for request in node.asked if request.path == PULL]
    assert counts(report) == Counts(pulled=7)
    assert report.note == "record 77 is processed but not flagged as pushed"
    assert pulled(engine) == list(range(1, 8))
    assert asked == [list(range(1, 11)), list(range(11, 21))], "no more once the node has no results"


def test_a_pull_function_waits_until_the_record_that_the_node_names_is_flagged_as_pushed(
    engine: Engine,
) -> None:
    service = shop_service(pull=Pull(STATUS, lambda order, _: {"score": order.id}, flags=PULL_FLAGS))
    with pushed(engine, 3, latest=77) as node:
        write_orders(engine, [1], first=77)
        report = pull(engine, service, node.node())
    assert counts(report) == NOTHING
    assert report.note == "record 77 is processed but not flagged as pushed; push first"
    assert pulled(engine) == []


def test_a_push_that_flags_its_record_a_moment_later_is_waited_for(engine: Engine) -> None:
    with pushed(engine, 3, latest=4) as node:
        write_orders(engine, [1], first=4)
        pushing = threading.Timer(0.1, push, (engine, shop_service(), node.node()))
        pushing.start()
        report = pull(engine, shop_service(), node.node())
        pushing.join()
    assert counts(report) == Counts(pulled=4)


def test_ids_that_a_node_leaves_out_are_left_and_come_with_the_next_pull(engine: Engine) -> None:
    with pushed(engine, 25, latest=25, missing=frozenset({3, 14, 25})) as node:
        report = pull(engine, shop_service(), node.node())
        assert counts(report) == Counts(pulled=22, in_flight=3)
        assert orders(engine)[3].pull_success is None
        node.script = lambda asked: success(
            25 if asked.path == STATUS else {str(n): {"score": n} for n in asked.body["ids"]}
        )
        assert counts(pull(engine, shop_service(), node.node())) == Counts(pulled=3)
    assert len(pulled(engine)) == 25


def test_pulling_again_changes_nothing(engine: Engine) -> None:
    with pushed(engine, 5, latest=5) as node:
        pull(engine, shop_service(), node.node())
        before = {number: (order.pull_time, order.score) for number, order in orders(engine).items()}
        node.asked.clear()
        assert counts(pull(engine, shop_service(), node.node())) == NOTHING
    assert node.paths() == [STATUS, FAILED]
    assert {number: (order.pull_time, order.score) for number, order in orders(engine).items()} == before


def test_a_record_that_was_refused_is_not_pulled(engine: Engine) -> None:
    with pushed(engine, 4, latest=4) as node:
        with Session(engine) as session, session.begin():
            session.execute(update(Order).where(Order.id == 2).values(push_success=False))
        report = pull(engine, shop_service(), node.node())
    assert counts(report) == Counts(pulled=3)
    assert pulled(engine) == [1, 3, 4]


@pytest.mark.parametrize(
    ("answer", "transient", "reported"),
    [
        pytest.param(
            failure("Wrong api_key"), False, "status.json is refused: Wrong api_key", id="a wrong key"
        ),
        pytest.param(failure(f"Invalid ({API_KEY})"), False, "Invalid (***)", id="a key that is echoed"),
        pytest.param(Answer(code=500), True, "answers 500", id="a crash"),
        pytest.param(Answer(code=503), True, "answers 503", id="503"),
        pytest.param(Answer(b"<html>"), True, "is not JSON", id="HTML"),
        pytest.param(Answer(raw=b""), True, "node n1", id="a closed connection"),
        pytest.param(Answer(code=303, headers={"Location": "/404"}), False, "/404", id="no such endpoint"),
    ],
)
@pytest.mark.parametrize("path", [STATUS, PULL])
def test_an_error_of_the_node_stops_the_pull_and_flags_nothing(
    engine: Engine, path: str, answer: Answer, transient: bool, reported: str
) -> None:
    with pushed(engine, 3, latest=3) as node:
        script = node.script
        if path == PULL:  # from then on: a wrong key and a crashed node show at the ping too
            reported = reported.replace("status.json", "ping.json")
            node.script = lambda asked: script(asked) if asked.path == STATUS else answer
        else:
            node.script = lambda asked: answer
        stopped = pull_stops(engine, shop_service(), node.node())
    assert reported in str(stopped)
    assert stopped.transient is transient
    assert {order.pull_success for order in orders(engine).values()} == {None}


def test_a_pause_asked_for_during_a_pull_does_not_pause_the_push(engine: Engine) -> None:
    with pushed(engine, 3, latest=3) as node:
        script = node.script
        node.script = lambda asked: Answer(code=429, headers={"Retry-After": "60"})
        pull_stops(engine, shop_service(), node.node())
        node.script, node.asked[:] = script, []
        with pytest.raises(LanePaused):
            pull(engine, shop_service(), node.node())
        assert node.asked == []
        write_orders(engine, [1], first=4)
        assert push(engine, shop_service(), node.node()).pushed == 1
    assert lane_row(engine, "pull").retry_at is not None


def test_results_that_could_not_be_written_are_pulled_again(engine: Engine) -> None:
    with pushed(engine, 5, latest=5) as node:
        with Session(engine) as session, session.begin():
            session.execute(text('ALTER TABLE "select" RENAME COLUMN score TO gone'))
        stopped = pull_stops(engine, shop_service(), node.node())
        assert not stopped.transient
        assert counts(stopped.report) == Counts(in_flight=5)
        with Session(engine) as session, session.begin():
            session.execute(text('ALTER TABLE "select" RENAME COLUMN gone TO score'))
        assert pulled(engine) == []
        assert counts(pull(engine, shop_service(), node.node())) == Counts(pulled=5)
    assert [order.score for order in orders(engine).values()] == [10, 20, 30, 40, 50]


def test_a_record_whose_entity_was_moved_by_hand_is_accepted_as_the_latest(engine: Engine) -> None:
    with pushed(engine, 3, latest=2) as node:
        with Session(engine) as session, session.begin():
            session.execute(update(Order).where(Order.id == 2).values(shop_id=2))
        assert counts(pull(engine, shop_service(), node.node())) == Counts(pulled=1)
    assert pulled(engine) == [1]


def test_a_real_node_gives_its_results_and_its_failures(engine: Engine, tmp_path: Path) -> None:
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1, 2] * 10)
    with Session(engine) as session, session.begin():
        session.execute(update(Order).where(Order.id == 6).values(text="impossible"))
    with order_node(tmp_path) as process:
        node = as_node(process)
        push(engine, shop_service(), node)
        total = 0
        while total < 20:
            report = pull(engine, shop_service(), node)
            total = len([order for order in orders(engine).values() if order.pull_success is not None])
    assert report.selected <= 20
    found = orders(engine)
    assert [found[n].score for n in (1, 5, 20)] == [10, 50, 200]
    assert found[6].pull_success is False
    assert "no score for this one" in (found[6].pull_error or "")
