"""Owners and items whose keys are of any type, for tests of what keeps keys as texts."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    DateTime,
    Dialect,
    Engine,
    ForeignKey,
    String,
    TypeDecorator,
    Uuid,
    insert,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from tests.support.shop import START
from workmesh_flows import Flags, Protocol, Push, RecordRefused, Service
from workmesh_flows.domain.protocol import Policy


@dataclass(frozen=True, slots=True)
class Code:
    """A key of the user's own kind."""

    text: str

    def __str__(self) -> str:
        return self.text


class CodeType(TypeDecorator[Code]):
    """Takes codes, and nothing else."""

    impl = String(40)
    cache_ok = True

    def process_bind_param(self, value: Code | None, dialect: Dialect) -> str | None:
        del dialect
        return None if value is None else value.text

    def process_result_value(self, value: Any, dialect: Dialect) -> Code | None:
        del dialect
        return None if value is None else Code(value)


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of key, the n-th key of it, and how people may write a key."""

    type: Callable[[], Any]
    key: Callable[[int], Any]
    spellings: Callable[[Any], Collection[str]] = lambda key: [str(key)]


def spelt(key: uuid.UUID) -> list[str]:
    return [str(key), key.hex, str(key).upper(), f"{{{key}}}"]


KINDS = {
    "integers": Kind(BigInteger, lambda n: 10**12 + n, lambda key: [str(key), f"0{key}"]),
    "texts": Kind(lambda: String(40), lambda n: f"Key {n}/é"),
    "UUIDs": Kind(Uuid, lambda n: uuid.UUID(int=2**100 + n), spelt),
    "UUIDs as texts": Kind(lambda: Uuid(as_uuid=False), lambda n: str(uuid.UUID(int=2**100 + n))),
    "codes": Kind(CodeType, lambda n: Code(f"c{n}")),
}


@dataclass(slots=True)
class World:
    """A service over items; ``bad`` are the keys of those that are refused, ``sent`` of those that were not."""

    kind: Kind
    service: Service
    item: type[Any]
    bad: set[Any]
    sent: list[Any]


def world(
    engine: Engine, kind: Kind, owners: Collection[int], *, attempts: int = 2, policy: Policy = "park_entity"
) -> World:
    """Items 1, 2, 3, ... of these owners, all of node n1."""

    class Base(DeclarativeBase):
        pass

    class Owner(Base):
        __tablename__ = "owner"
        id: Mapped[Any] = mapped_column(kind.type(), primary_key=True, autoincrement=False)
        node: Mapped[Any] = mapped_column(String(20), nullable=True)

    class Item(Base):
        __tablename__ = "item"
        id: Mapped[Any] = mapped_column(kind.type(), primary_key=True, autoincrement=False)
        owner_id: Mapped[Any] = mapped_column(kind.type(), ForeignKey("owner.id"), nullable=True)
        at: Mapped[Any] = mapped_column(DateTime(timezone=True), default=datetime.now)
        time: Mapped[Any] = mapped_column(DateTime(timezone=True), nullable=True)
        success: Mapped[Any] = mapped_column(Boolean, nullable=True)
        error: Mapped[Any] = mapped_column(String(200), nullable=True)

    Base.metadata.create_all(engine)
    with Session(engine) as session, session.begin():
        session.execute(insert(Owner), [{"id": kind.key(n), "node": "n1"} for n in sorted(set(owners))])
        rows = [
            {"id": kind.key(100 + at), "owner_id": kind.key(n), "at": START}
            for at, n in enumerate(owners, start=1)
        ]
        session.execute(insert(Item), rows)
    bad, sent = set[Any](), list[Any]()

    def send(record: Any, node: Any) -> None:
        del node
        if record.id in bad:
            raise RecordRefused("bad")
        sent.append(record.id)

    flags = Flags(Item.time, Item.success, Item.error)
    push = Push(send, flags=flags, max_attempts=attempts, policy=policy)
    item = Protocol("item", record=Item, id=Item.id, sort=Item.at, push=push)
    service = Service("items", entity=Owner, assigned_to=Owner.node, protocols=[item])
    return World(kind, service, Item, bad, sent)
