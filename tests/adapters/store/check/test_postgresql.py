from __future__ import annotations

import pytest
from sqlalchemy import Engine

from tests.adapters.store.worlds import make_world
from tests.support.schema_findings import advice, create_shop, fixed, problems, run
from workmesh_flows import Mesh


def test_a_name_that_differs_only_in_case_is_in_the_finding(postgresql: Engine) -> None:
    create_shop(postgresql)
    run(postgresql, 'ALTER TABLE "select" RENAME COLUMN push_time TO "Push_Time"')
    (problem,) = problems(postgresql)
    assert "a column Push_Time exists, but names are case-sensitive" in problem
    run(postgresql, 'ALTER TABLE "Shop" RENAME TO shop')
    assert any(
        "a table shop exists, but names are case-sensitive" in problem for problem in problems(postgresql)
    )


def test_tables_are_checked_in_the_schema_that_the_engine_translates_to(postgresql: Engine) -> None:
    run(postgresql, "CREATE SCHEMA elsewhere")
    engine = postgresql.execution_options(schema_translate_map={"tenant": "elsewhere"})
    world = make_world(schema="tenant")
    world.fill(engine, ["n1"], [1], [1])
    assert fixed(engine, Mesh([world.service])) == []


def test_a_path_that_cannot_be_joined_is_a_problem(postgresql: Engine) -> None:
    create_shop(postgresql)
    run(
        postgresql,
        'ALTER TABLE "select" DROP COLUMN "Group"',
        'ALTER TABLE "select" ADD COLUMN "Group" TEXT',
    )
    found = problems(postgresql)
    assert "the joined column is TEXT, declared as INTEGER" in found[0]
    assert "the owner path cannot be followed" in found[1]


def test_times_without_a_zone_under_a_declaration_with_one_are_a_problem(postgresql: Engine) -> None:
    create_shop(postgresql)
    run(postgresql, 'ALTER TABLE "select" ALTER COLUMN push_time TYPE TIMESTAMP')
    (problem,) = problems(postgresql)
    assert "times shift by the session's UTC offset" in problem


@pytest.mark.parametrize(
    ("table", "change", "what"),
    [
        pytest.param("select", "push_time TYPE TIMESTAMPTZ(3)", "needs microseconds", id="coarse"),
        pytest.param("select", "pull_error TYPE VARCHAR(100)", "up to 300 characters", id="error"),
        pytest.param("Shop", '"order" TYPE VARCHAR(5)', "the node node-17 has 7", id="name"),
    ],
)
def test_the_ddl_widens_a_column_that_is_too_narrow(
    postgresql: Engine, table: str, change: str, what: str
) -> None:
    create_shop(postgresql)
    run(postgresql, f'ALTER TABLE "{table}" ALTER COLUMN {change}')
    (problem,) = problems(postgresql, nodes=["n1", "node-17"])
    assert what in problem
    assert fixed(postgresql, nodes=["n1", "node-17"]) == []


def test_without_names_of_nodes_a_length_of_50_is_advised(postgresql: Engine) -> None:
    create_shop(postgresql)
    run(postgresql, 'ALTER TABLE "Shop" ALTER COLUMN "order" TYPE VARCHAR(49)')
    assert problems(postgresql) == []
    assert any("has 49 characters" in what for what in advice(postgresql))
    assert fixed(postgresql) == []


def test_hash_descending_and_including_indexes_are_recognised(postgresql: Engine) -> None:
    create_shop(postgresql)
    run(
        postgresql,
        'CREATE INDEX a ON "Shop" USING hash ("order")',
        'CREATE INDEX b ON "select" ("where", id DESC) WHERE push_success IS NOT TRUE',
        'CREATE INDEX d ON "select" ("Group") INCLUDE (push_success, pull_success)',
    )
    assert [what.split(":")[0] for what in advice(postgresql)] == [
        "no index (order)",
        "no index (where, id) where push_success IS NOT true",
        "no index (push_time, id) where push_success IS true AND pull_success IS NOT true",
    ]
    run(postgresql, 'CREATE INDEX f ON "select" ("where" DESC, id DESC) WHERE push_success IS NOT TRUE')
    assert len(advice(postgresql)) == 2


def test_an_invalid_index_is_dropped_and_created_again(postgresql: Engine) -> None:
    create_shop(postgresql)
    assert fixed(postgresql) == []
    run(
        postgresql,
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = "
        "(SELECT oid FROM pg_class WHERE relname LIKE 'workmesh_select_pending%')",
    )
    (what,) = advice(postgresql)
    assert "is not valid" in what
    assert fixed(postgresql) == []


def test_keys_of_views_are_not_checked_and_partitioned_tables_are_indexed_with_a_lock(
    postgresql: Engine,
) -> None:
    run(
        postgresql,
        'CREATE TABLE shops ("ShopId" INTEGER PRIMARY KEY, size INTEGER NOT NULL, "order" VARCHAR(50))',
        'CREATE VIEW "Shop" AS SELECT * FROM shops',
        'CREATE TABLE "select" (id INTEGER PRIMARY KEY, "Group" INTEGER, "where" TIMESTAMPTZ NOT NULL, '
        "text VARCHAR(200), push_time TIMESTAMPTZ, push_success BOOLEAN, push_error VARCHAR(300), "
        "pull_time TIMESTAMPTZ, pull_success BOOLEAN, pull_error VARCHAR(300), score INTEGER) "
        "PARTITION BY RANGE (id)",
        'CREATE TABLE part PARTITION OF "select" FOR VALUES FROM (1) TO (1000)',
    )
    assert problems(postgresql) == []
    assert fixed(postgresql) == []


def test_a_schema_with_an_odd_name_causes_no_false_problems(postgresql: Engine) -> None:
    run(postgresql, 'CREATE SCHEMA "5% Of it"')
    world = make_world(schema="5% Of it")
    world.fill(postgresql, ["n1"], [1], [1])
    assert problems(postgresql, Mesh([world.service])) == []
    assert fixed(postgresql, Mesh([world.service])) == []


def test_a_domain_counts_as_its_base_type(postgresql: Engine) -> None:
    create_shop(postgresql)
    run(
        postgresql,
        "CREATE DOMAIN node_name AS VARCHAR(60)",
        'ALTER TABLE "Shop" ALTER COLUMN "order" TYPE node_name',
    )
    assert fixed(postgresql) == []
