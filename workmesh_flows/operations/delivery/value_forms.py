"""Values of results in the form that a plain column type holds: exactly, or not at all."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from datetime import datetime, time
from decimal import Decimal
from functools import cache
from math import isfinite
from typing import Any, TypeAlias
from uuid import UUID

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import BigInteger, DateTime, Dialect, Integer, Numeric, SmallInteger, String, Text, Time

from workmesh_flows.adapters.store.values import as_utc
from workmesh_flows.domain.columns import first_line

NOT_FINITE = "it is not a finite number"
"""The reason for NaN and infinite numbers."""

Convert: TypeAlias = Callable[[Any], Any]
"""Converts a value, JSON or a Python object, to what a column takes; raises ValueError with why it does not fit."""


def writer(kind: Any, dialect: Dialect) -> Convert | None:  # noqa: ANN401 - SQLAlchemy's types are not annotated
    """How a type writes a value for the driver; None if it passes it on."""
    write: Convert | None = kind.bind_processor(dialect)
    return write


def reader(kind: Any, dialect: Dialect) -> Convert | None:  # noqa: ANN401 - SQLAlchemy's types are not annotated
    """How a type reads what the driver returns; None if it passes it on."""
    read: Convert | None = kind.result_processor(dialect, None)
    return read


def unchanged(value: Any) -> Any:  # noqa: ANN401 - any value
    """The value itself."""
    return value


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:  # noqa: ANN401 - a type
    return TypeAdapter(kind)


def _parse(kind: type, value: Any) -> Any:  # noqa: ANN401 - any value
    try:
        return _adapter(kind).validate_python(value)
    except ValidationError as error:
        raise ValueError(error.errors(include_input=False)[0]["msg"]) from error


def parsed(kind: type) -> Convert:
    """Values of a Python type, parsed by pydantic."""
    return lambda value: value if type(value) is kind else _parse(kind, value)


def uuid_text(value: Any) -> str:  # noqa: ANN401 - any value
    """A UUID as text, for columns that hold UUIDs as texts."""
    return str(_parse(UUID, value))


_BITS = ((SmallInteger, 16), (BigInteger, 64), (Integer, 32))


def integer_form(kind: Integer, dialect: Dialect) -> Convert:
    """Whole numbers that the column has bits for."""
    bits = 64
    if dialect.name == "postgresql":
        bits = next(bits for cls, bits in _BITS if isinstance(kind, cls))
    end = 2 ** (bits - 1)

    def convert(value: Any) -> int:  # noqa: ANN401 - any value
        number: int = value if type(value) is int else _parse(int, value)
        if not -end <= number < end:
            raise ValueError(f"it has more than {bits} bits")
        return number

    return convert


def float_form(value: Any) -> float:  # noqa: ANN401 - any value
    """Finite floats; the only numbers that are rounded."""
    number: float = (
        value
        if type(value) is float
        else float(value)
        if isinstance(value, Decimal)
        else _parse(float, value)
    )
    if not isfinite(number):
        large = isinstance(value, int | Decimal) and Decimal(value).is_finite()
        raise ValueError("it is too large" if large else NOT_FINITE)
    return number


def require_finite(value: Any) -> Any:  # noqa: ANN401 - any value
    """The value; raises ValueError where it is, or holds, NaN or an infinite number, which few columns can hold."""
    match value:
        case float() if not isfinite(value):
            raise ValueError(NOT_FINITE)
        case Decimal() if not value.is_finite():
            raise ValueError(NOT_FINITE)
        case Mapping():
            for item in value.values():
                require_finite(item)
        case list() | tuple() | set() | frozenset():
            for item in value:
                require_finite(item)
    return value


def decimal_form(kind: Numeric[Any], dialect: Dialect) -> Convert:
    """Decimals that the column holds and returns exactly."""
    postgresql = dialect.name == "postgresql"
    precision, places = kind.precision, kind.scale
    if places is None and precision is not None and postgresql:
        places = 0
    # PostgreSQL keeps decimals exactly, SQLite as floats.
    write = None if postgresql else writer(kind, dialect)
    read = None if postgresql or not kind.asdecimal else reader(kind, dialect)

    def convert(value: Any) -> Decimal:  # noqa: ANN401 - any value
        number = as_decimal(value)
        if not number.is_finite():
            raise ValueError(NOT_FINITE)
        _, digits, exponent = number.as_tuple()
        if number:
            dropped = -int(exponent) - places if places is not None else 0
            if dropped > 0 and any(digits[-dropped:]):
                raise ValueError(f"it has more than {places} decimal places")
            if precision is not None and number.adjusted() >= precision - (places or 0):
                raise ValueError(
                    f"it has more than {precision - (places or 0)} digits before the decimal point"
                )
        if write is not None and read is not None and (kept := read(write(number))) != number:
            raise ValueError(f"the database would keep {kept}")
        return number

    return convert


def as_decimal(value: Any) -> Decimal:  # noqa: ANN401 - any value
    """A number as a decimal with the same digits."""
    match value:
        case Decimal():
            return value
        case float():
            return Decimal(repr(value))
        case "NaN" | "Infinity" | "-Infinity":
            raise ValueError(NOT_FINITE)
    number: Decimal = _parse(Decimal, value)
    return number


def datetime_form(kind: DateTime) -> Convert:
    """Times as a column stores them: with a zone where it has one, else naive UTC."""
    parse = parsed(datetime)

    def convert(value: Any) -> datetime:  # noqa: ANN401 - any value
        try:
            utc = as_utc(parse(value))
        except OverflowError as error:
            raise ValueError(first_line(error)) from error
        return utc if kind.timezone else utc.replace(tzinfo=None)

    return convert


def time_form(kind: Time) -> Convert:
    """Times of day; with an offset only where the column has one."""
    parse = parsed(time)

    def convert(value: Any) -> time:  # noqa: ANN401 - any value
        moment: time = parse(value)
        if moment.tzinfo is not None and not kind.timezone:
            raise ValueError("it has an offset from UTC, which the column does not hold")
        return moment

    return convert


def bytes_form(value: Any) -> bytes:  # noqa: ANN401 - any value
    """Bytes, from base64."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, ValueError) as error:
        raise ValueError("Input should be base64") from error


def text_form(kind: String, dialect: Dialect) -> Convert:
    """Texts that are not longer than the column."""
    length = None if isinstance(kind, Text) else kind.length
    nul = "\0" if dialect.name == "postgresql" else None

    def convert(value: Any) -> str:  # noqa: ANN401 - any value
        text: str = value if type(value) is str else _parse(str, value)
        if length is not None and len(text) > length:
            raise ValueError(f"it has more than {length} characters")
        if nul is not None and nul in text:
            raise ValueError("it has a NUL character, which PostgreSQL does not hold")
        return text

    return convert
