"""The counts behind the status tables, on hand-written rows."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, String, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from tests.support.shop import PUSH_FLAGS, Order, Shop, shop_service, write_orders, write_shops
from workmesh_flows import EntityNumber, EntityWeight, Flags, Mesh, Protocol, Push, RoundRobin, Service, post
from workmesh_flows.domain.criteria import Criterion
from workmesh_flows.domain.node import Inventory, Node, NodeState
from workmesh_flows.operations.probe import Probe
from workmesh_flows.operations.status import assigned_nodes, read_status
from workmesh_flows.reporting.status_tables import NODE_COLUMNS, SERVICE_COLUMNS, nodes_table, services_table

S = "shop.orders"


class Base(DeclarativeBase):
    pass


class Ticket(Base):
    """An entity that is its own record: the second service."""

    __tablename__ = "tickets"
    id: Mapped[int] = mapped_column(primary_key=True)
    node: Mapped[str | None] = mapped_column(String(50))
    push_time: Mapped[Any] = mapped_column(PUSH_FLAGS.time.type, nullable=True)
    push_success: Mapped[bool | None]
    push_error: Mapped[str | None]


def ticket_service() -> Service:
    flags = Flags(Ticket.push_time, Ticket.push_success, Ticket.push_error)
    push = Push(post("/api/1.0/ticket/push.json"), flags=flags)
    protocol = Protocol("ticket", record=Ticket, id=Ticket.id, sort=Ticket.id, push=push)
    return Service("tickets", entity=Ticket, assigned_to=Ticket.node, protocols=[protocol])


def node(name: str, *services: str, state: NodeState = NodeState.ACTIVE, **caps: Any) -> Node:
    return Node(name, "127.0.0.1", SecretStr("k"), services or (S,), 8080, state=state, **caps)


def a_situation(engine: Engine) -> Inventory:
    """Six shops: two on a, one on b, one on an unknown node, one on an invalid document, one on none."""
    write_shops(engine, ["a", "a", "b", "gone", "broken", None])
    write_orders(engine, [1, 1, 1, 2, 2, 3, 3, 4, 5, 6, None, None])
    flags: dict[tuple[bool | None, bool | None], list[int]] = {
        (True, True): [1, 6],
        (True, None): [2, 4],
        (True, False): [5],
        (False, None): [3],
    }
    with Session(engine) as session, session.begin():
        for (pushed, pulled), ids in flags.items():
            values = {"push_success": pushed, "pull_success": pulled}
            session.execute(update(Order).where(Order.id.in_(ids)).values(values))
    Base.metadata.create_all(engine)
    with Session(engine) as session, session.begin():
        session.add_all(
            Ticket(id=n, node=name, push_success=pushed)
            for n, name, pushed in [(1, "a", True), (2, "a", None), (3, "c", None), (4, None, None)]
        )
    nodes = [
        node("a", S, "tickets", max_entities={S: 10, "tickets": 4}, max_weight={S: 4}),
        node("b", state=NodeState.DRAINING),
        node("c", "tickets"),
    ]
    return Inventory({found.name: found for found in nodes}, {"broken": "port: must be a number"})


def tables(
    engine: Engine, criterion: Criterion | None = None, **more: Any
) -> tuple[pd.DataFrame, pd.DataFrame]:
    mesh = Mesh([shop_service(criterion=criterion), ticket_service()])
    status = read_status(engine, mesh, a_situation(engine), **more)
    return nodes_table(status).set_index("node"), services_table(status).set_index("service")


def test_each_node_has_its_figures_whether_the_inventory_knows_it_or_not(engine: Engine) -> None:
    nodes, _ = tables(engine)
    figures = nodes[["state", "entities", "pending", "failed", "in flight", "processed"]]
    assert {name: tuple(row) for name, row in figures.iterrows()} == {
        "a": ("active", 4, 2, 2, 3, 0),
        "b": ("draining", 1, 1, 0, 0, 0),
        "broken": ("invalid", 1, 1, 0, 0, 0),
        "c": ("active", 1, 1, 0, 0, 0),
        "gone": ("unknown", 1, 1, 0, 0, 0),
        "(other)": ("", 2, 2, 0, 0, 3),
    }
    assert list(nodes.index) == ["a", "b", "broken", "c", "gone", "(other)"]
    assert nodes.loc["broken", "problem"] == "port: must be a number"
    assert nodes.loc["a", "services"] == f"{S}, tickets"


def test_each_service_has_its_figures_and_they_add_up(engine: Engine) -> None:
    _, services = tables(engine)
    columns = [
        "nodes",
        "entities",
        "unassigned",
        "pending",
        "failed",
        "in flight",
        "processed",
        "records",
        "ownerless",
    ]
    assert {name: tuple(row) for name, row in services[columns].iterrows()} == {
        S: (4, 6, 1, 5, 2, 3, 2, 12, 2),
        "tickets": (2, 4, 1, 3, 0, 0, 1, 4, 0),
    }
    parts = services[["pending", "in flight", "processed", "ownerless"]].sum(axis="columns")
    assert list(parts) == list(services["records"])


def test_the_sums_over_the_nodes_are_those_over_the_services(engine: Engine) -> None:
    nodes, services = tables(engine)
    figures = ["entities", "pending", "failed", "in flight", "processed"]
    assert list(nodes[figures].sum()) == list(services[figures].sum())


def test_every_count_adds_up(engine: Engine) -> None:
    mesh = Mesh([shop_service(), ticket_service()])
    counts = read_status(engine, mesh, a_situation(engine)).counts
    assert all(count.records == count.pending + count.in_flight + count.processed for count in counts)
    assert all(count.failed <= count.pending + count.in_flight for count in counts)
    assert all(count.unprocessed <= min(count.failed, count.in_flight) for count in counts)
    assert sum(count.records for count in counts) == 16
    assert sum(count.unprocessed for count in counts) == 1
    assert [count.records for count in counts if not count.owned] == [2]


@pytest.mark.parametrize(
    ("criterion", "used", "weight"),
    [
        pytest.param(RoundRobin(), 0.5, 4, id="round robin"),
        pytest.param(EntityNumber(), 0.5, 4, id="entity number"),
        pytest.param(EntityWeight(Shop.size), 0.75, 5, id="weight by column"),
        pytest.param(EntityWeight(lambda shop: 2 * shop.size), 1.5, 8, id="weight by function"),
    ],
)
def test_used_is_the_share_of_the_cap_that_binds_first(
    engine: Engine, criterion: Criterion, used: float, weight: int
) -> None:
    """Node a: 2 of 10 shops, that weigh 3 of 4, and 2 of 4 tickets; a weight binds only where entities have one."""
    nodes, _ = tables(engine, criterion)
    assert nodes.loc["a", "used"] == used
    assert nodes.loc["a", "weight"] == weight
    assert set(nodes.index[nodes["used"].isna()]) == {"b", "broken", "c", "gone", "(other)"}, (
        "no caps, no share"
    )


def test_probes_show_which_nodes_are_reachable_and_their_queues(engine: Engine) -> None:
    probes = {
        "a": Probe(reachable=True, works=True, version="1.0.1", workload=7),
        "c": Probe(reachable=False, works=False, problem="no connection"),
    }
    nodes, _ = tables(engine, probes=probes)
    assert (nodes.loc["a", "reachable"], nodes.loc["a", "version"]) == (True, "1.0.1")
    assert (nodes.loc["c", "reachable"], nodes.loc["c", "problem"]) == (False, "no connection")
    assert nodes.loc["b", "reachable"] is None
    assert list(nodes["workload"]) == [7] + [None] * 5
    assert type(nodes.loc["a", "workload"]) is int


def test_all_nodes_with_entities_are_processed_even_if_unknown(engine: Engine) -> None:
    a_situation(engine)
    assert assigned_nodes(engine, shop_service()) == ["a", "b", "broken", "gone"]
    assert assigned_nodes(engine, ticket_service()) == ["a", "c"]


def test_an_empty_mesh_and_an_empty_inventory_give_empty_tables_with_all_columns(engine: Engine) -> None:
    status = read_status(engine, Mesh([]), Inventory({}))
    nodes, services = nodes_table(status), services_table(status)
    assert (len(nodes), len(services)) == (0, 0)
    assert set(NODE_COLUMNS) < set(nodes.columns)
    assert set(SERVICE_COLUMNS) < set(services.columns)


def test_empty_user_tables_give_zeros(engine: Engine) -> None:
    write_shops(engine, ["a"])
    with Session(engine) as session, session.begin():
        session.delete(session.get_one(Shop, 1))
    status = read_status(engine, Mesh([shop_service()]), Inventory({"a": node("a")}))
    row = services_table(status).iloc[0]
    assert [row[name] for name in ("nodes", "entities", "pending", "processed", "records")] == [0, 0, 0, 0, 0]
    assert nodes_table(status).iloc[0]["entities"] == 0


def test_tables_hold_no_key(engine: Engine) -> None:
    nodes, services = tables(engine)
    assert list(nodes.reset_index().columns)[: len(NODE_COLUMNS)] == list(NODE_COLUMNS)
    assert list(services.reset_index().columns)[: len(SERVICE_COLUMNS)] == list(SERVICE_COLUMNS)
    assert "api_key" not in nodes.columns
