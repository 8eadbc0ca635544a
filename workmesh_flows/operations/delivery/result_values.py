"""Values of results, converted to what their columns hold: exactly, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    JSON,
    Boolean,
    Column,
    Date,
    DateTime,
    Dialect,
    Float,
    Integer,
    Interval,
    LargeBinary,
    Numeric,
    String,
    Text,
    Time,
    Uuid,
)
from sqlalchemy import Enum as EnumType
from sqlalchemy.dialects.postgresql import INTERVAL
from sqlalchemy.types import TypeEngine

from workmesh_flows.adapters.node_http.encoding import encode
from workmesh_flows.domain.columns import first_line, python_type_of
from workmesh_flows.errors import RecordRefused
from workmesh_flows.operations.delivery.value_forms import (
    Convert,
    as_decimal,
    bytes_form,
    datetime_form,
    decimal_form,
    float_form,
    integer_form,
    parsed,
    require_finite,
    text_form,
    time_form,
    unchanged,
    uuid_text,
    writer,
)


def column_converter(column: Column[Any], dialect: Dialect) -> Convert:
    """The conversion for a column. What a push sends of a value is taken back; nothing is rounded but floats."""
    convert = _converter(column.type, dialect)
    null: Any = None if column.nullable else ValueError("the column takes no null")

    def convert_or_null(value: Any) -> Any:  # noqa: ANN401 - JSON in, a column's value out
        if value is not None:
            return convert(value)
        if null is not None:
            raise null
        return None

    return convert_or_null


def _converter(declared: TypeEngine[Any], dialect: Dialect) -> Convert:  # noqa: PLR0911, PLR0912, C901 - a table of types
    kind = declared.dialect_impl(dialect)
    match kind:
        case Interval() | INTERVAL():
            return parsed(timedelta)
        case EnumType():
            return _enum(kind, dialect)
        case Uuid():
            return parsed(UUID) if kind.as_uuid else uuid_text
        case JSON():
            return _json
        case ARRAY():
            return _array(kind, dialect)
        case Boolean():
            return parsed(bool)
        case Integer():
            return integer_form(kind, dialect)
        case Float():
            return float_form
        case Numeric():
            return decimal_form(kind, dialect)
        case DateTime():
            return datetime_form(kind)
        case Date():
            return parsed(date)
        case Time():
            return time_form(kind)
        case LargeBinary():
            return bytes_form
        case String():
            return text_form(kind, dialect)
    if (stored := getattr(kind, "impl_instance", None)) is not None:
        return _decorated(kind, stored, dialect)
    return require_finite


def _enum(kind: EnumType, dialect: Dialect) -> Convert:
    """Members by value, as a push sends them, or by their name, or by the label that the database holds."""
    members: dict[bytes, Any] = {encode(label): label for label in kind.enums}
    if kind.enum_class is not None:
        write = writer(kind, dialect) or unchanged
        held: dict[str, Any] = {}
        for name, member in kind.enum_class.__members__.items():
            with suppress(LookupError):  # an enum may have members that its column does not hold
                held |= {name: member, write(member): member}
        members = {encode(label): member for label, member in held.items()}
        for member in held.values():
            with suppress(RecordRefused):  # a value without a JSON form is never sent
                members[encode(member)] = member

    def convert(value: Any) -> Any:  # noqa: ANN401 - any value
        try:
            return members[encode(value)]
        except (KeyError, RecordRefused):
            known = ", ".join(key.decode() for key in members)
            raise ValueError(f"it is none of {known}") from None

    return convert


def _json(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """JSON numbers are read as floats, so a decimal is written as one; JSON has no number that is not finite."""
    match value:
        case Decimal() | float():
            return float_form(value)
        case Mapping():
            return {key: _json(item) for key, item in value.items()}
        case list() | tuple():
            return [_json(item) for item in value]
    return value


def _array(kind: ARRAY[Any], dialect: Dialect) -> Convert:
    item = _converter(kind.item_type, dialect)

    def convert(value: Any) -> Any:  # noqa: ANN401 - any value
        if not isinstance(value, list | tuple):
            raise ValueError("Input should be a valid list")  # noqa: TRY004 - a value of a result, not a bug
        return [
            one if one is None else convert(one) if isinstance(one, list | tuple) else item(one)
            for one in value
        ]

    return convert


def _decorated(kind: Any, stored: TypeEngine[Any], dialect: Dialect) -> Convert:  # noqa: ANN401 - a TypeDecorator
    """For a user's type: the first form of a value that the type takes.

    A text is given as it is first; any other kind of value first as what the database's type holds.
    """
    inner, write = _converter(stored, dialect), writer(kind, dialect) or unchanged
    forms: list[Convert] = [inner, unchanged]
    if isinstance(stored, String | LargeBinary | JSON):
        forms.reverse()
    elif isinstance(stored, Integer | Numeric | Float):
        forms.insert(1, as_decimal)
    elif isinstance(stored, DateTime):
        forms.insert(0, datetime_form(DateTime(timezone=True)))
    declared = python_type_of(kind)
    if declared is not None and issubclass(declared, Enum):
        forms.insert(0, _enum(EnumType(declared), dialect))
    length = stored.length if isinstance(stored, String) and not isinstance(stored, Text) else None

    def convert(value: Any) -> Any:  # noqa: ANN401 - any value
        require_finite(value)
        problem = "its type takes no time without an offset"
        for form in forms:
            try:
                taken = form(value)
                written = write(taken)
            except Exception as error:  # noqa: BLE001 - a user's type may raise anything
                problem = first_line(error)
                continue
            if length is not None and isinstance(written, str) and len(written) > length:
                raise ValueError(f"it has more than {length} characters")
            zoned = isinstance(written, datetime) and written.tzinfo is not None
            if not (zoned and isinstance(stored, DateTime) and not stored.timezone):
                return taken
        raise ValueError(problem)

    return convert
