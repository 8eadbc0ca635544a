"""Accounts of two services, mails and calls: each account has a node for each service."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import SecretStr
from sqlalchemy import Engine, String, insert, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from workmesh_flows import Mesh, RoundRobin, Service
from workmesh_flows.domain.criteria import Criterion
from workmesh_flows.domain.node import Inventory, Node, NodeState

MAILS, CALLS = "micro.mails", "micro.calls"


class Base(DeclarativeBase):
    pass


class Account(Base):
    __tablename__ = "account"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    mails: Mapped[int] = mapped_column(default=1)
    calls: Mapped[int] = mapped_column(default=1)
    mail_node: Mapped[str | None] = mapped_column(String(50))
    call_node: Mapped[str | None] = mapped_column(String(50))


def account_mesh(mails: Criterion | None = None, calls: Criterion | None = None) -> Mesh:
    """A mesh of both services, round robin by default."""
    return Mesh(
        [
            Service(MAILS, entity=Account, assigned_to=Account.mail_node, criterion=mails or RoundRobin()),
            Service(CALLS, entity=Account, assigned_to=Account.call_node, criterion=calls or RoundRobin()),
        ]
    )


def node(
    name: str,
    *,
    services: Iterable[str] = (MAILS, CALLS),
    state: NodeState = NodeState.ACTIVE,
    max_entities: Mapping[str, int] | None = None,
    max_weight: Mapping[str, int] | None = None,
) -> Node:
    """A node of both services."""
    caps: dict[str, Any] = {"max_entities": dict(max_entities or {}), "max_weight": dict(max_weight or {})}
    return Node(name, "127.0.0.1", SecretStr("k"), tuple(services), state=state, **caps)


def inventory(*nodes: Node) -> Inventory:
    return Inventory({one.name: one for one in nodes})


def write_accounts(engine: Engine, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write accounts 1, 2, 3, ... with these columns; other columns get their defaults."""
    Base.metadata.create_all(engine)
    defaults = {"mails": 1, "calls": 1, "mail_node": None, "call_node": None}
    with Session(engine) as session:
        session.execute(
            insert(Account), [{**defaults, "id": at, **row} for at, row in enumerate(rows, start=1)]
        )
        session.commit()


def held(engine: Engine) -> tuple[Counter[str | None], Counter[str | None]]:
    """The number of accounts of each node, for mails and for calls."""
    with Session(engine) as session:
        rows = session.execute(select(Account.mail_node, Account.call_node)).all()
    return Counter(row[0] for row in rows), Counter(row[1] for row in rows)
