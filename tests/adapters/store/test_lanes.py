"""One holder per lane, an epoch that rises, a lease that expires."""

from __future__ import annotations

import multiprocessing
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier, active_count
from time import monotonic, sleep
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, Row, event, select, text, update

from tests.support.concurrent_processes import acquire_concurrently
from workmesh_flows.adapters.store.lanes import (
    LaneLease,
    acquire_lane,
    lease_lane,
    release_lane,
    row_of,
    update_lane,
)
from workmesh_flows.adapters.store.schema import lanes
from workmesh_flows.domain.lane import Lane
from workmesh_flows.errors import LaneBusy, LaneError, LaneLost, LanePaused, StoreError

LANE = Lane("shop.orders", "order", "n1")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Watch:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def tick(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def take(engine: Engine, watch: Watch, holder: str = "a", lane: Lane = LANE) -> LaneLease:
    return acquire_lane(engine, lane, holder=holder, clock=watch, lease_seconds=30)


def row(engine: Engine, lane: Lane = LANE) -> Row[Any]:
    with engine.connect() as connection:
        return connection.execute(select(lanes).where(row_of(lane))).one()


def test_a_new_lane_is_free(engine: Engine) -> None:
    watch = Watch()
    lease = take(engine, watch)
    assert (lease.epoch, lease.holder, lease.last_push_time, lease.batch_limit) == (1, "a", None, None)
    found = row(engine)
    assert (found.holder, found.epoch, found.lease_until) == ("a", 1, NOON + timedelta(seconds=30))


def test_a_busy_lane_names_its_holder(engine: Engine) -> None:
    watch = Watch()
    take(engine, watch, "the first run")
    with pytest.raises(LaneBusy) as raised:
        take(engine, watch, "the second run")
    assert str(raised.value) == "lane order to n1: held by the first run until 12:00:30 UTC or longer"
    assert raised.value.lane == "order to n1"
    assert row(engine).epoch == 1


def test_a_holder_cannot_acquire_its_own_lane_twice(engine: Engine) -> None:
    watch = Watch()
    take(engine, watch, "a")
    with pytest.raises(LaneBusy):
        take(engine, watch, "a")


@pytest.mark.parametrize(
    "other",
    [
        Lane("shop.orders", "order", "n2"),
        Lane("shop.orders", "item", "n1"),
        Lane("shop.others", "order", "n1"),
        Lane("shop.orders", "order", "n1", "pull"),
    ],
)
def test_lanes_are_independent_of_each_other(engine: Engine, other: Lane) -> None:
    watch = Watch()
    take(engine, watch)
    assert take(engine, watch, "b", other).epoch == 1


def test_a_released_lane_is_free_and_its_epoch_rises(engine: Engine) -> None:
    watch = Watch()
    for epoch in (1, 2, 3):
        lease = take(engine, watch)
        assert lease.epoch == epoch
        release_lane(engine, lease)
        assert row(engine).holder is None


def test_saved_columns_are_read_by_the_next_run(engine: Engine) -> None:
    watch = Watch()
    lease = take(engine, watch)
    update_lane(engine, lease, batch_limit=7, last_push_time=NOON)
    release_lane(engine, lease)
    again = take(engine, watch, "b")
    assert (again.batch_limit, again.last_push_time) == (7, NOON)


def test_a_holder_whose_lease_expired_loses_the_lane_and_writes_nothing(engine: Engine) -> None:
    watch = Watch()
    old = take(engine, watch, "old")
    watch.tick(30)
    with pytest.raises(LaneBusy):
        take(engine, watch, "new")
    watch.tick(0.001)
    new = take(engine, watch, "new")
    assert new.epoch == old.epoch + 1
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE written (id integer)"))

    def write_late() -> None:
        with engine.begin() as connection:
            connection.execute(text("INSERT INTO written VALUES (1)"))
            old.advance(connection, batch_limit=3)

    with pytest.raises(LaneLost, match="nothing more was written") as raised:
        write_late()
    assert raised.value.lane == "order to n1"
    with pytest.raises(LaneLost):
        update_lane(engine, old, batch_limit=3)
    release_lane(engine, old)  # the new holder's lane stays its own
    with engine.begin() as connection:
        assert connection.scalar(text("SELECT count(*) FROM written")) == 0
        new.advance(connection)
    assert (row(engine).holder, row(engine).batch_limit) == ("new", None)


def test_a_run_that_lost_its_lane_does_not_write_even_if_the_lane_is_free_again(engine: Engine) -> None:
    watch = Watch()
    old = take(engine, watch, "old")
    watch.tick(31)
    release_lane(engine, take(engine, watch, "new"))
    for _ in range(2):
        with pytest.raises(LaneLost), engine.begin() as connection:
            old.advance(connection)
    assert old.lost.is_set()


def test_a_holder_with_the_same_name_is_a_different_run(engine: Engine) -> None:
    """A flow run that Prefect starts again has the same name."""
    watch = Watch()
    old = take(engine, watch, "run")
    watch.tick(31)
    take(engine, watch, "run")
    with pytest.raises(LaneLost):
        update_lane(engine, old, batch_limit=3)


def test_a_lane_is_paused_until_the_time_that_the_node_asked_for(engine: Engine) -> None:
    watch = Watch()
    lease = take(engine, watch)
    update_lane(engine, lease, retry_at=NOON + timedelta(minutes=5))
    with pytest.raises(LanePaused, match=re.escape("until 2026-03-01 12:05:00 UTC")) as raised:
        take(engine, watch, "b")
    release_lane(engine, lease)
    with pytest.raises(LanePaused) as raised:
        take(engine, watch, "b")
    assert raised.value.until == NOON + timedelta(minutes=5)
    watch.tick(300)
    release_lane(engine, take(engine, watch, "b"))
    assert row(engine).retry_at is None


def test_a_lane_that_is_released_during_the_attempt_is_still_reported_as_busy(postgresql: Engine) -> None:
    """The holder releases the lane between two statements of another run; in SQLite it cannot write then."""
    watch, lefts = Watch(), list[str]()
    lease = take(postgresql, watch)

    def left(conn: Connection, cursor: Any, statement: str, *rest: Any) -> None:
        if statement.startswith("UPDATE workmesh_lanes SET epoch") and not lefts:
            lefts.append(statement)
            release_lane(postgresql, lease)

    event.listen(postgresql, "after_cursor_execute", left)
    with pytest.raises(LaneBusy, match="a moment ago"):
        take(postgresql, watch, "b")
    assert take(postgresql, watch, "b").epoch == 2


def test_a_lane_is_released_when_the_block_ends_with_or_without_an_error(engine: Engine) -> None:
    watch, before = Watch(), active_count()
    with lease_lane(engine, LANE, holder="a", clock=watch, lease_seconds=30) as lease:
        assert row(engine).holder == "a"
        assert lease.epoch == 1
    assert row(engine).holder is None
    with (
        pytest.raises(ZeroDivisionError),
        lease_lane(engine, LANE, holder="a", clock=watch, lease_seconds=30),
    ):
        raise ZeroDivisionError
    assert (row(engine).holder, row(engine).lease_until) == (None, None)
    assert active_count() == before


def test_a_lease_is_renewed_while_the_block_runs(engine: Engine) -> None:
    def clock() -> datetime:
        return datetime.now(UTC)

    with lease_lane(engine, LANE, holder="a", clock=clock, lease_seconds=0.3) as lease:
        began = monotonic()
        while monotonic() - began < 1.0:
            with pytest.raises(LaneBusy):
                acquire_lane(engine, LANE, holder="b", clock=clock, lease_seconds=0.3)
            sleep(0.05)
        with engine.begin() as connection:
            lease.advance(connection)
        assert row(engine).epoch == 1


def test_a_lease_is_not_renewed_for_a_lane_that_was_lost(engine: Engine) -> None:
    def clock() -> datetime:
        return datetime.now(UTC)

    with lease_lane(engine, LANE, holder="a", clock=clock, lease_seconds=0.15) as lease:
        with engine.begin() as connection:  # as if this process had been asleep and another had come
            later = clock() + timedelta(seconds=60)
            connection.execute(update(lanes).values(holder="b", epoch=lanes.c.epoch + 1, lease_until=later))
        assert lease.lost.wait(5)
        with pytest.raises(LaneLost), engine.begin() as connection:
            lease.advance(connection)
    found = row(engine)
    assert (found.holder, found.epoch, found.lease_until) == ("b", 2, later)


def test_renewal_continues_after_the_database_was_unreachable(engine: Engine) -> None:
    def clock() -> datetime:
        return datetime.now(UTC)

    with lease_lane(engine, LANE, holder="a", clock=clock, lease_seconds=0.15):
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE workmesh_lanes RENAME TO renamed"))
        sleep(0.2)
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE renamed RENAME TO workmesh_lanes"))
        back = clock()
        sleep(0.2)
        assert row(engine).lease_until > back


def test_an_unreachable_database_at_the_end_of_a_block_hides_no_error(engine: Engine) -> None:
    def fail() -> None:
        with lease_lane(engine, LANE, holder="a", clock=Watch(), lease_seconds=30):
            lanes.drop(engine)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with pytest.raises(StoreError, match="workmesh_lanes"):
        take(engine, Watch())


def test_of_two_threads_exactly_one_acquires_a_lane(engine: Engine) -> None:
    barrier = Barrier(2)

    def race(name: str) -> int | None:
        barrier.wait()
        try:
            return take(engine, Watch(), name).epoch
        except LaneBusy:
            return None

    with ThreadPoolExecutor(2) as pool:
        for number in range(1, 21):
            if number == 11:  # half of the rounds race for a lane that has no row yet
                with engine.begin() as connection:
                    connection.execute(lanes.delete())
            won = [epoch for epoch in pool.map(race, ["a", "b"]) if epoch]
            assert won == [number if number < 11 else number - 10]
            with engine.begin() as connection:
                connection.execute(update(lanes).values(holder=None))


def test_of_two_processes_exactly_one_acquires_a_lane(database_url: str, engine: Engine) -> None:
    context, rounds = multiprocessing.get_context("spawn"), 20
    barrier, outcomes = context.Barrier(2), context.Queue()
    workers = [
        context.Process(
            target=acquire_concurrently, args=(database_url, name, rounds, barrier, outcomes), daemon=True
        )
        for name in ("a", "b")
    ]
    for worker in workers:
        worker.start()
    epochs = dict(outcomes.get(timeout=60) for _ in workers)
    for worker in workers:
        worker.join(10)
    assert [max(pair) for pair in zip(epochs["a"], epochs["b"], strict=True)] == list(range(1, rounds + 1))
    assert all(0 in pair for pair in zip(epochs["a"], epochs["b"], strict=True))


def test_a_lane_has_a_readable_name() -> None:
    assert str(LANE) == "order to n1"
    assert str(Lane("s", "order", "n1", "pull")) == "order from n1"
    assert issubclass(LaneLost, LaneError)
