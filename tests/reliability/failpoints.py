"""Failpoints: named points at each durable write and each request, added to the product from outside.

A name is ``<step>: <action>, <moment>``. A statement that writes has the moments *before* and *done* (not committed,
unless it commits by itself). So has a commit, which is named by the writes in it. A statement that is alone in its
transaction has no *done*: the next moment is *before* its commit. A request has the moments *not sent*, *half sent*
(the head without the body, so that the node handles nothing), *sent*, *answered* (the node has handled it) and *read*;
a request that changes nothing has only *not sent* and *answered*.
"""

from __future__ import annotations

import os
import re
import signal
from collections import Counter, defaultdict
from collections.abc import Callable
from threading import Event, Lock
from typing import Any, cast

import httpx
from sqlalchemy import Engine, event

WRITES = {
    "create the lane's row": r"INSERT INTO workmesh_lanes",
    "acquire the lane": r"UPDATE workmesh_lanes SET epoch=\(workmesh_lanes\.epoch \+",
    "release the lane": r"UPDATE workmesh_lanes SET holder=",
    "renew the lease": r"UPDATE workmesh_lanes SET lease_until=",
    "save the batch limit": r"UPDATE workmesh_lanes SET batch_limit=",
    "save a failure": r"UPDATE workmesh_lanes SET breaker=\S+ failures=\S+ retry_at=",
    "save the recovery": r"UPDATE workmesh_lanes SET breaker=\S+ failures=\S+ WHERE",
    "raise the epoch": r"UPDATE workmesh_lanes SET epoch=[^(]",
    "save the latest": r"UPDATE workmesh_lanes SET latest_id=",
    "settle the failures": r"UPDATE workmesh_lanes SET settled_at=",
    "advance the lane": r"UPDATE workmesh_lanes SET .*done=\(+workmesh_lanes\.done \+",
    "flag in one statement": r"WITH workmesh_mine AS",
    "make pending again": r"UPDATE (deliveries|opens)( AS workmesh_written)? SET pu(sh|ll)_time=.* IN \(",
    "correct the sum": r"INSERT INTO workmesh_counts \(service, protocol, direction, correction\)",
    "save the exact count": r"INSERT INTO workmesh_counts \(service, protocol, direction, correction, since",
    "save the open records": r"INSERT INTO workmesh_open",
    "raise the revision": r"UPDATE workmesh_services SET revision=",
    "flag as pushed or refused": r"UPDATE (deliveries|opens)( AS workmesh_written)? SET push_time=",
    "write results": r"UPDATE deliveries( AS workmesh_written)? SET pull_time=",
    "delete refusals": r"DELETE FROM workmesh_parked",
    "save refusals": r"INSERT INTO workmesh_parked",
    "update refusals": r"UPDATE workmesh_parked",
    "delete former pushes": r"DELETE FROM workmesh_former_pushes",
    "delete the failure mark": r"DELETE FROM workmesh_failure_marks",
    "save the failure mark": r"INSERT INTO workmesh_failure_marks",
    "delete replays": r"DELETE FROM workmesh_replays",
    "save replays": r"INSERT INTO workmesh_replays",
    "save missing records": r"INSERT INTO workmesh_missing",
    "update missing records": r"UPDATE workmesh_missing",
    "delete missing records": r"DELETE FROM workmesh_missing",
    "prune moves": r"DELETE FROM workmesh_moves",
    "prune plans": r"DELETE FROM workmesh_plans WHERE .* IN \(",
    "prune lanes": r"DELETE FROM workmesh_lanes",
}
READS = {
    "count pending records": r"SELECT count\(\*\)",
    "read a page": r"SELECT .* AS workmesh_order",
}
COMMITS_ITSELF = "flag in one statement"
ALONE = {
    "create the lane's row",
    "acquire the lane",
    "release the lane",
    "renew the lease",
    "save the batch limit",
    "save a failure",
    "save the recovery",
    "raise the epoch",
    "save the latest",
    "settle the failures",
    "delete former pushes",
    "save the exact count",
    "save the open records",
}
READ_ONLY_REQUESTS = {"ping", "status"}
ANY_TIME = "renew the lease"
"""The action that a clock triggers, in any step."""

