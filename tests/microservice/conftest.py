from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.microservice.calling import Caller
from workmesh_flows.microservice import Arrival, NodeProcess, arrivals

SHARED_BODY_LIMIT = 1_000_000

StartNode = Callable[..., NodeProcess]
Call = Callable[[NodeProcess], Caller]
NewId = Callable[[], int]
Arrived = Callable[[], list[Arrival]]


@pytest.fixture(scope="session")
def shared_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """For tests that bring ids of their own and look at nothing else."""
    database = tmp_path_factory.mktemp("shared") / "node.db"
    with NodeProcess(
        "tests.microservice.obedient:obedient",
        database=database,
        environment={"WORKMESH_BODY_LIMIT": str(SHARED_BODY_LIMIT)},
    ) as node:
        yield node


@pytest.fixture
def start_node(tmp_path: Path) -> Iterator[StartNode]:
    """Start nodes of one's own; they end with the test."""
    with ExitStack() as stack:

        def start(microservice: str = "obedient:obedient", **options: Any) -> NodeProcess:
            options.setdefault("database", tmp_path / "node.db")
            node = NodeProcess(f"tests.microservice.{microservice}", **options)
            return stack.enter_context(node)

        yield start


@pytest.fixture
def call() -> Iterator[Call]:
    """Talk to a node; the connection is closed with the test."""
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
    """What came in at the shared node since the test began."""
    shared.settle()
    last = max((item.seq for item in shared_node.arrivals()), default=0)
    return lambda: arrivals(shared_node.database, after=last)


@pytest.fixture
def logged(shared_node: NodeProcess) -> Callable[[], str]:
    """What the shared node logged since the test began."""
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
