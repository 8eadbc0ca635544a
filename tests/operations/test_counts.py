"""Counts of records: what a node has processed stays its own, open records are counted, and the sums are exact."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, delete, event, func, select, update
from sqlalchemy.orm import Session

from tests.operations.delivery.lane_runs import PUSH, pull, push
from tests.operations.moves.movers import moving, steps
from tests.operations.test_status import Base, Ticket, ticket_service
from tests.reliability.model.model_node import ModelNode
from tests.support.scripted_node import scripted_node
from tests.support.shop import PUSH_FLAGS, Order, Shop, shop_service, write_orders, write_shops
from workmesh_flows import Protocol, Push, Service, post
from workmesh_flows.adapters.store.schema import open_counts
from workmesh_flows.domain.node import Node
from workmesh_flows.operations.counts import Correction, correct_counts, count_records
from workmesh_flows.operations.delivery.replay import decide_refused
from workmesh_flows.operations.moves.hand_over import hand_over
from workmesh_flows.operations.moves.reassign import repush

SERVICE = shop_service()


def push_only() -> Service:
    send = post(PUSH, "orders", batch_size=10)
    protocol = Protocol("order", record=Order, id=Order.id, sort=Order.at, push=Push(send, flags=PUSH_FLAGS))
    return Service("shop.orders", entity=Shop, assigned_to=Shop.node, protocols=[protocol])


@contextmanager
def two_nodes() -> Iterator[tuple[ModelNode, Node, Node]]:
    """Two nodes that know records by their ids; the first one's script."""
    one, two = ModelNode("n1", 1), ModelNode("n2", 2)
    with scripted_node(one) as first, scripted_node(two) as second:
        yield one, first.node("shop.orders"), second.node("shop.orders", name="n2")


def run(engine: Engine, service: Service, node: Node, script: ModelNode | None = None) -> None:
    """Push all pending orders of a node; let it process them, and pull the results."""
    push(engine, service, node)
    if script is not None:
        script.process(1000)
        pull(engine, service, node)


def processed(engine: Engine, service: Service = SERVICE) -> dict[str | None, int]:
    """Processed records by node; None is what no lane counted. Their sum is what the database has."""
    found = {count.node: count.processed for count in count_records(engine, [service])}
    conditions = [Order.push_success.is_(True)]
    conditions += [Order.pull_success.is_(True)] if service.protocols[0].pull is not None else []
    with Session(engine) as session:
        assert sum(found.values()) == session.scalar(select(func.count(Order.id)).where(*conditions))
    return {node: number for node, number in found.items() if number}


def test_a_hand_over_credits_nothing_to_the_new_node(engine: Engine) -> None:
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1, 2] * 5)
    with two_nodes() as (one, n1, n2):
        run(engine, SERVICE, n1, one)
        write_orders(engine, [1, 1], first=11)
        push(engine, SERVICE, n1)
        hand_over(moving(engine, SERVICE, n1, n2), steps([1], "n1", "n2"))
        assert processed(engine) == {"n1": 10}
        push(engine, SERVICE, n2)
    assert processed(engine) == {"n1": 10}


def test_a_node_is_credited_with_what_it_processed_although_the_application_moved_the_entity(
    engine: Engine,
) -> None:
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1, 2] * 5)
    with two_nodes() as (one, n1, _):
        run(engine, SERVICE, n1, one)
        with Session(engine) as session, session.begin():
            session.execute(update(Shop).where(Shop.id == 1).values(node="n2"))
    assert processed(engine) == {"n1": 10}


@pytest.mark.parametrize("service", [SERVICE, push_only()], ids=["results", "no results"])
def test_records_sent_again_count_again_for_their_node_and_once_in_the_sum(
    engine: Engine, service: Service
) -> None:
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1, 2] * 5)
    with two_nodes() as (one, n1, n2):
        script = one if service is SERVICE else None
        run(engine, service, n1, script)
        assert processed(engine, service) == {"n1": 10}
        repush(moving(engine, service, n1, n2), 1)
        assert processed(engine, service) == {"n1": 10, None: -5}
        run(engine, service, n1, script)
        assert processed(engine, service) == {"n1": 15, None: -5}
    assert correct_counts(engine, [service]) == []


