"""The shop's database and its two nodes, which are quickly reset for each example."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from socket import socket
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, update
from sqlalchemy.orm import Session

from tests.reliability.model.model_node import ModelNode
from tests.support.scripted_node import ScriptedNode, scripted_node
from tests.support.shop import START, Base, Order, Shop
from workmesh_flows.adapters.store.schema import lanes, own
from workmesh_flows.domain.limits import Limits
from workmesh_flows.domain.node import Node

NODES = ("n1", "n2")
OWNERS = (1, 2, 3)
LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)
LIMITS = Limits(connect_timeout=5, read_timeout=10, lease_seconds=3600, breaker_seconds=0)
"""Leases are longer than the test: they expire only by a rule."""


RECORDS = 'SELECT id, "Group", "where", push_success, push_time, pull_success, score FROM "select"'
SHOPS = 'SELECT "ShopId", "order" FROM "Shop"'
PARKED = (
    "SELECT record, owner, state, attempts FROM workmesh_parked WHERE state NOT IN ('failed', 'replayed')"
)
FAILED = "SELECT record FROM workmesh_parked WHERE state IN ('failed', 'replayed')"
REPLAYS = "SELECT record FROM workmesh_replays"
COUNTED = (
    "SELECT coalesce((SELECT sum(done) FROM workmesh_lanes WHERE direction = 'pull'), 0)"
    " + coalesce((SELECT sum(correction) FROM workmesh_counts), 0)"
)
TRUE = {True}


@dataclass(frozen=True)
class Row:
    """A record as the database has it."""

    id: int
    owner: int
    at: Any
    pushed: bool
    push_time: Any
    pulled: bool
    score: int | None

    @property
    def place(self) -> tuple[Any, int]:
        """Its position in the order of its owner."""
        return self.at, self.id


@dataclass
class Environment:
    """The parts that all examples of a test share: a database, two servers, and a port without a listener."""

    engine: Engine
    servers: dict[str, ScriptedNode]
    unused_port: int

    def reset(self) -> dict[str, ModelNode]:
        """Empty all tables, assign shops 1 and 2 to n1 and shop 3 to n2, and return new nodes."""
        with self.engine.begin() as connection:
            for table in (*reversed(Base.metadata.sorted_tables), *own.sorted_tables):
                connection.execute(delete(table))
            shops = [{"id": owner, "size": 1, "node": NODES[owner == 3]} for owner in OWNERS]
            Session(connection).execute(insert(Shop), shops)
        nodes = {name: ModelNode(name, number) for number, name in enumerate(NODES, start=1)}
        for name, server in self.servers.items():
            server.script = nodes[name]
            server.asked.clear()
        return nodes

    def node(self, node: ModelNode, max_batch: int | None = None) -> Node:
        """The inventory entry of a node."""
        more: dict[str, Any] = {} if max_batch is None else {"max_batch": {"shop.orders": max_batch}}
        found = self.servers[node.name].node("shop.orders", name=node.name, **more)
        return (
            Node(**{name: getattr(found, name) for name in found.__slots__} | {"port": self.unused_port})
            if node.faults.down
            else found
        )

    def rows(self) -> dict[int, Row]:
        found = self._read(RECORDS)
        return {
            row[0]: Row(row[0], row[1], row[2], row[3] in TRUE, row[4], row[5] in TRUE, row[6])
            for row in found
        }

    def assignments(self) -> dict[int, str]:
        return dict(self._read(SHOPS))

    def refused(self) -> dict[int, tuple[int, str, int]]:
        """Owner, state and attempts of each refused record."""
        return {int(row[0]): (int(row[1]), row[2], row[3]) for row in self._read(PARKED)}

    def failed(self) -> set[int]:
        """The records that are listed as failed or replayed."""
        return {int(row[0]) for row in self._read(FAILED)}

    def replays(self) -> set[int]:
        """The records that are sent with a key of their replay."""
        return {int(row[0]) for row in self._read(REPLAYS)}

    def counted(self) -> int:
        """The processed records, as lanes and correction add up to."""
        return int(self._read(COUNTED)[0][0])

    def _read(self, sql: str) -> Sequence[Any]:
        """Rows of the driver, without conversion: the model reads many, and only compares the times."""
        with self.engine.connect() as connection:
            return connection.exec_driver_sql(sql).all()

    def expire(self) -> None:
        """Expire all leases."""
        with self.engine.begin() as connection:
            connection.execute(update(lanes).where(lanes.c.holder.is_not(None)).values(lease_until=LONG_AGO))

    def leave_leased(self, node: str, directions: Sequence[str]) -> None:
        """Leave the lanes of a killed run leased, as it cannot release them."""
        lanes_of_run = lanes.c.node == node, lanes.c.direction.in_(directions)
        until = datetime.now(UTC) + timedelta(hours=1)
        with self.engine.begin() as connection:
            connection.execute(
                update(lanes).where(*lanes_of_run).values(holder="a killed run", lease_until=until)
            )

    def write(self, connection: Connection, ids: Sequence[int], owner: int, sorts: Sequence[int]) -> None:
        rows = [
            {"id": id_, "shop_id": owner, "at": START + timedelta(seconds=sort), "text": ""}
            for id_, sort in zip(ids, sorts, strict=True)
        ]
        Session(connection).execute(insert(Order), rows)


@contextmanager
def open_environment(engine: Engine) -> Iterator[Environment]:
    """The environment for many examples, from an engine on an empty database with the Workmesh tables."""
    Base.metadata.create_all(engine)
    with scripted_node() as one, scripted_node() as two, socket() as unused_port:
        unused_port.bind(("127.0.0.1", 0))
        yield Environment(engine, dict(zip(NODES, (one, two), strict=True)), unused_port.getsockname()[1])
