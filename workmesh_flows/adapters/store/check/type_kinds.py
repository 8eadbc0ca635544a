"""Kinds of column types, and which kinds are not interchangeable in a database."""

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
    """The declared type as the database sees it: decorators removed, the dialect's variant chosen."""
    stored: TypeEngine[Any] = type_.dialect_impl(dialect)
    while isinstance(stored, TypeDecorator):
        stored = stored.impl_instance
    return stored


def found_type(column: ReflectedColumn) -> TypeEngine[Any]:
    """The type of an existing column; for a domain, its base type."""
    found = column["type"]
    while isinstance(found, DOMAIN):
        found = found.data_type
    return found


def differ(declared: TypeEngine[Any], found: TypeEngine[Any], dialect: Dialect) -> bool:
    """Whether values of the declared type are changed in a column of the found type, or compare wrongly.

    ``declared`` is a stored type, see :func:`stored_type`. False if the kind of one of them is unknown.
    """
    one, other = _kind(declared, dialect), _kind(found, dialect)
    if one is None or other is None or one == other or {one, other} <= _NUMBERS:
        return False
    if dialect.name != "sqlite":
        return True
    # SQLite stores any value in any column, except where the column's affinity converts it: "007" becomes the number 7,
    # and 7 the text "7", which sorts after "10". DECIMAL, NUMERIC and unknown names keep text that is not a number.
    if one in _NUMBERS | {"boolean"}:
        return other == "text"
    return one in _KEPT_AS_TEXT and other in {"integer", "real", "boolean"}


def type_name(type_: TypeEngine[Any], dialect: Dialect) -> str:
    """The name of a type in the dialect."""
    try:
        return type_.compile(dialect=dialect)
    except Exception:  # noqa: BLE001 - a user's own type may fail to compile with any exception
        return type(type_).__name__


def _kind(type_: TypeEngine[Any], dialect: Dialect) -> str | None:
    if isinstance(type_, Uuid) and dialect.name == "postgresql" and not type_.native_uuid:
        return "text"
    return next((kind for cls, kind in _KINDS if isinstance(type_, cls)), None)
