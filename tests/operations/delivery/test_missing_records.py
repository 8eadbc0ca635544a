"""Records whose entity changes outside a hand-over, or that a node loses: their results come, or they are sent again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import Engine, event, select, text

from tests.operations.delivery.lane_runs import PULL, STATUS, pull, push, sent_ids
from tests.reliability.model.model_node import ModelNode
from tests.support.scripted_node import Answer, ScriptedNode, scripted_node
from tests.support.shop import PULL_FLAGS, orders, shop_service, write_orders, write_shops
from workmesh_flows import Mesh, Pull, Service
from workmesh_flows.adapters.store.schema import missing
from workmesh_flows.domain.node import Inventory, Node
from workmesh_flows.domain.reports import PullReport
from workmesh_flows.errors import LaneStopped
from workmesh_flows.operations.check import check_mesh
from workmesh_flows.operations.status import read_status


@dataclass
class Fleet:
    """Three nodes that process in the order of arrival; a result is ten times the id, plus the number of the node."""

    engine: Engine
    service: Service = field(default_factory=shop_service)
    scripts: dict[str, ModelNode] = field(default_factory=dict)
    servers: dict[str, ScriptedNode] = field(default_factory=dict)

    def node(self, name: str) -> Node:
        return self.servers[name].node("shop.orders", name=name)

    def push(self, *names: str) -> None:
        for name in names:
            push(self.engine, self.service, self.node(name))

    def pull(self, name: str) -> PullReport:
        return pull(self.engine, self.service, self.node(name))

    def process(self, name: str, count: int = 1000) -> None:
        self.scripts[name].process(count)

    def run(self, *names: str, times: int = 4) -> None:
        """Push, process and pull, as a schedule does."""
        for _ in range(times):
            for name in names:
                self.push(name)
                self.process(name)
                self.pull(name)

    def sent(self, name: str) -> list[int]:
        return sent_ids(self.servers[name].asked)

    def missing(self) -> dict[str | None, int]:
        inventory = Inventory({name: self.node(name) for name in self.servers})
        counts = read_status(self.engine, Mesh([self.service]), inventory).counts
        return {count.node: count.missing for count in counts if count.missing}

    def scores(self) -> dict[int, int | None]:
        return {number: order.score for number, order in orders(self.engine).items() if order.pull_success}

    def sql(self, *statements: str) -> None:
        with self.engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))

    def saved(self) -> int:
        with self.engine.connect() as connection:
            return len(connection.execute(select(missing)).all())


MERGE = 'UPDATE "select" SET "Group" = 2 WHERE "Group" = 1'
ASSIGN = 'UPDATE "Shop" SET "order" = \'{}\' WHERE "ShopId" = 1'


@contextmanager
def fleet(engine: Engine, **more: Any) -> Iterator[Fleet]:
    """Shops 1 and 3 on n1, shop 2 on n2, shop 4 on n3, without orders."""
    write_shops(engine, ["n1", "n2", "n1", "n3"])
    with scripted_node() as one, scripted_node() as two, scripted_node() as three:
        found = Fleet(engine, **more)
        for number, server in enumerate((one, two, three), start=1):
            found.scripts[f"n{number}"] = ModelNode(f"n{number}", number)
            found.servers[f"n{number}"] = server
            server.script = found.scripts[f"n{number}"]
        yield found


@pytest.fixture
def nodes(engine: Engine) -> Iterator[Fleet]:
    """Orders 1 to 6 of the shops 1, 3 and 2 in rotation, all pushed; none is processed."""
    with fleet(engine) as found:
        write_orders(engine, [1, 3, 2, 1, 3, 2])
        found.push("n1", "n2")
        yield found


def test_results_of_merged_accounts_are_taken_from_the_old_node(nodes: Fleet) -> None:
    nodes.process("n1")
    nodes.sql(MERGE)
    nodes.run("n1", "n2")
    assert nodes.scores() == {1: 11, 2: 21, 3: 32, 4: 41, 5: 51, 6: 62}
    assert nodes.sent("n2") == [3, 6], "nothing was sent again"
    assert nodes.saved() == 0


def test_merged_records_that_the_old_node_processes_later_are_waited_for(nodes: Fleet) -> None:
    nodes.process("n1", 2)
    nodes.sql(MERGE)
    nodes.process("n2")
    for _ in range(3):
        nodes.pull("n1")
        nodes.pull("n2")
    assert nodes.scores() == {1: 11, 2: 21, 3: 32, 6: 62}
    assert nodes.missing() == {"n2": 1}
    nodes.run("n1", "n2")
    assert nodes.scores() == {1: 11, 2: 21, 3: 32, 4: 41, 5: 51, 6: 62}
    assert nodes.sent("n2") == [3, 6]
    assert nodes.missing() == {}


def test_merged_records_that_no_node_has_are_pending_again(nodes: Fleet) -> None:
    nodes.process("n1")
    del nodes.scripts["n1"].store.records[4]
    nodes.sql(MERGE)
    nodes.process("n2")
    notes = [nodes.pull(name).note for name in ("n1", "n2", "n1", "n2")]
    assert notes == [
        "",
        "2 records are missing at the node",
        "",
        "1 record was never received by the node; it is pending again",
    ]
    nodes.run("n1", "n2")
    assert nodes.scores() == {1: 11, 2: 21, 3: 32, 4: 42, 5: 51, 6: 62}
    assert nodes.sent("n2") == [3, 6, 4]
    assert nodes.saved() == 0


def test_an_entity_that_is_assigned_by_hand_to_an_idle_node_keeps_its_results(nodes: Fleet) -> None:
    nodes.process("n1", 2)
    nodes.sql(ASSIGN.format("n3"))
    nodes.run("n1", "n2", "n3")
    assert nodes.scores() == {1: 11, 2: 21, 3: 32, 4: 41, 5: 51, 6: 62}
    assert nodes.sent("n3") == []


def test_records_for_an_idle_node_that_no_node_has_are_sent_to_it(nodes: Fleet) -> None:
    nodes.scripts["n1"].store.records.clear()
    nodes.sql(ASSIGN.format("n3"))
    write_orders(nodes.engine, [3], first=7)
    nodes.run("n1", "n2", "n3", times=5)
    assert nodes.scores() == {1: 13, 2: 21, 3: 32, 4: 43, 5: 51, 6: 62, 7: 71}
    assert nodes.sent("n3") == [1, 4]


@pytest.mark.parametrize("way", [("n2", "n3"), ("n2", "n1"), ("n3", "n2")])
def test_an_account_that_is_assigned_by_hand_twice_keeps_its_results(
    nodes: Fleet, way: tuple[str, str]
) -> None:
    nodes.process("n1", 1)
    for target in way:
        nodes.sql(ASSIGN.format(target))
        nodes.pull("n1")
        nodes.process("n2")
        nodes.pull("n2")
    nodes.run("n1", "n2", "n3", times=5)
    assert nodes.scores() == {1: 11, 2: 21, 3: 32, 4: 41, 5: 51, 6: 62}


@pytest.mark.parametrize(
    "statements",
    [
        pytest.param(
            ('UPDATE "select" SET "Group" = NULL WHERE "Group" = 1', 'DELETE FROM "Shop" WHERE "ShopId" = 1'),
            id="ownerless",
        ),
        pytest.param(('UPDATE "Shop" SET "order" = NULL WHERE "ShopId" = 1',), id="unassigned"),
        pytest.param((ASSIGN.format("gone"),), id="an unknown node"),
    ],
)
def test_the_old_node_is_pulled_although_records_have_no_other_node(
    nodes: Fleet, statements: tuple[str, ...]
) -> None:
    nodes.process("n1", 4)
    assert nodes.scripts["n1"].store.done[-1] == 5
    nodes.scripts["n1"].store.processed = 3
    assert nodes.scripts["n1"].store.done[-1] == 4, "it names a record of shop 1"
    nodes.sql(*statements)
    nodes.pull("n1")
    assert nodes.scores() == {2: 21}
    nodes.run("n1", "n2")
    assert nodes.scores() == {2: 21, 3: 32, 5: 51, 6: 62}
    assert nodes.sent("n1") == [1, 2, 4, 5]


def test_nothing_is_sent_again_while_a_node_that_may_have_it_is_unreachable(nodes: Fleet) -> None:
    nodes.sql(MERGE)
    script = nodes.servers["n1"].script
    nodes.servers["n1"].script = lambda asked: Answer(raw=b"")
    for _ in range(3):
        nodes.run("n2", times=1)
        with pytest.raises(LaneStopped):
            nodes.pull("n1")
    assert nodes.scores() == {3: 32, 6: 62}
    assert nodes.sent("n2") == [3, 6]
    assert nodes.missing() == {"n2": 2}
    (finding,) = [one for one in check_mesh(nodes.engine, Mesh([nodes.service])) if "missing at" in one.what]
    assert (
        "2 records are missing at n2, for example 1: pushed, but the node does not have them" in finding.what
    )
    assert finding.to_do.endswith("workmesh assign --entity 2 --repush")
    nodes.servers["n1"].script = script
    nodes.run("n1", "n2")
    assert nodes.scores() == {1: 11, 2: 21, 3: 32, 4: 41, 5: 51, 6: 62}
    assert nodes.missing() == {}


def test_a_record_that_its_node_drops_silently_is_sent_to_it_twice_and_counted(nodes: Fleet) -> None:
    nodes.process("n1")
    nodes.process("n2")

    def dropping(asked: Any) -> Answer:
        answer = nodes.scripts["n2"](asked)
        nodes.scripts["n2"].store.records.pop(3, None)
        nodes.scripts["n2"].store.processed = len(nodes.scripts["n2"].store.records)
        return answer

    nodes.servers["n2"].script = dropping
    nodes.run("n1", "n2", times=4)
    write_orders(nodes.engine, [2], first=7)
    nodes.run("n1", "n2", times=4)
    assert nodes.sent("n2").count(3) == 2
    assert nodes.missing() == {"n2": 1}
    assert sorted(nodes.scores()) == [1, 2, 4, 5, 6, 7]


def test_records_that_a_restored_node_lost_are_sent_again_once_it_has_processed_newer_ones(
    nodes: Fleet,
) -> None:
    nodes.scripts["n2"].restore()
    nodes.process("n1")
    nodes.run("n1", "n2", times=2)
    assert 3 not in nodes.scores()
    write_orders(nodes.engine, [2], first=7)
    nodes.run("n1", "n2", times=4)
    assert nodes.scores() == {1: 11, 2: 21, 3: 32, 4: 41, 5: 51, 6: 62, 7: 72}
    assert nodes.sent("n2") == [3, 6, 7, 3, 6]


def test_a_new_push_of_a_missing_record_is_not_counted_as_missing(nodes: Fleet) -> None:
    nodes.sql(MERGE)
    nodes.process("n2")
    nodes.pull("n2")
    assert nodes.missing() == {"n2": 2}
    nodes.sql('UPDATE "select" SET push_success = NULL, push_time = NULL WHERE id IN (1, 4)')
    nodes.push("n2")
    assert nodes.missing() == {}
    nodes.run("n1", "n2")
    assert nodes.scores() == {1: 12, 2: 21, 3: 32, 4: 42, 5: 51, 6: 62}


def test_with_a_pull_function_missing_records_are_counted_and_not_sent_again(engine: Engine) -> None:
    def fetch(page: list[Any], node: Any) -> Any:
        found = node.post(PULL, {"ids": [order.id for order in page]})
        return found or {}

    service = shop_service(pull=Pull(STATUS, fetch, flags=PULL_FLAGS, batch_size=10))
    with fleet(engine, service=service) as nodes:
        write_orders(engine, [1, 3, 2, 1, 3, 2])
        nodes.push("n1", "n2")
        nodes.process("n1", 3)
        nodes.sql(MERGE)
        nodes.run("n1", "n2")
        assert nodes.scores() == {2: 21, 3: 32, 5: 51, 6: 62}, "n1 names a record of the merged account first"
        assert nodes.missing() == {"n2": 2}
        assert nodes.sent("n2") == [3, 6]


def test_a_record_of_another_node_that_was_never_sent_to_this_one_stops_the_lane(nodes: Fleet) -> None:
    nodes.servers["n1"].script = lambda asked: Answer(b'{"status": "success", "value": 6}')
    with pytest.raises(LaneStopped, match="names record '6', which is not one of those sent to it"):
        nodes.pull("n1")


class Killed(BaseException):
    """Raised in place of a kill."""


def kill_at_write(engine: Engine, number: int) -> Callable[[], bool]:
    """End the run at its n-th write, whose transaction is rolled back; returns a function that ends this."""
    writes = 0

    def count(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        nonlocal writes
        if not statement.lstrip().upper().startswith("SELECT"):
            writes += 1
            if writes == number:
                raise Killed

    event.listen(engine, "before_cursor_execute", count)

    def stop() -> bool:
        event.remove(engine, "before_cursor_execute", count)
        return writes >= number

    return stop


@pytest.mark.parametrize("first", ["n1", "n2"])
def test_a_run_that_is_killed_at_any_write_loses_no_merged_record(nodes: Fleet, first: str) -> None:
    nodes.process("n1", 3)
    del nodes.scripts["n1"].store.records[1]
    nodes.scripts["n1"].store.processed = 2
    nodes.sql(MERGE)
    nodes.process("n2")
    second = {"n1": "n2", "n2": "n1"}[first]
    reached, number = True, 1
    while reached:
        stop = kill_at_write(nodes.engine, number)
        try:
            with suppress(Killed):
                for name in (first, second, first, second):
                    nodes.pull(name)
        finally:
            reached = stop()
            nodes.sql("UPDATE workmesh_lanes SET holder = NULL, lease_until = NULL")
        number += 3
    nodes.run("n1", "n2", times=5)
    assert nodes.scores() == {1: 12, 2: 21, 3: 32, 4: 41, 5: 51, 6: 62}
    assert set(nodes.sent("n2")) == {1, 3, 6}
    assert nodes.saved() == 0
