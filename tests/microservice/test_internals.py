"""Properties that HTTP requests cannot show in reasonable time: limits, query plans, a failing disk."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from tests.microservice.caller import wait_for
from tests.microservice.scripted_service import HALF, scripted
from tests.microservice.small_service import timeline
from workmesh_flows.microservice import MicroService, StartError, arrivals, store_push, worker
from workmesh_flows.microservice.backlog import NEXT_PENDING, WAITING_BY_PROTOCOL, store_results
from workmesh_flows.microservice.database import Database
from workmesh_flows.microservice.epochs import HIGHEST, Sender
from workmesh_flows.microservice.incoming import IncomingRecord
from workmesh_flows.microservice.results import LATEST

KEY = "{5D4A-KEY}"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database(tmp_path / "node.db")) as database:
        yield database


def test_only_the_latest_answers_are_saved(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_push, "SAVED_ANSWERS", 3)
    for number in range(6):
        store_push.store_batch(database, "delivery", [], key=str(number), sender=None)
    saved = [store_push.saved_answer(database, "delivery", str(number)) for number in range(6)]
    assert [answer is not None for answer in saved] == [False, False, False, True, True, True]


def test_a_record_is_on_the_disk_before_its_push_is_answered(database: Database) -> None:
    assert database.rows("PRAGMA journal_mode") == [("wal",)]
    assert database.rows("PRAGMA synchronous") == [(2,)]


@pytest.mark.parametrize(
    ("sql", "values", "index"),
    [
        pytest.param(LATEST, ("delivery",), "records_processed", id="status"),
        pytest.param(HIGHEST, ("s/p",), "sqlite_autoindex_epochs", id="the highest epoch"),
        pytest.param(
            f"{NEXT_PENDING}AND protocol IN (?, ?) ORDER BY seq LIMIT 1",
            (0, "delivery", "open"),
            "records_waiting",
            id="the next record",
        ),
        pytest.param(
            "SELECT count(*) FROM records WHERE processed_at IS NULL", (), "records_waiting", id="workload"
        ),
    ],
)
def test_every_query_uses_an_index(database: Database, sql: str, values: tuple, index: str) -> None:
    plan = " ".join(row[3] for row in database.rows(f"EXPLAIN QUERY PLAN {sql}", values))
    assert index in plan
    assert "TEMP B-TREE" not in plan


def test_the_queue_of_each_protocol_is_counted_without_the_processed_records(database: Database) -> None:
    plan = " ".join(row[3] for row in database.rows(f"EXPLAIN QUERY PLAN {WAITING_BY_PROTOCOL}"))
    assert "USING INDEX records_waiting" in plan


def test_a_failed_transaction_writes_nothing(database: Database) -> None:
    def fail_halfway() -> None:
        with database.transaction() as cursor:
            cursor.execute(store_push.SAVE_ANSWER, ("delivery", "key", "1"))
            raise KeyError

    with pytest.raises(KeyError):
        fail_halfway()
    assert database.rows("SELECT * FROM answers") == []


def test_the_epoch_and_the_records_are_stored_in_one_transaction(database: Database) -> None:
    incoming = [IncomingRecord(1, {}, "{}"), IncomingRecord(2, {}, HALF)]  # the second cannot be stored
    with pytest.raises(UnicodeEncodeError):
        store_push.store_batch(database, "delivery", incoming, key=None, sender=Sender("s/p", 7))
    assert database.rows("SELECT * FROM records") == []
    assert database.rows("SELECT * FROM epochs") == []


def test_a_failing_disk_makes_the_node_unavailable_and_refuses_no_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise sqlite3.OperationalError

    with TestClient(timeline.app(api_key=KEY, database=tmp_path / "node.db")) as client:
        record = {"id": 1, "email": "a@b", "subject": "four"}
        body = {"api_key": KEY, "delivery": record}
        with monkeypatch.context() as patch:
            patch.setattr(Database, "transaction", fail)
            answer = client.post("/api/1.0/delivery/push.json", json=body)
        assert (answer.status_code, answer.json()["status"]) == (503, "the database of the node fails")
        assert client.post("/api/1.0/delivery/push.json", json=body).json()["status"] == "success"


def test_the_worker_retries_after_a_failing_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failures = iter([sqlite3.OperationalError("disk I/O error"), sqlite3.OperationalError("disk I/O error")])

    def fail_twice(*arguments: Any) -> None:
        if failure := next(failures, None):
            raise failure
        store_results(*arguments)

    monkeypatch.setattr("workmesh_flows.microservice.worker.store_results", fail_twice)
    monkeypatch.setattr(worker, "RETRY_SECONDS", 0.01)
    path = tmp_path / "node.db"
    with TestClient(timeline.app(api_key=KEY, database=path)) as client:
        record = {"id": 1, "email": "a@b", "subject": "four"}
        client.post("/api/1.0/delivery/push.json", json={"api_key": KEY, "delivery": record})
        wait_for(lambda: arrivals(path)[0].result == {"score": 4})
    assert caplog.text.count("disk I/O error") == 2


def test_a_node_stops_while_a_processing_function_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(worker, "STOP_SECONDS", 0.05)
    hangs, release = Event(), Event()
    hanging = MicroService("micro.hanging")

    @hanging.protocol("delivery")
    def hang(_: dict[str, Any]) -> None:
        hangs.set()
        release.wait()

    path = tmp_path / "node.db"
    with TestClient(hanging.app(api_key=KEY, database=path)) as client:
        client.post("/api/1.0/delivery/push.json", json={"api_key": KEY, "delivery": {"id": 1}})
        assert hangs.wait(30)
    release.set()
    assert "micro.hanging stopped while a record was being processed" in caplog.text
    assert arrivals(path)[0].processed_at is None


def test_saved_answers_survive_a_restart(tmp_path: Path) -> None:
    body = {"api_key": KEY, "delivery": {"id": 1, "email": "a@b", "subject": ""}}
    for _ in range(2):
        with TestClient(timeline.app(api_key=KEY, database=tmp_path / "node.db")) as client:
            answer = client.post("/api/1.0/delivery/push.json", json=body, headers={"Idempotency-Key": "1"})
            assert answer.json()["value"] == {"stored": 1, "known": 0}


def test_records_of_a_removed_protocol_are_processed_when_it_is_declared_again(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    with closing(Database(path)) as database:
        store_push.store_batch(database, "open", [IncomingRecord(1, {}, '{"key": 1}')], key=None, sender=None)
        store_push.store_batch(
            database, "delivery", [IncomingRecord(1, {}, '{"subject": "four"}')], key=None, sender=None
        )
    with TestClient(timeline.app(api_key=KEY, database=path)) as client:
        wait_for(lambda: arrivals(path)[1].result == {"score": 4})
        assert client.post("/api/1.0/workload.json", json={"api_key": KEY}).json()["value"] == 1
    with TestClient(scripted.app(api_key=KEY, database=path)):
        wait_for(lambda: arrivals(path)[0].result == {"opened": 1})


def test_a_database_that_cannot_be_written_is_a_start_error(tmp_path: Path) -> None:
    (tmp_path / "node.db.lock").mkdir()  # which not even root can write to
    with pytest.raises(StartError, match=r"node\.db cannot be used: "):
        timeline.app(api_key=KEY, database=tmp_path / "node.db").start()


def test_a_file_that_is_not_a_database_is_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear reader, this is not a database." * 100)
    with pytest.raises(StartError, match="cannot be used: file is not a database"):
        timeline.app(api_key=KEY, database=path).start()
    assert path.read_text().startswith("Dear reader")
    path.unlink()
    app = timeline.app(api_key=KEY, database=path)  # the lock was released
    app.start()
    app.stop()
    app.stop()  # a second call does nothing


def test_the_arrival_log_of_a_stopped_node_can_be_read_from_any_sequence_number(tmp_path: Path) -> None:
    path = tmp_path / "a node %20?.db"
    records = [{"id": number, "email": "a@b", "subject": ""} for number in (3, 1, 2)]
    with TestClient(timeline.app(api_key=KEY, database=path)) as client:
        client.post("/api/1.0/delivery/push.json", json={"api_key": KEY, "deliveries": records})
    assert [item.id for item in arrivals(path)] == [3, 1, 2]
    assert [item.id for item in arrivals(str(path), after=1)] == [1, 2]
    with pytest.raises(sqlite3.OperationalError):
        arrivals(tmp_path / "none.db")


@pytest.mark.parametrize("take", [lambda: timeline, lambda: timeline.app(api_key=KEY)], ids=["itself", "app"])
def test_a_server_without_lifespan_raises_an_error(take: Any) -> None:
    async def ask() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(take()), base_url="http://node") as client:
            await client.post("/api/1.0/ping.json")

    with pytest.raises(StartError, match="is not started: the server must run the ASGI lifespan"):
        asyncio.run(ask())


def test_no_repr_shows_the_key(tmp_path: Path) -> None:
    app = timeline.app(api_key=KEY, database=tmp_path / "node.db")
    assert "5D4A" not in f"{app.settings!r} {app.settings.api_key!r} {timeline!r}".upper()
