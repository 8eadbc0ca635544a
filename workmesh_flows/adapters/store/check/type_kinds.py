"""Kinds of column types, and which of them a database cannot make one of the other."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Date,
    DateTime,
    Dialect,
    Float,
    Integer,
    LargeBinary,
    Numeric,
    String,
    Time,
    TypeDecorator,
    Uuid,
)
from sqlalchemy.dialects.postgresql import DOMAIN
from sqlalchemy.engine.interfaces import ReflectedColumn
from sqlalchemy.types import TypeEngine

_KINDS: tuple[tuple[type[TypeEngine[Any]], str], ...] = (
    (String, "text"),
    (Boolean, "boolean"),
    (Integer, "integer"),
    (Float, "real"),
    (Numeric, "number"),
    (DateTime, "time"),
    (Date, "date"),
    (Time, "time of day"),
    (Uuid, "uuid"),
    (LargeBinary, "bytes"),
    (JSON, "json"),
)
_NUMBERS = frozenset({"integer", "real", "number"})
_KEPT_AS_TEXT = frozenset({"text", "uuid", "time", "date", "time of day"})


def stored_type(type_: TypeEngine[Any], dialect: Dialect) -> TypeEngine[Any]:
    """What a declared type is to the database: without decorators, variants chosen."""
    stored: TypeEngine[Any] = type_.dialect_impl(dialect)
    while isinstance(stored, TypeDecorator):
        stored = stored.impl_instance
    return stored


def found_type(column: ReflectedColumn) -> TypeEngine[Any]:
    """The type of a column that is there; a domain as what it is of."""
    found = column["type"]
    while isinstance(found, DOMAIN):
        found = found.data_type
    return found


def differ(declared: TypeEngine[Any], found: TypeEngine[Any], dialect: Dialect) -> bool:
    """Whether values of the declared type do not survive in a column of the other, or compare wrongly.

    The declared one is a stored type. Where one of them is of no known kind, nobody can say: False.
    """
    one, other = _kind(declared, dialect), _kind(found, dialect)
    if one is None or other is None or one == other or {one, other} <= _NUMBERS:
        return False
    if dialect.name != "sqlite":
        return True
    # SQLite keeps any value in any column, but for what the column's affinity changes: "007" becomes the number 7,
    # and 7 the text "7", which comes after "10". DECIMAL, NUMERIC and unknown names keep what looks like no number.
    if one in _NUMBERS | {"boolean"}:
        return other == "text"
    return one in _KEPT_AS_TEXT and other in {"integer", "real", "boolean"}


def type_name(type_: TypeEngine[Any], dialect: Dialect) -> str:
    """A type's name."""
    try:
        return type_.compile(dialect=dialect)
    except Exception:  # noqa: BLE001 - a type of the user's own may not compile, or raise what it likes
        return type(type_).__name__


def _kind(type_: TypeEngine[Any], dialect: Dialect) -> str | None:
    if isinstance(type_, Uuid) and dialect.name == "postgresql" and not type_.native_uuid:
        return "text"
    return next((kind for cls, kind in _KINDS if isinstance(type_, cls)), None)
