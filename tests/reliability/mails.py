"""A SaaS that sends mails: accounts are assigned, their deliveries are pushed and pulled, then opens, which follow."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Boolean, DateTime, ForeignKey, Integer, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from workmesh_flows import Flags, Mesh, Protocol, Pull, Push, Service, get, post

SERVICE = "micro.mails"
BATCH = 40
MAX_ATTEMPTS = 2


class Base(DeclarativeBase):
    pass


class Account(Base):
    __tablename__ = "accounts"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    node: Mapped[str | None] = mapped_column(String(50))


class Delivery(Base):
    __tablename__ = "deliveries"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    position: Mapped[int]
    email: Mapped[str] = mapped_column(String(100))
    subject: Mapped[str] = mapped_column(String(3000))
    push_time: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    push_success: Mapped[bool | None] = mapped_column(Boolean)
    push_error: Mapped[str | None] = mapped_column(String(300))
    pull_time: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    pull_success: Mapped[bool | None] = mapped_column(Boolean)
    pull_error: Mapped[str | None] = mapped_column(String(300))
    score: Mapped[int | None] = mapped_column(Integer)
    account: Mapped[Account] = relationship()


class Open(Base):
    __tablename__ = "opens"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    delivery_id: Mapped[int] = mapped_column(ForeignKey("deliveries.id"))
    position: Mapped[int]
    client: Mapped[str] = mapped_column(String(100))
    push_time: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    push_success: Mapped[bool | None] = mapped_column(Boolean)
    push_error: Mapped[str | None] = mapped_column(String(300))
    delivery: Mapped[Delivery] = relationship()


mesh = Mesh(
    [
        Service(
            SERVICE,
            entity=Account,
            assigned_to=Account.node,
            protocols=[
                Protocol(
                    "delivery",
                    record=Delivery,
                    id=Delivery.id,
                    sort=Delivery.position,
                    push=Push(
                        post("/api/1.0/delivery/push.json", "deliveries", batch_size=BATCH),
                        flags=Flags(Delivery.push_time, Delivery.push_success, Delivery.push_error),
                        max_attempts=MAX_ATTEMPTS,
                    ),
                    pull=Pull(
                        "/api/1.0/delivery/status.json",
                        get(
                            "/api/1.0/delivery/pull.json",
                            into={"score": Delivery.score},
                            batch_size=BATCH // 2,
                        ),
                        flags=Flags(Delivery.pull_time, Delivery.pull_success, Delivery.pull_error),
                    ),
                ),
                Protocol(
                    "open",
                    record=Open,
                    id=Open.id,
                    sort=Open.position,
                    owner=[Open.delivery, Delivery.account],
                    after=Open.delivery,
                    push=Push(
                        post("/api/1.0/open/push.json", "open"),
                        flags=Flags(Open.push_time, Open.push_success, Open.push_error),
                        max_attempts=MAX_ATTEMPTS,
                        policy="skip_record",
                    ),
                ),
            ],
        )
    ]
)
