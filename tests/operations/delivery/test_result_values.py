"""What a push sends of a value is taken back as a result; what a column would change or not read again is refused."""

from __future__ import annotations

import enum
import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Engine,
    Enum,
    Float,
    Integer,
    Interval,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    String,
    Table,
    Time,
    TypeDecorator,
    Uuid,
    insert,
    select,
)
from sqlalchemy.types import TypeEngine

from workmesh_flows.adapters.node_http.encoding import encode
from workmesh_flows.operations.delivery.result_values import column_converter


class Mood(enum.Enum):
    GOOD = "good"
    BAD = "bad"


class Grade(enum.IntEnum):
    A = 1
    B = 2


class Swapped(enum.Enum):
    ONE = "TWO"
    TWO = "ONE"


class Utc(TypeDecorator[datetime]):
    """Times with zones in a column without them, as many applications have it."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        if value is not None and value.tzinfo is None:
            raise TypeError("tzinfo is required")
        return value and value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        return value and value.replace(tzinfo=UTC)


class Lower(TypeDecorator[str]):
    impl = String(5)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        return value and value.lower()


class Cents(TypeDecorator[Decimal]):
    """Amounts as whole cents."""

    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        if not isinstance(value, Decimal):
            raise TypeError("not a Decimal")
        return int(value * 100)

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        return value if value is None else Decimal(value) / 100


class Points:
    def __init__(self, number: int) -> None:
        self.number = number


class PointsType(TypeDecorator[Points]):
    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        return value and value.number


def stored(engine: Engine, kind: TypeEngine[Any], result: Any) -> Any:
    """What a column of a type holds, as the application reads it, after a result was written into it."""
    table = Table("thing", MetaData(), Column("id", Integer, primary_key=True), Column("value", kind))
    value = column_converter(table.c.value, engine.dialect)(result)
    table.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(insert(table).values(id=1, value=value))
        return connection.scalar(select(table.c.value))


NOON = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)
VALUES = [
    pytest.param(Integer(), 7, id="integer"),
    pytest.param(BigInteger(), 2**63 - 1, id="an integer that is sent as text"),
    pytest.param(Numeric(10, 2), Decimal("12.50"), id="decimal"),
    pytest.param(Numeric(12, 0), Decimal(123456789012), id="a decimal without places"),
    pytest.param(Float(), 0.1, id="float"),
    pytest.param(Boolean(), True, id="boolean"),
    pytest.param(String(5), "fünf5", id="a text as long as its column"),
    pytest.param(Date(), date(2026, 3, 1), id="date"),
    pytest.param(Time(), time(14, 30, 0, 5), id="time"),
    pytest.param(Interval(), timedelta(days=1, seconds=2, microseconds=3), id="interval"),
    pytest.param(Interval(), -timedelta(hours=36, minutes=5), id="a negative interval"),
    pytest.param(JSON(), {"a": [1, None, "x", 0.5]}, id="JSON"),
    pytest.param(LargeBinary(), b"\x00\xff", id="bytes"),
    pytest.param(Uuid(), UUID(int=7), id="UUID"),
    pytest.param(Uuid(as_uuid=False), str(UUID(int=7)), id="a UUID as text"),
    pytest.param(Enum(Mood), Mood.GOOD, id="enum"),
    pytest.param(Enum(Mood, native_enum=False, length=20), Mood.BAD, id="an enum that is not native"),
    pytest.param(Enum(Grade), Grade.B, id="an enum of integers"),
    pytest.param(Enum(Swapped), Swapped.ONE, id="an enum whose values are names of others"),
    pytest.param(
        Enum(Mood, values_callable=lambda cls: [member.value for member in cls]), Mood.GOOD, id="labels"
    ),
    pytest.param(Enum("spam", "ham", name="label"), "ham", id="an enum of texts"),
    pytest.param(Utc(), NOON, id="a type over times"),
    pytest.param(Lower(), "small", id="a type over texts"),
    pytest.param(Cents(), Decimal("1.15"), id="a type over integers"),
]


@pytest.mark.parametrize(("kind", "value"), VALUES)
def test_what_a_push_sends_is_taken_back(engine: Engine, kind: TypeEngine[Any], value: Any) -> None:
    assert stored(engine, kind, json.loads(encode(value))) == value


@pytest.mark.parametrize(("kind", "value"), VALUES)
def test_a_function_may_give_what_the_application_would_write(
    engine: Engine, kind: TypeEngine[Any], value: Any
) -> None:
    assert stored(engine, kind, value) == value


@pytest.mark.parametrize(
    ("kind", "result", "read"),
    [
        pytest.param(Enum(Mood), "GOOD", Mood.GOOD, id="the name of a member"),
        pytest.param(Numeric(10, 2), 1.5, Decimal("1.50"), id="a float for a decimal"),
        pytest.param(Numeric(10, 2), 0.1, Decimal("0.10"), id="a float that is no sum of halves"),
        pytest.param(Numeric(10, 2), "1.5000", Decimal("1.50"), id="zeros at the end"),
        pytest.param(Float(), Decimal("0.1234567890123456789"), 0.12345678901234568, id="floats round"),
        pytest.param(Float(), 3, 3.0, id="an integer for a float"),
        pytest.param(Integer(), 7.0, 7, id="a whole float for an integer"),
        pytest.param(JSON(), {"a": Decimal("0.5")}, {"a": 0.5}, id="a decimal in JSON"),
        pytest.param(Interval(), "P1DT2.000003S", timedelta(1, 2, 3), id="a duration"),
        pytest.param(LargeBinary(), "AP8=", b"\x00\xff", id="base64"),
        pytest.param(Cents(), 1.15, Decimal("1.15"), id="a float for a type over integers"),
        pytest.param(Integer(), None, None, id="null"),
    ],
)
def test_a_value_in_another_form_is_converted(
    engine: Engine, kind: TypeEngine[Any], result: Any, read: Any
) -> None:
    assert stored(engine, kind, result) == read


@pytest.mark.parametrize(
    ("kind", "result"),
    [
        pytest.param(Integer(), 1.5, id="half a number"),
        pytest.param(Integer(), "many", id="no number"),
        pytest.param(BigInteger(), 2**63, id="an integer of more than 64 bits"),
        pytest.param(BigInteger(), 2**70, id="an integer of 71 bits"),
        pytest.param(Numeric(10, 2), 1.239, id="too many decimal places"),
        pytest.param(Numeric(10, 2), Decimal("1.2390"), id="a decimal with too many places"),
        pytest.param(Numeric(4, 2), 100, id="too many digits"),
        pytest.param(Numeric(10, 2), "cheap", id="no decimal"),
        pytest.param(Float(), 10**400, id="an integer that no float holds"),
        pytest.param(Float(), float("nan"), id="NaN"),
        pytest.param(Float(), "Infinity", id="infinity as a text"),
        pytest.param(Integer(), float("inf"), id="infinity for an integer"),
        pytest.param(Numeric(), float("-inf"), id="negative infinity for a decimal"),
        pytest.param(Numeric(), "NaN", id="NaN as a text for a decimal"),
        pytest.param(Numeric(), Decimal("sNaN"), id="a signalling NaN"),
        pytest.param(JSON(), {"a": [1.0, float("inf")]}, id="infinity in JSON"),
        pytest.param(JSON(), Decimal("NaN"), id="NaN of a decimal as JSON"),
        pytest.param(Cents(), float("nan"), id="NaN for a type over integers"),
        pytest.param(Boolean(), 2, id="neither true nor false"),
        pytest.param(String(3), "four", id="a text that is too long"),
        pytest.param(String(3), 5, id="a number for a text"),
        pytest.param(Lower(), "longer", id="a text that is too long for the type below"),
        pytest.param(Date(), "2026-03-01T14:30:00", id="a time for a date"),
        pytest.param(Date(), "yesterday", id="no date"),
        pytest.param(DateTime(timezone=True), "9999-12-31T23:59:59-12:00", id="a time after the last one"),
        pytest.param(Time(), "10:00:00+02:00", id="an offset that is not held"),
        pytest.param(Interval(), "soon", id="no duration"),
        pytest.param(LargeBinary(), "no base64!", id="no base64"),
        pytest.param(LargeBinary(), {"a": 1}, id="an object for bytes"),
        pytest.param(Uuid(), "42", id="no UUID"),
        pytest.param(Uuid(as_uuid=False), "42", id="no UUID as text"),
        pytest.param(Enum(Mood), "fine", id="no member"),
        pytest.param(Enum(Mood, native_enum=False), "fine", id="no member of an enum that is not native"),
        pytest.param(Enum(Grade), 3, id="no member of an enum of integers"),
        pytest.param(Enum("spam", "ham", name="label"), "eggs", id="no label"),
        pytest.param(Enum("spam", "ham", name="label"), ["ham"], id="a list for a label"),
        pytest.param(PointsType(), 5, id="no value object"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(engine: Engine, kind: TypeEngine[Any], result: Any) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        stored(engine, kind, result)


@pytest.mark.parametrize(
    ("kind", "result", "read"),
    [
        (Numeric(40, 0), 1234567890123456789012345, Decimal(1234567890123456789012345)),
        (
            Numeric(30, 18),
            Decimal("12345678901.123456789012345678"),
            Decimal("12345678901.123456789012345678"),
        ),
        (ARRAY(Integer), [1, None, 3], [1, None, 3]),
        (ARRAY(Enum(Mood, name="mood")), ["good", "BAD"], [Mood.GOOD, Mood.BAD]),
        (ARRAY(Numeric(5, 2)), [[0.1], ["2"]], [[Decimal("0.10")], [Decimal("2.00")]]),
        (Time(timezone=True), "10:00:00+02:00", time.fromisoformat("10:00:00+02:00")),
    ],
)
def test_postgresql_holds_more(postgresql: Engine, kind: TypeEngine[Any], result: Any, read: Any) -> None:
    found = stored(postgresql, kind, result)
    assert found == read


@pytest.mark.parametrize(
    ("kind", "result"),
    [
        (SmallInteger(), 2**15),
        (Integer(), 2**31),
        (Numeric(10), 1.5),
        (String(), "a\0b"),
        (ARRAY(Integer), "1,2"),
        (ARRAY(Integer), [1.5]),
    ],
)
def test_postgresql_holds_less(postgresql: Engine, kind: TypeEngine[Any], result: Any) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        stored(postgresql, kind, result)


@pytest.mark.parametrize("result", [1234567890123456789012345, Decimal("12345678901.123456789012345678")])
def test_a_decimal_that_sqlite_would_round_is_refused(sqlite: Engine, result: Any) -> None:
    with pytest.raises(ValueError, match="the database would keep"):
        stored(sqlite, Numeric(60, 20), result)


def test_a_column_that_takes_no_null_refuses_it(engine: Engine) -> None:
    column = Column("value", Integer, nullable=False)
    with pytest.raises(ValueError, match="the column takes no null"):
        column_converter(column, engine.dialect)(None)
