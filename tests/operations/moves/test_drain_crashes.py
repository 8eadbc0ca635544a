"""A drain that is killed at any step: each entity always has one node, and a second run moves the rest."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic, sleep
from typing import Any

import pytest
from sqlalchemy import Engine

from tests.operations.delivery.lane_runs import PULL, PUSH, STATUS, in_order_per_owner, pull, push
from tests.operations.moves.movers import move_log, nodes_of_shops
from tests.operations.processes import go, started
from tests.support.scripted_node import API_KEY, Answer, Asked, scripted_node, success
from tests.support.shop import orders, shop_service, write_orders, write_shops
from workmesh_flows.domain.node import Node

SHOPS = 8
LEASE = 0.5
STEPS = [
    ("plan saved", 1),
    ("plan started", 1),
    ("lanes leased", 1),
    ("settled", 1),
    ("moving", 1),
    ("moved", 1),
    ("lanes leased", 2),
    ("moving", 3),
    ("moved", 3),
    ("plan finished", 1),
]


@dataclass(slots=True)
class IdempotentNode:
    """A node that processes each order when it arrives, and ignores an order that it has already."""

    came: list[int] = field(default_factory=list)

    def __call__(self, asked: Asked) -> Answer:
        if asked.path == PUSH:
            self.came += [order["id"] for order in asked.body["orders"] if order["id"] not in self.came]
        if asked.path == STATUS:
            return success(self.came[-1] if self.came else None)
        if asked.path == PULL:
            return success({str(number): {"score": 10 * number} for number in asked.body["ids"]})
        return success()


def drained(engine: Engine, nodes: list[Node], die_at: tuple[str, int] | None) -> dict[str, Any] | None:
    """Drain n1 in a process of its own; the summary that it prints, or None if it was killed."""
    order = {
        "database": engine.url.render_as_string(hide_password=False),
        "nodes": [{"name": node.name, "api_key": API_KEY, "port": node.port} for node in nodes],
        "lease_seconds": LEASE,
        "die_at": die_at,
    }
    process = started("moves.drainer", json.dumps(order))
    go(process)
    output, _ = process.communicate()
    if process.returncode == -signal.SIGKILL:
        return None
    assert process.returncode == 0
    summary: dict[str, Any] = json.loads(output)
    return summary


@contextmanager
def three_nodes() -> Iterator[tuple[list[Node], list[IdempotentNode]]]:
    with ExitStack() as stack:
        memories = [IdempotentNode() for _ in range(3)]
        running = [stack.enter_context(scripted_node(memory)) for memory in memories]
        nodes = [one.node("shop.orders", name=f"n{number}") for number, one in enumerate(running, start=1)]
        yield nodes, memories


@pytest.mark.parametrize(("step", "time"), STEPS, ids=[f"{step} {time}" for step, time in STEPS])
def test_a_killed_drain_leaves_each_entity_on_one_node_and_the_next_drain_moves_the_rest(
    engine: Engine, step: str, time: int
) -> None:
    service = shop_service()
    write_shops(engine, ["n1"] * SHOPS)
    write_orders(engine, [1 + number % SHOPS for number in range(5 * SHOPS)])
    with three_nodes() as (nodes, memories):
        push(engine, service, nodes[0], limit=3 * SHOPS)
        assert drained(engine, nodes, (step, time)) is None, "it should have been killed"
        logged = {int(row.entity): row.target for row in move_log(engine)}
        assert nodes_of_shops(engine) == {shop: logged.get(shop, "n1") for shop in range(1, SHOPS + 1)}
        rest = drained(engine, nodes, None)
        assert rest is not None
        assert rest["moved"] == SHOPS - len(logged)
        assert set(nodes_of_shops(engine).values()) == {"n2", "n3"}
        assert sorted(int(row.entity) for row in move_log(engine)) == list(range(1, SHOPS + 1))
        for node in nodes[1:]:
            finish(engine, node)
    found = orders(engine)
    assert {number: order.score for number, order in found.items()} == {n: 10 * n for n in found}
    for memory in memories:
        came: list[tuple[int, datetime | str, int]] = [
            (found[number].shop_id or 0, found[number].at, number) for number in memory.came
        ]
        assert in_order_per_owner(came)


def finish(engine: Engine, node: Node) -> None:
    """Push, then pull until the node has returned all results."""
    service, end = shop_service(), monotonic() + 30
    push(engine, service, node)
    while any(order.push_success and not order.pull_success for order in orders(engine).values()):
        assert monotonic() < end
        pull(engine, service, node)
        sleep(0.05)


def test_the_sweep_kills_at_every_step_of_a_drain(engine: Engine) -> None:
    write_shops(engine, ["n1"] * SHOPS)
    with three_nodes() as (nodes, _):
        summary = drained(engine, nodes, None)
    assert summary is not None
    assert set(summary["steps"]) == {step for step, _ in STEPS}
    assert all(summary["steps"][step] >= time for step, time in STEPS)
