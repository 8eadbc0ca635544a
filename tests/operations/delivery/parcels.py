"""A miniature SaaS with UUID keys and with results of every common type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, Engine, ForeignKey, Numeric, String, Uuid, insert, select
from sqlalchemy.orm import DeclarativeBase, InstrumentedAttribute, Mapped, Session, mapped_column

from workmesh_flows import Flags, Protocol, Pull, Push, Service, get, post
from workmesh_flows.domain.protocol import PullFunction, PushFunction

FIRST = UUID("0A1B2C3D-0000-4000-8000-00000000ABCD")


class Base(DeclarativeBase):
    pass


class Depot(Base):
    __tablename__ = "depots"
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    node: Mapped[str | None] = mapped_column(String(50))


class Parcel(Base):
    __tablename__ = "parcels"
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    depot_id: Mapped[UUID] = mapped_column(ForeignKey("depots.id"))
    number: Mapped[int]
    push_time: Mapped[datetime | None]
    push_success: Mapped[bool | None]
    push_error: Mapped[str | None]
    pull_time: Mapped[datetime | None]
    pull_success: Mapped[bool | None]
    pull_error: Mapped[str | None]
    seen_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    seen_on: Mapped[date | None]
    local_time: Mapped[datetime | None]
    price: Mapped[Decimal | None] = mapped_column(Numeric(10, 2))
    ticket: Mapped[UUID | None] = mapped_column(Uuid)
    count: Mapped[int | None]
    ratio: Mapped[float | None]
    fragile: Mapped[bool | None]
    note: Mapped[str | None] = mapped_column(String(10))


RESULTS = (
    Parcel.seen_at,
    Parcel.seen_on,
    Parcel.local_time,
    Parcel.price,
    Parcel.ticket,
    Parcel.count,
    Parcel.ratio,
    Parcel.fragile,
    Parcel.note,
)


def parcel_service(
    *,
    send: PushFunction | None = None,
    fetch: PullFunction | None = None,
    batch_size: int | None = None,
) -> Service:
    into: Mapping[str, InstrumentedAttribute[Any]] = {column.key: column for column in RESULTS}
    return Service(
        "depot.parcels",
        entity=Depot,
        assigned_to=Depot.node,
        protocols=[
            Protocol(
                "parcel",
                record=Parcel,
                id=Parcel.id,
                sort=Parcel.number,
                push=Push(
                    send or post("/push.json", "parcels", batch_size=10),
                    flags=Flags(Parcel.push_time, Parcel.push_success, Parcel.push_error),
                ),
                pull=Pull(
                    "/status.json",
                    fetch or get("/pull.json", into=into, batch_size=10),
                    flags=Flags(Parcel.pull_time, Parcel.pull_success, Parcel.pull_error),
                    batch_size=batch_size,
                ),
            )
        ],
    )


def parcel_id(number: int) -> UUID:
    """Ids with letters, whose order differs from that of their numbers."""
    return UUID(int=(FIRST.int + number * 0x9E3779B97F4A7C15) % 2**128)


def write_parcels(engine: Engine, numbers: Iterable[int]) -> None:
    """Write parcels of one depot, which is assigned to node n1."""
    Base.metadata.create_all(engine)
    rows = [{"id": parcel_id(number), "depot_id": FIRST, "number": number} for number in numbers]
    with Session(engine) as session, session.begin():
        session.execute(insert(Depot), [{"id": FIRST, "node": "n1"}])
        session.execute(insert(Parcel), rows)


def parcels(engine: Engine) -> dict[int, Parcel]:
    """All parcels by number, as currently stored."""
    with Session(engine, expire_on_commit=False) as session:
        return {parcel.number: parcel for parcel in session.scalars(select(Parcel))}


def utc(value: datetime | None) -> datetime | None:
    """A time in UTC, also from a database that stores no zone."""
    return value if value is None or value.tzinfo is not None else value.replace(tzinfo=UTC)