MOMENTS = {
    "send_request_headers.started": "not sent",
    "send_request_headers.complete": "half sent",
    "send_request_body.complete": "sent",
    "receive_response_headers.complete": "answered",
    "receive_response_body.complete": "read",
}


class Failpoints:
    """Counts how often each failpoint is passed, and kills this process with SIGKILL at the n-th pass of one of them.

    ``renewed`` is set once a lease is renewed.
    """

    def __init__(self, die_at: tuple[str, int] | None) -> None:
        self._die_at = die_at
        self._lock = Lock()
        self.step = ""
        self.passed = Counter[str]()
        self.renewed = Event()

    def record_pass(self, what: str, moment: str) -> None:
        step = "at any time" if ANY_TIME in what else self.step
        name = f"{step}: {what}, {moment}"
        with self._lock:
            self.passed[name] += 1
            if (name, self.passed[name]) == self._die_at:
                os.kill(os.getpid(), signal.SIGKILL)
        if what == f"commit ({ANY_TIME})" and moment == "done":
            self.renewed.set()


class _Statements:
    """Passes failpoints at the statements of one engine; keeps the writes of each connection since its last commit."""

    def __init__(self, points: Failpoints) -> None:
        self._points = points
        self._written = defaultdict[int, list[str]](list)

    def before(self, connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if what := _write(statement):
            self._points.record_pass(what, "before")

    def after(self, connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        what = _write(statement)
        if what is not None and what != COMMITS_ITSELF:
            self._written[id(connection.connection.dbapi_connection)].append(what)
        what = what or _named(READS, statement)
        if what is not None and what not in ALONE:
            self._points.record_pass(what, "done")

    def committing(self, commit: Callable[[Any], None]) -> Callable[[Any], None]:
        def committed(connection: Any) -> None:
            if writes := self._end(connection):
                what = f"commit ({' + '.join(dict.fromkeys(writes))})"
                self._points.record_pass(what, "before")
                commit(connection)
                self._points.record_pass(what, "done")
            else:
                commit(connection)

        return committed

    def rolling_back(self, roll_back: Callable[[Any], None]) -> Callable[[Any], None]:
        def rolled_back(connection: Any) -> None:
            self._end(connection)
            roll_back(connection)

        return rolled_back

    def _end(self, connection: Any) -> list[str]:
        return self._written.pop(id(getattr(connection, "dbapi_connection", connection)), [])


def watch_statements(engine: Engine, points: Failpoints) -> None:
    """Add failpoints to the writes and commits of an engine, and after a lane run's reads of records."""
    statements, dialect = _Statements(points), cast("Any", engine.dialect)
    event.listen(engine, "before_cursor_execute", statements.before)
    event.listen(engine, "after_cursor_execute", statements.after)
    dialect.do_commit = statements.committing(dialect.do_commit)
    dialect.do_rollback = statements.rolling_back(dialect.do_rollback)


def watch_requests(points: Failpoints) -> None:
    """Add failpoints to every request of this process."""
    handle = httpx.HTTPTransport.handle_request

    def handled(self: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        what = request.url.path.rpartition("/")[2].removesuffix(".json")
        moments = {"not sent", "answered"} if what in READ_ONLY_REQUESTS else set(MOMENTS.values())

        def trace(name: str, info: object) -> None:
            moment = MOMENTS.get(name.partition(".")[2])
            if moment in moments:
                points.record_pass(f"{what} request", str(moment))

        request.extensions["trace"] = trace
        return handle(self, request)

    httpx.HTTPTransport.handle_request = handled  # type: ignore[method-assign]


def _write(statement: str) -> str | None:
    """The name of a write, None for a read; an unknown write is named by its own text."""
    if what := _named(WRITES, statement):
        return what
    return statement[:200] if re.match(r"\s*(INSERT|UPDATE|DELETE|WITH|MERGE)", statement) else None


def _named(names: dict[str, str], statement: str) -> str | None:
    return next((what for what, pattern in names.items() if re.match(pattern, statement, re.DOTALL)), None)
