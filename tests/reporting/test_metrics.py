"""The metrics of a mesh, from hand-written rows to the text that Prometheus reads."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.openmetrics import exposition
from pydantic import SecretStr
from sqlalchemy import Engine, insert, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from tests.support.flag_columns import Pushed, push_flags_of
from tests.support.scraping import Samples, read_families, read_samples
from tests.support.shop import START, Order, Shop, shop_service, write_orders, write_shops
from workmesh_flows import EntityWeight, Mesh, Protocol, Push, Service, post
from workmesh_flows.adapters.store.engine import utc_now
from workmesh_flows.adapters.store.probes import SavedProbe, save_probes
from workmesh_flows.adapters.store.schema import lanes, parked
from workmesh_flows.domain.node import Inventory, Node
from workmesh_flows.operations.monitoring import read_monitored
from workmesh_flows.reporting.metric_definitions import METRICS
from workmesh_flows.reporting.metrics import mesh_metrics

S = "shop.orders"
NO_NODES = Inventory({})
WITHOUT_DATABASE = {
    "workmesh_up",
    "workmesh_inventory_up",
    "workmesh_last_read_timestamp_seconds",
    "workmesh_last_read_duration_seconds",
}


class Base(DeclarativeBase):
    pass


class Ticket(Pushed, Base):
    """An entity that is its own record, sorted by a number, without results."""

    __tablename__ = "tickets"
    id: Mapped[int] = mapped_column(primary_key=True)
    node: Mapped[str | None]


def mesh(**shop: Any) -> Mesh:
    push = Push(post("/api/1.0/ticket/push.json"), flags=push_flags_of(Ticket))
    ticket = Protocol("ticket", record=Ticket, id=Ticket.id, sort=Ticket.id, push=push)
    tickets = Service("tickets", entity=Ticket, assigned_to=Ticket.node, protocols=[ticket])
    return Mesh([shop_service(**shop), tickets])


def write(engine: Engine, nodes: Sequence[str | None], shops: Sequence[int | None]) -> None:
    """Write shops and their orders, and two tickets of node a, one of them pushed."""
    write_shops(engine, nodes)
    write_orders(engine, shops)
    Base.metadata.create_all(engine)
    with Session(engine) as session, session.begin():
        session.add_all([Ticket(id=1, node="a", push_success=True), Ticket(id=2, node="a")])


def flag(engine: Engine, ids: Sequence[int], **values: Any) -> None:
    with Session(engine) as session, session.begin():
        session.execute(update(Order).where(Order.id.in_(ids)).values(values))


def refuse(engine: Engine, record: int, shop: int, state: str) -> None:
    flag(engine, [record], push_success=False)
    row = {"service": S, "protocol": "order", "record": str(record), "owner": str(shop), "state": state}
    with engine.begin() as connection:
        connection.execute(insert(parked), {**row, "attempts": 1, "reason": "", "since": utc_now()})


def lane(engine: Engine, direction: str, service: str = S, protocol: str = "order", **more: Any) -> None:
    row = {"service": service, "protocol": protocol, "node": "a", "direction": direction, "epoch": 1}
    with engine.begin() as connection:
        connection.execute(insert(lanes), {**row, **more})


class Families:
    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Sequence[Metric]:
        return self._families


def text(engine: Engine, inventory: Inventory = NO_NODES, **shop: Any) -> str:
    registry, families = (
        CollectorRegistry(),
        list(mesh_metrics(read_monitored(engine, mesh(**shop), inventory))),
    )
    made: Any = Families(families)
    registry.register(made)
    return exposition.generate_latest(registry).decode()  # type: ignore[no-untyped-call]


def samples(engine: Engine, inventory: Inventory = NO_NODES, **shop: Any) -> Samples:
    """The samples by name, node, protocol and service."""
    return read_samples(text(engine, inventory, **shop), "workmesh_")


def test_open_records_are_counted_by_service_protocol_and_node(engine: Engine) -> None:
    write(engine, ["a", "a", "b", None], [1, 1, 1, 2, 3, 3, 4, None])
    flag(engine, [1], push_success=True, pull_success=True)
    flag(engine, [2], push_success=True)
    flag(engine, [3], push_success=True, pull_success=False)
    flag(engine, [5], push_success=False)
    found = samples(engine)
    figures = {
        name: {key[1]: value for key, value in found.items() if key[0] == f"{name}_records" and key[-1] == S}
        for name in ("pending", "in_flight", "failed", "parked", "blocking", "missing")
    }
    assert figures == {
        "pending": {"a": 1, "b": 2, "": 1},
        "in_flight": {"a": 2, "b": 0, "": 0},
        "failed": {"a": 1, "b": 1, "": 0},
        "parked": {"a": 0, "b": 0, "": 0},
        "blocking": {"a": 0, "b": 0, "": 0},
        "missing": {"a": 0, "b": 0, "": 0},
    }
    assert found["pending_records", "a", "ticket", "tickets"] == 1


def test_the_oldest_pending_record_is_one_that_a_push_would_send(engine: Engine) -> None:
    write(engine, ["a", "a", "a", "b", None], [1, 1, 2, 3, 4, 5])
    flag(engine, [4], push_success=True)

    def oldest() -> dict[str, float]:
        name = "oldest_pending_record_timestamp_seconds"
        return {key[1]: value - START.timestamp() for key, value in samples(engine).items() if key[0] == name}

    assert oldest() == {"a": 1, "b": 5}
    refuse(engine, 1, 1, "trying")
    assert oldest() == {"a": 1, "b": 5}, "a retrying record is sent again"
    with engine.begin() as connection:
        connection.execute(update(parked).values(state="parked"))
    assert oldest() == {"a": 3, "b": 5}, "order 2 waits behind order 1"
    refuse(engine, 3, 2, "skipped")
    assert oldest() == {"b": 5}


def test_parked_and_blocking_records_are_counted_at_the_node_of_their_entity(engine: Engine) -> None:
    write(engine, ["a", "b"], [1, 1, 1, 2, 2])
    for record, shop, state in [(1, 1, "parked"), (2, 1, "skipped"), (4, 2, "parked"), (5, 2, "blocking")]:
        refuse(engine, record, shop, state)
    found = samples(engine)
    assert [found["parked_records", node, "order", S] for node in "ab"] == [1, 1]
    assert [found["blocking_records", node, "order", S] for node in "ab"] == [0, 1]


def test_processed_records_are_those_that_the_lane_has_counted_also_after_an_entity_moved(
    engine: Engine,
) -> None:
    write(engine, ["a", "b"], [1, 1])
    lane(engine, "push", done=7, refused=2)
    lane(engine, "pull", done=5, refused=1)
    lane(engine, "push", "tickets", "ticket", done=3)
    lane(engine, "pull", "tickets", "ticket", done=1)
    lane(engine, "push", "removed", "order", done=9)
    for _ in range(2):
        found = samples(engine)
        assert found["pushed_records_total", "a", "order", S] == 7
        assert found["processed_records_total", "a", "order", S] == 5
        assert found["processed_records_total", "a", "ticket", "tickets"] == 3, "it has no results"
        assert found["processed_records_total", "b", "order", S] == 0, "its lanes never ran"
        assert found["failed_answers_total", "push", "a", "order", S] == 2
        assert [key for key in found if "removed" in key] == []
        with Session(engine) as session, session.begin():
            session.execute(update(Shop).values(node="b"))


def test_the_breaker_and_the_lease_of_a_lane_are_shown(engine: Engine) -> None:
    write(engine, ["a"], [1])
    until = (utc_now() + timedelta(seconds=30)).replace(microsecond=0)
    lane(engine, "push", breaker="open", holder="a run", lease_until=until)
    lane(engine, "pull", breaker="half-open")
    found = samples(engine)
    shown = {key[1:]: value for key, value in found.items() if key[0] == "lane_breaker_state"}
    assert shown == {("push", "a", "order", S): 2, ("pull", "a", "order", S): 1}
    leases = {key[1:]: value for key, value in found.items() if key[0].startswith("lane_lease_expiry")}
    assert leases == {("push", "a", "order", S): until.timestamp()}


def test_entities_and_weights_are_shown_for_nodes_that_hold_some_or_run_the_service(engine: Engine) -> None:
    write(engine, ["a", "a", "gone", None], [1])
    nodes = [
        Node(name, "127.0.0.1", SecretStr("do-not-show-me"), (service,))
        for name, service in [("a", S), ("empty", S), ("other", "service.of.another.mesh")]
    ]
    inventory = Inventory({node.name: node for node in nodes})
    found = samples(engine, inventory, criterion=EntityWeight(Shop.size))
    held = {key[1]: value for key, value in found.items() if key[0] == "assigned_entities" and key[2] == S}
    assert held == {"a": 2, "empty": 0, "gone": 1}
    weights = {key[1]: value for key, value in found.items() if key[0] == "assigned_weight" and key[2] == S}
    assert weights == {"a": 1 + 2, "empty": 0, "gone": 3}
    assert found["unassigned_entities", S] == 1
    assert found["pending_records", "empty", "order", S] == 0
    assert "do-not-show-me" not in text(engine, inventory)


def test_the_last_probes_of_the_present_blocks_are_shown(engine: Engine) -> None:
    write(engine, ["a"], [1])
    at = utc_now().replace(microsecond=0)
    save_probes(
        engine,
        [
            SavedProbe(
                "a", "1", reachable=True, works=True, version="1.0", problem="", workload=7, probed_at=at
            ),
            SavedProbe(
                "b",
                "1",
                reachable=True,
                works=False,
                version="",
                problem="rejects the API key",
                workload=None,
                probed_at=at,
            ),
            SavedProbe(
                "changed", "1", reachable=True, works=True, version="", problem="", workload=1, probed_at=at
            ),
            SavedProbe(
                "deleted", "1", reachable=True, works=True, version="", problem="", workload=1, probed_at=at
            ),
        ],
    )
    nodes = {
        name: Node(name, "127.0.0.1", SecretStr("k"), (S,), revision=revision)
        for name, revision in [("a", "1"), ("b", "1"), ("changed", "2")]
    }
    found = {key: value for key, value in samples(engine, Inventory(nodes)).items() if key[0][:4] == "node"}
    assert found == {
        ("node_reachable", "a"): 1,
        ("node_reachable", "b"): 0,
        ("node_probe_timestamp_seconds", "a"): at.timestamp(),
        ("node_probe_timestamp_seconds", "b"): at.timestamp(),
        ("node_queue_records", "a"): 7,
    }
    without_inventory = samples(engine)
    assert without_inventory["node_reachable", "deleted"] == 1


def test_each_metric_is_defined_once_with_its_type_labels_and_help(engine: Engine) -> None:
    write(engine, ["a"], [1])
    lane(engine, "push", holder="a run", lease_until=utc_now())
    probed = SavedProbe(
        "a", "1", reachable=True, works=True, version="1.0", problem="", workload=7, probed_at=utc_now()
    )
    save_probes(engine, [probed])
    families = read_families(text(engine))
    defined = {each.name.removesuffix("_total"): each for each in METRICS}
    assert len(defined) == len(METRICS)
    assert families.keys() | WITHOUT_DATABASE == defined.keys()
    for name, family in families.items():
        assert (family.type, family.documentation) == (defined[name].type, defined[name].help)
        assert family.samples, name
        assert {label for sample in family.samples for label in sample.labels} == set(defined[name].labels)


def test_names_follow_the_conventions_of_prometheus() -> None:
    for name, kind, labels, about in METRICS:
        assert re.fullmatch(r"workmesh(_[a-z]+)+", name)
        assert name.endswith("_total") == (kind == "counter")
        assert not re.search(r"_(ms|milliseconds|minutes|kb|percent)\b", name)
        assert about.endswith(".")
        assert [label for label in labels if not label.isalpha()] == []
