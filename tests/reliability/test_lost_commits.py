"""The database commits, but its answer is lost: the flags are kept, and no record is sent twice."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.exc import SQLAlchemyError

from tests.operations.delivery.lane_runs import push, push_stops, sent_ids
from tests.support.scripted_node import Answer, Asked, failure, scripted_node, success
from tests.support.shop import orders, shop_service, with_push_success, write_orders, write_shops


class LostCommit:
    """Loses the answer to the first commit that flags records: that of a single statement or of a transaction."""

    def __init__(self, engine: Engine) -> None:
        self.lost = 0
        self._flags = False
        self._error = engine.dialect.loaded_dbapi.OperationalError
        self._commit = engine.dialect.do_commit
        event.listen(engine, "after_cursor_execute", self._executed)
        engine.dialect.do_commit = self._committed  # type: ignore[assignment, method-assign]

    def _lose(self) -> None:
        self.lost += 1
        error = self._error("the connection was lost")
        if isinstance(error, sqlite3.Error):
            error.sqlite_errorname = "SQLITE_IOERR"
        raise error

    def _executed(self, connection: Any, cursor: Any, statement: str, *more: Any) -> None:
        if "workmesh_flagged" in statement and not self.lost:
            self._lose()
        self._flags = self._flags or statement.lstrip().startswith('UPDATE "select"')

    def _committed(self, connection: Any) -> None:
        self._commit(connection)
        if self._flags and not self.lost:
            self._lose()


@pytest.fixture
def lost_commit(engine: Engine) -> Iterator[LostCommit]:
    original = engine.dialect.do_commit
    yield LostCommit(engine)
    engine.dialect.do_commit = original  # type: ignore[method-assign]


def refusing(number: int) -> Any:
    def script(asked: Asked) -> Answer:
        return (
            failure("no") if number in [order["id"] for order in asked.body.get("orders", [])] else success()
        )

    return script


def test_a_batch_with_committed_flags_is_not_sent_again(engine: Engine, lost_commit: LostCommit) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 25)
    with scripted_node() as node:
        stopped = push_stops(engine, shop_service(), node.node())
        assert lost_commit.lost == 1
        assert stopped.transient
        assert not isinstance(stopped, SQLAlchemyError)
        assert with_push_success(engine, True) == list(range(1, 11))
        assert push(engine, shop_service(), node.node()).pushed == 15
    assert sent_ids(node.asked) == list(range(1, 26))
    pushed = orders(engine)
    assert all(str(pushed[a].push_time) < str(pushed[b].push_time) for a, b in pairwise(range(1, 26)))


def test_a_committed_refusal_counts_once(engine: Engine, lost_commit: LostCommit) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1])
    with scripted_node(refusing(1)) as node:
        push_stops(engine, shop_service(), node.node())
        assert lost_commit.lost == 1
        report = push(engine, shop_service(), node.node())
    assert (report.refused, report.pushed) == (1, 0)
    with engine.connect() as connection:
        attempts = connection.exec_driver_sql("SELECT attempts FROM workmesh_parked").scalars().all()
    assert attempts == [2], "one for each refusal of the node"
