"""Assignment: read, weighed and written in one transaction, for which other runs wait."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    Dialect,
    Engine,
    Enum,
    Integer,
    String,
    TypeDecorator,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.orm import Session, registry

from tests.adapters.store.key_types import ORDERED
from tests.adapters.store.worlds import make_world
from tests.support.concurrent_processes import assign_concurrently
from tests.support.shop import Shop, shop_service, write_shops
from workmesh_flows import EntityNumber, EntityWeight, RoundRobin, Service
from workmesh_flows.adapters.store import assignment as adapter
from workmesh_flows.adapters.store.assignment import (
    AssignmentWriter,
    writing_all_assignments,
    writing_assignments,
)
from workmesh_flows.adapters.store.entities import totals_by_node
from workmesh_flows.adapters.store.schema import services
from workmesh_flows.domain.criteria import Criterion
from workmesh_flows.errors import StoreError
from workmesh_flows.planning.assignment.plan import Load, plan_assignment


def nodes_of(engine: Engine) -> dict[int, str | None]:
    with Session(engine) as session:
        return {shop.id: shop.node for shop in session.scalars(select(Shop))}


def assign(engine: Engine, service: Service, caps: dict[str, int | None], limit: int | None = None) -> int:
    """One assignment run, as the operation does it; returns the number of assigned entities."""
    with writing_assignments(engine, service) as run:
        held = run.node_totals()
        loads = [Load(name, *held.get(name, (0, 0)), max_entities=cap) for name, cap in caps.items()]
        plan = plan_assignment(service.criterion, run.unassigned(limit).entities, loads, run.position)
        written = run.write(plan.assigned)
        run.save_position(plan.position)
    return written


def test_entities_get_nodes_and_round_robin_continues_after_the_last_one(engine: Engine) -> None:
    write_shops(engine, [None] * 5)
    service = shop_service()
    assert assign(engine, service, {"a": None, "b": None, "c": None}, limit=2) == 2
    assert nodes_of(engine) == {1: "a", 2: "b", 3: None, 4: None, 5: None}
    with writing_assignments(engine, service) as run:
        assert run.position == "b"
    assert assign(engine, service, {"a": None, "b": None, "c": None}) == 3
    assert nodes_of(engine) == {1: "a", 2: "b", 3: "c", 4: "a", 5: "b"}


@pytest.mark.parametrize("criterion", [RoundRobin(), EntityNumber(), EntityWeight(Shop.size)])
def test_concurrent_runs_assign_no_entity_twice_and_exceed_no_cap(
    engine: Engine, criterion: Criterion
) -> None:
    write_shops(engine, [None] * 60)
    service, barrier = shop_service(criterion=criterion), Barrier(4)

    def run(_: int) -> int:
        barrier.wait()
        return sum(
            assign(engine, service, {"a": 20, "b": 15, "c": 10}, limit=limit) for limit in (7, 9, None)
        )

    with ThreadPoolExecutor(4) as pool:
        written = sum(pool.map(run, range(4)))
    assert written == 45
    assert Counter(nodes_of(engine).values()) == {"a": 20, "b": 15, "c": 10, None: 15}


def test_concurrent_processes_assign_no_entity_twice(database_url: str, engine: Engine) -> None:
    write_shops(engine, [None] * 40)
    context = multiprocessing.get_context("spawn")
    barrier, outcomes = context.Barrier(2), context.Queue()
    workers = [
        context.Process(target=assign_concurrently, args=(database_url, 5, barrier, outcomes), daemon=True)
        for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    written = [outcomes.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join(10)
    assert sum(written) == 40
    assert Counter(nodes_of(engine).values()) == {"a": 20, "b": 20}


def test_a_second_run_waits_for_the_first_and_reads_its_changes(engine: Engine) -> None:
    write_shops(engine, [None, None])
    service, inside, seen = shop_service(), Event(), list[Any]()

    def second() -> None:
        with writing_assignments(engine, service) as run:
            seen.extend(run.unassigned(None).entities)

    with ThreadPoolExecutor(1) as pool:
        with writing_assignments(engine, service) as first:
            waiting = pool.submit(second)
            inside.wait(0.2)
            assert not waiting.done()
            first.write([(1, "a")])
        waiting.result(10)
    assert [key for key, _ in seen] == [2]


def test_runs_of_two_services_do_not_wait_for_each_other(postgresql: Engine) -> None:
    write_shops(postgresql, [None, None])
    one, other = shop_service(), make_world().service
    with writing_assignments(postgresql, one) as first, writing_assignments(postgresql, other):
        first.write([(1, "a")])


def test_a_failure_changes_nothing(engine: Engine) -> None:
    write_shops(engine, ["a", None, None])
    service = shop_service()
    with writing_assignments(engine, service) as run:
        run.save_position("a")

    def fail() -> None:
        with writing_assignments(engine, service) as run:
            assert run.write([(2, "b")]) == 1
            run.save_position("b")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert nodes_of(engine) == {1: "a", 2: None, 3: None}
    with writing_assignments(engine, service) as run:
        assert run.position == "a"


def test_a_value_that_the_database_refuses_changes_nothing(postgresql: Engine) -> None:
    write_shops(postgresql, [None, None])
    with pytest.raises(StoreError, match="too long"), writing_assignments(postgresql, shop_service()) as run:
        run.write([(1, "a"), (2, "n" * 51)])
    assert nodes_of(postgresql) == {1: None, 2: None}


def test_an_entity_that_another_program_assigned_meanwhile_keeps_its_node(postgresql: Engine) -> None:
    """The master's own code does not wait for an assignment run; in SQLite it has to, since a file has one writer."""
    write_shops(postgresql, [None, None, None])
    with writing_assignments(postgresql, shop_service()) as run:
        found = run.unassigned(None).entities
        with Session(postgresql) as session:
            session.execute(update(Shop).where(Shop.id == 2).values(node="theirs"))
            session.execute(text('DELETE FROM "Shop" WHERE "ShopId" = 3'))
            session.commit()
        assert run.write([(key, "ours") for key, _ in found]) == 1
    assert nodes_of(postgresql) == {1: "ours", 2: "theirs"}


