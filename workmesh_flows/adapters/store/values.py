"""Values as a database stores them: points in time in UTC, and texts that fit."""

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
    """A point in time: kept in UTC, aware when it comes back, also from a database that keeps no zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To UTC; a naive time is UTC already."""
        del dialect
        return None if value is None else as_utc(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ANN401 - as the base has it
        """As UTC."""
        del dialect
        return None if value is None else as_utc(value)


def as_utc(value: datetime) -> datetime:
    """An aware time in UTC; a naive one is taken to be UTC already."""
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def as_stored(value: datetime, column: Column[Any]) -> datetime:
    """A time as a user's column keeps it: aware where the column is, naive UTC where it is not."""
    utc = as_utc(value)
    return utc if getattr(column.type, "timezone", False) else utc.replace(tzinfo=None)


def stored_text(text: str, room: int | None = None) -> str:
    """A text as any database takes it, cut to 2,000 characters or to the column's room.

    Half a surrogate pair, and in PostgreSQL the character NUL, are refused by databases.
    """
    plain = text.replace("\0", " ").encode(errors="replace").decode()
    return plain[: min(room or LONGEST_TEXT, LONGEST_TEXT)]
