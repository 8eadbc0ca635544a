from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, Select, Table, text

from tests.domain.schemas import entity, new_base, record, to
from tests.support.schema_findings import advice, create_shop, fixed, problems, run
from tests.support.shop import Order, shop_mesh, shop_service
from workmesh_flows import Flags, Mesh, Protocol, Push, Service, post
from workmesh_flows.adapters.store.check.required_indexes import LONGEST_NAME, record_indexes
from workmesh_flows.adapters.store.protocol_tables import pull_tables
from workmesh_flows.adapters.store.statements.counts import in_flight_counts, pending_counts, processed_count
from workmesh_flows.adapters.store.statements.pending import pending
from workmesh_flows.adapters.store.statements.pullable import pullable
from workmesh_flows.operations.check import check_mesh

FILL = """
INSERT INTO "select" (id, "Group", "where", text, push_time, push_success, pull_success)
SELECT i, 1 + i % 200, {at}, '{text}', CASE WHEN i <= 19900 THEN {at} END,
CASE WHEN i <= 19900 THEN {true} END, CASE WHEN i <= 19800 THEN {true} END FROM {numbers}
"""
SHOPS = """INSERT INTO "Shop" ("ShopId", size, "order") SELECT i, 1, 'n' || i % 10 FROM {numbers} WHERE i <= 200"""
SERIES = {
    "postgresql": "generate_series(1, 20000) AS numbers (i)",
    "sqlite": "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT i FROM n)",
}
AT = {
    "postgresql": "timestamptz '2026-01-01' + i * interval '1 second'",
    "sqlite": "datetime('2026-01-01', i || ' seconds')",
}


def test_an_id_that_is_not_unique_is_a_problem(engine: Engine) -> None:
    def change(shop: Table, order: Table) -> None:
        order.constraints.discard(order.primary_key)
        order.primary_key = type(order.primary_key)()  # type: ignore[misc]
        order.c.id.primary_key = False

    create_shop(engine, change)
    (problem,) = problems(engine)
    assert problem == "select.id: the id is neither the primary key nor unique: two rows may share it"
    assert fixed(engine) == []


def test_a_partial_unique_index_is_not_a_key(engine: Engine) -> None:
    run(
        engine,
        'CREATE TABLE "Shop" ("ShopId" INTEGER NOT NULL, size INTEGER NOT NULL, "order" VARCHAR(50))',
        'CREATE UNIQUE INDEX some_shops ON "Shop" ("ShopId") WHERE size > 1',
    )
    assert any("the key is neither" in problem for problem in problems(engine))


def test_an_existing_index_replaces_a_required_one_if_it_fits(engine: Engine) -> None:
    create_shop(engine)
    true = "TRUE" if engine.dialect.name == "postgresql" else "1"
    run(
        engine,
        'CREATE INDEX a ON "Shop" ("order", size)',
        f'CREATE INDEX b ON "select" ("where", id, text) WHERE push_success IS NOT {true}',
        f'CREATE INDEX c ON "select" (push_time, id) WHERE (pull_success IS NOT {true})',
        'CREATE INDEX d ON "select" ("Group", pull_success, push_success)',
    )
    assert check_mesh(engine, shop_mesh()) == []


def test_an_index_that_does_not_fit_replaces_none(engine: Engine) -> None:
    create_shop(engine)
    run(
        engine,
        'CREATE INDEX a ON "Shop" (size, "order")',
        'CREATE INDEX b ON "select" ("where", id)',
        'CREATE INDEX c ON "select" (push_time, id) WHERE score > 1',
        'CREATE INDEX d ON "select" ("Group")',
        'CREATE INDEX e ON "Shop" (lower("order"))',
    )
    found = advice(engine)
    assert len(found) == 4
    assert found[1].startswith("the index b contains all records, and is searched for the few required ones")


def test_index_names_are_short_and_unique_for_any_table_name() -> None:
    base = new_base()
    shop: Any = entity(base)
    names = set[str]()
    for title in ("ä" * 200, "ö" * 200, "Records of " * 20, "records of " * 20):
        order: Any = record(base, f"Order{len(names)}", table=title, shop_id=to("shop.id"))
        flags = Flags(order.push_time, order.push_success, order.push_error)
        protocol = Protocol("p", record=order, id=order.id, sort=order.at, push=Push(post("/push"), flags))
        Service("s", entity=shop, assigned_to=shop.node, protocols=[protocol])
        names |= {index.name for index in record_indexes(protocol)}
    assert len(names) == 8
    assert max(len(name.encode()) for name in names) <= LONGEST_NAME


def test_a_sort_column_that_is_the_key_is_not_nullable_and_indexed_once(engine: Engine) -> None:
    base = new_base()
    shop: Any = entity(base)
    order: Any = record(base, shop_id=to("shop.id"))
    base.metadata.create_all(engine)
    flags = Flags(order.push_time, order.push_success, order.push_error)
    protocol = Protocol("p", record=order, id=order.id, sort=order.id, push=Push(post("/push"), flags))
    mesh = Mesh([Service("s", entity=shop, assigned_to=shop.node, protocols=[protocol])])
    assert problems(engine, mesh) == []
    assert fixed(engine, mesh) == []


def test_the_statements_use_the_recommended_indexes(engine: Engine) -> None:
    create_shop(engine)
    assert fixed(engine) == []
    kind = engine.dialect.name
    true = "true" if kind == "postgresql" else "1"
    run(
        engine,
        SHOPS.format(numbers=SERIES[kind]),
        FILL.format(text=190 * "x", at=AT[kind], true=true, numbers=SERIES[kind]),
    )
    run(engine, "VACUUM ANALYZE" if kind == "postgresql" else "ANALYZE")
    service = shop_service()
    protocol, columns, time = service.protocols[0], [Order.id, Order.text], "2026-06-01"
    tables = pull_tables(service, protocol)
    used = [
        ("pending", pending(tables, "n3", columns=columns, limit=10)),
        ("pending", pending_counts(tables)),
        ("pullable", pullable(tables, "n3", columns=columns, upto=text(f"'{time}'"), limit=10)),
        ("pullable", in_flight_counts(tables)),
        ("status", processed_count(tables)),
    ]
    for purpose, statement in used:
        (name,) = (index.name for index in record_indexes(protocol) if index.purpose == purpose)
        assert name in plan(engine, statement), purpose


def plan(engine: Engine, statement: Select[Any]) -> str:
    """The query plan of a statement."""
    sql = statement.compile(engine, compile_kwargs={"literal_binds": True})
    explain = "EXPLAIN" if engine.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
    with engine.connect() as connection:
        return "\n".join(str(row) for row in connection.exec_driver_sql(f"{explain} {sql}"))
