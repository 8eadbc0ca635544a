"""A result that a user's type writes and cannot read again is never written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import CheckConstraint, DateTime, Engine, ForeignKey, String, TypeDecorator, event, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from tests.operations.delivery.lane_runs import pull, push
from tests.support.counts import Counts, counts
from tests.support.flag_columns import Pulled, pull_flags_of, push_flags_of
from tests.support.scripted_node import Asked, ScriptedNode, scripted_node, success
from workmesh_flows import Protocol, Pull, Push, Service, get, post

KNOWN = {"r": "red", "g": "green"}


class Base(DeclarativeBase):
    pass


class Colour(TypeDecorator[str]):
    """Reads only the letters that it knows, and writes any."""

    impl = String(10)
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        return value and KNOWN[value]


class Garden(Base):
    __tablename__ = "gardens"
    id: Mapped[int] = mapped_column(primary_key=True)
    node: Mapped[str | None]


class Rose(Pulled, Base):
    __tablename__ = "roses"
    __table_args__ = (
        CheckConstraint("height < 100", name="low"),
        CheckConstraint("height < width", name="wide"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    garden_id: Mapped[int] = mapped_column(ForeignKey("gardens.id"))
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    colour: Mapped[str | None] = mapped_column(Colour)
    height: Mapped[int | None]
    width: Mapped[int | None]
    beside: Mapped[int | None] = mapped_column(ForeignKey("gardens.id"))
    near: Mapped[int | None] = mapped_column(ForeignKey("gardens.id", deferrable=True, initially="DEFERRED"))
    name: Mapped[str] = mapped_column(default="rose")


def service() -> Service:
    names = ("colour", "height", "width", "beside", "near", "name")
    into = {name: getattr(Rose, name) for name in names}
    protocol = Protocol(
        "rose",
        record=Rose,
        id=Rose.id,
        sort=Rose.at,
        owner=Rose.garden_id,
        push=Push(
            post("/push.json", "roses", batch_size=10),
            flags=push_flags_of(Rose),
        ),
        pull=Pull(
            "/status.json",
            get("/pull.json", into=into),
            flags=pull_flags_of(Rose),
        ),
    )
    return Service("gardens", entity=Garden, assigned_to=Garden.node, protocols=[protocol])


@contextmanager
def grown(engine: Engine, results: dict[str, Any]) -> Iterator[ScriptedNode]:
    """A node with these results of roses, which are pushed already."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys=ON"))
    Base.metadata.create_all(engine)
    with Session(engine) as session, session.begin():
        session.add(Garden(id=1, node="n1"))
        session.flush()
        at = datetime(2026, 3, 1).astimezone()
        session.add_all(Rose(id=int(key), garden_id=1, at=at) for key in results)

    def script(asked: Asked) -> Any:
        return success({"/status.json": max(map(int, results)), "/pull.json": results}.get(asked.path))

    with scripted_node(script) as node:
        push(engine, service(), node.node())
        yield node


@pytest.mark.parametrize(
    ("result", "named"),
    [
        pytest.param({"height": 5, "width": 9, "colour": "x"}, "colour", id="cannot be read"),
        pytest.param({"height": 100, "width": 900}, "height", id="breaks a check"),
        pytest.param({"width": 1, "beside": 77}, "beside", id="refers to nothing"),
        pytest.param({"name": None}, "name", id="is null where a value is required"),
    ],
)
def test_the_value_that_cannot_be_kept_is_named_and_the_others_are_written(
    engine: Engine, result: dict[str, Any], named: str
) -> None:
    results = {"1": {"colour": "r"}, "2": result, "3": {"colour": "g", "height": 1}}
    with grown(engine, results) as node:
        assert counts(pull(engine, service(), node.node())) == Counts(pulled=2, failed=1)
    with Session(engine) as session:
        one, two, three = session.scalars(select(Rose).order_by(Rose.id))
        assert (one.colour, three.colour, three.height) == ("red", "green", 1)
        assert (two.pull_success, two.height, two.width, two.colour) == (False, None, None, None)
        assert (two.pull_error or "").startswith(f"the result does not fit {named}: ")


@pytest.mark.parametrize(
    "result",
    [
        pytest.param({"height": 9, "width": 5}, id="together"),
        pytest.param({"height": 5, "near": 77}, id="at the commit"),
    ],
)
def test_values_that_only_together_cannot_be_kept_name_no_column(
    engine: Engine, result: dict[str, Any]
) -> None:
    with grown(engine, {"1": result, "2": {"height": 5, "width": 9}}) as node:
        assert counts(pull(engine, service(), node.node())) == Counts(pulled=1, failed=1)
    with Session(engine) as session:
        assert (session.get_one(Rose, 1).pull_error or "").startswith("the result does not fit: ")
