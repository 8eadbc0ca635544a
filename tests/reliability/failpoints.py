"""Failpoints: named places around each durable write and each request, put around the product from outside.

A name is ``<step>: <what>, <moment>``. A statement that writes has the moments *before* and *done* (not committed,
unless it commits by itself); a commit, which is named by what was written in it, too. Where a statement is alone in its
transaction, *done* is left out: the next moment is the one *before* its commit. A request has: *not sent*, *half sent*
(its head without its body: the node takes nothing), *sent*, *answered* (the node did its work) and *read*; one that only
asks something, which changes nothing, has the first and the fourth of them.
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
    "advance the lane": r"UPDATE workmesh_lanes SET .*done=\(+workmesh_lanes\.done \+",
    "flag in one statement": r"WITH workmesh_mine AS",
    "flag as pushed or refused": r"UPDATE (deliveries|opens) SET push_time=",
    "write results": r"UPDATE deliveries SET pull_time=",
    "delete refusals": r"DELETE FROM workmesh_parked",
    "save refusals": r"INSERT INTO workmesh_parked",
    "delete former pushes": r"DELETE FROM workmesh_former_pushes",
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
    "delete former pushes",
}
QUESTIONS = {"ping", "status"}
ANY_TIME = "renew the lease"
"""What comes by a clock, in whatever step."""

MOMENTS = {
    "send_request_headers.started": "not sent",
    "send_request_headers.complete": "half sent",
    "send_request_body.complete": "sent",
    "receive_response_headers.complete": "answered",
    "receive_response_body.complete": "read",
}


class Failpoints:
    """Counts what is come by, and kills this process, as ``kill -9`` would, at the n-th passing of one of them.

    ``renewed`` is set when a lease was renewed.
    """

    def __init__(self, die_at: tuple[str, int] | None) -> None:
        self._die_at = die_at
        self._lock = Lock()
        self.step = ""
        self.passed = Counter[str]()
        self.renewed = Event()

    def come_by(self, what: str, moment: str) -> None:
        step = "at any time" if ANY_TIME in what else self.step
        name = f"{step}: {what}, {moment}"
        with self._lock:
            self.passed[name] += 1
            if (name, self.passed[name]) == self._die_at:
                os.kill(os.getpid(), signal.SIGKILL)
        if what == f"commit ({ANY_TIME})" and moment == "done":
            self.renewed.set()


class _Statements:
    """What one engine does, as it passes failpoints; and what each of its connections wrote since its last commit."""

    def __init__(self, points: Failpoints) -> None:
        self._points = points
        self._written = defaultdict[int, list[str]](list)

    def before(self, connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if what := _write(statement):
            self._points.come_by(what, "before")

    def after(self, connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        what = _write(statement)
        if what is not None and what != COMMITS_ITSELF:
            self._written[id(connection.connection.dbapi_connection)].append(what)
        what = what or _named(READS, statement)
        if what is not None and what not in ALONE:
            self._points.come_by(what, "done")

    def committing(self, commit: Callable[[Any], None]) -> Callable[[Any], None]:
        def committed(connection: Any) -> None:
            if whats := self._end(connection):
                what = f"commit ({' + '.join(dict.fromkeys(whats))})"
                self._points.come_by(what, "before")
                commit(connection)
                self._points.come_by(what, "done")
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
    """Put failpoints around what an engine writes, around its commits, and behind what a lane's run reads of records."""
    seen, dialect = _Statements(points), cast("Any", engine.dialect)
    event.listen(engine, "before_cursor_execute", seen.before)
    event.listen(engine, "after_cursor_execute", seen.after)
    dialect.do_commit = seen.committing(dialect.do_commit)
    dialect.do_rollback = seen.rolling_back(dialect.do_rollback)


def watch_requests(points: Failpoints) -> None:
    """Put failpoints around every request of this process."""
    handle = httpx.HTTPTransport.handle_request

    def handled(self: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        what = request.url.path.rpartition("/")[2].removesuffix(".json")
        moments = {"not sent", "answered"} if what in QUESTIONS else set(MOMENTS.values())

        def told(name: str, info: object) -> None:
            moment = MOMENTS.get(name.partition(".")[2])
            if moment in moments:
                points.come_by(f"{what} request", str(moment))

        request.extensions["trace"] = told
        return handle(self, request)

    httpx.HTTPTransport.handle_request = handled  # type: ignore[method-assign]


def _write(statement: str) -> str | None:
    """What a statement writes, None for a read; one that nobody has named is named by itself."""
    if what := _named(WRITES, statement):
        return what
    return statement[:200] if re.match(r"\s*(INSERT|UPDATE|DELETE|WITH|MERGE)", statement) else None


def _named(names: dict[str, str], statement: str) -> str | None:
    return next((what for what, pattern in names.items() if re.match(pattern, statement, re.DOTALL)), None)
