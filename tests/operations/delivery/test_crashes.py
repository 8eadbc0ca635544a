"""Processes that are killed or paused at any moment: nothing is lost, and nothing arrives out of order."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from tests.operations.delivery.lane_runs import (
    PULL,
    PUSH,
    STATUS,
    as_node,
    forwarded,
    in_order_per_owner,
    lane_row,
    order_node,
    pull,
    push,
    push_stops,
    sent,
    sent_ids,
)
from tests.operations.processes import go, started
from tests.support.counts import Counts, counts
from tests.support.scripted_node import API_KEY, Answer, Asked, scripted_node, success
from tests.support.shop import orders, shop_service, with_push_success, write_orders, write_shops
from workmesh_flows.errors import LaneBusy
from workmesh_flows.microservice import NodeProcess

COUNT, SHOPS, BATCH = 300, 4, 5
LEASE = 0.5


@dataclass(frozen=True)
class Address:
    """The order for a worker process about a scripted node."""

    port: int
    api_key: str = API_KEY
    name: str = "n1"


def write_situation(engine: Engine, nodes: list[str]) -> None:
    """Write orders of four shops in rotation."""
    write_shops(engine, nodes)
    write_orders(engine, [1 + number % len(nodes) for number in range(COUNT)])


def worker(
    engine: Engine, *nodes: NodeProcess | Address, holder: str = "a process", **more: Any
) -> subprocess.Popen[str]:
    """A process that runs one lane per node."""
    order = {
        "action": "push",
        "database": engine.url.render_as_string(hide_password=False),
        "nodes": [{"name": node.name, "api_key": node.api_key, "port": node.port} for node in nodes],
        "holder": holder,
        "batch_size": BATCH,
        "lease_seconds": LEASE,
        "patience": 30,
    }
    return started("delivery.worker", json.dumps(order | more))


def outcome(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    stdout, _ = process.communicate()
    assert process.returncode == 0
    ended: list[dict[str, Any]] = json.loads(stdout)
    return ended


def wait_until_arrived(node: NodeProcess, count: int) -> None:
    while len(node.arrivals()) < count:
        time.sleep(0.005)


def moments(seed: str, count: int) -> list[int]:
    """Numbers of records, in rising order, at which to kill; different for each database."""
    return sorted(random.Random(seed).sample(range(10, COUNT - 20), count))  # noqa: S311 - to be the same each time


def check_all_arrived_in_order(engine: Engine, *nodes: NodeProcess) -> None:
    arrived = [arrival for node in nodes for arrival in node.arrivals()]
    assert sorted(int(arrival.id) for arrival in arrived) == list(range(1, COUNT + 1)), "each once, none lost"
    for node in nodes:
        assert in_order_per_owner(
            [
                (arrival.record["shop_id"], arrival.record["at"], int(arrival.id))
                for arrival in node.arrivals()
            ]
        )
    assert with_push_success(engine, True) == list(range(1, COUNT + 1))


def test_a_master_that_is_killed_repeatedly_during_a_lane_loses_nothing(
    engine: Engine, tmp_path: Path
) -> None:
    write_situation(engine, ["n1"] * SHOPS)
    with order_node(tmp_path) as node:
        for moment in moments(engine.dialect.name, 3):
            process = worker(engine, node)
            go(process)
            wait_until_arrived(node, moment)
            process.kill()
            process.communicate()
            arrived = {int(arrival.id) for arrival in node.arrivals()}
            assert set(with_push_success(engine, True)) <= arrived, "nothing is flagged that is not there"
            assert len(arrived) - len(with_push_success(engine, True)) <= BATCH
            assert len(arrived) < COUNT, "it was killed in the middle"
        last = worker(engine, node)
        go(last)
        assert outcome(last)[0]["outcome"] == "done"
        check_all_arrived_in_order(engine, node)
    pushed = sorted(orders(engine).values(), key=lambda order: (order.shop_id or 0, order.id))
    assert len({order.push_time for order in pushed}) == COUNT
    assert all(
        str(one.push_time) < str(next_one.push_time)
        for one, next_one in pairwise(pushed)
        if one.shop_id == next_one.shop_id
    )


def test_a_node_that_is_killed_repeatedly_during_a_push_loses_nothing(engine: Engine, tmp_path: Path) -> None:
    write_situation(engine, ["n1"] * SHOPS)
    service = shop_service(batch_size=BATCH)
    with order_node(tmp_path) as node:
        for moment in moments(engine.dialect.name + "'s", 3):
            with ThreadPoolExecutor(1) as pool:
                pushing = pool.submit(push_stops, engine, service, as_node(node))
                wait_until_arrived(node, moment)
                node.kill()
                stopped = pushing.result()
            assert stopped.transient
            assert (counts(stopped.report).refused, counts(stopped.report).parked) == (0, 0)
            assert with_push_success(engine, False) == []
            assert set(with_push_success(engine, True)) <= {int(arrival.id) for arrival in node.arrivals()}
            node.start()
        assert push(engine, service, as_node(node)).waiting == 0
        check_all_arrived_in_order(engine, node)
        while pull(engine, service, as_node(node)).selected or not orders(engine)[COUNT].pull_success:
            time.sleep(0.02)
    assert [order.score for order in orders(engine).values()] == [10 * n for n in range(1, COUNT + 1)]


def test_a_lane_of_a_killed_master_is_busy_until_its_lease_expires(engine: Engine) -> None:
    write_situation(engine, ["n1"])
    processes: list[subprocess.Popen[str]] = []

    def script(asked: Asked) -> Answer:
        if asked.path == PUSH and processes:
            processes.pop().kill()
        return success()

    with scripted_node(script) as scripted:
        process = worker(engine, Address(scripted.port), holder="the one that dies", lease_seconds=2)
        processes.append(process)
        go(process)
        process.communicate()
        with pytest.raises(LaneBusy, match="held by the one that dies until"):
            push(engine, shop_service(), scripted.node())
        time.sleep(2)
        assert push(engine, shop_service(), scripted.node()).pushed == COUNT
    assert sent_ids(scripted.asked) == [*range(1, BATCH + 1), *range(1, COUNT + 1)]


def test_a_master_killed_between_fetching_results_and_writing_them_fetches_them_again(engine: Engine) -> None:
    write_situation(engine, ["n1"])
    processes: list[subprocess.Popen[str]] = []

    def script(asked: Asked) -> Answer:
        if asked.path == STATUS:
            return success(COUNT)
        if asked.path != PULL:
            return success()
        if processes and 20 in asked.body["ids"]:
            processes.pop().kill()
        return success({str(number): {"score": number} for number in asked.body["ids"]})

    with scripted_node(script) as scripted:
        push(engine, shop_service(), scripted.node())
        process = worker(engine, Address(scripted.port), action="pull")
        processes.append(process)
        go(process)
        process.communicate()
        pulled = [order.id for order in orders(engine).values() if order.pull_success]
        assert pulled == list(range(1, 11)), "the page before it was written, its own was not"
        time.sleep(LEASE)
        assert counts(pull(engine, shop_service(), scripted.node())) == Counts(pulled=COUNT - 10)
    assert [order.score for order in orders(engine).values()] == list(range(1, COUNT + 1))


def test_a_master_that_resumes_after_its_lease_expired_writes_nothing(engine: Engine) -> None:
    write_situation(engine, ["n1"])
    processes: list[subprocess.Popen[str]] = []

    def script(asked: Asked) -> Answer:
        if processes and len(sent(scripted.asked)) == 2:
            os.kill(processes.pop().pid, signal.SIGSTOP)
        return success()

    with scripted_node(script) as scripted:
        process = worker(engine, Address(scripted.port), patience=0)
        processes.append(process)
        go(process)
        while processes or lane_row(engine).lease_until.timestamp() > time.time():
            time.sleep(0.02)
        report = push(engine, shop_service(), scripted.node())
        assert report.pushed == COUNT - BATCH
        times = {number: order.push_time for number, order in orders(engine).items()}
        process.send_signal(signal.SIGCONT)
        assert outcome(process) == [{"outcome": "LaneLost"}]
    assert {number: order.push_time for number, order in orders(engine).items()} == times
    assert len(sent_ids(scripted.asked)) == COUNT + BATCH, "only what was under way was sent twice"
    assert lane_row(engine).epoch == 2


def test_concurrent_masters_send_nothing_twice_and_keep_the_order(engine: Engine, tmp_path: Path) -> None:
    write_situation(engine, ["n1", "n2", "n1", "n2"])
    with order_node(tmp_path, "n1") as one, order_node(tmp_path, "n2") as two:
        with scripted_node(lambda asked: forwarded(one, asked)) as wire:
            nodes = (Address(wire.port, api_key=one.api_key), two)
            masters = [worker(engine, *nodes, holder=f"master {n}", patience=0) for n in (1, 2)]
            go(*masters)
            lanes = [lane for master in masters for lane in outcome(master)]
        check_all_arrived_in_order(engine, one, two)
    assert len(sent_ids(wire.asked)) == len(set(sent_ids(wire.asked))) == COUNT // 2
    assert {lane["outcome"] for lane in lanes} <= {"done", "LaneBusy"}
    assert sum(lane.get("selected", 0) for lane in lanes) == COUNT
    assert len([lane for lane in lanes if lane.get("selected")]) == 2, "each lane was worked by one of them"
