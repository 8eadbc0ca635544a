"""Opening the database, the translation of its errors, and its clock."""

from __future__ import annotations

import multiprocessing
import socket
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import Engine, MetaData, Table, create_engine, inspect, make_url, text
from sqlalchemy.pool import QueuePool

from tests.support.concurrent_processes import open_concurrently
from tests.support.secrecy import assert_secret, texts_of
from workmesh_flows.adapters.store.engine import database_clock, open_engine, translated_errors
from workmesh_flows.adapters.store.schema import own
from workmesh_flows.domain.service import Database
from workmesh_flows.errors import ConfigurationError, StoreError, StoreUnavailable, WorkmeshError

PASSWORD = "pa55-w0rd"

OWN = {
    "workmesh_conditions",
    "workmesh_counts",
    "workmesh_failure_marks",
    "workmesh_former_pushes",
    "workmesh_lanes",
    "workmesh_missing",
    "workmesh_moves",
    "workmesh_open",
    "workmesh_parked",
    "workmesh_plans",
    "workmesh_probes",
    "workmesh_published",
    "workmesh_replays",
    "workmesh_schema",
    "workmesh_services",
}


def refusal(database: Database, secret: str = PASSWORD) -> WorkmeshError:
    with pytest.raises(WorkmeshError) as raised:
        open_engine(database)
    assert_secret(secret, *texts_of(raised.value))
    return raised.value


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("", id="empty"),
        pytest.param(f"{PASSWORD} of mine", id="no address"),
        pytest.param(f"postgresql+psycopg//me:{PASSWORD}@host/name", id="a colon is missing"),
        pytest.param(f"postgresql+psycopg://me:x@{PASSWORD}@host/name", id="an @ in the password"),
        pytest.param(f"postgresql+psycopg://me:x@y/{PASSWORD}@host/name", id="an @ and a / in it"),
        pytest.param(f"postgresql+psycopg://me:x@y:{PASSWORD}@host/name", id="an @ and a : in it"),
        pytest.param(f"postgresql+psycopg://me:{PASSWORD}@host:port/name", id="a port that is no number"),
        pytest.param("sqlite:///x.db?timeout=long", id="an option that is no number"),
    ],
)
def test_an_unreadable_database_address_is_a_configuration_error(address: str) -> None:
    error = refusal(address)
    assert type(error) is ConfigurationError
    assert "postgresql+psycopg://user:password@host/name" in str(error)


@pytest.mark.parametrize(
    ("scheme", "named"),
    [
        ("postgres", "postgres"),
        ("postgresql+psycopg2cffi", "psycopg2cffi"),
        ("mysql", "MySQLdb"),
        ("nonsense", "nonsense"),
    ],
)
def test_a_missing_driver_is_named(scheme: str, named: str) -> None:
    error = refusal(f"{scheme}://me:{PASSWORD}@host/name")
    assert type(error) is ConfigurationError
    assert "no driver" in str(error)
    assert named in str(error)
    assert "postgresql+psycopg://" in str(error)


@pytest.mark.parametrize("scheme", ["sqlite+aiosqlite", "postgresql+asyncpg"])
def test_an_asynchronous_driver_is_a_configuration_error(scheme: str) -> None:
    error = refusal(f"{scheme}://me:{PASSWORD}@host/name" if "postgres" in scheme else f"{scheme}:///x.db")
    assert type(error) is ConfigurationError
    assert scheme in str(error)
    assert "asynchronous" in str(error)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@pytest.mark.parametrize(
    "address",
    [
        pytest.param(lambda: f"postgresql+psycopg://me:{PASSWORD}@127.0.0.1:{free_port()}/x", id="refused"),
        pytest.param(lambda: f"postgresql+psycopg://me:{PASSWORD}@no-such-host.invalid/x", id="no such host"),
        pytest.param(
            lambda: make_url(f"postgresql+psycopg:///x?host=/no/such/folder&password={PASSWORD}"),
            id="no socket",
        ),
        pytest.param(lambda: "sqlite:////no/such/folder/x.db", id="no such folder"),
    ],
)
def test_an_unreachable_database_is_a_transient_error(address: Callable[[], str]) -> None:
    assert type(refusal(address())) is StoreUnavailable


def test_a_missing_database_is_an_error(postgresql_server: str) -> None:
    url = make_url(postgresql_server).set(database="no such database", password=PASSWORD)
    assert "no such database" in str(refusal(url))


def test_an_unknown_option_is_an_error(postgresql_server: str) -> None:
    error = refusal(make_url(postgresql_server).set(password=PASSWORD).update_query_dict({"colour": "red"}))
    assert type(error) is StoreError
    assert "colour" in str(error)


def test_a_file_that_is_no_database_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("no database, but longer than the header of one. " * 100)
    error = refusal(f"sqlite:///{tmp_path / 'x.db'}")
    assert type(error) is StoreError
    assert "not a database" in str(error)


def test_a_read_only_database_is_no_transient_error(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "x.db").close()
    error = refusal(f"sqlite:///file:{tmp_path / 'x.db'}?mode=ro&uri=true")
    assert type(error) is StoreError
    assert "readonly" in str(error)


def test_opening_creates_the_workmesh_tables_and_no_others(database_url: str) -> None:
    before = create_engine(database_url)
    with before.begin() as connection:
        connection.execute(text("CREATE TABLE mine (id integer)"))
    before.dispose()
    engine = open_engine(database_url)
    assert set(inspect(engine).get_table_names()) == {*OWN, "mine"}
    engine.dispose()
    again = open_engine(make_url(database_url))
    assert set(inspect(again).get_table_names()) == {*OWN, "mine"}
    again.dispose()


