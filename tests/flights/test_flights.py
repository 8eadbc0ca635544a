"""The main job with real data: three nodes, all planes that left New York in 2013, and their flights."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, select

from tests.flights.sky import Data, Flight, Plane, read_data, service, write_data
from workmesh_flows import Mesh
from workmesh_flows.adapters.store.engine import open_engine
from workmesh_flows.domain.node import Inventory, Node
from workmesh_flows.microservice import NodeProcess
from workmesh_flows.operations.assignment.assign import assign
from workmesh_flows.operations.delivery.lane_context import LaneContext
from workmesh_flows.operations.delivery.pull import pull_lane
from workmesh_flows.operations.delivery.push import push_lane
from workmesh_flows.operations.status import read_status
from workmesh_flows.reporting.status_tables import nodes_table, services_table

T = TypeVar("T")


@pytest.fixture
def master(database_url: str) -> Iterator[Engine]:
    """An engine as runs open it."""
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[NodeProcess]]:
    """Three real nodes."""
    with ExitStack() as running:
        yield [
            running.enter_context(
                NodeProcess("tests.flights.micro_flights:flights", database=tmp_path / f"node{number}.db")
            )
            for number in (1, 2, 3)
        ]


JANUARY, YEAR = 27_004, 336_776  # flights


@pytest.fixture(
    params=[
        pytest.param((JANUARY, 22_525), id="January"),
        pytest.param((YEAR, 284_170), id="the year", marks=pytest.mark.slow),
    ]
)
def data(request: pytest.FixtureRequest) -> Data:
    """The data, whose flights of known planes are counted."""
    flights, owned = request.param
    read = read_data(flights)
    assert (len(read.planes), len(read.flights), len(read.owned())) == (3_322, flights, owned)
    return read


def inventory_of(nodes: list[NodeProcess]) -> Inventory:
    return Inventory(
        {
            node.name: Node(node.name, "127.0.0.1", SecretStr(node.api_key), (service.name,), node.port)
            for node in nodes
        }
    )


def on_all_lanes(operation: Callable[[LaneContext], T], master: Engine, inventory: Inventory) -> list[T]:
    """Run an operation on the lanes of all nodes at the same time."""
    (protocol,) = service.protocols
    lanes = [LaneContext(master, service, protocol, node, holder="test") for node in inventory.nodes.values()]
    with ThreadPoolExecutor(len(lanes)) as pool:
        return list(pool.map(operation, lanes))


@pytest.mark.timeout(600)  # the year takes 45 s on an idle machine
def test_flights_of_known_planes_are_pushed_in_order_and_their_results_pulled(
    master: Engine, nodes: list[NodeProcess], data: Data
) -> None:
    write_data(master, data)
    owned, inventory = data.owned(), inventory_of(nodes)

    assigned = assign(master, Mesh([service]), service.name, inventory)
    assert (assigned.total, assigned.unassigned) == (3_322, 0)

    pushed = on_all_lanes(push_lane, master, inventory)
    assert sum(report.selected for report in pushed) == sum(report.pushed for report in pushed) == len(owned)
    pull_all_results(master, inventory, len(owned))

    check_arrivals(master, nodes, owned)
    check_results(master, data, owned)
    check_tables(master, inventory, data, len(owned))
    assert [report.selected for report in on_all_lanes(push_lane, master, inventory)] == [0, 0, 0]


def pull_all_results(master: Engine, inventory: Inventory, count: int) -> None:
    pulled = 0
    while pulled < count:
        reports = on_all_lanes(pull_lane, master, inventory)
        assert sum(report.failed for report in reports) == 0
        pulled += sum(report.pulled for report in reports)
        time.sleep(0.2)
    assert pulled == count


def check_arrivals(master: Engine, nodes: list[NodeProcess], owned: set[int]) -> None:
    """Check the arrival logs: each flight once, at its plane's node, and the flights of a plane in order."""
    with master.connect() as connection:
        node_of = dict(connection.execute(select(Plane.tailnum, Plane.node)).all())
    seen: set[int] = set()
    for node in nodes:
        flights = defaultdict(list)
        for arrival in node.arrivals():
            record = arrival.record
            flights[record["tailnum"]].append((record["time_hour"], record["id"]))
        assert {node_of[plane] for plane in flights} == {node.name}
        assert all(one < later for flown in flights.values() for one, later in pairwise(flown))
        ids = [number for flown in flights.values() for _, number in flown]
        assert len(ids) == len(set(ids))
        assert seen.isdisjoint(ids)
        seen.update(ids)
    assert seen == owned, "flights without a known plane are not sent"


def check_results(master: Engine, data: Data, owned: set[int]) -> None:
    found: dict[int, int | None] = {}
    with master.connect() as connection:
        columns = select(Flight.id, Flight.hundreds, Flight.push_success, Flight.pull_success)
        for number, hundreds, pushed, pulled in connection.execute(columns):
            assert pushed is pulled is (True if number in owned else None)
            if number in owned:
                found[number] = hundreds
    assert found == {number: int(data.flights[number - 1]["distance"]) // 100 for number in owned}


def check_tables(master: Engine, inventory: Inventory, data: Data, owned: int) -> None:
    status = read_status(master, Mesh([service]), inventory)
    row = services_table(status).set_index("service").loc[service.name]
    assert dict(row) == {
        "nodes": 3,
        "entities": len(data.planes),
        "unassigned": 0,
        "pending": 0,
        "failed": 0,
        "in flight": 0,
        "processed": owned,
        "records": len(data.flights),
        "ownerless": len(data.flights) - owned,
        "missing": 0,
    }
    nodes = nodes_table(status)
    assert nodes["processed"].sum() == owned
    assert nodes["weight"].sum() == sum(int(plane["seats"]) for plane in data.planes)
    heaviest = max(int(plane["seats"]) for plane in data.planes)
    assert nodes["weight"].max() - nodes["weight"].min() <= heaviest
