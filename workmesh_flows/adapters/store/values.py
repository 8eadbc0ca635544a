"""Values as a database stores them: times in UTC, and texts that fit their column."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Column,
    DateTime,
    Dialect,
    TypeDecorator,
)

from workmesh_flows.domain.answers import LONGEST_TEXT


class UtcDateTime(TypeDecorator[datetime]):
    """A time that is stored in UTC and returned with its zone, also by a database that stores no zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC; a naive time is taken to be UTC."""
        del dialect
        return None if value is None else as_utc(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ANN401 - as the base has it
        """Return the time with the zone UTC."""
        del dialect
        return None if value is None else as_utc(value)


def as_utc(value: datetime) -> datetime:
    """The time with the zone UTC; a naive time is taken to be UTC."""
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def as_stored(value: datetime, column: Column[Any]) -> datetime:
    """A time as a user's column stores it: with a zone where the column has one, else naive UTC."""
    utc = as_utc(value)
    return utc if getattr(column.type, "timezone", False) else utc.replace(tzinfo=None)


def stored_text(text: str, length: int | None = None) -> str:
    """A text that any database accepts, cut to 2,000 characters or to ``length``, that of its column.

    Databases refuse half a surrogate pair, and PostgreSQL the character NUL; both are replaced.
    """
    plain = text.replace("\0", " ").encode(errors="replace").decode()
    return plain[: min(length or LONGEST_TEXT, LONGEST_TEXT)]
