"""Runs the migrations by Alembic: in the caller's transaction, or as text."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationStep
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.schema import CreateSchema

from workmesh_flows.adapters.store.schema import versions

VERSIONS = (Path(__file__).parent / "versions",)
"""The folders with the migrations."""


def migrations_after(version: str | None) -> Sequence[Script]:
    """The migrations that tables of this version lack, oldest first; all for None."""
    return list(reversed(list(_scripts().iterate_revisions("head", version or "base"))))


def migrate(connection: Connection, version: str | None, schema: str | None) -> None:
    """Run the migrations in the transaction of this connection; ``version`` is the stored one."""
    with _environment(version) as environment:
        environment.configure(connection=connection, **_version_table(schema))
        _run(environment, version, schema)


def migrations_as_sql(dialect: str, version: str | None, schema: str | None) -> str:
    """The statements of the migrations with the transaction around them, for psql or sqlite3."""
    buffer = StringIO()
    with _environment(version, as_sql=True, starting_rev=version) as environment:
        environment.configure(
            dialect_name=dialect, output_buffer=buffer, transactional_ddl=True, **_version_table(schema)
        )
        with environment.begin_transaction():
            _run(environment, version, schema)
    return buffer.getvalue().strip()


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(Path(__file__).parent), version_locations=[str(path) for path in VERSIONS])


def _environment(version: str | None, **options: Any) -> EnvironmentContext:  # noqa: ANN401 - options of Alembic
    scripts = _scripts()

    def steps(*_: object) -> list[Any]:
        return [
            MigrationStep.upgrade_from_script(scripts.revision_map, one) for one in migrations_after(version)
        ]

    return EnvironmentContext(Config(), scripts, fn=steps, **options)


def _version_table(schema: str | None) -> dict[str, Any]:
    return {"version_table": versions.name, "version_table_schema": schema}


def _run(environment: EnvironmentContext, version: str | None, schema: str | None) -> None:
    if schema is not None:
        if version is None:
            environment.execute(CreateSchema(schema, if_not_exists=True))
        # Migrations name tables without a schema. The path ends with the transaction, also behind PgBouncer.
        path = f"""'"{schema}", ' || current_setting('search_path')"""
        environment.execute(text(f"SELECT set_config('search_path', {path}, true)"))
    environment.run_migrations()
