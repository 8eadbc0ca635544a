"""The shop's database and its two nodes, put back to the beginning in no time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from socket import socket
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, update
from sqlalchemy.orm import Session

from tests.reliability.model.forgetful_node import ForgetfulNode
from tests.support.scripted_node import ScriptedNode, scripted_node
from tests.support.shop import START, Base, Order, Shop
from workmesh_flows.adapters.store.schema import lanes, own
from workmesh_flows.domain.limits import Limits
from workmesh_flows.domain.node import Node

NODES = ("n1", "n2")
OWNERS = (1, 2, 3)
LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)
LIMITS = Limits(connect_timeout=5, read_timeout=10, lease_seconds=3600, breaker_seconds=0)
"""A lease outlives the test: it runs out when a rule says so."""


RECORDS = 'SELECT id, "Group", "where", push_success, push_time, pull_success, score FROM "select"'
SHOPS = 'SELECT "ShopId", "order" FROM "Shop"'
PARKED = "SELECT record, owner, state, attempts FROM workmesh_parked"
FACT = {True}


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
        """Where it stands in the order of its owner."""
        return self.at, self.id


@dataclass
class Places:
    """What lives as long as the test: a database, two servers, an address where nobody listens."""

    engine: Engine
    servers: dict[str, ScriptedNode]
    deaf: int

    def begin_again(self) -> dict[str, ForgetfulNode]:
        """Empty tables, shops 1 and 2 at n1, shop 3 at n2, and new nodes."""
        with self.engine.begin() as connection:
            for table in (*reversed(Base.metadata.sorted_tables), *own.sorted_tables):
                connection.execute(delete(table))
            homes = [{"id": owner, "size": 1, "node": NODES[owner == 3]} for owner in OWNERS]
            Session(connection).execute(insert(Shop), homes)
        nodes = {name: ForgetfulNode(name, number) for number, name in enumerate(NODES, start=1)}
        for name, server in self.servers.items():
            server.script = nodes[name]
            server.asked.clear()
        return nodes

    def node(self, known: ForgetfulNode, max_batch: int | None = None) -> Node:
        """A node as the inventory knows it."""
        more: dict[str, Any] = {} if max_batch is None else {"max_batch": {"shop.orders": max_batch}}
        found = self.servers[known.name].node("shop.orders", name=known.name, **more)
        return (
            Node(**{name: getattr(found, name) for name in found.__slots__} | {"port": self.deaf})
            if known.faults.down
            else found
        )

    def rows(self) -> dict[int, Row]:
        found = self._read(RECORDS)
        return {
            row[0]: Row(row[0], row[1], row[2], row[3] in FACT, row[4], row[5] in FACT, row[6])
            for row in found
        }

    def homes(self) -> dict[int, str]:
        return dict(self._read(SHOPS))

    def parked(self) -> dict[int, tuple[int, str, int]]:
        """Owner, state and attempts of each refused record."""
        return {int(row[0]): (int(row[1]), row[2], row[3]) for row in self._read(PARKED)}

    def _read(self, sql: str) -> Sequence[Any]:
        """Rows as the driver gives them: these are most of what the model reads, and times only have to compare."""
        with self.engine.connect() as connection:
            return connection.exec_driver_sql(sql).all()

    def expire(self) -> None:
        """All leases run out."""
        with self.engine.begin() as connection:
            connection.execute(update(lanes).where(lanes.c.holder.is_not(None)).values(lease_until=LONG_AGO))

    def bury(self, node: str, directions: Sequence[str]) -> None:
        """A killed run gives nothing back: its lanes stay taken."""
        mine = lanes.c.node == node, lanes.c.direction.in_(directions)
        until = datetime.now(UTC) + timedelta(hours=1)
        with self.engine.begin() as connection:
            connection.execute(update(lanes).where(*mine).values(holder="a dead run", lease_until=until))

    def write(self, connection: Connection, ids: Sequence[int], owner: int, sorts: Sequence[int]) -> None:
        rows = [
            {"id": id_, "shop_id": owner, "at": START + timedelta(seconds=sort), "text": ""}
            for id_, sort in zip(ids, sorts, strict=True)
        ]
        Session(connection).execute(insert(Order), rows)


@contextmanager
def places(engine: Engine) -> Iterator[Places]:
    """An engine on an empty database with our own tables becomes a place for many examples."""
    Base.metadata.create_all(engine)
    with scripted_node() as one, scripted_node() as two, socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        yield Places(engine, dict(zip(NODES, (one, two), strict=True)), deaf.getsockname()[1])
