"""The Workmesh tables as a whole: their version, and their creation by the first run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, func, insert, inspect, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateSchema

from workmesh_flows.adapters.store.schema import own, versions
from workmesh_flows.errors import ConfigurationError

FIRST = "0001"
"""The version of the tables of release 0.1.0, which stored no version."""
CURRENT = "0003"
"""The version of the tables as this release declares them: the last revision in `migrations/versions`."""

_LOCK = 0x776F726B6D657368
"""The key of the advisory lock of PostgreSQL: "workmesh" in ASCII."""


def prepare_own_tables(engine: Engine) -> None:
    """Require the Workmesh tables of this release, and create them in a database that has none.

    This costs one small query if they are there. Raises ConfigurationError for another version, and changes nothing then.
    """
    if _stored_version(engine) != CURRENT:
        create_own_tables(engine)


def create_own_tables(engine: Engine) -> None:
    """Create the Workmesh tables and store their version; safe to call from several processes at once.

    Raises ConfigurationError if they exist in another version.
    """
    with exclusive(engine) as connection:
        found = read_version(connection)
        if found not in {None, CURRENT}:
            raise ConfigurationError("; ".join(mismatch(found)))
        create_in(connection)


def schema_of(connection: Connection | Engine) -> str | None:
    """The schema of the Workmesh tables, to which an engine of the application may map another one."""
    mapped = connection.get_execution_options().get("schema_translate_map") or {}
    schema: str | None = mapped.get(own.schema, own.schema)
    return schema


def create_in(connection: Connection) -> None:
    """Create the Workmesh tables that are missing, in the transaction of the caller, and store their version."""
    if own.schema is not None and not inspect(connection).has_schema(own.schema):
        connection.execute(CreateSchema(own.schema, if_not_exists=True))
    own.create_all(connection)
    if connection.scalar(select(versions.c.version_num)) is None:
        connection.execute(insert(versions).values(version_num=CURRENT))


def read_version(connection: Connection) -> str | None:
    """The version of the Workmesh tables; None if the database has none of them."""
    names = set(inspect(connection).get_table_names(schema_of(connection)))
    if versions.name in names:
        stored = connection.scalars(select(versions.c.version_num).order_by(versions.c.version_num)).all()
        if stored:
            return ", ".join(stored)
    return FIRST if any(table.name in names - {versions.name} for table in own.sorted_tables) else None


def is_stored(connection: Connection) -> bool:
    """Whether the database stores a version; release 0.1.0 stored none."""
    there = inspect(connection).has_table(versions.name, schema_of(connection))
    return there and connection.scalar(select(versions.c.version_num)) is not None


def is_older(version: str) -> bool:
    """Whether this release can upgrade tables of this version."""
    return len(version) == len(CURRENT) and version.isdigit() and FIRST <= version < CURRENT


def mismatch(version: str | None) -> tuple[str, str]:
    """What is wrong with tables of another version, and what to do."""
    if version is not None and is_older(version):
        return (
            f"the Workmesh tables have version {version}, and this release needs {CURRENT}",
            "run workmesh upgrade",
        )
    return (
        f"the Workmesh tables have version {version}, which this release does not know: it needs {CURRENT}",
        "install the release that upgraded them",
    )


@contextmanager
def exclusive(engine: Engine) -> Iterator[Connection]:
    """A transaction during which no other process creates or upgrades the tables; it is undone as a whole if it fails."""
    require_schemas(engine)
    with engine.connect() as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
        # The driver of SQLite starts no transaction for DDL, unless the application has changed that.
        elif not getattr(connection.connection.dbapi_connection, "in_transaction", True):
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        yield connection


def require_schemas(engine: Engine) -> None:
    """Raise ConfigurationError if the Workmesh tables are in a schema and the database knows no schemas."""
    if own.schema is not None and engine.dialect.name != "postgresql":
        raise ConfigurationError(
            f"the Workmesh tables are set to be in the schema {own.schema}, and {engine.dialect.name} has no schemas: "
            "remove the setting TABLES_SCHEMA, or use PostgreSQL"
        )


def _stored_version(engine: Engine) -> str | None:
    """The stored version by one query; None if there is none."""
    require_schemas(engine)
    try:
        return _query_version(engine)
    except DBAPIError:
        if not inspect(engine).has_table(versions.name, schema_of(engine)):
            return None
        return _query_version(
            engine
        )  # another process has just created the table, or the error is another one


def _query_version(engine: Engine) -> str | None:
    with engine.connect() as connection:
        return ", ".join(connection.scalars(select(versions.c.version_num))) or None