def test_a_failed_record_of_a_protocol_without_results_is_not_processed_until_it_is_replayed(
    engine: Engine,
) -> None:
    service = push_only()
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 10)
    with two_nodes() as (one, n1, _):
        one.faults.fails.add(3)
        push(engine, service, n1)
        one.process(10)
        pull(engine, service, n1)
        (count,) = count_records(engine, [service])
        assert (count.node, count.processed, count.in_flight, count.unprocessed) == ("n1", 9, 1, 1)
        assert decide_refused(engine, service, "replay", failed=True) == 1
        (count, other) = count_records(engine, [service])
        assert (count.processed, count.pending, other.node, other.processed) == (10, 1, None, -1)
        one.faults.fails.clear()
        push(engine, service, n1)
    assert processed(engine, service) == {"n1": 11, None: -1}


def test_an_exact_count_says_by_how_much_it_corrected_a_sum(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 12)
    with two_nodes() as (one, n1, _):
        run(engine, SERVICE, n1, one)
        assert correct_counts(engine, [SERVICE]) == [], "the first count starts the counting"
    with Session(engine) as session, session.begin():
        session.execute(delete(Order).where(Order.id > 10))
    found = correct_counts(engine, [SERVICE])
    assert found == [Correction("shop.orders", "order", -2)]
    assert str(found[0]) == "corrected the processed records of shop.orders.order by -2"
    assert processed(engine) == {"n1": 12, None: -2}
    assert correct_counts(engine, [SERVICE]) == []


def test_records_that_were_processed_before_counting_began_belong_to_no_node(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 10)
    with Session(engine) as session, session.begin():
        older = update(Order).where(Order.id <= 4).values(push_success=True, pull_success=True)
        session.execute(older)
    assert processed(engine) == {None: 4}
    with two_nodes() as (one, n1, _):
        run(engine, SERVICE, n1, one)
    assert processed(engine) == {"n1": 6, None: 4}


def statements(engine: Engine) -> list[str]:
    """The statements that the engine executes from now on."""
    found: list[str] = []

    @event.listens_for(engine, "before_cursor_execute")
    def executed(connection: Any, cursor: Any, statement: str, *more: Any) -> None:
        found.append(statement)

    return found


def two_services(engine: Engine) -> Sequence[Service]:
    """A service over orders, and one over tickets; both have been counted once."""
    write_shops(engine, ["n1", None])
    write_orders(engine, [1, 1, 2, None])
    Base.metadata.create_all(engine)
    with Session(engine) as session, session.begin():
        session.add_all(Ticket(id=number, node="n1", push_success=None) for number in (1, 2, 3))
    services = [SERVICE, ticket_service()]
    count_records(engine, services, ["shop.orders", "tickets"])
    return services


def open_records(engine: Engine, services: Sequence[Service], anew: Sequence[str]) -> dict[str, int]:
    found = count_records(engine, services, anew)
    return {
        name: sum(count.pending for count in found if count.service == name and count.owned)
        for name in ("shop.orders", "tickets")
    }


def test_a_run_counts_its_own_services_and_shows_the_others_as_counted_last(engine: Engine) -> None:
    services = two_services(engine)
    with Session(engine) as session, session.begin():
        session.execute(delete(Order).where(Order.id == 1))
        session.execute(delete(Ticket).where(Ticket.id == 1))
    done = statements(engine)
    assert open_records(engine, services, ["tickets"]) == {"shop.orders": 3, "tickets": 2}
    assert not any('FROM "select"' in statement for statement in done), "no order was read"
    assert open_records(engine, services, ["shop.orders"]) == {"shop.orders": 2, "tickets": 2}


def test_a_count_without_changes_writes_nothing(engine: Engine) -> None:
    services = two_services(engine)
    done = statements(engine)
    count_records(engine, services, ["shop.orders"])
    assert [statement for statement in done if not statement.startswith("SELECT")] == []


def test_saved_counts_are_those_that_were_counted(engine: Engine) -> None:
    services = two_services(engine)
    assert count_records(engine, services, []) == count_records(engine, services)
    with Session(engine) as session, session.begin():
        session.execute(delete(Order))
        session.execute(delete(Ticket).where(Ticket.id == 2))
    count_records(engine, services, ["shop.orders", "tickets"])
    assert count_records(engine, services, []) == count_records(engine, services)


def test_the_services_of_a_mesh_with_one_service_are_not_saved(engine: Engine) -> None:
    two_services(engine)
    with engine.begin() as connection:
        connection.execute(delete(open_counts))
    count_records(engine, [SERVICE], ["shop.orders"])
    with engine.connect() as connection:
        assert connection.execute(select(open_counts)).all() == []
