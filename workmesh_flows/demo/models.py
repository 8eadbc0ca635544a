"""The tables of the sample SaaS: accounts, their users, e-mails, and what readers do with them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import Boolean, DateTime, ForeignKey, Index, Integer, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    """The base of the sample's tables."""


class Account(Base):
    """A customer of the SaaS; the entity that is assigned to a node."""

    __tablename__ = "account"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    name: Mapped[str] = mapped_column(String(100))
    seats: Mapped[int]
    node_for_micro_emails_timeline: Mapped[str | None] = mapped_column(String(100), index=True)


class User(Base):
    """A person who works for an account."""

    __tablename__ = "user"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), index=True)
    email: Mapped[str] = mapped_column(String(200))
    account: Mapped[Account] = relationship()


class Flagged:
    """The flags that push and pull write on a record, and the result that pull stores."""

    push_time: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    push_success: Mapped[bool | None] = mapped_column(Boolean)
    push_error_description: Mapped[str | None] = mapped_column(String(2000))
    pull_time: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    pull_success: Mapped[bool | None] = mapped_column(Boolean)
    pull_error_description: Mapped[str | None] = mapped_column(String(2000))
    score: Mapped[int | None] = mapped_column(Integer)


class Delivery(Flagged, Base):
    """An e-mail that was delivered."""

    __tablename__ = "delivery"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("user.id"), index=True)
    create_time: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    email: Mapped[str] = mapped_column(String(200))
    subject: Mapped[str] = mapped_column(String(200))
    user: Mapped[User] = relationship()
    __table_args__ = (Index("delivery_in_order", "create_time", "id"),)


class Open(Flagged, Base):
    """The delivery was opened."""

    __tablename__ = "open"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    delivery_id: Mapped[UUID] = mapped_column(ForeignKey("delivery.id"), index=True)
    create_time: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    __table_args__ = (Index("open_in_order", "create_time", "id"),)


class Click(Flagged, Base):
    """A link in the delivery was clicked."""

    __tablename__ = "click"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    delivery_id: Mapped[UUID] = mapped_column(ForeignKey("delivery.id"), index=True)
    create_time: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    url: Mapped[str] = mapped_column(String(500))
    __table_args__ = (Index("click_in_order", "create_time", "id"),)


class Unsubscribe(Flagged, Base):
    """The reader unsubscribed through the delivery."""

    __tablename__ = "unsubscribe"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    delivery_id: Mapped[UUID] = mapped_column(ForeignKey("delivery.id"), index=True)
    create_time: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    __table_args__ = (Index("unsubscribe_in_order", "create_time", "id"),)
