"""Engines of an application, on whichever driver of PostgreSQL: errors are classified alike, and lanes run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

from tests.adapters.store.paging import ids, pages
from tests.adapters.store.test_unreadable_rows import Fussy, bad, blog, write
from tests.operations.delivery.lane_runs import PULL, PUSH, STATUS, pull, push, push_stops
from tests.support.databases import PREPARED, empty_postgresql
from tests.support.schema_findings import run
from tests.support.scripted_node import Answer, Asked, scripted_node, success
from tests.support.shop import orders, shop_mesh, shop_service, write_orders, write_shops
from workmesh_flows.adapters.store.engine import make_engine, refuses_value, translated_errors
from workmesh_flows.domain.columns import first_line
from workmesh_flows.domain.node import Inventory
from workmesh_flows.errors import ConfigurationError, StoreError, StoreUnavailable
from workmesh_flows.operations.assignment.assign import assign_all

SECRET = "a-secret-value"


@pytest.fixture(params=["psycopg", "psycopg2", "pg8000"])
def database(request: pytest.FixtureRequest, postgresql_server: str) -> Iterator[Engine]:
    """A database with the Workmesh tables, opened as an application opens it."""
    driver = request.param
    try:
        import_module(driver)
    except ImportError:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"{driver} is not installed")
    with empty_postgresql(postgresql_server, PREPARED) as address:
        url = make_url(address).set(drivername=f"postgresql+{driver}")
        arguments: dict[str, Any] = {}
        if driver == "pg8000" and "host" in url.query:
            arguments = {"unix_sock": f"{url.query['host']}/.s.PGSQL.5432"}
            url = url.set(host=None, query={})
        engine = create_engine(url, connect_args=arguments)
        yield engine
        engine.dispose()


def error_of(engine: Engine, *sql: str) -> DBAPIError:
    with engine.connect() as connection:
        for statement in sql[:-1]:
            connection.execute(text(statement))
        with pytest.raises(DBAPIError) as caught:
            connection.execute(text(sql[-1]))
        connection.rollback()
    return caught.value


def translated(error: DBAPIError) -> StoreError:
    with pytest.raises(StoreError) as caught, translated_errors():
        raise error
    return caught.value


@pytest.mark.parametrize(
    ("sql", "kind", "refuses", "words"),
    [
        pytest.param("SELECT 1/0", StoreError, True, "division by zero", id="a value cannot be computed"),
        pytest.param(
            "SELECT CAST('x' AS integer)", StoreError, True, "invalid input", id="a value is no number"
        ),
        pytest.param("SELECT * FROM missing", StoreError, False, "missing", id="a table is missing"),
        pytest.param("SELECT missing", StoreError, False, "missing", id="a column is missing"),
        pytest.param(
            "SET LOCAL statement_timeout = 20; SELECT pg_sleep(5)",
            StoreUnavailable,
            False,
            "timeout",
            id="a statement takes too long",
        ),
        pytest.param(
            "SELECT pg_terminate_backend(pg_backend_pid())",
            StoreUnavailable,
            False,
            "",
            id="the connection ends",
        ),
        pytest.param(
            "EXECUTE missing", StoreUnavailable, False, "prepare_threshold=None", id="behind a pooler"
        ),
    ],
)
def test_errors_are_classified(database: Engine, sql: str, kind: type, refuses: bool, words: str) -> None:
    error = error_of(database, *sql.split("; "))
    found = translated(error)
    assert type(found) is kind
    assert words in str(found)
    assert "\n" not in str(found)
    assert "{" not in str(found)
    assert refuses_value(error) is refuses


def test_the_values_of_a_row_are_in_no_error(database: Engine) -> None:
    insert = f"INSERT INTO pair VALUES ('{SECRET}')"  # noqa: S608 - a constant
    run(database, "CREATE TABLE pair (name text UNIQUE)", insert)
    error = error_of(database, insert)
    assert error.orig is not None
    for words in (str(translated(error)), first_line(error.orig)):
        assert words.startswith("duplicate key value")
        assert SECRET not in words


def test_a_lane_runs_with_a_deleted_record_and_a_result_that_does_not_fit(database: Engine) -> None:
    write_shops(database, [None, None])
    write_orders(database, [1, 2] * 4)
    run(database, 'ALTER TABLE "select" ALTER COLUMN score TYPE smallint')

    def script(asked: Asked) -> Answer:
        if asked.path == PUSH and not deleted:
            deleted.append(7)
            run(database, 'DELETE FROM "select" WHERE id = 7')
        if asked.path == PULL:
            return success({str(i): {"score": 99_999 if i == 3 else i} for i in asked.body["ids"]})
        return success(8 if asked.path == STATUS else "")

    deleted: list[int] = []
    with scripted_node(script) as node:
        found = assign_all(database, shop_mesh(), Inventory({"n1": node.node("shop.orders")}))
        assert found["shop.orders"].total == 2
        assert "1 of 8 records were not found again" in str(push_stops(database, shop_service(), node.node()))
        assert push(database, shop_service(), node.node()).pushed == 7
        report = pull(database, shop_service(), node.node())
    assert (report.pulled, report.failed) == (6, 1)
    assert "out of range" in str(orders(database)[3].pull_error)


def test_a_row_that_cannot_be_read_is_found(database: Engine) -> None:
    service, author, post = blog(Fussy())
    write(database, author, post)
    run(database, "UPDATE post SET odd = '' WHERE id = 3", "UPDATE post SET at = 'infinity' WHERE id = 5")
    read = pages(database, service, 2)
    assert sorted(ids(read)) == list(range(1, 10))
    assert 3 in bad(read)


@pytest.mark.parametrize("given", ["None", "none", "0", "7"])
def test_the_address_may_name_the_prepare_threshold(postgresql_server: str, given: str) -> None:
    url = make_url(postgresql_server).update_query_dict({"prepare_threshold": given})
    engine = make_engine(url)
    with engine.connect() as connection:
        raw: Any = connection.connection.dbapi_connection
        assert raw.prepare_threshold == (None if given.lower() == "none" else int(given))
    engine.dispose()


def test_a_prepare_threshold_that_is_no_number_is_refused(postgresql_server: str) -> None:
    with pytest.raises(ConfigurationError, match="prepare_threshold"):
        make_engine(make_url(postgresql_server).update_query_dict({"prepare_threshold": "soon"}))
