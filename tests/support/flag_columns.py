"""The columns that push and pull write, as mixins for the records of tests."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, DateTime, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from workmesh_flows import Flags


class Pushed:
    push_time: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    push_success: Mapped[bool | None] = mapped_column(Boolean)
    push_error: Mapped[str | None] = mapped_column(String(300))


class Pulled(Pushed):
    pull_time: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    pull_success: Mapped[bool | None] = mapped_column(Boolean)
    pull_error: Mapped[str | None] = mapped_column(String(300))
    score: Mapped[int | None] = mapped_column(Integer)


def push_flags_of(record: type[Any]) -> Flags:
    return Flags(record.push_time, record.push_success, record.push_error)


def pull_flags_of(record: type[Any]) -> Flags:
    return Flags(record.pull_time, record.pull_success, record.pull_error)
