"""A mesh that sends mails: accounts are assigned, their deliveries are pushed and pulled; opens depend on deliveries."""

from __future__ import annotations

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from tests.support.flag_columns import Pulled, Pushed, pull_flags_of, push_flags_of
from workmesh_flows import Mesh, Protocol, Pull, Push, Service, get, post

SERVICE = "micro.mails"
BATCH = 40
MAX_ATTEMPTS = 2


class Base(DeclarativeBase):
    pass


class Account(Base):
    __tablename__ = "accounts"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    node: Mapped[str | None] = mapped_column(String(50))


class Delivery(Pulled, Base):
    __tablename__ = "deliveries"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    position: Mapped[int]
    email: Mapped[str] = mapped_column(String(100))
    subject: Mapped[str] = mapped_column(String(3000))
    account: Mapped[Account] = relationship()


class Open(Pushed, Base):
    __tablename__ = "opens"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    delivery_id: Mapped[int] = mapped_column(ForeignKey("deliveries.id"))
    position: Mapped[int]
    client: Mapped[str] = mapped_column(String(100))
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
                        flags=push_flags_of(Delivery),
                        max_attempts=MAX_ATTEMPTS,
                    ),
                    pull=Pull(
                        "/api/1.0/delivery/status.json",
                        get(
                            "/api/1.0/delivery/pull.json",
                            into={"score": Delivery.score},
                            batch_size=BATCH // 2,
                        ),
                        flags=pull_flags_of(Delivery),
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
                        flags=push_flags_of(Open),
                        max_attempts=MAX_ATTEMPTS,
                        policy="skip_record",
                    ),
                ),
            ],
        )
    ]
)
