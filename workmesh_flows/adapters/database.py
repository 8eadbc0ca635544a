"""Opening the database, its clock, and the one seam where its errors are translated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, func, make_url, select
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
    SQLAlchemyError,
)

from workmesh_flows.adapters.schema import UtcDateTime, create_own_tables
from workmesh_flows.domain.service import Database
from workmesh_flows.errors import ConfigurationError, StoreError, StoreUnavailable

SQLITE_PATIENCE = 60.0
"""Seconds that a SQLite connection waits for another one's transaction to end."""

Clock = Callable[[], datetime]
"""Gives the time, in UTC."""


def open_engine(database: Database) -> Engine:
    """An engine on the user's database, with our own tables there; raises ConfigurationError or StoreError."""
    engine = _engine(database)
    with translated_errors():
        create_own_tables(engine)
    return engine


def database_clock(engine: Engine) -> Clock:
    """The database's time, so that runs on several machines agree: read once, then counted on."""
    if engine.dialect.name != "postgresql":
        return _now
    with translated_errors(), engine.connect() as connection:
        theirs = connection.scalar(select(func.clock_timestamp(type_=UtcDateTime())))
    offset = (theirs or _now()) - _now()
    return lambda: _now() + offset


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn SQLAlchemy's errors into StoreError: the database's first line, without statement or values."""
    try:
        yield
    except DBAPIError as error:
        kind = StoreUnavailable if _is_transient(error) else StoreError
        raise kind(_first_line(error.orig or error)) from error
    except SQLAlchemyError as error:
        raise StoreError(_first_line(error)) from error


def _engine(database: Database) -> Engine:
    if callable(database):
        return database()
    try:
        url = make_url(database)
        engine = create_engine(url, **_options(url))
    except ArgumentError as error:
        message = "the database address cannot be read; it looks like postgresql+psycopg://user@host/name"
        raise ConfigurationError(message) from error
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        message = (
            f"no driver for this database address ({error}); for PostgreSQL install workmesh-flows[postgres]"
        )
        raise ConfigurationError(message) from error
    if url.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _obey_foreign_keys)
    return engine


def _options(url: URL) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": SQLITE_PATIENCE}}
    return {"pool_pre_ping": True, "pool_size": 16, "max_overflow": 48}


def _obey_foreign_keys(connection: Any, record: object) -> None:  # noqa: ANN401 - a DBAPI connection
    del record
    connection.execute("PRAGMA foreign_keys=ON")


def _now() -> datetime:
    return datetime.now(UTC)


def _is_transient(error: DBAPIError) -> bool:
    """Whether the database is away or locked, rather than refusing the statement."""
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    return getattr(error.orig, "sqlite_errorname", "") != "SQLITE_ERROR"


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
