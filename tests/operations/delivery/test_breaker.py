"""The circuit breaker in a lane's row, and the epochs that master and node store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, select, update

from tests.operations.delivery.lane_runs import PING, PUSH, QUICK, STATUS, ClockedContext, lane_row, sent
from tests.support.scripted_node import Answer, Asked, failure, scripted_node, success
from tests.support.shop import shop_service, with_push_success, write_orders, write_shops
from workmesh_flows.adapters.store.breaker import LONGEST_PAUSE, pause_after
from workmesh_flows.adapters.store.schema import lanes
from workmesh_flows.domain.limits import Limits
from workmesh_flows.domain.node import Node
from workmesh_flows.errors import LaneLost, LanePaused, LaneStopped
from workmesh_flows.operations.delivery.pull import pull_lane
from workmesh_flows.operations.delivery.push import push_lane

AWAY = Answer(code=429)
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
SOON = Limits(connect_timeout=1, read_timeout=5, breaker_failures=3, breaker_seconds=20)


@dataclass
class Hour:
    """A clock that the test sets."""

    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Trial:
    """Runs over the lane of one node, with that clock."""

    engine: Engine
    node: Node
    hour: Hour

    @property
    def work(self) -> ClockedContext:
        service = shop_service()
        return ClockedContext(
            self.engine, service, service.protocols[0], self.node, "test", limits=SOON, time=self.hour
        )

    def stops(self) -> LaneStopped:
        with pytest.raises(LaneStopped) as stopped:
            push_lane(self.work)
        return stopped.value

    def waits(self) -> LanePaused:
        with pytest.raises(LanePaused) as waiting:
            push_lane(self.work)
        return waiting.value


@pytest.fixture
def orders(engine: Engine) -> Engine:
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 25)
    return engine


def test_a_breaker_opens_after_consecutive_failures_and_no_request_is_sent(orders: Engine) -> None:
    with scripted_node(lambda asked: AWAY) as node:
        trial = Trial(orders, node.node(), Hour())
        for failures in (1, 2):
            assert trial.stops().transient
            row = lane_row(orders)
            assert (row.breaker, row.failures, row.retry_at) == ("closed", failures, None)
        stopped = trial.stops()
        assert (stopped.transient, stopped.asked) == (False, False)
        row = lane_row(orders)
        assert (row.breaker, row.failures) == ("open", 3)
        assert timedelta(seconds=20) <= row.retry_at - NOON <= timedelta(seconds=40)
        assert f"no request before {row.retry_at:%Y-%m-%d %H:%M:%S} UTC" in str(stopped)
        node.asked.clear()
        waiting = trial.waits()
        assert node.asked == []
    assert waiting.until == row.retry_at
    assert "its circuit breaker is open until" in str(waiting)
    assert f"after 3 consecutive failures, the last one: {PING} answers 429" in str(waiting)


def test_the_option_now_ends_the_pause_of_an_open_breaker(orders: Engine) -> None:
    with scripted_node(lambda asked: AWAY) as node:
        trial = Trial(orders, node.node(), Hour())
        for _ in range(3):
            trial.stops()
        with pytest.raises(LaneStopped) as stopped:  # it is not: the next pause begins
            push_lane(replace(trial.work, now=True))
        row = lane_row(orders)
        assert stopped.value.until == row.retry_at > NOON
        assert (row.breaker, row.failures) == ("open", 4)
        node.script = lambda asked: success()
        trial.waits()
        assert push_lane(replace(trial.work, now=True)).pushed == 25
    row = lane_row(orders)
    assert (row.breaker, row.failures, row.retry_at) == ("closed", 0, None)


def test_the_option_now_ends_a_pause_that_the_node_asked_for(orders: Engine) -> None:
    with scripted_node(lambda asked: Answer(code=503, headers={"Retry-After": "3600"})) as node:
        trial = Trial(orders, node.node(), Hour())
        assert trial.stops().asked
        assert "asked for a pause" in str(trial.waits())
        node.script = lambda asked: success()
        assert push_lane(replace(trial.work, now=True)).pushed == 25
        assert lane_row(orders).retry_at is None


def test_an_accepted_batch_after_the_pause_closes_the_breaker(orders: Engine) -> None:
    with scripted_node(lambda asked: AWAY) as node:
        trial = Trial(orders, node.node(), Hour())
        for _ in range(3):
            trial.stops()
        trial.hour.now += timedelta(seconds=41)
        seen: list[tuple[str, int]] = []

        def script(asked: Asked) -> Answer:
            row = lane_row(orders)
            seen.append((row.breaker, row.failures))
            return success()

        node.script = script
        assert push_lane(trial.work).pushed == 25
    assert seen == [("half-open", 3), ("half-open", 3), ("closed", 0), ("closed", 0)]
    row = lane_row(orders)
    assert (row.breaker, row.failures, row.retry_at, row.done, row.refused) == ("closed", 0, None, 25, 0)


def test_a_failure_after_the_pause_opens_it_for_longer(
    orders: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workmesh_flows.adapters.store.breaker.uniform", lambda least, most: most)
    with scripted_node(lambda asked: success() if asked.path == PING else AWAY) as node:
        trial = Trial(orders, node.node(), Hour())
        pauses = []
        for failures in range(1, 11):
            trial.stops()
            row = lane_row(orders)
            assert row.failures == failures
            if row.retry_at is not None:
                pauses.append((row.retry_at - trial.hour.now).total_seconds())
                trial.hour.now = row.retry_at
    assert pauses == [40, 60, 100, 180, 340, 620, 620, 620]
    assert len(sent(node.asked)) == 10, "one batch a try"


def test_a_success_in_between_resets_the_count_of_failures(orders: Engine) -> None:
    answers: Iterator[Answer] = iter([AWAY, AWAY, success(), AWAY, AWAY])
    with scripted_node(lambda asked: success() if asked.path == PING else next(answers)) as node:
        trial = Trial(orders, node.node(), Hour())
        for failures in (1, 2, 1, 2):
            trial.stops()
            assert (lane_row(orders).failures, lane_row(orders).breaker) == (failures, "closed")


def test_a_refusal_is_an_answer_and_closes_the_breaker(orders: Engine) -> None:
    with scripted_node(lambda asked: AWAY) as node:
        trial = Trial(orders, node.node(), Hour())
        for _ in range(3):
            trial.stops()
        trial.hour.now += timedelta(seconds=41)
        node.script = lambda asked: success() if asked.path == PING else failure("no")
        push_lane(trial.work)
    assert (lane_row(orders).breaker, lane_row(orders).failures, lane_row(orders).refused) == ("closed", 0, 1)


def test_the_longer_of_two_pauses_counts(orders: Engine) -> None:
    with scripted_node(lambda asked: Answer(code=503, headers={"Retry-After": "300"})) as node:
        trial = Trial(orders, node.node(), Hour())
        for _ in range(3):
            assert trial.stops().asked
            assert lane_row(orders).retry_at == trial.hour.now + timedelta(seconds=300)
            trial.hour.now += timedelta(seconds=301)
        assert lane_row(orders).breaker == "open"
        node.script = lambda asked: Answer(code=503, headers={"Retry-After": "1"})
        assert not trial.stops().asked
        assert lane_row(orders).retry_at >= trial.hour.now + timedelta(seconds=20)


def test_a_node_that_is_misconfigured_opens_no_breaker(orders: Engine) -> None:
    with scripted_node(lambda asked: Answer(code=401)) as node:
        trial = Trial(orders, node.node(), Hour())
        for _ in range(5):
            assert not trial.stops().transient
    row = lane_row(orders)
    assert (row.breaker, row.failures, row.retry_at) == ("closed", 0, None)


def test_an_unreachable_node_opens_the_breaker(orders: Engine) -> None:
    with scripted_node() as node:
        down = node.node()
    trial = Trial(orders, down, Hour())
    for _ in range(3):
        trial.stops()
    assert lane_row(orders).breaker == "open"
    assert lane_row(orders).next_batch is None, "no request was on its way"
    assert trial.waits().until is not None


def test_the_pull_lane_has_a_breaker_of_its_own(orders: Engine) -> None:
    with scripted_node(lambda asked: AWAY if asked.path == STATUS else success()) as node:
        trial = Trial(orders, node.node(), Hour())
        for _ in range(3):
            with pytest.raises(LaneStopped):
                pull_lane(trial.work)
        with pytest.raises(LanePaused, match="circuit breaker is open"):
            pull_lane(trial.work)
        assert lane_row(orders, "pull").breaker == "open"
        assert push_lane(trial.work).pushed == 25
        trial.hour.now += timedelta(seconds=41)
        node.script = lambda asked: success(None)
        pull_lane(trial.work)
    row = lane_row(orders, "pull")
    assert (row.breaker, row.failures) == ("closed", 0)
    assert lane_row(orders, "push").failures == 0


def test_a_pause_grows_with_the_failures_up_to_a_limit() -> None:
    for failures in range(12):
        longest = min(15 * 2.0**failures, LONGEST_PAUSE)
        assert all(15 <= pause_after(failures, 15) <= 15 + longest for _ in range(50))
    assert pause_after(10_000, 15) <= 15 + LONGEST_PAUSE
    assert pause_after(0, 100_000) <= 2 * LONGEST_PAUSE


def test_each_request_of_a_push_names_its_lane_and_epoch(orders: Engine) -> None:
    with scripted_node() as node:
        trial = Trial(orders, node.node(), Hour())
        push_lane(trial.work)
        sent_as = {(asked.headers["workmesh-lane"], asked.headers["workmesh-epoch"]) for asked in node.asked}
        assert sent_as == {("shop.orders/order", "1")}
        assert len(sent(node.asked)) == 3


@pytest.mark.parametrize("later", [7, 2**63 - 1, -3])
def test_an_epoch_that_is_behind_is_raised_and_the_next_attempt_succeeds(orders: Engine, later: int) -> None:
    """As after a backup was restored: the node has seen a later sender than this database knows."""
    stale = Answer(b'{"status": "stale", "value": {"epoch": %d}}' % later, code=412)
    seen = []

    def script(asked: Asked) -> Answer:
        seen.append(int(asked.headers["workmesh-epoch"]))
        return stale if asked.path == PUSH and len(seen) == 2 else success()

    with scripted_node(script) as node:
        trial = Trial(orders, node.node(), Hour())
        stopped = trial.stops()
        assert stopped.transient
        assert "epoch was raised above it" in str(stopped)
        assert with_push_success(orders, None) == list(range(1, 26))
        assert (lane_row(orders).holder, lane_row(orders).failures) == (None, 0)
        assert push_lane(trial.work).pushed == 25
    assert seen[:2] == [1, 1]
    assert seen[2] == max(min(later, 2**62), 1) + 1, "it never falls, and keeps its room"


def test_a_sender_whose_lane_another_run_acquired_has_lost_it(orders: Engine) -> None:
    def script(asked: Asked) -> Answer:
        if asked.path != PUSH:
            return success()
        with orders.begin() as connection:  # another run, after this one was silent for a lease
            connection.execute(update(lanes).values(epoch=5, holder="another"))
        return Answer(b'{"status": "stale", "value": {"epoch": 5}}', code=412)

    with scripted_node(script) as node, pytest.raises(LaneLost, match="another run took it over"):
        push_lane(Trial(orders, node.node(), Hour()).work)
    with orders.connect() as connection:
        row = connection.execute(select(lanes.c.epoch, lanes.c.holder)).one()
    assert tuple(row) == (5, "another")
    assert with_push_success(orders, None) == list(range(1, 26))
    assert QUICK.lease_seconds == 30
