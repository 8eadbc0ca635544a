"""Tables that differ from their declaration, and the findings of a check on them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from sqlalchemy import Engine, MetaData, Table, text

from tests.support.shop import Base, shop_mesh
from workmesh_flows import Mesh
from workmesh_flows.operations.check import Finding, Level, check_mesh, missing_ddl


def run(engine: Engine, *sql: str) -> None:
    """Execute each statement in a transaction of its own, as psql does."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for statement in sql:
            connection.execute(text(statement))


def create_shop(engine: Engine, change: Callable[[Table, Table], None] | None = None) -> None:
    """Create the tables of shops and orders, after ``change`` has changed their metadata."""
    metadata = MetaData()
    for table in Base.metadata.sorted_tables:
        table.to_metadata(metadata)
    if change is not None:
        change(metadata.tables["Shop"], metadata.tables["select"])
    metadata.create_all(engine)


def fixed(
    engine: Engine, mesh: Mesh | None = None, nodes: Collection[str] | None = None
) -> Sequence[Finding]:
    """Execute the proposed DDL; returns the findings that remain."""
    run(engine, *missing_ddl(check_mesh(engine, mesh or shop_mesh(), nodes)))
    return check_mesh(engine, mesh or shop_mesh(), nodes)


def problems(engine: Engine, mesh: Mesh | None = None, nodes: Collection[str] | None = None) -> list[str]:
    """The problems, each with its place."""
    return [
        f"{finding.where}: {finding.what}"
        for finding in check_mesh(engine, mesh or shop_mesh(), nodes)
        if finding.level is Level.PROBLEM
    ]


def advice(engine: Engine) -> list[str]:
    """The texts of all advice."""
    return [finding.what for finding in check_mesh(engine, shop_mesh()) if finding.level is Level.ADVICE]
