"""Mapped classes with columns that are unsuitable for a role."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, ForeignKey, Index, String, UniqueConstraint, literal
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, Mapped, column_property, mapped_column, relationship, synonym

from tests.support.shop import Shop


class Base(DeclarativeBase):
    pass


class Parcel(Base):
    """A record with one unsuitable column of each kind, and with all columns of a valid declaration."""

    __tablename__ = "parcel"
    id: Mapped[int] = mapped_column(primary_key=True)
    shop_id: Mapped[int] = mapped_column(ForeignKey(Shop.__table__.c.ShopId))
    at: Mapped[datetime] = mapped_column(DateTime)
    time: Mapped[datetime | None] = mapped_column(DateTime)
    success: Mapped[bool | None]
    error: Mapped[str | None]
    filled_time: Mapped[datetime] = mapped_column(DateTime)
    filled_success: Mapped[bool]
    filled_error: Mapped[str]
    coarse_time: Mapped[datetime | None] = mapped_column(TIMESTAMP(precision=3))
    fine_time: Mapped[datetime | None] = mapped_column(TIMESTAMP(precision=6))
    number: Mapped[int | None]
    unique: Mapped[int] = mapped_column(unique=True)
    unique_index: Mapped[int] = mapped_column(unique=True, index=True)
    constrained: Mapped[int]
    indexed: Mapped[int]
    partly_unique: Mapped[int]
    pair_one: Mapped[int]
    pair_two: Mapped[int]
    unique_or_null: Mapped[int | None] = mapped_column(unique=True)
    doubled: Mapped[int] = column_property(literal(2) * 2)
    nickname: Mapped[int] = synonym("id")
    shop: Mapped[Shop] = relationship(Shop)
    __table_args__ = (
        UniqueConstraint("constrained"),
        UniqueConstraint("pair_one", "pair_two"),
        Index("one_alone", "indexed", unique=True),
        Index("not_unique", "number"),
        Index("some_alone", "partly_unique", unique=True, postgresql_where="number > 0"),
    )


class Crate(Base):
    """An entity with a primary key of two columns."""

    __tablename__ = "crate"
    row: Mapped[int] = mapped_column(primary_key=True)
    column: Mapped[int] = mapped_column(primary_key=True)
    node: Mapped[str | None] = mapped_column(String(50))


class Customer(Base):
    """An entity whose node column is not nullable."""

    __tablename__ = "customer"
    id: Mapped[int] = mapped_column(primary_key=True)
    node: Mapped[str] = mapped_column(String(50))


class Unmapped:
    id: Any = None
