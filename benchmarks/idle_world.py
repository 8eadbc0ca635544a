"""A mesh of one service with four protocols, in which everything is processed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, Engine, ForeignKey, String, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from workmesh_flows import Flags, Mesh, Protocol, Push, RoundRobin, Service, post
from workmesh_flows.adapters.store.own_tables import create_own_tables
from workmesh_flows.adapters.store.schema import own
from workmesh_flows.operations.check import check_mesh, missing_ddl

NODES = (5, 50, 1_000)
PROTOCOLS = 4
RECORDS = 100
"""Records of each lane, all pushed."""
SERVICE = "idle"


class Base(DeclarativeBase):
    """The entities and four tables of records."""


class Customer(Base):
    """The entities."""

    __tablename__ = "customer"
    id: Mapped[int] = mapped_column(primary_key=True)
    node: Mapped[str | None] = mapped_column(String(50))


def _record(number: int) -> Any:  # noqa: ANN401 - a mapped class
    columns = {
        "__tablename__": f"event{number}",
        "__annotations__": {
            "id": Mapped[int],
            "customer_id": Mapped[int],
            "at": Mapped[datetime],
            "push_time": Mapped[datetime | None],
            "push_success": Mapped[bool | None],
            "push_error": Mapped[str | None],
        },
        "id": mapped_column(primary_key=True),
        "customer_id": mapped_column(ForeignKey("customer.id")),
        "at": mapped_column(DateTime(timezone=True)),
        "push_time": mapped_column(DateTime(timezone=True)),
        "push_success": mapped_column(),
        "push_error": mapped_column(String(2000)),
    }
    return type(f"Event{number}", (Base,), columns)


EVENTS = [_record(number) for number in range(1, PROTOCOLS + 1)]


def mesh_of(database: str) -> Mesh:
    """The mesh on a database."""
    protocols = [
        Protocol(
            event.__tablename__,
            record=event,
            id=event.id,
            sort=event.at,
            push=Push(
                post(f"/{event.__tablename__}/push.json", "events", batch_size=500),
                flags=Flags(event.push_time, event.push_success, event.push_error),
            ),
        )
        for event in EVENTS
    ]
    service = Service(
        SERVICE, entity=Customer, assigned_to=Customer.node, criterion=RoundRobin(), protocols=protocols
    )
    return Mesh([service], database=database)


def fill(engine: Engine, mesh: Mesh, nodes: Sequence[str]) -> None:
    """Assign one entity to each node; push all of its records, in lanes that ran before."""
    for metadata in (Base.metadata, own):
        metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    create_own_tables(engine)
    with engine.begin() as connection:
        for number, node in enumerate(nodes, 1):
            connection.execute(text("INSERT INTO customer VALUES (:id, :node)"), {"id": number, "node": node})
        for event in EVENTS:
            connection.execute(
                text(
                    f"INSERT INTO {event.__tablename__} (id, customer_id, at, push_time, push_success) "  # noqa: S608
                    "SELECT i, 1 + i % :nodes, now(), now(), true FROM generate_series(1, :records) i"
                ),
                {"nodes": len(nodes), "records": RECORDS * len(nodes)},
            )
            for direction in ("push", "pull"):
                connection.execute(
                    text(
                        "INSERT INTO workmesh_lanes (service, protocol, node, direction, epoch, breaker, failures, "
                        "done, refused) SELECT :service, :protocol, node, :direction, 1, 'closed', 0, 100, 0 "
                        "FROM customer"
                    ),
                    {"service": SERVICE, "protocol": event.__tablename__, "direction": direction},
                )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for statement in missing_ddl(check_mesh(engine, mesh)):
            connection.execute(text(statement))
        connection.execute(text("VACUUM ANALYZE"))
