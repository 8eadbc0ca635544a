"""Failures at a node: listed in pages, and processed again where the record is sent with another Idempotency-Key."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.microservice.caller import Caller
from tests.microservice.conftest import Arrived, Call, NewId, StartNode
from workmesh_flows.microservice import backlog, results
from workmesh_flows.microservice.backlog import ProcessingResult, next_pending, store_results
from workmesh_flows.microservice.database import Database
from workmesh_flows.microservice.incoming import IncomingRecord
from workmesh_flows.microservice.results import FAILED, failed_records, latest_processed, results_of
from workmesh_flows.microservice.store_push import store_batch

OLD_SCHEMA = """
CREATE TABLE records (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, protocol TEXT NOT NULL, id TEXT NOT NULL, id_is_number INTEGER NOT NULL,
    received_at TEXT NOT NULL, epoch TEXT, processed_at TEXT, result TEXT, error TEXT, body TEXT NOT NULL,
    UNIQUE (protocol, id)
);
INSERT INTO records (protocol, id, id_is_number, received_at, processed_at, result, error, body) VALUES
    ('delivery', '1', 1, '2026-01-01T00:00:00+00:00', '2026-01-01T00:00:01+00:00', '{}', NULL, '{"id":1}'),
    ('delivery', '2', 1, '2026-01-01T00:00:00+00:00', '2026-01-01T00:00:01+00:00', NULL, 'a bug', '{"id":2}'),
    ('delivery', '3', 1, '2026-01-01T00:00:00+00:00', NULL, NULL, NULL, '{"id":3}');
