"""Times as the columns of Workmesh tables and of users' tables store them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import Column, DateTime, Engine, Integer, MetaData, Table, insert, select, type_coerce
from sqlalchemy.types import NULLTYPE

from workmesh_flows.adapters.store.values import UtcDateTime, as_stored, as_utc

KOLKATA = timezone(timedelta(hours=5, minutes=30))
NOON = datetime(2026, 3, 1, 12, 0, 0, 123_456, tzinfo=UTC)
SAME = [
    pytest.param(NOON, id="in UTC"),
    pytest.param(NOON.astimezone(KOLKATA), id="in another zone"),
    pytest.param(NOON.replace(tzinfo=None), id="naive"),
]

table = Table(
    "moments",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("ours", UtcDateTime),
    Column("aware", DateTime(timezone=True)),
    Column("naive", DateTime),
)


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither this machine nor the database's session is in UTC."""
    monkeypatch.setenv("TZ", "America/New_York")
    monkeypatch.setenv("PGTZ", "Asia/Kolkata")


@pytest.mark.parametrize("moment", SAME)
def test_a_utc_column_returns_the_same_time_in_utc(engine: Engine, moment: datetime) -> None:
    with engine.begin() as connection:
        table.create(connection)
        connection.execute(insert(table).values(id=1, ours=moment))
        found = connection.scalar(select(table.c.ours))
    assert found == NOON
    assert found is not None
    assert found.tzinfo is UTC


def test_a_utc_column_stores_null(engine: Engine) -> None:
    with engine.begin() as connection:
        table.create(connection)
        connection.execute(insert(table).values(id=1, ours=None))
        assert connection.scalar(select(table.c.ours)) is None


def test_times_of_a_utc_column_are_ordered_whatever_their_zone(engine: Engine) -> None:
    later = NOON.astimezone(KOLKATA) + timedelta(microseconds=1)
    with engine.begin() as connection:
        table.create(connection)
        connection.execute(insert(table), [{"id": 1, "ours": later}, {"id": 2, "ours": NOON}])
        assert connection.scalars(select(table.c.id).order_by(table.c.ours)).all() == [2, 1]
        assert connection.scalars(select(table.c.id).where(table.c.ours <= NOON)).all() == [2]
        assert connection.scalars(select(table.c.id).where(table.c.ours < later)).all() == [2]


@pytest.mark.parametrize("moment", SAME)
@pytest.mark.parametrize("name", ["aware", "naive"])
def test_a_users_column_stores_utc_in_its_own_form(engine: Engine, moment: datetime, name: str) -> None:
    column = table.c[name]
    with engine.begin() as connection:
        table.create(connection)
        connection.execute(insert(table).values({"id": 1, name: as_stored(moment, column)}))
        found = connection.scalar(select(column))
        written = connection.scalar(select(type_coerce(column, NULLTYPE)))
    assert found is not None
    assert as_utc(found) == NOON
    if engine.dialect.name == "postgresql":
        assert (found.tzinfo is not None) == (name == "aware")
    else:
        assert written == "2026-03-01 12:00:00.123456"


@pytest.mark.parametrize("moment", SAME)
def test_as_stored_fits_the_column(moment: datetime) -> None:
    assert as_stored(moment, table.c.aware) == NOON
    assert as_stored(moment, table.c.ours) == NOON
    assert as_stored(moment, table.c.naive) == NOON.replace(tzinfo=None)
