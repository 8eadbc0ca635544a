from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import DefaultClause, Engine, String, Table, TypeDecorator, Uuid, text
from sqlalchemy.orm import mapped_column

from tests.adapters.store.worlds import make_world
from tests.domain.schemas import entity, new_base, record, serve, to
from tests.support.checking import create_shop, fixed, problems, run
from tests.support.shop import Base, shop_mesh, shop_service, write_orders, write_shops
from workmesh_flows import Mesh
from workmesh_flows.adapters.store.protocol_tables import push_tables
from workmesh_flows.adapters.store.statements import page_order
from workmesh_flows.adapters.store.statements.pending import pending
from workmesh_flows.operations.check import Level, check_mesh, missing_ddl

FLAGS = ("push_time", "push_success", "push_error", "pull_time", "pull_success", "pull_error")


def test_a_table_that_is_missing_is_named(engine: Engine) -> None:
    create_shop(engine)
    run(engine, 'DROP TABLE "select"')
    assert problems(engine) == ["select: the table is missing"]


def test_what_a_user_has_to_add_for_us_is_added_by_the_ddl(engine: Engine) -> None:
    create_shop(engine)
    run(engine, 'ALTER TABLE "Shop" DROP COLUMN "order"')
    run(engine, *(f'ALTER TABLE "select" DROP COLUMN {name}' for name in (*FLAGS, "score")))
    assert len(problems(engine)) == 8
    assert fixed(engine) == []


def test_a_column_of_the_users_own_is_named_and_not_added(engine: Engine) -> None:
    create_shop(engine)
    run(engine, 'ALTER TABLE "select" DROP COLUMN text', 'ALTER TABLE "select" DROP COLUMN "where"')
    assert problems(engine) == [
        "select.where: the column is missing (sort)",
        "select.text: the column is missing",
    ]
    assert not any("ADD COLUMN" in statement for statement in missing_ddl(check_mesh(engine, shop_mesh())))


def test_a_column_of_another_kind_is_a_problem(engine: Engine) -> None:
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


def test_a_type_of_the_users_own_gives_no_alarm(engine: Engine) -> None:
    class Slug(TypeDecorator[str]):
        impl = String(36)
        cache_ok = True

    base = new_base()
    shop: Any = entity(base, id=mapped_column(Slug, primary_key=True))
    order: Any = record(base, id=mapped_column(Uuid, primary_key=True), shop_id=to("shop.id"))
    base.metadata.create_all(engine)
    assert fixed(engine, Mesh([serve(order, shop)])) == []


def test_flags_are_null_when_a_record_is_born(engine: Engine) -> None:
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


def test_a_default_of_null_is_none(engine: Engine) -> None:
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
    assert "the sort column may be null" in problem
    write_shops(engine, ["n1"])
    write_orders(engine, [1, 1, 1, 1])
    run(engine, 'UPDATE "select" SET "where" = NULL WHERE id > 2')
    (problem,) = problems(engine)
    assert "and is in 2 records" in problem
    run(engine, 'DELETE FROM "select" WHERE "where" IS NULL')
    if engine.dialect.name == "postgresql":
        assert fixed(engine) == []


def test_records_without_a_sort_value_are_lost_between_pages_or_hide_all_others(engine: Engine) -> None:
    """Why it is a problem: PostgreSQL sorts them last, behind any mark; SQLite first, and nothing is behind null."""
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


def test_keys_that_sqlite_holds_in_another_form_are_a_problem(engine: Engine) -> None:
    if engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL has a type for UUIDs")
    world = make_world("uuid")
    world.fill(engine, ["n1"], [1], [1])
    run(engine, """UPDATE "select" SET "Id of it" = '00000000-0000-0000-0000-000000000007'""")
    (problem,) = problems(engine, Mesh([world.service]))
    assert problem.endswith("1 of 1 are not found again under what was read of them")
    run(engine, """UPDATE "select" SET "Id of it" = 'seven'""")
    (problem,) = problems(engine, Mesh([world.service]))
    assert "cannot be read" in problem
