"""The highest epoch with concurrent requests, after a restart, after a restored backup, and from an earlier version."""

from __future__ import annotations

import random
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import groupby
from pathlib import Path

import pytest

from tests.microservice.caller import Answer, wait_for
from tests.microservice.conftest import Arrived, Call, NewId, StartNode
from tests.microservice.senders import sender, stale
from workmesh_flows.microservice import NodeProcess, arrivals

LANES = ("micro.scripted/concurrent", "micro.scripted/other", None)
EPOCHS = 24
PUSHES = 6

EARLIER = """
CREATE TABLE records (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    protocol TEXT NOT NULL,
    id TEXT NOT NULL,
    id_is_number INTEGER NOT NULL,
    received_at TEXT NOT NULL,
    epoch TEXT,
    processed_at TEXT,
    result TEXT,
    error TEXT,
    body TEXT NOT NULL,
    UNIQUE (protocol, id)
);
CREATE INDEX records_waiting ON records (seq, protocol) WHERE processed_at IS NULL;
CREATE INDEX records_processed ON records (protocol, seq) WHERE processed_at IS NOT NULL;
CREATE TABLE answers (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    protocol TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    value TEXT NOT NULL,
    UNIQUE (protocol, idempotency_key)
);
INSERT INTO records (protocol, id, id_is_number, received_at, epoch, body) VALUES
    ('delivery', '1', 1, '2025-01-01T00:00:00+00:00', '9', '{"id": 1}'),
    ('delivery', '2', 1, '2025-01-01T00:00:00+00:00', 'seven', '{"id": 2}');
"""
"""The schema of the version before epochs, with two records."""


@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
def test_the_highest_epoch_survives_a_restart(start_node: StartNode, call: Call, kill: bool) -> None:
    node = start_node()
    call(node).push({"id": 1}, headers=sender(7, "s/p"))
    call(node).push({"id": 2}, headers=sender(4))
    if kill:
        node.kill()
    else:
        node.stop()
    caller = call(node.start())
    assert caller.push({"id": 3}, headers=sender(6, "s/p")) == stale(7, 6)
    assert caller.push({"id": 3}, headers=sender(3)) == stale(4, 3)
    assert caller.push({"id": 3}, headers=sender(7, "s/p")).value == {"stored": 1, "known": 0}
    assert [item.id for item in node.arrivals()] == [1, 2, 3]


def test_a_sender_that_is_replaced_while_its_batch_is_checked_is_rejected(
    shared_node: NodeProcess, call: Call, new_id: NewId, arrived: Arrived, tmp_path: Path
) -> None:
    old, new, hold = call(shared_node), call(shared_node), tmp_path / "hold"
    late, first = new_id(), new_id()
    with ThreadPoolExecutor(1) as threads:
        checked = threads.submit(
            old.push, {"id": late, "hold": str(hold)}, {"id": new_id()}, headers=sender(5, "s/held")
        )
        wait_for(hold.exists)
        new.push({"id": first}, headers=sender(7, "s/held"))
        hold.unlink()
        assert checked.result(20) == stale(7, 5)
    assert [item.id for item in arrived()] == [first]


def test_no_record_of_an_old_epoch_arrives_after_one_of_a_newer_epoch(
    shared_node: NodeProcess, call: Call, new_id: NewId, arrived: Arrived
) -> None:
    base = new_id() + 10_000  # above the epochs of other tests without a lane
    pushes = [
        (lane, base + at // PUSHES, [new_id() for _ in range(3)])
        for lane in LANES
        for at in range(EPOCHS * PUSHES)
    ]
    # Nearly in order, as with real senders: with a random order nearly all pushes would be rejected.
    near = random.Random(5)  # noqa: S311 - reproducible, not secret
    pushes.sort(key=lambda push: push[1] + near.uniform(0, 4))
    callers = [call(shared_node) for _ in range(8)]

    def push(at: int) -> list[Answer]:
        answers = []
        for lane, epoch, ids in pushes[at :: len(callers)]:
            # The check of every other push takes some time, so that other pushes start before it ends.
            check = 0.002 * (at % 2)
            records = [{"id": id_, "lane": lane, "epoch": epoch, "check": check} for id_ in ids]
            answers.append(callers[at].push(*records, headers=sender(epoch, lane)))
        return answers

    with ThreadPoolExecutor(len(callers)) as threads:
        answers = list(threads.map(push, range(len(callers))))
    accepted: list[int] = []
    for at, own in enumerate(answers):
        for (_, epoch, ids), answer in zip(pushes[at :: len(callers)], own, strict=True):
            if answer.http == 412:
                assert answer == stale(answer.value["epoch"], epoch)
                assert answer.value["epoch"] > epoch
            else:
                assert answer.value == {"stored": 3, "known": 0}
                accepted += ids
    log = arrived()
    assert sorted(int(item.id) for item in log) == sorted(accepted), "rejected pushes stored nothing"
    assert 3 * len(pushes) > len(log), "no push was rejected: this test shows nothing"
    for lane in LANES:
        epochs = [item.record["epoch"] for item in log if item.record["lane"] == lane]
        assert epochs == sorted(epochs)
        assert epochs[-1] == base + EPOCHS - 1
        assert len(list(groupby(epochs))) > 2, "too few pushes were accepted: this test shows nothing"


def test_a_node_restored_from_a_backup_accepts_epochs_above_that_of_the_backup(
    start_node: StartNode, call: Call, tmp_path: Path
) -> None:
    node, backup = start_node(), tmp_path / "backup.db"
    call(node).push({"id": 1}, headers=sender(5, "s/p"))
    with closing(sqlite3.connect(node.database)) as source, closing(sqlite3.connect(backup)) as target:
        source.backup(target)
    call(node).push({"id": 2}, headers=sender(7, "s/p"))
    node.stop()
    for left in (node.database.with_name(f"{node.database.name}{end}") for end in ("-wal", "-shm")):
        left.unlink(missing_ok=True)
    backup.replace(node.database)
    caller = call(node.start())
    assert caller.push({"id": 3}, headers=sender(4, "s/p")) == stale(5, 4)
    assert caller.push({"id": 3}, headers=sender(6, "s/p")).status == "success"
    assert caller.push({"id": 2}, headers=sender(7, "s/p")).value == {"stored": 1, "known": 0}
    assert caller.push({"id": 4}, headers=sender(6, "s/p")) == stale(7, 6)
    assert [(item.id, item.epoch) for item in node.arrivals()] == [(1, "5"), (3, "6"), (2, "7")]


def test_a_database_of_an_earlier_version_is_extended_and_keeps_its_records(
    start_node: StartNode, call: Call, tmp_path: Path
) -> None:
    path = tmp_path / "earlier.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(EARLIER)
    caller = call(start_node(database=path))
    caller.settle()
    assert caller.post("delivery/pull", ids=[1, 2]).value == {"1": {"of": 1}, "2": {"of": 2}}
    assert caller.push({"id": 1}, {"id": 3}, headers=sender(7)).value == {"stored": 1, "known": 1}
    assert caller.push({"id": 4}, headers=sender(6)) == stale(7, 6)
    assert [item.epoch for item in arrivals(path)] == ["9", "seven", "7"]
