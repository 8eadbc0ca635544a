"""The Workmesh tables of a database: those of release 0.1.0, their description, their rows, and a migration to come."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, MetaData, Table, inspect, select

from workmesh_flows.adapters.store import own_tables
from workmesh_flows.adapters.store.check import own_tables as checks
from workmesh_flows.adapters.store.migrations import run
from workmesh_flows.adapters.store.own_tables import CURRENT
from workmesh_flows.adapters.store.schema import own
from workmesh_flows.operations import upgrade

RELEASE_0_1_0 = Path(__file__).parent / "release_0_1_0"
NEXT = f"{int(CURRENT) + 1:04}"
"""The version after this release's."""


def create_release_0_1_0(engine: Engine) -> None:
    """Create the tables as release 0.1.0 did, with rows in each."""
    script = (RELEASE_0_1_0 / f"{engine.dialect.name}.sql").read_text()
    statements = "\n".join(line for line in script.splitlines() if not line.startswith("--")).split(";\n")
    with engine.begin() as connection:
        for statement in filter(str.strip, statements):
            connection.exec_driver_sql(statement.replace("%", "%%"))


def described(engine: Engine) -> dict[str, Any]:
    """Columns, keys and indexes of the Workmesh tables in the database, in no order."""
    found, names = inspect(engine), inspect(engine).get_table_names(own.schema)
    return {
        name: {
            "columns": {
                column["name"]: (
                    str(column["type"]),
                    column["nullable"],
                    column["default"],
                    column.get("identity"),
                )
                for column in found.get_columns(name, own.schema)
            },
            "key": found.get_pk_constraint(name, own.schema)["constrained_columns"],
            "unique": found.get_unique_constraints(name, own.schema),
            "foreign": found.get_foreign_keys(name, own.schema),
            "checks": found.get_check_constraints(name, own.schema),
            "indexes": {
                index["name"]: (index["column_names"], index["unique"], index.get("dialect_options"))
                for index in found.get_indexes(name, own.schema)
            },
        }
        for name in names
        if name.startswith("workmesh_")
    }


def rows_of(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    """All rows of the Workmesh tables in the database, except their version."""
    names = {name for name in inspect(engine).get_table_names(own.schema) if name.startswith("workmesh_")}
    metadata, found = MetaData(), {}
    with engine.connect() as connection:
        for name in sorted(names - {"workmesh_schema"}):
            table = Table(name, metadata, schema=own.schema, autoload_with=connection)
            found[name] = [
                dict(row) for row in connection.execute(select(table).order_by(*table.columns)).mappings()
            ]
    return found


MIGRATION = '''"""Lanes have a colour."""

from alembic import op
from sqlalchemy import Column, String

revision = "{revision}"
down_revision = "{before}"


def upgrade() -> None:
    op.add_column("workmesh_lanes", Column("colour", String(9), nullable=False, server_default="blue"))
    op.create_index("ix_workmesh_lanes_colour", "workmesh_lanes", ["colour"])
    op.execute("UPDATE workmesh_lanes SET colour = 'red' WHERE breaker = 'open'")
'''


@contextmanager
def next_release(folder: Path) -> Iterator[None]:
    """For the length of a block this release needs one version more, whose migration is written to the folder."""
    folder = folder / "next_release"
    folder.mkdir()
    (folder / f"revision_{NEXT}.py").write_text(MIGRATION.format(revision=NEXT, before=CURRENT))
    with pytest.MonkeyPatch.context() as patch:
        for module in (own_tables, checks, upgrade):
            patch.setattr(module, "CURRENT", NEXT)
        patch.setattr(run, "VERSIONS", (*run.VERSIONS, folder))
        yield
