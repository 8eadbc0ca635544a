from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import DefaultClause, Engine, String, Table, TypeDecorator, Uuid, text
from sqlalchemy.orm import mapped_column

from tests.adapters.store.worlds import make_world
from tests.domain.schemas import entity, new_base, record, serve, to
from tests.support.schema_findings import create_shop, fixed, problems, run
from tests.support.shop import Base, shop_mesh, shop_service, write_orders, write_shops
from workmesh_flows import Mesh
from workmesh_flows.adapters.store.protocol_tables import push_tables
from workmesh_flows.adapters.store.statements import page_order
from workmesh_flows.adapters.store.statements.pending import pending
from workmesh_flows.operations.check import Level, check_mesh, missing_ddl

FLAGS = ("push_time", "push_success", "push_error", "pull_time", "pull_success", "pull_error")


def test_a_missing_table_is_named(engine: Engine) -> None:
    create_shop(engine)
    run(engine, 'DROP TABLE "select"')
    assert problems(engine) == ["select: the table is missing"]


def test_the_ddl_adds_missing_flags_results_and_assignment_columns(engine: Engine) -> None:
    create_shop(engine)
    run(engine, 'ALTER TABLE "Shop" DROP COLUMN "order"')
    run(engine, *(f'ALTER TABLE "select" DROP COLUMN {name}' for name in (*FLAGS, "score")))
    assert len(problems(engine)) == 8
    assert fixed(engine) == []


def test_a_missing_column_of_the_user_is_named_but_not_added(engine: Engine) -> None:
    create_shop(engine)
    run(engine, 'ALTER TABLE "select" DROP COLUMN text', 'ALTER TABLE "select" DROP COLUMN "where"')
    assert problems(engine) == [
        "select.where: the column is missing (sort)",
        "select.text: the column is missing",
    ]
    assert not any("ADD COLUMN" in statement for statement in missing_ddl(check_mesh(engine, shop_mesh())))


def test_a_column_of_another_kind_of_type_is_a_problem(engine: Engine) -> None:
    create_shop(engine)
    others = {"push_time": "INTEGER", "push_success": "TEXT", "push_error": "INTEGER", "score": "TEXT"}
    for column, kind in others.items():
        run(engine, f'ALTER TABLE "select" DROP COLUMN {column}')
        run(engine, f'ALTER TABLE "select" ADD COLUMN {column} {kind}')
    found = problems(engine)
    assert len(found) == len(others)
    for problem, (column, kind) in zip(found, others.items(), strict=True):
        assert problem.startswith(f"select.{column}: ")
        assert f"column is {kind}, declared as" in problem


def test_a_user_s_own_type_causes_no_finding(engine: Engine) -> None:
    class Slug(TypeDecorator[str]):
        impl = String(36)
        cache_ok = True

    base = new_base()
    shop: Any = entity(base, id=mapped_column(Slug, primary_key=True))
    order: Any = record(base, id=mapped_column(Uuid, primary_key=True), shop_id=to("shop.id"))
    base.metadata.create_all(engine)
    assert fixed(engine, Mesh([serve(order, shop)])) == []


def test_flags_must_be_null_in_a_new_record(engine: Engine) -> None:
    def change(shop: Table, order: Table) -> None:
        for flag in FLAGS:
            order.c[flag].nullable = False
            order.c[flag].server_default = DefaultClause(
                text("'2026-01-01'" if flag.endswith("time") else "'1'")
            )

    create_shop(engine, change)
    for flag in FLAGS:
        found = [f for f in check_mesh(engine, shop_mesh()) if f.where == f"select.{flag}"]
        assert "is NOT NULL" in found[0].what
        assert "has the default" in found[1].what
        assert (found[1].level is Level.PROBLEM) is flag.endswith("success")
        assert bool(found[0].ddl) is bool(found[1].ddl) is (engine.dialect.name == "postgresql")
    if engine.dialect.name == "postgresql":
        assert fixed(engine) == []


def test_a_default_of_null_is_no_default(engine: Engine) -> None:
    create_shop(engine)
    run(
        engine,
        'ALTER TABLE "select" DROP COLUMN push_error',
        'ALTER TABLE "select" ADD COLUMN push_error VARCHAR(300) DEFAULT NULL',
    )
    assert fixed(engine) == []


def nullable_sort(shop: Table, order: Table) -> None:
    order.c["where"].nullable = True


def test_records_without_a_sort_value_are_counted(engine: Engine) -> None:
    create_shop(engine, nullable_sort)
    (problem,) = problems(engine)
    assert "the sort column is nullable" in problem
    write_shops(engine, ["n1"])
    write_orders(engine, [1, 1, 1, 1])
    run(engine, 'UPDATE "select" SET "where" = NULL WHERE id > 2')
    (problem,) = problems(engine)
    assert "null in 2 records" in problem
    run(engine, 'DELETE FROM "select" WHERE "where" IS NULL')
    if engine.dialect.name == "postgresql":
        assert fixed(engine) == []


def test_records_without_a_sort_value_are_skipped_by_paging_or_hide_all_others(engine: Engine) -> None:
    """The reason for the finding: PostgreSQL sorts nulls after any mark, SQLite before, and no row is after null."""
    create_shop(engine, nullable_sort)
    write_shops(engine, ["n1"])
    write_orders(engine, [1, 1, 1, 1])
    run(engine, 'UPDATE "select" SET "where" = NULL WHERE id > 2')
    service = shop_service()
    tables = push_tables(service, service.protocols[0])
    columns = (
        Base.metadata.tables["select"].c.id,
        page_order.mark(Base.metadata.tables["select"].c["where"]),
    )
    sent, mark = list[int](), None
    with engine.connect() as connection:
        while rows := connection.execute(pending(tables, "n1", columns=columns, limit=2, after=mark)).all():
            sent += [row[0] for row in rows]
            mark = (rows[-1][1], rows[-1][0])
    assert sent == ([1, 2] if engine.dialect.name == "postgresql" else [3, 4])


def test_keys_that_sqlite_stores_in_another_form_are_a_problem(engine: Engine) -> None:
    if engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL has a type for UUIDs")
    world = make_world("UUIDs")
    world.fill(engine, ["n1"], [1], [1])
    run(engine, """UPDATE "select" SET "Id of it" = '00000000-0000-0000-0000-000000000007'""")
    (problem,) = problems(engine, Mesh([world.service]))
    assert problem.endswith(
        "1 of 1 values of the id column are not found again by the value read: "
        "stored as '00000000-00...', but the declared type writes '00000000000...'"
    )
    (finding,) = (f for f in check_mesh(engine, Mesh([world.service])) if f.level is Level.PROBLEM)
    assert finding.to_do == "declare Mapped[str]"
    run(engine, """UPDATE "select" SET "Id of it" = 'seven'""")
    (problem,) = problems(engine, Mesh([world.service]))
    assert "cannot be read" in problem
