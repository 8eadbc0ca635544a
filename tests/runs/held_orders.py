"""Pushes to two real nodes that a test holds back, so that it can act in the middle of a run."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from pydantic import SecretStr
from sqlalchemy import Engine, select

from tests.runs.held_mesh import mesh
from tests.support.shop import with_push_success, write_orders, write_shops
from workmesh_flows.adapters.store.engine import open_engine
from workmesh_flows.adapters.store.schema import lanes
from workmesh_flows.blocks import WorkmeshNode
from workmesh_flows.microservice import NodeProcess
from workmesh_flows.settings import PREFIX
from workmesh_flows.testing import (
    FaultyProxy,
    History,
    check_history,
    read_history,
    record_arrivals,
    record_records,
    record_state,
    running_node,
)
from workmesh_flows.testing.proxy.requests import Request

ROOT = Path(__file__).parents[2]
SERVICE = "shop.orders"
NODES = ("n1", "n2")
BATCH, ORDERS = 5, 60
LEASE_SECONDS = 3
FIRST = 2
"""Batches that each node accepts before its requests are held back."""


@dataclass(slots=True)
class HeldOrders:
    """The orders of four shops at two nodes; each node accepts two batches, and the rest once `go` is set."""

    folder: Path
    engine: Engine
    history: History
    nodes: list[NodeProcess] = field(default_factory=list)
    go: Event = field(default_factory=Event)
    taken: dict[str, int] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of processes that push them."""
        known = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        return {
            **known,
            "PYTHONPATH": str(ROOT),
            "PREFECT_HOME": str(self.folder / "home"),
            f"{PREFIX}MESH": "tests.runs.held_mesh:mesh",
            f"{PREFIX}DATABASE_URL": str(self.engine.url),
            f"{PREFIX}LEASE_SECONDS": str(LEASE_SECONDS),
            f"{PREFIX}LANE_RETRY_SECONDS": "0.1",
        }

    def start(self, *arguments: str, api: str, **environment: str) -> subprocess.Popen[str]:
        """A ``workmesh`` command in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "workmesh_flows.cli", *arguments],
            cwd=self.folder,
            env={**self.environment, "PREFECT_API_URL": api, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def policy(self, node: str) -> Callable[[Request], None]:
        """A policy of the proxy: the first pushes pass, the others are held back."""

        def hold(request: Request) -> None:
            if request.path.endswith("push.json"):
                self.taken[node] = self.taken.get(node, 0) + 1
                if self.taken[node] > FIRST:
                    self.go.wait(100)

        return hold

    def wait_until_held(self, nodes: int = len(NODES)) -> None:
        """Wait until this number of nodes hold a batch back: the run is in its middle."""
        wait_until("held", lambda: sum(taken > FIRST for taken in tuple(self.taken.values())) >= nodes)

    def pushed(self) -> int:
        """Number of orders that are flagged as pushed."""
        return len(with_push_success(self.engine, True))

    def holders(self) -> set[str]:
        """The holders of lanes, as other runs see them."""
        with self.engine.connect() as connection:
            return set(connection.scalars(select(lanes.c.holder).where(lanes.c.holder.is_not(None))))

    def process_at_work(self) -> int:
        """The id of the process that holds the lanes."""
        (holder,) = self.holders()
        return int(holder.rpartition(":")[2])

    def assert_nothing_lost(self) -> None:
        """Assert that every order arrived, in the order of its shop, and is flagged."""
        for node in self.nodes:
            record_arrivals(self.history, node.name, node.database, service=SERVICE)
        record_state(self.history, self.engine, mesh)
        verdict = check_history(read_history(self.folder / "history.jsonl"), settled=True)
        assert verdict.clean, verdict
        assert verdict.records == ORDERS
        assert self.pushed() == ORDERS


@contextmanager
def held_orders(folder: Path) -> Iterator[HeldOrders]:
    """Start the nodes and register them with the Prefect server of this process."""
    engine = open_engine(f"sqlite:///{folder / 'master.db'}")
    write_shops(engine, [NODES[number % 2] for number in range(4)])
    write_orders(engine, [1 + number % 4 for number in range(ORDERS)])
    with ExitStack() as stack:
        stack.callback(engine.dispose)
        history = stack.enter_context(History(folder / "history.jsonl"))
        held = HeldOrders(folder, engine, history)
        record_records(history, engine, mesh)
        for name in NODES:
            node = stack.enter_context(
                running_node("tests.operations.delivery.micro_orders:orders", name=name)
            )
            proxy = FaultyProxy(node.url, held.policy(name), history=history, service=SERVICE, node=name)
            stack.enter_context(proxy)
            WorkmeshNode(
                host="127.0.0.1", port=proxy.port, api_key=SecretStr(node.api_key), services=[SERVICE]
            ).save(name, overwrite=True)
            held.nodes.append(node)
        stack.callback(held.go.set)
        yield held


def wait_until(what: str, ready: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, f"{what}: not in {seconds} s"
        time.sleep(0.1)
