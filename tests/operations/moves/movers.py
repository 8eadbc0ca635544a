"""Contexts, nodes and tables for tests of hand-overs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, Row, select
from sqlalchemy.orm import Session

from tests.operations.delivery.lane_runs import QUICK
from tests.support.scripted_node import Answer, Asked, Script, ScriptedNode, scripted_node, success
from tests.support.shop import Order, Shop
from workmesh_flows import Mesh, Service
from workmesh_flows.adapters.store.moves import Step
from workmesh_flows.adapters.store.schema import former_pushes, moves
from workmesh_flows.domain.node import Inventory, Node
from workmesh_flows.operations.moves.move_context import MoveContext


def moving(engine: Engine, service: Service, *nodes: Node, **more: Any) -> MoveContext:
    """A context for moves between these nodes; it waits for nothing by default."""
    inventory = Inventory({node.name: node for node in nodes})
    options: dict[str, Any] = {"settle_seconds": 0, "wait_seconds": 0, "limits": QUICK}
    options |= {"inventory": lambda: inventory} | more
    return MoveContext(engine, Mesh([service]), service, holder="a test", **options)


def _content(asked: Asked) -> Answer:
    return success()


@contextmanager
def two_nodes(script: Script = _content) -> Iterator[tuple[ScriptedNode, ScriptedNode, Node, Node]]:
    """A node that follows a script and one that accepts everything, each running and as an inventory entry."""
    with scripted_node(script) as one, scripted_node() as two:
        yield one, two, one.node("shop.orders"), two.node("shop.orders", name="n2")


def steps(entities: Sequence[int], source: str, target: str, why: str = "drain") -> list[Step]:
    return [Step(entity, source, target, 1, why) for entity in entities]


def nodes_of_shops(engine: Engine) -> dict[int, str | None]:
    with Session(engine) as session:
        return dict(session.execute(select(Shop.id, Shop.node).order_by(Shop.id)).all())


def move_log(engine: Engine) -> Sequence[Row[Any]]:
    with engine.connect() as connection:
        return connection.execute(select(moves).order_by(moves.c.id)).all()


def former(engine: Engine) -> list[tuple[str, str]]:
    """Node and record of each former push."""
    with engine.connect() as connection:
        found = select(former_pushes.c.node, former_pushes.c.record).order_by(former_pushes.c.record)
        return list(connection.execute(found))


def flags(engine: Engine, pulled: bool = False) -> dict[int, bool | None]:
    """Push success, or pull success, of each order."""
    column = Order.pull_success if pulled else Order.push_success
    with Session(engine) as session:
        return dict(session.execute(select(Order.id, column).order_by(Order.id)).all())
