"""The SaaS of the soak: it writes letters and answers while masters push, some with past times, some committed late."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

from sqlalchemy import Connection, Engine, insert

from tests.reliability.soak.mail_mesh import SERVICE, Answer, Letter, count
from tests.reliability.soak.mail_service import REFUSE
from tests.reliability.soak.settings import Settings
from workmesh_flows.testing import History, RecordExists
from workmesh_flows.testing.history.snapshot import as_sort

INTERVAL = 0.25
"""Seconds between two transactions."""
ANSWERS, PAST, LATE, TIED, REFUSED = 0.3, 0.1, 0.15, 0.2, 0.003
"""Shares: answers among records, past times, transactions that commit late, times in whole seconds, refused letters."""
BACKLOG_SECONDS = 20
"""Largest backlog of the masters, in seconds of writing; beyond it the writer waits."""
ANSWERABLE = 500


@dataclass(slots=True)
class OpenTransaction:
    """An open transaction, and the time at which it commits."""

    connection: Connection
    rows: list[RecordExists]
    letters: list[tuple[int, int]]
    due: float


@dataclass(slots=True)
class Writer:
    engine: Engine
    history: History
    settings: Settings
    written: int = 0
    _late: list[OpenTransaction] = field(default_factory=list)
    _letters: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=ANSWERABLE))
    """Id and account of letters that may get an answer."""
    _ids: dict[str, int] = field(default_factory=lambda: {"letter": 0, "answer": 0})

    def write_until(self, stop: Event) -> None:
        chance = self.settings.chance("writer")
        each = max(1, round(self.settings.records_per_second * INTERVAL))
        try:
            while not stop.is_set():
                if count(self.engine, "pending") < BACKLOG_SECONDS * self.settings.records_per_second:
                    self._write(chance, each)
                stop.wait(INTERVAL)
                self._commit(due=time.monotonic())
        finally:
            self._commit(due=float("inf"))

    def _write(self, chance: Any, records: int) -> None:
        late = chance.random() < LATE
        rows, letters, values = self._new_records(chance, records)
        connection = self.engine.connect()
        for kind in (Letter, Answer):
            if values[kind]:
                connection.execute(insert(kind), values[kind])
        seconds = chance.uniform(0.1, 3) if late else 0.0
        if self.engine.dialect.name == "sqlite":  # where an open transaction blocks all other writers
            time.sleep(seconds / 10)
            seconds = 0.0
        self._late.append(OpenTransaction(connection, rows, letters, time.monotonic() + seconds))
        if not seconds:
            self._commit(due=time.monotonic())

    def _commit(self, *, due: float) -> None:
        ending = [late for late in self._late if late.due <= due]
        self._late = [late for late in self._late if late.due > due]
        for late in ending:
            late.connection.commit()
            late.connection.close()
            written = time.time()
            for row in late.rows:
                self.history.write(_at(row, written))
            self.written += len(late.rows)
            self._letters.extend(late.letters)

    def _new_records(
        self, chance: Any, records: int
    ) -> tuple[list[RecordExists], list[tuple[int, int]], Any]:
        rows, letters = list[RecordExists](), list[tuple[int, int]]()
        values: dict[Any, list[dict[str, Any]]] = {Letter: [], Answer: []}
        now = datetime.now(UTC)
        for _ in range(records):
            at = now - timedelta(seconds=chance.uniform(0.5, 60) if chance.random() < PAST else 0)
            if chance.random() < TIED:
                at = at.replace(microsecond=0)
            answerable = [*letters, *self._letters]
            if answerable and chance.random() < ANSWERS:
                number = self._next("answer")
                letter, account = chance.choice(answerable)
                values[Answer].append({"id": number, "letter_id": letter, "at": at})
                rows.append(_record("answer", number, account, at))
            else:
                number = self._next("letter")
                # Uneven, as in practice: a few accounts write most letters.
                account = 1 + int(self.settings.entities * chance.random() ** 2)
                text = REFUSE if chance.random() < REFUSED else f"letter {number}"
                values[Letter].append({"id": number, "account_id": account, "at": at, "text": text})
                letters.append((number, account))
                rows.append(_record("letter", number, account, at))
        return rows, letters, values

    def _next(self, kind: str) -> int:
        self._ids[kind] += 1
        return self._ids[kind]


def _record(protocol: str, number: int, account: int, at: datetime) -> RecordExists:
    return RecordExists(service=SERVICE, protocol=protocol, id=number, owner=account, sort=as_sort(at))


def _at(row: RecordExists, written: float) -> RecordExists:
    return RecordExists(
        service=row.service,
        protocol=row.protocol,
        id=row.id,
        owner=row.owner,
        sort=row.sort,
        written=written,
    )
