"""Workmesh tables in a schema of their own, which a setting names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, event, inspect, select, text

from tests.operations.delivery.lane_runs import push
from tests.support.databases import empty_postgresql
from tests.support.own_tables import create_release_0_1_0, described, next_release, rows_of
from tests.support.schema_findings import fixed, problems, run
from tests.support.scripted_node import scripted_node
from tests.support.shop import shop_mesh, shop_service, write_orders, write_shops
from workmesh_flows import Mesh
from workmesh_flows.adapters.store.own_tables import create_own_tables
from workmesh_flows.adapters.store.schema import lanes, place_own_tables
from workmesh_flows.errors import ConfigurationError
from workmesh_flows.mesh_database import mesh_engine, unprepared_engine
from workmesh_flows.operations.check import check_mesh
from workmesh_flows.operations.upgrade import upgrade, upgrade_as_sql
from workmesh_flows.settings import PREFIX

SCHEMA = "own_tables"


@pytest.fixture(autouse=True)
def placed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(f"{PREFIX}TABLES_SCHEMA", SCHEMA)
    place_own_tables(SCHEMA)
    yield
    place_own_tables(None)


@pytest.fixture
def saas(postgresql_server: str) -> Iterator[Engine]:
    """A database with the shop's tables in the default schema, and with no Workmesh tables."""
    with empty_postgresql(postgresql_server) as url:
        engine = create_engine(url)
        write_shops(engine, ["n1"])
        yield engine
        engine.dispose()


def test_a_run_creates_the_schema_with_the_tables_and_pushes(saas: Engine) -> None:
    write_orders(saas, [1] * 25)
    url = saas.url.render_as_string(hide_password=False)
    with scripted_node() as node, mesh_engine(Mesh([shop_service()], database=url)) as engine:
        assert push(engine, shop_service(), node.node()).pushed == 25
    assert inspect(saas).get_table_names() == ["Shop", "select"]
    assert "workmesh_lanes" in inspect(saas).get_table_names(SCHEMA)
    with saas.connect() as connection:
        assert connection.scalar(select(lanes.c.done)) == 25


def test_the_engine_of_an_application_is_used_unchanged(saas: Engine) -> None:
    write_orders(saas, [1])
    mesh = Mesh([shop_service()], database=lambda: saas)
    with scripted_node() as node, mesh_engine(mesh) as engine:
        assert engine is saas
        assert push(engine, shop_service(), node.node()).pushed == 1
    with saas.connect() as connection:
        assert connection.scalar(text("SHOW search_path")) == '"$user", public'


def test_check_prints_the_schema_and_the_tables_in_it(saas: Engine) -> None:
    with unprepared_engine(Mesh([shop_service()], database=lambda: saas)) as engine:
        first = check_mesh(engine, shop_mesh())[0]
        assert (first.where, first.ddl) == (SCHEMA, (f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}",))
        assert fixed(engine) == []
        assert problems(engine) == []
        create_own_tables(engine)
        assert inspect(engine).get_table_names() == ["Shop", "select"]


def test_an_upgrade_finds_the_tables_in_the_schema(saas: Engine, tmp_path: Path) -> None:
    run(saas, f"CREATE SCHEMA {SCHEMA}")
    inside = create_engine(saas.url, connect_args={"options": f"-csearch_path={SCHEMA}"})
    create_release_0_1_0(inside)
    inside.dispose()
    rows = rows_of(saas)
    with next_release(tmp_path):
        printed = upgrade_as_sql(saas)
        assert f"SELECT set_config('search_path', '\"{SCHEMA}\", ' ||" in printed
        assert f"CREATE TABLE {SCHEMA}.workmesh_schema" in printed
        assert upgrade(saas) == "0001"
        assert rows_of(saas)["workmesh_moves"] == rows["workmesh_moves"]
        assert "colour" in described(saas)["workmesh_lanes"]["columns"]
        with mesh_engine(Mesh([shop_service()], database=lambda: saas)):
            pass
    assert inspect(saas).get_table_names() == ["Shop", "select"]


def test_the_printed_statements_create_the_schema(saas: Engine) -> None:
    printed = upgrade_as_sql(saas)
    with saas.connect() as connection:
        connection.connection.cursor().execute(printed.replace("BEGIN;", "").replace("COMMIT;", ""))
        connection.connection.commit()
    made = described(saas)
    assert len(made) > 10
    run(saas, f"DROP SCHEMA {SCHEMA} CASCADE")
    create_own_tables(saas)
    assert made == described(saas)


def test_opening_costs_one_query(saas: Engine) -> None:
    mesh = Mesh([shop_service()], database=lambda: saas)
    statements = list[str]()
    with mesh_engine(mesh):
        event.listen(saas, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    with mesh_engine(mesh):
        (statement,) = statements
        assert " ".join(statement.split()).endswith(f"FROM {SCHEMA}.workmesh_schema")


def test_a_database_without_schemas_is_refused(tmp_path: Path) -> None:
    mesh = Mesh([], database=f"sqlite:///{tmp_path / 'saas.db'}")
    said = "sqlite has no schemas: remove the setting TABLES_SCHEMA"
    with pytest.raises(ConfigurationError, match=said), mesh_engine(mesh):
        pass
    with unprepared_engine(mesh) as engine, pytest.raises(ConfigurationError, match="has no schemas"):
        check_mesh(engine, mesh)
