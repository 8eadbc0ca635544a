"""Tables that are not quite as they are declared, and what a check says of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from sqlalchemy import Engine, MetaData, Table, text

from tests.support.shop import Base, shop_mesh
from workmesh_flows import Mesh
from workmesh_flows.operations.check import Finding, Level, check_mesh, missing_ddl


def run(engine: Engine, *sql: str) -> None:
    """As psql does: each statement for itself."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for statement in sql:
            connection.execute(text(statement))


def create_shop(engine: Engine, change: Callable[[Table, Table], None] | None = None) -> None:
    """The tables of shops and orders, with a change of both."""
    found = MetaData()
    for table in Base.metadata.sorted_tables:
        table.to_metadata(found)
    if change is not None:
        change(found.tables["Shop"], found.tables["select"])
    found.create_all(engine)


def fixed(
    engine: Engine, mesh: Mesh | None = None, nodes: Collection[str] | None = None
) -> Sequence[Finding]:
    """What is left when the DDL was executed."""
    run(engine, *missing_ddl(check_mesh(engine, mesh or shop_mesh(), nodes)))
    return check_mesh(engine, mesh or shop_mesh(), nodes)


def problems(engine: Engine, mesh: Mesh | None = None, nodes: Collection[str] | None = None) -> list[str]:
    """Place and words of the problems."""
    return [
        f"{finding.where}: {finding.what}"
        for finding in check_mesh(engine, mesh or shop_mesh(), nodes)
        if finding.level is Level.PROBLEM
    ]


def advice(engine: Engine) -> list[str]:
    """What could be better."""
    return [finding.what for finding in check_mesh(engine, shop_mesh()) if finding.level is Level.ADVICE]
