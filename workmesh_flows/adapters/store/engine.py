"""Opening the database, its clock, and the one seam where its errors are translated."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, func, make_url, select
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
    SQLAlchemyError,
    StatementError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from workmesh_flows.adapters.store.given_engine import (
    engine_of,
    require_synchronous,
    require_transactions_of_driver,
)
from workmesh_flows.adapters.store.own_tables import prepare_own_tables
from workmesh_flows.adapters.store.values import UtcDateTime
from workmesh_flows.domain.columns import first_line
from workmesh_flows.domain.service import Database
from workmesh_flows.errors import ConfigurationError, StoreError, StoreUnavailable

_LOOKS = (
    "it must look like postgresql+psycopg://user:password@host/name, with @ : / ? # of the password written as "
    "%40 %3A %2F %3F %23"
)

SQLITE_PATIENCE = 60.0
"""Seconds that a SQLite connection waits for another one's transaction to end."""

_UNDEFINED = frozenset({"42P01", "42703", "3F000", "42501"})
"""SQLSTATE: no such table, column or schema, or no permission."""
_POOLED = frozenset({"26000", "42P05"})
"""SQLSTATE: a prepared statement does not exist, or exists already: another connection of a pooler prepared it."""
_POOLED_HINT = "; behind PgBouncer in transaction mode add ?prepare_threshold=None to the database address"
_OPERATIONAL = frozenset({"08", "40", "53", "55", "57", "58"})
"""SQLSTATE classes: no connection, a conflict of transactions, no resources, a lock, an administrator, the disk."""

Clock = Callable[[], datetime]
"""Returns the time, in UTC."""


def open_engine(database: Database) -> Engine:
    """An engine on the user's database with the Workmesh tables of this release; raises ConfigurationError or StoreError."""
    engine = make_engine(database)
    try:
        with naming_database(engine), translated_errors():
            require_transactions_of_driver(engine)
            prepare_own_tables(engine)
    except BaseException:
        if not callable(database):  # else it is the application's
            engine.dispose()
        raise
    return engine


@contextmanager
def naming_database(engine: Engine) -> Iterator[None]:
    """Add to a StoreError which database it is about, without user and password, and what to do."""
    try:
        yield
    except StoreError as error:
        place = place_of(engine)
        to_do = (
            "check the address, and that the database runs; workmesh check tries it"
            if isinstance(error, StoreUnavailable) or engine.dialect.name == "sqlite"
            else "workmesh check shows what is missing"
        )
        raise type(error)(f"database {place}: {error}; {to_do}") from error


def database_clock(engine: Engine) -> Clock:
    """The database's time, so that runs on several machines agree: read once, then advanced by this machine's clock."""
    if engine.dialect.name != "postgresql":
        return utc_now
    with translated_errors(), engine.connect() as connection:
        database_now = connection.scalar(select(func.clock_timestamp(type_=UtcDateTime())))
    offset = (database_now or utc_now()) - utc_now()
    return lambda: utc_now() + offset


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn SQLAlchemy's errors into StoreError: the database's first line, without statement or values."""
    try:
        yield
    except DBAPIError as error:
        kind = StoreUnavailable if _is_transient(error) else StoreError
        hint = _POOLED_HINT if sqlstate(error) in _POOLED else ""
        raise kind(first_line(error.orig or error) + hint) from error
    except PoolTimeout as error:
        raise StoreUnavailable(first_line(error)) from error
    except SQLAlchemyError as error:
        raise StoreError(first_line(error)) from error


def refuses_value(error: StatementError) -> bool:
    """Whether the database would accept the statement with another value in it."""
    if code := sqlstate(error):
        return code[:2] not in _OPERATIONAL and code not in _UNDEFINED | _POOLED
    return not isinstance(error, OperationalError | InterfaceError)


def place_of(engine: Engine) -> str:
    """The file, or host and name, of a database."""
    url = engine.url
    if engine.dialect.name == "sqlite":
        return url.database or ":memory:"
    host = url.host or url.query.get("host") or "localhost"
    hosts = host if isinstance(host, str) else ",".join(host)
    return f"{hosts}{f':{url.port}' if url.port else ''}/{url.database or ''}"


def sqlstate(error: StatementError) -> str:
    """PostgreSQL's code of an error, from whichever driver; empty where the error is not one of PostgreSQL."""
    code = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)  # psycopg, psycopg2
    fields = next(iter(getattr(error.orig, "args", ())), None)
    if code is None and isinstance(fields, dict):  # pg8000
        code = fields.get("C")
    return str(code or "")


def make_engine(database: Database | URL, connect_args: Mapping[str, Any] = MappingProxyType({})) -> Engine:
    """An engine on the user's database, where nothing is created; raises ConfigurationError for an unusable address.

    ``connect_args`` are passed to the driver.
    """
    if callable(database):
        return engine_of(database)
    try:
        url, arguments = _typed(make_url(database))
        options = _options(url)
        options["connect_args"] = {**options.get("connect_args", {}), **arguments, **connect_args}
        engine = create_engine(url, **options)
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        message = (
            f"no driver for this database address ({error}); for PostgreSQL install workmesh-flows[postgres] "
            "and write postgresql+psycopg://"
        )
        raise ConfigurationError(message) from error
    except (ArgumentError, ValueError):
        # The cause is hidden: the text that could not be parsed may be a part of the password.
        raise ConfigurationError(f"the database address cannot be read; {_LOOKS}") from None
    if url.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _obey_foreign_keys)
    elif "@" in f"{url.host}{url.database}":
        raise ConfigurationError(f"the database address has one '@' too many; {_LOOKS}")
    require_synchronous(engine)
    return engine


def _typed(url: URL) -> tuple[URL, dict[str, Any]]:
    """The address without ``prepare_threshold``, which psycopg takes as a number or None only, and its value."""
    given = url.query.get("prepare_threshold")
    if url.get_driver_name() != "psycopg" or given is None:
        return url, {}
    if not isinstance(given, str) or not (given.lower() == "none" or given.isdecimal()):
        raise ConfigurationError("prepare_threshold of the database address must be a number or None")
    value = None if given.lower() == "none" else int(given)
    return url.difference_update_query(["prepare_threshold"]), {"prepare_threshold": value}


def _options(url: URL) -> dict[str, Any]:
    # Parameters are values of the user's records, which must not appear in an error's text.
    if url.get_backend_name() == "sqlite":
        return {"hide_parameters": True, "connect_args": {"timeout": SQLITE_PATIENCE}}
    return {"hide_parameters": True, "pool_pre_ping": True, "pool_size": 16, "max_overflow": 48}


def _obey_foreign_keys(connection: Any, record: object) -> None:  # noqa: ANN401 - a DBAPI connection
    del record
    connection.execute("PRAGMA foreign_keys=ON")


def utc_now() -> datetime:
    """This machine's time, in UTC."""
    return datetime.now(UTC)


def _is_transient(error: DBAPIError) -> bool:
    """Whether the database is unreachable or locked, as opposed to refusing the statement."""
    if error.connection_invalidated:
        return True
    if code := sqlstate(error):
        return code[:2] in _OPERATIONAL or code in _POOLED
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    if isinstance(error.orig, sqlite3.Error):
        # An error without a name is one of Python's module itself: it cannot decode a text.
        name = getattr(error.orig, "sqlite_errorname", "SQLITE_ERROR")
        return not name.startswith(("SQLITE_ERROR", "SQLITE_READONLY"))
    return True
