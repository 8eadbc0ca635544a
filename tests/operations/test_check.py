from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import (
    Boolean,
    DateTime,
    Engine,
    Integer,
    String,
    create_engine,
    inspect,
    literal_column,
    text,
)
from sqlalchemy.orm import Session, mapped_column

from tests.adapters.store.key_types import KEY_TYPES
from tests.adapters.store.worlds import make_world
from tests.domain.schemas import entity, new_base, record, serve, to
from tests.support.schema_findings import create_shop, fixed, problems, run
from tests.support.shop import PULL_FLAGS, PUSH_FLAGS, Order, Shop, shop_mesh, write_orders, write_shops
from workmesh_flows import EntityWeight, Mesh, Protocol, Push, Service, post
from workmesh_flows.adapters.store.own_tables import create_own_tables
from workmesh_flows.demo.mesh import mesh as demo_mesh
from workmesh_flows.demo.models import Base as DemoBase
from workmesh_flows.errors import StoreUnavailable
from workmesh_flows.operations.check import Level, check_mesh, missing_ddl


def test_tables_as_declared_lack_only_indexes_and_the_ddl_creates_them(engine: Engine) -> None:
    create_shop(engine)
    found = check_mesh(engine, shop_mesh())
    assert {finding.level for finding in found} == {Level.ADVICE}
    assert found[0].what.split(":")[0] == "no index (order)"
    assert len(found) == 4
    assert fixed(engine) == []


def test_a_check_changes_nothing(database_url: str) -> None:
    engine = create_engine(database_url)
    assert len(problems(engine)) == 2
    assert inspect(engine).get_table_names() == []
    engine.dispose()


def test_workmesh_tables_can_be_created_before_the_first_run(database_url: str) -> None:
    engine = create_engine(database_url)
    create_shop(engine)
    assert problems(engine) == []
    assert fixed(engine) == []
    create_own_tables(engine)
    assert check_mesh(engine, shop_mesh()) == []
    engine.dispose()


def test_the_ddl_adds_workmesh_columns_that_an_older_version_did_not_create(engine: Engine) -> None:
    create_shop(engine)
    run(
        engine,
        "INSERT INTO workmesh_services (service, revision) VALUES ('s', 3)",
        "ALTER TABLE workmesh_services DROP COLUMN revision",
        "ALTER TABLE workmesh_services DROP COLUMN position",
        "DROP INDEX ix_workmesh_moves_service",
    )
    assert [problem.split(":")[0] for problem in problems(engine)] == [
        "workmesh_services.revision",
        "workmesh_services.position",
    ]
    assert fixed(engine) == []
    with engine.connect() as connection:
        row = connection.execute(text("SELECT service, revision, position FROM workmesh_services")).one()
    assert tuple(row) == ("s", 0, None)


@pytest.mark.parametrize("kind", KEY_TYPES)
def test_odd_names_and_keys_of_any_type_cause_no_false_problems(engine: Engine, kind: str) -> None:
    world = make_world(kind)
    world.fill(engine, ["n1", None], [1, 2], [1, 2, 2])
    mesh = Mesh([world.service])
    assert problems(engine, mesh) == []
    assert fixed(engine, mesh) == []


def test_the_demo_s_mesh_has_no_problems(engine: Engine) -> None:
    DemoBase.metadata.create_all(engine)
    assert problems(engine, demo_mesh) == []
    assert fixed(engine, demo_mesh) == []


def record_columns() -> dict[str, Any]:
    return {
        "at": mapped_column(DateTime, nullable=False),
        "push_time": mapped_column(DateTime),
        "push_success": mapped_column(Boolean),
        "push_error": mapped_column(String(100)),
    }


def test_a_record_that_is_its_own_entity_causes_no_finding(engine: Engine) -> None:
    base = new_base()
    shop: Any = entity(base)
    crate: Any = entity(base, "Crate", shop_id=to("shop.id"), **record_columns())
    order: Any = record(base, crate_id=to("crate.id"))
    base.metadata.create_all(engine)
    alone = serve(crate, crate)
    alone.name = "alone"
    assert fixed(engine, Mesh([serve(order, shop)])) == []
    assert fixed(engine, Mesh([alone])) == []


def test_records_that_reach_no_entity_are_a_problem_and_some_are_a_note(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [None, None])
    (problem,) = problems(engine)
    assert problem == "select: 0 of the first 2 records reach an entity"
    write_orders(engine, [1], first=3)
    (note,) = fixed(engine)
    assert (note.level, note.what) == (Level.NOTE, "1 of the first 3 records reach an entity")


def test_an_unreachable_database_raises_store_unavailable() -> None:
    engine = create_engine("postgresql+psycopg://nobody@127.0.0.1:9/nothing")
    with pytest.raises(StoreUnavailable):
        check_mesh(engine, shop_mesh())
    engine.dispose()


def test_an_unsupported_database_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = create_engine("sqlite://")
    monkeypatch.setattr(engine.dialect, "name", "duckdb")
    (finding,) = check_mesh(engine, shop_mesh())
    assert str(finding) == (
        "problem: the database: the database is duckdb, which is not supported; use one of sqlite, postgresql"
    )
    engine.dispose()


def test_two_protocols_of_one_table_share_indexes(engine: Engine) -> None:
    create_shop(engine)
    protocols = [
        Protocol(name, record=Order, id=Order.id, sort=Order.at, push=Push(post("/push.json"), flags=flags))
        for name, flags in (("one", PUSH_FLAGS), ("other", PULL_FLAGS))
    ]
    mesh = Mesh([Service("s", entity=Shop, assigned_to=Shop.node, protocols=protocols)])
    statements = missing_ddl(check_mesh(engine, mesh))
    assert len({statement.split(" ON ")[0] for statement in statements}) == len(statements) == 5
    assert fixed(engine, mesh) == []


def test_a_weight_that_cannot_be_read_is_a_problem(engine: Engine) -> None:
    create_shop(engine)
    mesh = shop_mesh(criterion=EntityWeight(literal_column("seats", Integer)))
    (problem,) = problems(engine, mesh)
    assert "the weight cannot be read" in problem


def test_weights_that_cannot_be_used_are_a_problem(engine: Engine) -> None:
    create_shop(engine)
    with Session(engine) as session:
        session.add_all([Shop(id=1, size=3), Shop(id=2, size=-4), Shop(id=3, size=-5)])
        session.commit()
    (problem,) = problems(engine, shop_mesh(criterion=EntityWeight(Shop.size)))
    assert (
        "2 entities have weights that cannot be used, for example 2: its weight -4 is not a whole" in problem
    )
