"""Which columns of a record are sent, and under which names."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

import pytest
from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Integer,
    String,
    Table,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tests.support.flag_columns import Pulled, pull_flags_of, push_flags_of
from workmesh_flows import Protocol, Pull, Push, Service, get, post
from workmesh_flows.domain.payload import payload_columns
from workmesh_flows.domain.protocol import PushFunction


class Base(DeclarativeBase):
    pass


class Firm(Base):
    __tablename__ = "firm"
    firm_id: Mapped[int] = mapped_column("FIRM_ID", primary_key=True)
    node: Mapped[str | None]


class Flagged(Pulled):
    at: Mapped[datetime] = mapped_column("dtCreated", DateTime(timezone=True))
    score: Mapped[int | None] = mapped_column("nScore")


class Lead(Flagged, Base):
    __tablename__ = "lead"
    lead_id: Mapped[int] = mapped_column("LEAD_ID", primary_key=True)
    firm_id: Mapped[int] = mapped_column("FK_FIRM", ForeignKey("firm.FIRM_ID"))
    metadata_: Mapped[str | None] = mapped_column("metadata")


class Invoice(Flagged, Base):
    __tablename__ = "invoice"
    id: Mapped[int] = mapped_column("InvoiceId", primary_key=True)
    firm_id: Mapped[int] = mapped_column(ForeignKey("firm.FIRM_ID"))


class Visit(Flagged, Base):
    """A record with a number of its own, beside the code that nodes know it by."""

    __tablename__ = "visit"
    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(String(36), unique=True)
    firm_id: Mapped[int] = mapped_column(ForeignKey("firm.FIRM_ID"))


class Call(Base):
    """A record with a column that is not mapped."""

    __table__ = Table(
        "call",
        Base.metadata,
        Column("id", Integer, primary_key=True),
        Column("firm_id", ForeignKey("firm.FIRM_ID")),
        Column("secret", String(9)),
        *(Column(name, DateTime) for name in ("push_time", "pull_time")),
        *(Column(name, Boolean) for name in ("push_success", "pull_success")),
        *(Column(name, String) for name in ("push_error", "pull_error")),
        Column("score", Integer),
        Column("at", DateTime(timezone=True), nullable=False),
    )
    __mapper_args__ = {  # noqa: RUF012 - SQLAlchemy declares it for instances
        "exclude_properties": ["secret"]
    }


def declared(record: Any, key: Any, send: PushFunction | None = None) -> Protocol:
    protocol = Protocol(
        "p",
        record=record,
        id=key,
        sort=record.at,
        push=Push(send or post("/push.json"), flags=push_flags_of(record)),
        pull=Pull(
            "/status.json",
            get("/pull.json", into={"score": record.score}),
            flags=pull_flags_of(record),
        ),
    )
    Service("s", entity=Firm, assigned_to=Firm.node, protocols=[protocol])
    return protocol


@pytest.mark.parametrize(
    ("record", "key", "sent"),
    [
        pytest.param(
            Lead,
            Lead.lead_id,
            {
                "id": "LEAD_ID",
                "lead_id": "LEAD_ID",
                "firm_id": "FK_FIRM",
                "metadata_": "metadata",
                "at": "dtCreated",
            },
            id="the key under its name, and as id",
        ),
        pytest.param(
            Invoice,
            Invoice.id,
            {"id": "InvoiceId", "firm_id": "firm_id", "at": "dtCreated"},
            id="the key is called id",
        ),
        pytest.param(
            Visit,
            Visit.code,
            {"id": "id", "code": "code", "firm_id": "firm_id", "at": "dtCreated"},
            id="another column is called id",
        ),
        pytest.param(
            Call,
            cast("Any", Call).id,
            {"id": "id", "firm_id": "firm_id", "at": "at"},
            id="a column is not mapped",
        ),
    ],
)
def test_columns_are_sent_by_attribute_name_without_flags_and_results(
    record: Any, key: Any, sent: dict[str, str]
) -> None:
    columns = payload_columns(declared(record, key))
    assert {name: column.name for name, column in columns.items()} == sent
