"""Pages of a lane: every record once, in order, whatever identifies it and whatever sorts it."""

from __future__ import annotations

import sqlite3
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum as PythonEnum
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import (
    CHAR,
    REAL,
    BigInteger,
    Date,
    DateTime,
    Double,
    Engine,
    Enum,
    Float,
    Integer,
    Numeric,
    String,
    Uuid,
    create_engine,
    select,
    text,
    update,
)
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeEngine

from tests.adapters.store.key_types import ORDERED
from tests.adapters.store.paging import ids, pages, pending, reader_of
from tests.adapters.store.worlds import START, at, make_flat, make_world


class Colour(PythonEnum):
    """The database orders its values by their place in PostgreSQL's type, or as texts."""

    RED = 1
    BLUE = 2
    GREEN = 3


@pytest.mark.parametrize("kind", ORDERED)
def test_pending_records_come_in_order_each_with_its_owner(engine: Engine, kind: str) -> None:
    world = make_world(kind)
    world.fill(engine, ["n1", "n2", None, "n1"], [1, 2, 3, 4, None, 1], [1, 2, 3, 4, 5, 6, None, 1, 4])
    with Session(engine) as session:  # the last one is sorted first, two others alike
        session.execute(update(world.delivery).where(world.delivery.id == world.key(9)).values(at=at(-1)))
        session.execute(update(world.delivery).where(world.delivery.id == world.key(4)).values(at=at(6)))
        session.commit()
    read = pages(engine, world.service, 2)
    assert [len(page) for page in read] == [2, 2, 1]
    assert ids(read) == [world.key(number) for number in (9, 1, 4, 6, 8)]
    assert [item.owner for page in read for item in page] == [world.key(n) for n in (4, 1, 4, 1, 1)]
    assert ids(pages(engine, world.service, 10, "n2")) == [world.key(2)]
    assert pages(engine, world.service, 10, "n3") == []
    record = read[0][0].record
    assert set(record) == {"id", "user_id", "at"}
    assert record["id"] == world.key(9)


MANY = 23
SORTS: dict[str, tuple[TypeEngine[Any], list[Any]]] = {
    "all equal": (Integer(), [5] * MANY),
    "integers": (Integer(), [number % 4 - 2 for number in range(MANY)]),
    "large integers": (BigInteger(), [2**62 + number % 3 for number in range(MANY)]),
    "single precision": (REAL(), [0.1 * (number % 5) for number in range(MANY)]),
    "single precision by its bits": (Float(24), [1 / 3 + number % 3 for number in range(MANY)]),
    "floats": (Float(), [0.1 + 0.2 * (number % 5) for number in range(MANY)]),
    "doubles": (Double(), [1e300 / (number % 5 + 1) for number in range(MANY)]),
    "decimals": (Numeric(20, 5), [Decimal(number % 5) / 8 for number in range(MANY)]),
    "texts": (String(20), [["b", "B", "ä", "a", "", "'%?", "a "][number % 7] for number in range(MANY)]),
    "padded texts": (CHAR(5), [["b", "abc", "äö"][number % 3] for number in range(MANY)]),
    "dates": (Date(), [date(2026, 1, 1 + number % 5) for number in range(MANY)]),
    "aware times": (DateTime(timezone=True), [at(number % 5 / 3) for number in range(MANY)]),
    "naive times": (DateTime(), [at(number % 5 / 3).replace(tzinfo=None) for number in range(MANY)]),
    "whole seconds": (DateTime(), [at(number % 5).replace(tzinfo=None) for number in range(MANY)]),
    "UUIDs": (Uuid(), [UUID(int=2**127 * (number % 2) + number % 5) for number in range(MANY)]),
    "names of a set": (Enum(Colour), [list(Colour)[number % 3] for number in range(MANY)]),
}


@pytest.mark.parametrize("name", SORTS)
def test_each_record_comes_once_and_in_order_whatever_sorts_it(engine: Engine, name: str) -> None:
    kind, values = SORTS[name]
    world = make_flat(kind)
    world.fill(engine, values)
    order = world.order
    with Session(engine) as session:
        expected = session.scalars(select(order.id).order_by(order.at, order.id)).all()
    for size in (1, 2, 5, MANY - 1, MANY, MANY + 1):
        read = pages(engine, world.service, size)
        assert ids(read) == expected
        assert all(len(page) == size for page in read[:-1])


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        pytest.param(CHAR(10), ["b", "a", "abc", "äöü", "0123456789"], id="padded texts"),
        pytest.param(Uuid(as_uuid=False), [str(UUID(int=2**100 * n)) for n in range(5)], id="UUIDs as text"),
        pytest.param(Numeric(10, 2), [Decimal(n) / 4 + Decimal("0.00") for n in range(5)], id="decimals"),
        pytest.param(BigInteger(), [-(2**62), 2**62, 0, 1, 2], id="large integers"),
    ],
)
def test_each_record_comes_once_whatever_identifies_it(
    engine: Engine, kind: TypeEngine[Any], keys: list[Any]
) -> None:
    world = make_flat(Integer(), key=kind)
    world.fill(engine, [1] * len(keys), keys)
    for size in (1, 2, 10):
        read = ids(pages(engine, world.service, size))
        assert sorted(str(key).strip() for key in read) == sorted(str(key) for key in keys)


@pytest.mark.parametrize(
    "written",
    [
        pytest.param("%Y-%m-%d %H:%M:%S", id="without microseconds"),
        pytest.param("%Y-%m-%d %H:%M:%S.%f", id="as SQLAlchemy writes"),
        pytest.param("%Y-%m-%d %H:%M", id="without seconds"),
        pytest.param("%Y-%m-%dT%H:%M:%S", id="with a T"),
    ],
)
def test_times_that_another_program_wrote_into_sqlite(tmp_path: Any, written: str) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'x.db'}")
    world = make_flat(DateTime())
    world.metadata.create_all(engine)
    with sqlite3.connect(tmp_path / "x.db") as other:
        other.execute("INSERT INTO shop VALUES (1, 'n1')")
        for number in range(MANY):
            moment = (START + timedelta(minutes=number // 6)).strftime(written)
            other.execute('INSERT INTO "order" (id, shop_id, at) VALUES (?, 1, ?)', (number, moment))
    other.close()
    for size in (1, 4, 5, MANY):
        assert ids(pages(engine, world.service, size)) == list(range(MANY))
    engine.dispose()


def test_changes_between_two_pages_duplicate_and_reorder_nothing(engine: Engine) -> None:
    world = make_flat(Integer())
    world.fill(engine, [number // 2 for number in range(12)])
    seen: list[int] = []
    for page in pending(reader_of(engine, world.service), 3):
        seen += [item.id for item in page]
        with engine.begin() as connection:
            if len(seen) == 3:
                connection.execute(text('DELETE FROM "order" WHERE id IN (3, 7)'))  # the mark itself, too
                connection.execute(
                    text('INSERT INTO "order" (id, shop_id, at) VALUES (99, 1, 0), (98, 1, 9)')
                )
            connection.execute(update(world.order).where(world.order.id.in_(seen)).values(push_success=True))
    assert seen == [1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 98]
    assert ids(pages(engine, world.service, 3)) == [99]