def test_threads_may_create_the_tables_concurrently(database_url: str) -> None:
    for _ in range(5):
        before = create_engine(database_url)
        own.drop_all(before)
        before.dispose()
        barrier = Barrier(8)

        def opened(barrier: Barrier = barrier) -> set[str]:
            barrier.wait()
            engine = open_engine(database_url)
            names = set(inspect(engine).get_table_names())
            engine.dispose()
            return names

        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _, opened=opened: opened(), range(8)))
        assert found == [OWN] * 8


def test_processes_may_create_the_tables_concurrently(database_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, outcomes = context.Barrier(3), context.Queue()
    workers = [
        context.Process(target=open_concurrently, args=(database_url, barrier, outcomes), daemon=True)
        for _ in range(3)
    ]
    for worker in workers:
        worker.start()
    assert [outcomes.get(timeout=60) for _ in workers] == [sorted(OWN)] * 3
    for worker in workers:
        worker.join(10)


@pytest.fixture
def table(engine: Engine) -> Table:
    """A table as the master's code declares it, with one column more than the database has."""
    with engine.begin() as connection:
        connection.execute(
            text("CREATE TABLE things (id integer PRIMARY KEY, name varchar(5) CHECK (name <> 'bad'))")
        )
        connection.execute(text("INSERT INTO things VALUES (1, 'one')"))
    return Table("things", MetaData(), autoload_with=engine)


def failing(engine: Engine, statement: str, **values: Any) -> StoreError:
    with pytest.raises(StoreError) as raised, translated_errors(), engine.begin() as connection:
        connection.execute(text(statement), values)
    return raised.value


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(
    ("statement", "named"),
    [
        pytest.param("SELECT nothing FROM things", "nothing", id="a missing column"),
        pytest.param("SELECT * FROM nowhere", "nowhere", id="a missing table"),
        pytest.param("INSERT INTO things VALUES (1, 'x')", "", id="a key twice"),
        pytest.param("UPDATE things SET name = 'bad'", "", id="a check"),
        pytest.param("SELEKT", "", id="no SQL"),
    ],
)
def test_an_error_of_the_database_is_one_line(engine: Engine, statement: str, named: str) -> None:
    error = failing(engine, statement)
    assert type(error) is StoreError
    assert named in str(error)
    assert "\n" not in str(error)
    assert "SQL" not in str(error).replace("SELEKT", "")
    assert error.__cause__ is not None


def test_errors_hold_no_values_of_records(database_url: str) -> None:
    engine = open_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE things (id integer PRIMARY KEY, name varchar(50))"))
    error = failing(engine, "INSERT INTO things (id, nam) VALUES (1, :name)", name="a customer's name")
    engine.dispose()
    for message in texts_of(error):
        assert "a customer's name" not in message


def test_a_locked_sqlite_database_is_a_transient_error(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    engine = open_engine(lambda: create_engine(url, connect_args={"timeout": 0.05}))
    with sqlite3.connect(tmp_path / "x.db", isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        error = failing(engine, "DELETE FROM workmesh_lanes")
        other.execute("ROLLBACK")
    other.close()
    engine.dispose()
    assert type(error) is StoreUnavailable
    assert "locked" in str(error)


def test_a_locked_row_of_postgresql_is_a_transient_error(postgresql: Engine) -> None:
    with postgresql.begin() as connection:
        connection.execute(text("CREATE TABLE things (id integer); INSERT INTO things VALUES (1)"))
    with postgresql.begin() as connection:
        connection.execute(text("UPDATE things SET id = 2"))
        error = failing(postgresql, "SET lock_timeout = '50ms'; UPDATE things SET id = 3")
    assert type(error) is StoreUnavailable


def test_a_connection_that_postgresql_ends_is_a_transient_error(postgresql: Engine) -> None:
    error = failing(postgresql, "SELECT pg_terminate_backend(pg_backend_pid())")
    assert type(error) is StoreUnavailable


def test_a_pool_without_a_free_connection_is_a_transient_error(database_url: str) -> None:
    engine = create_engine(database_url, poolclass=QueuePool, pool_size=1, max_overflow=0, pool_timeout=0.05)
    with engine.connect():
        error = failing(engine, "SELECT 1")
    engine.dispose()
    assert type(error) is StoreUnavailable


def test_other_errors_pass_unchanged() -> None:
    with pytest.raises(KeyError), translated_errors():
        raise KeyError


def test_the_clock_shows_the_databases_time_and_advances(engine: Engine) -> None:
    clock = database_clock(engine)
    first, second = clock(), clock()
    assert first.tzinfo is UTC
    assert first <= second
    assert abs(first - datetime.now(UTC)) < timedelta(seconds=5)


def test_the_clock_follows_a_server_with_a_different_time(postgresql: Engine) -> None:
    """A function of the same name, earlier in the search path, is the server whose clock is an hour ahead."""
    with postgresql.begin() as connection:
        connection.execute(
            text(
                "CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql"
                " AS $$ SELECT pg_catalog.clock_timestamp() + interval '1 hour' $$"
            )
        )
        name = connection.scalar(text("SELECT current_database()"))
        connection.execute(text(f"ALTER DATABASE {name} SET search_path = public, pg_catalog"))
        connection.execute(text(f"ALTER DATABASE {name} SET TimeZone = 'Asia/Kolkata'"))
    postgresql.dispose()  # new connections alone see it
    ahead = database_clock(postgresql)() - datetime.now(UTC)
    assert timedelta(minutes=59) < ahead < timedelta(minutes=61)


def test_the_clock_of_an_unreachable_database_raises() -> None:
    engine = create_engine(f"postgresql+psycopg://me:{PASSWORD}@127.0.0.1:{free_port()}/x")
    with pytest.raises(StoreUnavailable):
        database_clock(engine)
