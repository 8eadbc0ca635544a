"""Runs of the shop's lanes, against scripted and real nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, Row, select

from tests.support.scripted_node import Answer, Asked, Script, success
from workmesh_flows.adapters.store.engine import Clock
from workmesh_flows.adapters.store.schema import lanes
from workmesh_flows.domain.limits import Limits
from workmesh_flows.domain.node import Node
from workmesh_flows.domain.reports import PullReport, PushReport
from workmesh_flows.domain.service import Service
from workmesh_flows.errors import LaneStopped
from workmesh_flows.microservice import NodeProcess
from workmesh_flows.operations.delivery.lane_context import LaneContext
from workmesh_flows.operations.delivery.limits import RunLimits
from workmesh_flows.operations.delivery.pull import pull_lane
from workmesh_flows.operations.delivery.push import push_lane

PING = "/api/1.0/ping.json"
PUSH = "/api/1.0/order/push.json"
STATUS = "/api/1.0/order/status.json"
FAILED = "/api/1.0/order/failed.json"
PULL = "/api/1.0/order/pull.json"
QUICK = Limits(connect_timeout=1, read_timeout=5)


@dataclass(frozen=True)
class ClockedContext(LaneContext):
    """A lane context with a clock of the test."""

    time: Clock = lambda: datetime.now(UTC)

    def clock(self) -> Clock:
        return self.time


def context_on(engine: Engine, service: Service, node: Node, *, limits: Limits = QUICK) -> LaneContext:
    """The first lane of a service."""
    return LaneContext(engine, service, service.protocols[0], node, holder="test", limits=limits)


def context_at(time: Clock, engine: Engine, service: Service, node: Node) -> LaneContext:
    """The first lane of a service, with the test's clock."""
    return ClockedContext(engine, service, service.protocols[0], node, holder="test", limits=QUICK, time=time)


def push(engine: Engine, service: Service, node: Node, *, limit: int | None = None) -> PushReport:
    return push_lane(context_on(engine, service, node), RunLimits(limit))


def pull(engine: Engine, service: Service, node: Node) -> PullReport:
    return pull_lane(context_on(engine, service, node))


def push_stops(engine: Engine, service: Service, node: Node) -> LaneStopped:
    with pytest.raises(LaneStopped) as caught:
        push(engine, service, node)
    return caught.value


def pull_stops(engine: Engine, service: Service, node: Node) -> LaneStopped:
    with pytest.raises(LaneStopped) as caught:
        pull(engine, service, node)
    return caught.value


def sent(asked: list[Asked]) -> list[list[int]]:
    """The ids in each push request, in the order of the requests."""
    return [_ids(request) for request in asked if request.path == PUSH]


def sent_ids(asked: list[Asked]) -> list[int]:
    return [record_id for batch in sent(asked) for record_id in batch]


def _ids(request: Asked) -> list[int]:
    orders = request.body["orders"] if "orders" in request.body else [request.body["order"]]
    return [order["id"] for order in orders]


def refusing(refuse: Callable[[int], bool], answer: Answer) -> Script:
    """A script that gives ``answer`` to a push with a record to refuse, and success to other requests."""

    def script(asked: Asked) -> Answer:
        return answer if asked.path == PUSH and any(refuse(number) for number in _ids(asked)) else success()

    return script


def lane_row(engine: Engine, direction: str = "push") -> Row[Any]:
    with engine.connect() as connection:
        return connection.execute(select(lanes).where(lanes.c.direction == direction)).one()


@contextmanager
def order_node(folder: Path, name: str = "n1") -> Iterator[NodeProcess]:
    """A real node, for orders."""
    with NodeProcess(
        "tests.operations.delivery.micro_orders:orders", database=folder / f"{name}.db"
    ) as process:
        yield process


def as_node(process: NodeProcess, *, port: int | None = None) -> Node:
    """The inventory entry of a real node."""
    return Node(
        name=process.name,
        host="127.0.0.1",
        port=port or process.port,
        api_key=SecretStr(process.api_key),
        services=("shop.orders",),
    )


def forwarded(process: NodeProcess, asked: Asked) -> Answer:
    """The answer of a real node to a request that a scripted node got."""
    answer = httpx.post(process.url + asked.path, json=asked.body, headers={"Connection": "close"})
    return Answer(answer.content, code=answer.status_code)


def in_order_per_owner(arrived: list[tuple[int, datetime | str, int]]) -> bool:
    """Whether the arrivals (owner, sort, id) are in order for each owner."""
    latest: dict[int, tuple[Any, int]] = {}
    for owner, sort, number in arrived:
        if owner in latest and latest[owner] > (sort, number):
            return False
        latest[owner] = (sort, number)
    return True
