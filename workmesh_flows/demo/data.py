"""The sample's data: random with a fixed seed, and as uneven as the data of real accounts."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, insert, inspect
from sqlalchemy.orm import Session

from workmesh_flows.demo.models import Account, Base, Click, Delivery, Open, Unsubscribe, User
from workmesh_flows.errors import ConfigurationError

START = datetime(2026, 1, 1, tzinfo=UTC)
SUBJECTS = (
    "Welcome aboard",
    "Your invoice",
    "What is new this month",
    "A question about your plan",
    "See you there",
)


def write_sample(engine: Engine, *, accounts: int = 200, records: int = 20_000, seed: int = 2026) -> None:
    """Create the sample's tables and fill them; raises ConfigurationError if a table of the same name exists.

    Half of the records are deliveries; the other half are their opens, clicks and unsubscribes.
    """
    existing = sorted(set(Base.metadata.tables) & set(inspect(engine).get_table_names()))
    if existing:
        message = f"the database already has a table called {existing[0]}; give the demo an empty database"
        raise ConfigurationError(message)
    Base.metadata.create_all(engine)
    chance = random.Random(seed)
    with Session(engine) as session:
        owners = _accounts(session, chance, accounts)
        deliveries = _deliveries(session, chance, owners, records // 2)
        _events(session, chance, deliveries, records - records // 2)
        session.commit()


def remove_sample(engine: Engine) -> None:
    """Drop the sample's tables."""
    Base.metadata.drop_all(engine)


def _key(chance: random.Random) -> UUID:
    return UUID(int=chance.getrandbits(128), version=4)


def _accounts(session: Session, chance: random.Random, count: int) -> list[tuple[UUID, float]]:
    """Write accounts and their users; return each user with its share of all e-mails (a relative weight)."""
    rows, users, owners = [], [], []
    for number in range(count):
        seats = max(1, round(chance.lognormvariate(2.0, 1.0)))
        account = _key(chance)
        rows.append({"id": account, "name": f"Account {number + 1:03}", "seats": seats})
        for seat in range(min(seats, 3)):
            user = _key(chance)
            address = f"user{seat + 1}@account{number + 1:03}.example"
            users.append({"id": user, "account_id": account, "email": address})
            owners.append((user, seats / min(seats, 3)))
    session.execute(insert(Account), rows)
    session.execute(insert(User), users)
    return owners


def _deliveries(
    session: Session, chance: random.Random, owners: list[tuple[UUID, float]], count: int
) -> list[tuple[UUID, datetime]]:
    """Write deliveries; return the id and time of each."""
    users, shares = [user for user, _ in owners], [share for _, share in owners]
    rows: list[dict[str, Any]] = []
    for number, user in enumerate(chance.choices(users, shares, k=count)):
        rows.append(
            {
                "id": _key(chance),
                "user_id": user,
                "create_time": START + timedelta(seconds=60 * number + chance.randrange(60)),
                "email": f"reader{chance.randrange(10_000)}@mail.example",
                "subject": chance.choice(SUBJECTS),
            }
        )
    session.execute(insert(Delivery), rows)
    return [(row["id"], row["create_time"]) for row in rows]


def _events(
    session: Session, chance: random.Random, deliveries: list[tuple[UUID, datetime]], count: int
) -> None:
    """Write opens, clicks and unsubscribes of these deliveries."""
    rows: dict[type[Base], list[dict[str, Any]]] = {Open: [], Click: [], Unsubscribe: []}
    for _ in range(count):
        delivery, sent = chance.choice(deliveries)
        kind = chance.choices([Open, Click, Unsubscribe], [70, 25, 5])[0]
        row = {
            "id": _key(chance),
            "delivery_id": delivery,
            "create_time": sent + timedelta(seconds=chance.randrange(30, 86_400)),
        }
        rows[kind].append(
            row | ({"url": f"https://shop.example/{chance.randrange(100)}"} if kind is Click else {})
        )
    for model, written in rows.items():
        if written:
            session.execute(insert(model), written)
