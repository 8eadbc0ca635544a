"""What an application gives as its database: an engine is used, anything else is refused in one sentence."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import sessionmaker

from tests.operations.delivery.lane_runs import push
from tests.support.scripted_node import scripted_node
from tests.support.shop import shop_mesh, shop_service, write_orders, write_shops
from workmesh_flows.adapters.store.engine import make_engine, open_engine
from workmesh_flows.domain.node import Inventory
from workmesh_flows.errors import ConfigurationError, StoreError
from workmesh_flows.operations.assignment.assign import assign_all


def refusal(function: Callable[[], Any]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        open_engine(function)
    assert "\n" not in str(caught.value)
    return str(caught.value)


async def engine_later() -> Engine:
    return create_engine("sqlite://")


@pytest.mark.parametrize(
    ("function", "returned"),
    [
        pytest.param(lambda: None, "None", id="nothing"),
        pytest.param(lambda: create_async_engine("sqlite+aiosqlite://"), "AsyncEngine", id="an async engine"),
        pytest.param(sessionmaker(create_engine("sqlite://")), "Session", id="a sessionmaker"),
        pytest.param(lambda: "sqlite://", "str", id="an address"),
        pytest.param(engine_later, "coroutine", id="a coroutine"),
        pytest.param(lambda: create_engine, "function", id="a function"),
    ],
)
def test_a_function_that_returns_no_engine_is_refused(function: Callable[[], Any], returned: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        said = refusal(function)
    assert "must return an Engine of sqlalchemy.create_engine()" in said
    assert returned in said


def test_a_connection_is_refused() -> None:
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        assert "an object of the class Connection" in refusal(lambda: connection)


def test_a_synchronous_engine_of_an_asynchronous_driver_is_refused() -> None:
    engine = create_async_engine("sqlite+aiosqlite://")
    assert "asynchronous" in refusal(lambda: engine.sync_engine)


def test_an_engine_that_commits_each_statement_is_refused(database_url: str) -> None:
    engine = create_engine(database_url, isolation_level="AUTOCOMMIT")
    assert "AUTOCOMMIT" in refusal(lambda: engine)
    derived = create_engine(database_url).execution_options(isolation_level="AUTOCOMMIT")
    assert "AUTOCOMMIT" in refusal(lambda: derived)
    with pytest.raises(ConfigurationError, match="AUTOCOMMIT"):
        make_engine(lambda: engine)


def test_an_engine_whose_transactions_were_restored_is_used(postgresql: Engine) -> None:
    engine = create_engine(postgresql.url, isolation_level="AUTOCOMMIT")
    restored = engine.execution_options(isolation_level="READ COMMITTED")
    assert open_engine(lambda: restored) is restored
    engine.dispose()


def test_a_driver_that_commits_each_statement_is_refused(postgresql: Engine) -> None:
    engine = create_engine(postgresql.url, connect_args={"autocommit": True})
    assert "autocommit=True" in refusal(lambda: engine)
    engine.dispose()


def test_no_lane_and_no_assignment_run_starts_on_such_an_engine(database_url: str) -> None:
    """Also where the engine was not opened by Workmesh."""
    plain = open_engine(database_url)
    write_shops(plain, ["n1", None])
    write_orders(plain, [1])
    engine = create_engine(database_url, isolation_level="AUTOCOMMIT")
    with scripted_node() as node:
        with pytest.raises(ConfigurationError, match="AUTOCOMMIT"):
            push(engine, shop_service(), node.node())
        with pytest.raises(ConfigurationError, match="AUTOCOMMIT"):
            assign_all(engine, shop_mesh(), Inventory({"n1": node.node("shop.orders")}))
        assert node.asked == []
    engine.dispose()
    plain.dispose()


def test_an_engine_that_begins_its_transactions_by_events_is_used(tmp_path: Any) -> None:
    """The way to use savepoints that SQLAlchemy documents for SQLite."""
    engine = create_engine(f"sqlite:///{tmp_path / 'x.db'}")
    event.listen(engine, "connect", lambda connection, _: setattr(connection, "isolation_level", None))
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    assert open_engine(lambda: engine) is engine
    engine.dispose()


def test_an_error_names_the_database_without_its_user_and_password() -> None:
    with pytest.raises(StoreError) as caught:
        open_engine("postgresql+psycopg://somebody:pa55@127.0.0.1:1/saas?connect_timeout=2")
    said = str(caught.value)
    assert said.startswith("database 127.0.0.1:1/saas: ")
    assert said.endswith("workmesh check tries it")
    assert "somebody" not in said
    assert "pa55" not in said


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Any) -> None:
    path = tmp_path / "no folder" / "saas.db"
    with pytest.raises(StoreError) as caught:
        open_engine(f"sqlite:///{path}")
    assert str(caught.value).startswith(f"database {path}: unable to open database file; ")
