"""Engines of an application: what is given in place of one, and engines that cannot be used."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine

from workmesh_flows.errors import ConfigurationError

_WANTED = "the function given as Mesh(database=...) must return an Engine of sqlalchemy.create_engine()"


def engine_of(function: Callable[[], Any]) -> Engine:
    """The engine that a user's function returns; raises ConfigurationError where it is none, or cannot be used."""
    given = function()
    if inspect.iscoroutine(given):
        given.close()  # it would warn that nothing awaited it
    if not isinstance(given, Engine):
        kind = "None" if given is None else f"an object of the class {type(given).__name__}"
        hint = (
            "; for an asynchronous application make a second, synchronous engine" if _is_async(given) else ""
        )
        raise ConfigurationError(f"{_WANTED}, but it returned {kind}{hint}")
    require_synchronous(given)
    require_transactions(given)
    return given


def require_synchronous(engine: Engine) -> None:
    """Raise ConfigurationError for an asynchronous driver."""
    if engine.dialect.is_async:
        raise ConfigurationError(
            f"the driver {engine.url.drivername} is asynchronous; use a synchronous one: postgresql+psycopg, sqlite"
        )


def require_transactions(engine: Engine) -> None:
    """Raise ConfigurationError for an engine whose connections commit each statement by itself."""
    given = getattr(engine.dialect, "_on_connect_isolation_level", None)  # as given to create_engine
    level = engine.get_execution_options().get("isolation_level") or given
    if str(level).upper() == "AUTOCOMMIT":
        raise ConfigurationError(
            "the engine has isolation_level AUTOCOMMIT, so that nothing it writes can be undone together; give "
            "Workmesh an engine without it"
        )


def require_transactions_of_driver(engine: Engine) -> None:
    """Raise ConfigurationError for an engine whose driver is set to autocommit, by ``connect_args`` or an event.

    Opens a connection, since only the driver's connection shows it.
    """
    with engine.connect() as connection:
        if getattr(connection.connection.dbapi_connection, "autocommit", None) is True:
            raise ConfigurationError(
                "the driver's connections have autocommit=True, so that nothing they write can be undone "
                "together; give Workmesh an engine without it"
            )


def _is_async(given: object) -> bool:
    return type(given).__module__.startswith("sqlalchemy.ext.asyncio") or inspect.iscoroutine(given)
