"""Orders of which a push function refuses some, with keys of any type."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import DateTime, Engine, insert
from sqlalchemy.orm import Session

from tests.adapters.store.key_types import KeyType
from tests.adapters.store.worlds import FlatWorld, make_flat
from tests.support.shop import START
from workmesh_flows import RecordRefused, Service
from workmesh_flows.domain.protocol import Policy


@dataclass(slots=True)
class Sender:
    """A push function: it refuses the records with ``bad`` keys, and lists the keys of the others in ``sent``."""

    bad: set[Any] = field(default_factory=set)
    sent: list[Any] = field(default_factory=list)

    def __call__(self, record: Any, node: Any) -> None:
        del node
        if record.id in self.bad:
            raise RecordRefused("bad")
        self.sent.append(record.id)


@dataclass(frozen=True, slots=True)
class RefusedOrders:
    """Shops, their orders, and the push function of the orders."""

    world: FlatWorld
    sender: Sender

    @property
    def service(self) -> Service:
        return self.world.service

    @property
    def order(self) -> type[Any]:
        return self.world.order

    @property
    def bad(self) -> set[Any]:
        """Keys of orders that are refused."""
        return self.sender.bad

    @property
    def sent(self) -> list[Any]:
        """Keys of orders that were sent."""
        return self.sender.sent


def write_orders(
    engine: Engine,
    kind: KeyType,
    shops: Collection[int],
    *,
    attempts: int = 2,
    policy: Policy = "park_entity",
) -> RefusedOrders:
    """Write orders 101, 102, ... of these shops, all assigned to node n1."""
    sender = Sender()
    world = make_flat(
        DateTime(timezone=True),
        key=kind.type(),
        shop_key=kind.type(),
        send=sender,
        max_attempts=attempts,
        policy=policy,
    )
    world.metadata.create_all(engine)
    orders = [
        {"id": kind.key(100 + at), "shop_id": kind.key(shop), "at": START}
        for at, shop in enumerate(shops, start=1)
    ]
    with Session(engine) as session, session.begin():
        session.execute(
            insert(world.shop), [{"id": kind.key(shop), "node": "n1"} for shop in sorted(set(shops))]
        )
        session.execute(insert(world.order), orders)
    return RefusedOrders(world, sender)
