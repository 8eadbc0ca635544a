"""The mesh of the soak and its database: accounts, their letters, and answers that depend on letters."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    DateTime,
    Engine,
    ForeignKey,
    String,
    func,
    insert,
    or_,
    select,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tests.support.flag_columns import Pulled, pull_flags_of, push_flags_of
from workmesh_flows import Mesh, Protocol, Pull, Push, RoundRobin, Service, get, post
from workmesh_flows.adapters.store.own_tables import create_own_tables
from workmesh_flows.operations.check import check_mesh, missing_ddl

SERVICE = "soak.mail"
BATCH = 10


class Base(DeclarativeBase):
    pass


class Account(Base):
    __tablename__ = "account"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    node: Mapped[str | None] = mapped_column(String(50))


class Letter(Pulled, Base):
    __tablename__ = "letter"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    text: Mapped[str] = mapped_column(String(100))


class Answer(Pulled, Base):
    __tablename__ = "answer"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    letter_id: Mapped[int] = mapped_column(ForeignKey("letter.id"))
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


RECORDS: dict[type[Letter | Answer], int] = {Letter: 97, Answer: 89}
"""Each kind of record with its divisor: the score is the remainder of the id."""


def _protocol(name: str, record: type[Pulled], **more: Any) -> Protocol:
    kind: Any = record
    path = f"/api/1.0/{name}"
    return Protocol(
        name,
        record=record,
        id=kind.id,
        sort=kind.at,
        push=Push(
            post(f"{path}/push.json", f"{name}s", batch_size=BATCH),
            flags=push_flags_of(record),
            max_attempts=2,
        ),
        pull=Pull(
            f"{path}/status.json",
            get(f"{path}/pull.json", into={"score": kind.score}, batch_size=5 * BATCH),
            flags=pull_flags_of(record),
        ),
        **more,
    )


service = Service(
    SERVICE,
    entity=Account,
    assigned_to=Account.node,
    criterion=RoundRobin(),
    protocols=[_protocol("letter", Letter), _protocol("answer", Answer, after=Answer.letter_id)],
)
mesh = Mesh([service])


def create_database(engine: Engine, accounts: int) -> None:
    """Create the tables, with the indexes that `workmesh check` proposes, and accounts without nodes."""
    Base.metadata.create_all(engine)
    create_own_tables(engine)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for statement in missing_ddl(check_mesh(engine, mesh)):
            connection.execute(text(statement))
    with engine.begin() as connection:
        connection.execute(insert(Account), [{"id": number} for number in range(1, accounts + 1)])


def count(engine: Engine, condition: str) -> int:
    """The number of records of both kinds that are written, pushed, pulled, pending, open, or have a wrong score."""
    with engine.connect() as connection:
        return sum(
            connection.scalar(select(func.count()).where(_conditions(kind, part)[condition])) or 0
            for kind, part in RECORDS.items()
        )


def _conditions(kind: Any, part: int) -> Any:
    pushed, pulled = kind.push_success.is_(True), kind.pull_success.is_(True)
    return {
        "written": kind.id.is_not(None),
        "pushed": pushed,
        "pulled": pulled,
        "pending": kind.push_success.is_not(True),
        "open": or_(kind.push_success.is_not(True), kind.pull_success.is_not(True)),
        "score": or_(kind.score.is_(None), kind.score != kind.id % part),
    }