"""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database(tmp_path / "node.db")) as database:
        yield database


def keyed(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key}


def store(database: Database, *ids: int, key: str = "k", more: str = "") -> None:
    incoming = [IncomingRecord(id_, {}, f'{{"id":{id_},"more":"{more}"}}') for id_ in ids]
    store_batch(database, "delivery", incoming, key=key, sender=None)


def process(database: Database, error: str | None = None) -> None:
    """Process the next record: it fails where an error is given."""
    pending = next_pending(database, ["delivery"])
    assert pending is not None
    result = None if error else '{"done":1}'
    store_results(database, [ProcessingResult(pending.seq, result=result, error=error)])


def all_failed(database: Database, after: str | None = None) -> list[Any]:
    return [entry["id"] for entry in failed_records(database, "delivery", after)["failed"]]


def test_failed_records_are_listed_after_a_mark(start_node: StartNode, call: Call) -> None:
    caller = call(start_node())
    assert caller.post("delivery/failed", after=None).value == {"failed": [], "next": None}
    caller.push({"id": 1, "fail": "no such account"}, {"id": 2}, {"id": "x", "fail": "nor that"})
    caller.push({"key": 9}, protocol="open")
    caller.settle()
    value = caller.post("delivery/failed", after=None).value
    assert [(entry["id"], entry["reason"]) for entry in value["failed"]] == [
        (1, "record 1: ValueError: no such account"),
        ("x", "record x: ValueError: nor that"),
    ]
    assert all(datetime.fromisoformat(entry["at"]).utcoffset() is not None for entry in value["failed"])
    again = caller.post("delivery/failed", after=value["next"]).value
    assert again == {"failed": [], "next": value["next"]}
    assert caller.post("open/failed").value == {"failed": [], "next": None}


@pytest.mark.parametrize("mark", [7, "x", "", "-1", "9" * 30, ["1"], True], ids=str)
def test_a_mark_of_another_kind_is_refused(shared: Caller, mark: Any) -> None:
    answer = shared.post("delivery/failed", after=mark)
    assert answer.status == "after must be null or the mark that the last answer gave as next"


def test_all_failures_are_found_page_by_page(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "FAILED_AT_ONCE", 3)
    monkeypatch.setattr(results, "REASONS_AT_ONCE", 50)
    store(database, *range(1, 9))
    for number in range(1, 9):
        process(database, "x" * (60 if number == 5 else 1))
    pages, mark = [], None
    while (page := failed_records(database, "delivery", mark))["failed"]:
        pages.append([entry["id"] for entry in page["failed"]])
        mark = page["next"]
    assert pages == [[1, 2, 3], [4], [5], [6, 7, 8]]


def test_a_record_that_failed_is_processed_again_under_another_key_only(
    shared: Caller, new_id: NewId, arrived: Arrived
) -> None:
    bad, good = new_id(), new_id()
    batch = {"id": bad, "fail": "a bug"}, {"id": good}
    shared.push(*batch, headers=keyed(f"first {bad}"))
    shared.settle()
    before = arrived()
    assert shared.push(*batch, headers=keyed(f"first {bad}")).value == {"stored": 2, "known": 0}  # as saved
    assert shared.push(*batch).value == {"stored": 0, "known": 2}
    assert arrived() == before
    assert shared.push(*batch, headers=keyed(f"second {bad}")).value == {"stored": 1, "known": 1}
    shared.settle()
    assert [item.id for item in arrived()] == [good, bad]
    assert shared.post("delivery/status").value == bad


def test_a_key_has_no_second_effect_even_if_its_answer_is_not_saved_any_more(database: Database) -> None:
    store(database, 1, key="k")
    process(database, "a bug")
    with database.transaction() as cursor:
        cursor.execute("DELETE FROM answers")
    store(database, 1, key="k")
    assert all_failed(database) == [1]
    store(database, 1, key="other")
    assert all_failed(database) == []


def test_changed_content_replaces_a_record_under_another_key(
    shared: Caller, new_id: NewId, arrived: Arrived
) -> None:
    same = new_id()
    shared.push({"id": same, "result": {"n": 1}, "x": [1, {"a": 1, "b": 2}]}, headers=keyed(f"1 {same}"))
    shared.settle()
    reordered = {"x": [1, {"b": 2, "a": 1}], "result": {"n": 1}, "id": same}
    assert shared.push(reordered, headers=keyed(f"2 {same}")).value == {"stored": 0, "known": 1}
    changed = {**reordered, "result": {"n": 2}}
    assert shared.push(changed, headers=keyed(f"3 {same}")).value == {"stored": 1, "known": 0}
    shared.settle()
    assert shared.post("delivery/pull", ids=[same]).value == {str(same): {"n": 2}}
    assert [item.id for item in arrived()] == [same]


def test_changed_content_is_checked(shared: Caller, new_id: NewId, arrived: Arrived) -> None:
    same = new_id()
    shared.push({"id": same}, headers=keyed(f"1 {same}"))
    answer = shared.push({"id": same, "refuse": "not like this"}, headers=keyed(f"2 {same}"))
    assert answer.status == f"record {same}: not like this"
    assert [item.record for item in arrived()] == [{"id": same}]


def test_a_result_of_replaced_content_is_discarded(database: Database) -> None:
    store(database, 1, key="1", more="old")
    old = next_pending(database, ["delivery"])
    assert old is not None
    store(database, 1, key="2", more="new")
    store_results(database, [ProcessingResult(old.seq, result='{"of":"old"}')])
    new = next_pending(database, ["delivery"])
    assert new is not None
    assert "new" in new.body
    assert results_of(database, "delivery", [1]) == {}


def test_a_record_that_is_processed_again_is_the_latest_again(database: Database) -> None:
    store(database, 1, 2, 3)
    process(database, "a bug")
    process(database)
    process(database)
    assert latest_processed(database, "delivery") == 3
    store(database, 1, key="again")
    assert latest_processed(database, "delivery") == 3
    process(database)
    assert latest_processed(database, "delivery") == 1
    assert all_failed(database) == []


def test_a_second_failure_is_behind_the_mark_of_the_first(database: Database) -> None:
    store(database, 1)
    process(database, "a bug")
    mark = failed_records(database, "delivery", None)["next"]
    store(database, 1, key="again")
    process(database, "the same bug")
    assert all_failed(database, mark) == [1]


@pytest.mark.parametrize("clock", [5, 10**18], ids=["the clock was set back", "the clock goes on"])
def test_a_failure_after_a_mark_is_found_whatever_the_clock(
    database: Database, monkeypatch: pytest.MonkeyPatch, clock: int
) -> None:
    store(database, 1, 2)
    process(database, "a bug")
    mark = failed_records(database, "delivery", None)["next"]
    monkeypatch.setattr(backlog, "time_ns", lambda: clock)
    process(database, "a bug")
    assert all_failed(database, mark) == [2]


def test_a_node_restored_from_a_backup_lists_its_next_failures_after_an_older_mark(tmp_path: Path) -> None:
    marks: list[str] = []
    for name in ("lost.db", "restored.db"):
        with closing(Database(tmp_path / name)) as database:
            store(database, *range(1, 5))
            process(database, "a bug")
            found = failed_records(database, "delivery", marks[0] if marks else None)
            marks.append(found["next"])
            assert [entry["id"] for entry in found["failed"]] == [1]
    assert int(marks[0]) < int(marks[1])


def test_a_database_of_an_earlier_version_opens_with_its_failures(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(OLD_SCHEMA)
    for _ in range(2):
        with closing(Database(path)) as database:
            assert all_failed(database) == [2]
    with closing(Database(path)) as database:
        mark = failed_records(database, "delivery", None)["next"]
        process(database, "a bug, too")
        assert all_failed(database, mark) == [3]
        store(database, 2, key="again")
        assert all_failed(database) == [3]


def test_a_page_of_failures_is_read_from_an_index(database: Database) -> None:
    plan = " ".join(str(row) for row in database.rows(f"EXPLAIN QUERY PLAN {FAILED}", (0, "delivery", 500)))
    assert "records_failed" in plan
    assert "TEMP B-TREE" not in plan
