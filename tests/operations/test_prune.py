"""Pruning the Workmesh tables: what nothing needs is deleted, what anything may need stays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import Engine, delete, event, select
from sqlalchemy.orm import Session

from tests.operations.delivery.lane_runs import PUSH, as_node, order_node, push
from tests.operations.old_rows import (
    BEFORE,
    KEY,
    NEW,
    OLD,
    S,
    add,
    flag,
    lane,
    left,
    move,
    write_history,
)
from tests.reliability.failpoints import Failpoints, watch_statements
from tests.support.own_tables import rows_of
from tests.support.scripted_node import Answer, Asked, scripted_node, success
from tests.support.shop import Order, shop_mesh, shop_service, with_push_success, write_orders, write_shops
from workmesh_flows.adapters.store.processed_counts import read_processed
from workmesh_flows.adapters.store.pruning import old_moves
from workmesh_flows.adapters.store.schema import former_pushes, lanes, missing, moves, plans
from workmesh_flows.adapters.store.statements.moves import moves_away
from workmesh_flows.domain.pruned import PLACES
from workmesh_flows.operations.prune import prune_tables


def prune(engine: Engine, *nodes: str, dry_run: bool = False) -> Counter[str]:
    """The number of deleted rows by kind; blocks describe the nodes."""
    found = Counter[str]()
    for batch in prune_tables(engine, shop_mesh(), nodes, BEFORE, dry_run=dry_run):
        assert batch.kind in PLACES
        assert batch.number > 0
        found[batch.kind] += batch.number
    return found


def column(engine: Engine, table: Any, name: str) -> list[Any]:
    with engine.connect() as connection:
        return sorted(connection.scalars(select(table.c[name])))


DELETED = {
    "moves": 3,
    "plans": 2,
    "former pushes": 2,
    "missing records": 2,
    "skipped records": 1,
}
"""What is deleted of the history; the lanes of the node that is gone stay, since order 3 is in flight there."""


def test_old_rows_that_nothing_needs_are_deleted_and_all_others_stay(engine: Engine) -> None:
    write_history(engine)
    flag(engine, 3, pushed=True, pulled=None)
    before = rows_of(engine)
    assert prune(engine, "n1") == DELETED
    after = rows_of(engine)
    log = [row for row in after["workmesh_moves"] if row["service"] == S]
    # Together they say that shop 1 has left every node.
    assert sorted((row["entity"], row["target"]) for row in log) == [("1", "n1"), ("1", "n2")]
    assert sorted(row["id"] for row in after["workmesh_plans"]) == ["new", "of others", "started"]
    assert sorted(row["record"] for row in after["workmesh_former_pushes"]) == ["2", "3"]
    assert sorted(row["record"] for row in after["workmesh_missing"]) == ["2", "3"]
    assert sorted(row["record"] for row in after["workmesh_parked"]) == ["10", "3", "8"]
    for table in ("workmesh_lanes", "workmesh_failure_marks", "workmesh_replays", "workmesh_conditions"):
        assert after[table] == before[table]
    others = [row for row in after["workmesh_moves"] if row["service"] == "others"]
    assert others == [row for row in before["workmesh_moves"] if row["service"] == "others"]
    assert prune(engine, "n1") == {}


def test_a_dry_run_counts_what_would_be_deleted_and_writes_nothing(engine: Engine) -> None:
    write_history(engine)
    flag(engine, 3, pushed=True, pulled=None)
    before = rows_of(engine)
    assert prune(engine, "n1", dry_run=True) == DELETED
    assert rows_of(engine) == before


def test_the_move_log_still_answers_whether_an_entity_has_left_a_node(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(old_moves, "READ_AT_ONCE", 7)
    random, names = Random(5), ["n1", "n2", "n3", "n4"]  # noqa: S311 - nothing is encrypted
    write_shops(engine, ["n1"] * 9)
    add(
        engine,
        moves,
        *(
            move(
                random.randint(1, 9),
                random.choice(names),
                random.choice(names),
                random.choice([OLD, OLD, NEW]),
            )
            for _ in range(120)
        ),
        move(10, "n1", "n2"),  # shop 10 is deleted
    )

    def answers() -> dict[tuple[int, str], bool]:
        service = shop_service()
        with engine.connect() as connection:
            return {
                (shop, node): connection.execute(moves_away(service, node, shop)).first() is not None
                for shop in range(1, 10)
                for node in [*names, "n5"]
            }

    before, new = answers(), column(engine, moves, "moved_at").count(NEW)
    expected = prune(engine, dry_run=True)
    assert prune(engine) == expected
    assert answers() == before
    times = column(engine, moves, "moved_at")
    assert times.count(NEW) == new
    assert 0 < times.count(OLD) <= 2 * 9
    assert "10" not in column(engine, moves, "entity")


@pytest.mark.parametrize(
    ("record", "latest", "known", "stays"),
    [
        pytest.param(1, ("2", OLD), ["n2"], False, id="pulled, and the node has processed a later one"),
        pytest.param(9, ("2", OLD), ["n2"], False, id="deleted, and the node has processed a later one"),
        pytest.param(1, ("1", OLD), ["n2"], True, id="the node names it as its latest"),
        pytest.param(1, ("2", OLD - timedelta(1)), ["n2"], True, id="the node may name it next"),
        pytest.param(1, None, ["n2"], True, id="the node was never pulled from"),
        pytest.param(1, None, [], False, id="the node is gone"),
        pytest.param(9, None, [], False, id="deleted, and the node is gone"),
        pytest.param(3, ("2", OLD), ["n2"], True, id="in flight at another node"),
        pytest.param(3, None, [], True, id="in flight, and the node is gone"),
    ],
)
def test_a_former_push_stays_until_no_node_can_name_its_record(
    engine: Engine, record: int, latest: tuple[str, Any] | None, known: list[str], stays: bool
) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1, 1, 1])
    flag(engine, 1, pushed=True, pulled=True)
    flag(engine, 3, pushed=True, pulled=None)
    add(engine, former_pushes, left("n2", record))
    if latest is not None:
        add(engine, lanes, lane("n2", "pull", latest_id=latest[0], latest_time=latest[1]))
    prune(engine, "n1", *known)
    assert (column(engine, former_pushes, "record") == [str(record)]) is stays


@pytest.mark.parametrize(
    ("pulled", "shops", "times", "stay"),
    [
        pytest.param(True, ["n1"], {"last_push_time": OLD}, False, id="gone, and nothing in flight"),
        pytest.param(None, ["n1"], {"last_push_time": OLD}, True, id="a record may be in flight there"),
        pytest.param(
            None, ["n1"], {"last_push_time": OLD - timedelta(1)}, False, id="pushed elsewhere since"
        ),
        pytest.param(True, ["gone"], {"last_push_time": OLD}, True, id="an entity is assigned to it"),
        pytest.param(True, ["n1"], {"last_push_time": NEW}, True, id="used lately"),
        pytest.param(True, ["n1"], {"holder": "a run", "lease_until": NEW}, True, id="a run holds it"),
        pytest.param(True, ["n1"], {"holder": "a dead run", "lease_until": OLD}, False, id="its run died"),
    ],
)
def test_the_lanes_of_a_node_that_is_gone_stay_while_anything_needs_them(
    engine: Engine, pulled: bool | None, shops: list[str], times: dict[str, Any], stay: bool
) -> None:
    write_shops(engine, shops)
    write_orders(engine, [1])
    flag(engine, 1, pushed=True, pulled=pulled)
    add(engine, lanes, lane("gone", **times), lane("gone", "pull"), lane("n1", last_push_time=OLD))
    prune(engine, "n1")
    assert column(engine, lanes, "node") == (["gone", "gone", "n1"] if stay else ["n1"])


def test_records_that_deleted_lanes_have_processed_stay_counted(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1, 1, 1])
    for order in (1, 2, 3):
        flag(engine, order, pushed=True, pulled=True)
    add(
        engine,
        lanes,
        lane("gone", done=3, last_push_time=OLD),
        lane("gone", "pull", done=2),
        lane("n1", "pull", done=1),
    )
    prune(engine, "n1")
    assert column(engine, lanes, "node") == ["n1"]
    (count,) = read_processed(engine, [S]).values()
    assert (count.by_node, count.correction) == ({"n1": 1}, 2)


def test_lanes_of_a_node_with_a_block_stay(engine: Engine) -> None:
    write_shops(engine, [None])
    add(engine, lanes, lane("n1", last_push_time=OLD))
    assert prune(engine, "n1") == {}
    assert column(engine, lanes, "node") == ["n1"]


def test_a_node_that_returns_after_its_lanes_were_deleted_gets_its_records(
    engine: Engine, tmp_path: Path
) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1, 1])
    with order_node(tmp_path) as node:
        for _ in range(3):  # each raises the epoch, which the node keeps
            push(engine, shop_service(), as_node(node))
        with engine.begin() as connection:
            connection.execute(delete(lanes))
        write_orders(engine, [1, 1], first=3)
        push(engine, shop_service(), as_node(node))
    assert with_push_success(engine, True) == [1, 2, 3, 4]


def test_a_former_push_that_a_move_needs_again_meanwhile_is_not_deleted(engine: Engine) -> None:
    """Between the look and the deletion, the record is made pending again; its move would find the row, and keep it."""
    write_shops(engine, ["n1"])
    write_orders(engine, [1])
    flag(engine, 1, pushed=True, pulled=True)
    add(engine, former_pushes, left("gone", 1))
    meanwhile = iter([lambda: flag(engine, 1, pushed=None, pulled=None)])

    def before(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        del connection, cursor
        if statement.startswith("UPDATE workmesh_services"):
            next(meanwhile, lambda: None)()

    event.listen(engine, "before_cursor_execute", before)
    prune(engine, "n1")
    assert column(engine, former_pushes, "record") == ["1"]


def test_a_prune_during_a_push_disturbs_neither(engine: Engine) -> None:
    write_history(engine)
    write_orders(engine, [1] * 30, first=20)
    deleted: list[Counter[str]] = []

    def script(asked: Asked) -> Answer:
        if asked.path == PUSH:
            deleted.append(prune(engine, "n1"))
        return success()

    with scripted_node(script) as node:
        report = push(engine, shop_service(), node.node("shop.orders"))
    assert report.pushed == 30
    assert deleted[0]["plans"] == 2
    assert not any(deleted[1:])


class _Dying(Failpoints):
    """Raises at the n-th failpoint, as if the process died there: what is not committed is rolled back."""

    def __init__(self, at: int) -> None:
        super().__init__(None)
        self.at, self.seen = at, list[str]()

    def record_pass(self, what: str, moment: str) -> None:
        self.seen.append(f"{what}, {moment}")
        if len(self.seen) == self.at:
            raise KeyboardInterrupt


@pytest.fixture
def databases(engine: Engine) -> Callable[[], Engine]:
    """The same database, restored to the history of this test."""
    write_history(engine)
    content = rows_of(engine)

    def restore() -> Engine:
        from workmesh_flows.adapters.store.schema import own

        with engine.begin() as connection:
            for table in own.sorted_tables:
                if table.name != "workmesh_schema":
                    connection.execute(delete(table))
                    if content[table.name]:
                        connection.execute(table.insert(), content[table.name])
        return engine

    return restore


def test_a_prune_that_dies_at_any_write_is_completed_by_the_next_one(
    databases: Callable[[], Engine],
) -> None:
    engine = databases()
    points = _Dying(0)
    watch_statements(engine, points)
    prune(engine, "n1")
    expected, writes = rows_of(engine), len(points.seen)
    named = {point.partition(",")[0] for point in points.seen}
    assert {
        "prune moves",
        "prune plans",
        "prune lanes",
        "delete former pushes",
        "delete missing records",
        "delete refusals",
    } <= named
    for at in range(1, writes + 1):
        databases()
        points.seen.clear()
        points.at = at
        with pytest.raises(KeyboardInterrupt):
            prune(engine, "n1")
        points.at = 0
        prune(engine, "n1")
        assert rows_of(engine) == expected, f"died at {points.seen[at - 1]}"


def test_a_plan_that_is_started_before_it_is_deleted_stays(engine: Engine) -> None:
    write_history(engine)

    start = plans.update().where(plans.c.id == "planned").values(state="applying")
    meanwhile = iter([start])

    def before(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        del cursor
        if (
            statement.startswith("DELETE FROM workmesh_plans")
            and (found := next(meanwhile, None)) is not None
        ):
            connection.execute(found)

    event.listen(engine, "before_cursor_execute", before)
    assert prune(engine, "n1")["plans"] == 1
    assert "planned" in column(engine, plans, "id")


def test_a_missing_record_stays_until_it_has_a_result_or_is_deleted(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1, 1, 1])
    flag(engine, 1, pushed=True, pulled=None)
    flag(engine, 2, pushed=None, pulled=None)
    flag(engine, 3, pushed=True, pulled=False)
    add(engine, missing, *(left(node, record) for node in ("n1", "n2") for record in (1, 2, 3, 4)))
    assert prune(engine, "n1", "n2") == {"missing records": 4}
    assert column(engine, missing, "record") == ["1", "1", "2", "2"]
    with Session(engine) as session:
        session.execute(delete(Order))
        session.commit()
    assert prune(engine, "n1", "n2") == {"missing records": 4}


def test_rows_of_other_protocols_and_services_stay(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    other = KEY | {"protocol": "gone", "node": "gone", "record": "1", "push_time": OLD}
    foreign = KEY | {"service": "others", "node": "gone", "record": "1", "push_time": OLD}
    for table in (former_pushes, missing):
        add(engine, table, other, foreign)
    assert prune(engine) == {}