def test_an_assigned_entity_is_not_overwritten(engine: Engine) -> None:
    write_shops(engine, [None, "theirs"])
    with writing_assignments(engine, shop_service()) as run:
        assert run.write([(1, "ours"), (2, "ours")]) == 1
        assert run.write([]) == 0
    assert nodes_of(engine) == {1: "ours", 2: "theirs"}


def test_more_entities_than_fit_into_one_statement_are_assigned(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "SENT_AT_ONCE", 3)
    monkeypatch.setattr(adapter, "LISTED_AT_ONCE", 3)
    write_shops(engine, [None] * 8)
    with writing_assignments(engine, shop_service()) as run:
        assert run.write([(number, "a") for number in range(1, 9)]) == 8


@pytest.mark.parametrize("kind", ["string", "enum", "decorated"])
def test_the_node_column_may_have_any_text_type(engine: Engine, kind: str) -> None:
    """Names of an enum of PostgreSQL or of a decorated type cannot be sent as an array of plain text."""

    class Upper(TypeDecorator[str]):
        impl, cache_ok = String(3), True

        def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
            return value and value.upper()

    column: Any = {"string": String(), "enum": Enum("a", "b", name="node_name"), "decorated": Upper()}[kind]
    base: Any = registry().generate_base()
    members = {"id": Column(Integer, primary_key=True), "node": Column(column)}
    thing: Any = type("Thing", (base,), {"__tablename__": "thing", **members})
    base.metadata.create_all(engine)
    with Session(engine) as session:
        session.execute(insert(thing), [{"id": number} for number in range(1, 4)])
        session.commit()
    with writing_assignments(engine, Service("things", entity=thing, assigned_to=thing.node)) as run:
        assert run.write([(1, "a"), (3, "b")]) == 2
    with engine.connect() as connection:
        found = connection.execute(text("SELECT node FROM thing ORDER BY id")).scalars().all()
    assert [name and name.lower() for name in found] == ["a", None, "b"]
    assert (found[0] == "A") == (kind == "decorated")


@pytest.mark.parametrize("kind", ORDERED)
def test_entities_may_have_keys_of_any_type(engine: Engine, kind: str) -> None:
    world = make_world(kind)
    world.fill(engine, ["a", None, None, "b", None], [], [])
    with writing_assignments(engine, world.service) as run:
        assert run.unassigned(2).entities == [(world.key(2), 1), (world.key(3), 1)]
        assert run.write([(world.key(2), "a"), (world.key(5), "b")]) == 2
        assert run.node_totals() == {"a": (2, 2), "b": (2, 2), None: (1, 1)}


def test_runs_of_several_services_wait_for_each_other_in_one_order(engine: Engine) -> None:
    """Each run names the services in another order: no deadlock follows."""
    write_shops(engine, [None])
    one, other, barrier = shop_service(), make_world().service, Barrier(2)

    def run(order: tuple[Service, ...]) -> None:
        barrier.wait()
        for _ in range(20):
            with writing_all_assignments(engine, order[:1], beside=order[1:]) as (first,):
                assert first.service is order[0]

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, [(one, other), (other, one)]))


def test_the_revision_counts_the_runs_that_assigned_an_entity(engine: Engine) -> None:
    write_shops(engine, [None, None, None])

    def revision() -> int | None:
        with engine.connect() as connection:
            return connection.scalar(select(services.c.revision))

    with writing_assignments(engine, shop_service()) as run:
        run.save_position("a")
    assert revision() == 0
    with writing_assignments(engine, shop_service()) as run:
        run.write([(1, "a")])
        run.write([(2, "a")])
    assert revision() == 1
    with writing_assignments(engine, shop_service()) as run:
        run.write([(1, "b")])
    assert revision() == 1, "it had a node"
    with writing_assignments(engine, shop_service()) as run:
        run.written += 1
    assert revision() == 2, "other code assigned in this block, and counted it"


def test_the_row_of_a_service_is_inserted_once(engine: Engine) -> None:
    write_shops(engine, [None])
    barrier, service = Barrier(4), shop_service()

    def run(_: int) -> None:
        barrier.wait()
        with writing_assignments(engine, service):
            pass

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(4)))
    with engine.connect() as connection:
        assert connection.execute(select(services)).one()[:] == ("shop.orders", 0, None)


def test_a_missing_table_is_named(engine: Engine) -> None:
    with pytest.raises(StoreError, match="Shop"), writing_assignments(engine, shop_service()) as run:
        run.unassigned(None)
    with pytest.raises(StoreError, match="Shop"):
        totals_by_node(engine, shop_service())
    assert isinstance(run, AssignmentWriter)
