from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.microservice.caller import Caller
from workmesh_flows.microservice import Arrival, NodeProcess, arrivals

SHARED_BODY_LIMIT = 1_000_000

StartNode = Callable[..., NodeProcess]
Call = Callable[[NodeProcess], Caller]
NewId = Callable[[], int]
Arrived = Callable[[], list[Arrival]]


@pytest.fixture(scope="session")
def shared_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """One node for all tests that use ids of their own."""
    database = tmp_path_factory.mktemp("shared") / "node.db"
    with NodeProcess(
        "tests.microservice.scripted_service:scripted",
        database=database,
        environment={"WORKMESH_BODY_LIMIT": str(SHARED_BODY_LIMIT)},
    ) as node:
        yield node


@pytest.fixture
def start_node(tmp_path: Path) -> Iterator[StartNode]:
    """A function that starts a node; the node stops after the test."""
    with ExitStack() as stack:

        def start(microservice: str = "scripted_service:scripted", **options: Any) -> NodeProcess:
            options.setdefault("database", tmp_path / "node.db")
            node = NodeProcess(f"tests.microservice.{microservice}", **options)
            return stack.enter_context(node)

        yield start


@pytest.fixture
def call() -> Iterator[Call]:
    """A function that connects to a node; the connection is closed after the test."""
    with ExitStack() as stack:

        def caller(node: NodeProcess) -> Caller:
            caller = Caller.of(node)
            stack.callback(caller.close)
            return caller

        yield caller


@pytest.fixture
def shared(shared_node: NodeProcess, call: Call) -> Caller:
    return call(shared_node)


@pytest.fixture
def arrived(shared_node: NodeProcess, shared: Caller) -> Arrived:
    """A function that returns the arrivals at the shared node since the start of the test."""
    shared.settle()
    last = max((item.seq for item in shared_node.arrivals()), default=0)
    return lambda: arrivals(shared_node.database, after=last)


@pytest.fixture
def logged(shared_node: NodeProcess) -> Callable[[], str]:
    """A function that returns the log of the shared node since the start of the test."""
    start = shared_node.log.stat().st_size

    def read() -> str:
        return shared_node.log.read_bytes()[start:].decode()

    return read


@pytest.fixture
def new_id(_ids: Iterator[int]) -> NewId:
    return lambda: next(_ids)


@pytest.fixture(scope="session")
def _ids() -> Iterator[int]:
    return count(1)
