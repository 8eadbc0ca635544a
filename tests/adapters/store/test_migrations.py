"""The migrations lead from every version to the tables that this release declares."""

from __future__ import annotations

from sqlalchemy import Engine, create_engine, text

from tests.support.own_tables import create_release_0_1_0, described, rows_of
from workmesh_flows.adapters.store.migrations.run import migrate, migrations_after, migrations_as_sql
from workmesh_flows.adapters.store.own_tables import CURRENT, create_own_tables, exclusive, read_version


def migrated(engine: Engine) -> None:
    with exclusive(engine) as connection:
        migrate(connection, None, None)


def declared(engine: Engine) -> None:
    """Create the tables of this release in an empty database."""
    with engine.begin() as connection:
        for name in described(engine):
            connection.execute(text(f"DROP TABLE {name}"))
    create_own_tables(engine)


def test_the_last_migration_is_the_version_of_this_release() -> None:
    versions = [migration.revision for migration in migrations_after(None)]
    assert versions == [f"{number:04}" for number in range(1, len(versions) + 1)]
    assert versions[-1] == CURRENT
    assert all(migration.doc for migration in migrations_after(None))


def test_the_migrations_create_the_tables_that_are_declared(database_url: str) -> None:
    engine = create_engine(database_url)
    migrated(engine)
    made = described(engine)
    declared(engine)
    assert made == described(engine)
    engine.dispose()


def test_the_tables_of_release_0_1_0_become_the_declared_ones_and_keep_their_rows(database_url: str) -> None:
    engine = create_engine(database_url)
    create_release_0_1_0(engine)
    before = rows_of(engine)
    assert all(before.values())
    migrated(engine)
    with engine.connect() as connection:
        assert read_version(connection) == CURRENT
    after = rows_of(engine)
    for name, rows in before.items():
        kept = [{column: row[column] for column in rows[0]} for row in after[name]]
        assert kept == rows
    made = described(engine)
    declared(engine)
    assert made == described(engine)
    engine.dispose()


def test_the_printed_statements_do_the_same(database_url: str) -> None:
    engine = create_engine(database_url)
    create_release_0_1_0(engine)
    printed = migrations_as_sql(engine.dialect.name, None, None)
    lines = [line for line in printed.splitlines() if not line.startswith("--")]
    connection = engine.raw_connection()
    for statement in "\n".join(lines).split(";\n"):
        if statement.strip(" \n;") not in {"", "BEGIN", "COMMIT"}:
            connection.cursor().execute(statement)
    connection.commit()
    connection.close()
    made = described(engine)
    declared(engine)
    assert made == described(engine)
    engine.dispose()
