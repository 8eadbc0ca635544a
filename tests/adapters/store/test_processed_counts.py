"""Processed records: the lanes' counters and the correction are the exact number, whatever is written twice."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, delete, event, func, insert, select, update

from tests.adapters.store.letters import NOW, Letters
from workmesh_flows.adapters.store.engine import utc_now
from workmesh_flows.adapters.store.processed_counts import add_correction, count_exactly, read_processed
from workmesh_flows.adapters.store.resets import reset_records
from workmesh_flows.adapters.store.schema import counts, lanes
from workmesh_flows.errors import NotFlagged, StoreError


def counter(engine: Engine, direction: str, node: str = "n1") -> int:
    """The counter of a lane."""
    with engine.connect() as connection:
        of_lane = select(lanes.c.done).where(lanes.c.node == node, lanes.c.direction == direction)
        return connection.scalar(of_lane) or 0


def processed(letters: Letters) -> tuple[int, int]:
    """The sum of the counters and the correction, and the number of processed letters."""
    letter = letters.letter
    both = letter.sent.is_(True), letter.back.is_(True)
    with letters.engine.connect() as connection:
        exact = connection.scalar(select(func.count()).select_from(letter).where(*both)) or 0
    known = read_processed(letters.engine, ["letters"]).get(("letters", "letter", "pull"))
    return (sum(known.by_node.values()) + known.correction if known else 0), exact


def pulling(engine: Engine) -> Letters:
    """Letters whose lease is one of the pull lane."""
    letters = Letters(engine)
    letters.push([1, 2, 3])
    letters.lease = letters.take("a", direction="pull")
    return letters


def pushing_again(letters: Letters) -> None:
    """Lease the push lane, after its first lease has expired."""
    letters.lease = letters.take("b", NOW + timedelta(minutes=1))


def test_a_batch_that_is_flagged_again_after_a_lost_answer_counts_once(engine: Engine) -> None:
    letters = Letters(engine)
    letters.push([1, 2, 3])
    letters.push([1, 2, 3, 4])
    assert counter(engine, "push") == 4
    letters.push([4])
    assert counter(engine, "push") == 4
    letters.lease = letters.take("a", direction="pull")
    letters.pull({1: {"score": 1}, 2: {"score": 2}})
    letters.pull({1: {"score": 1}, 2: {"score": 2}, 3: {"score": 3}})
    assert counter(engine, "pull") == 3
    assert processed(letters) == (3, 3)


def test_a_result_counts_only_if_its_record_is_pushed(engine: Engine) -> None:
    letters = pulling(engine)
    letters.pull({1: {"score": 1}, 5: {"score": 5}, 2: "a bug"})
    assert counter(engine, "pull") == 1
    assert processed(letters) == (1, 1)
    pushing_again(letters)
    letters.push([5])
    assert counter(engine, "pull") == 1
    assert processed(letters) == (2, 2)


def test_a_processed_record_that_is_refused_or_fails_is_taken_off(engine: Engine) -> None:
    letters = pulling(engine)
    letters.pull({1: None, 2: None, 3: None})
    letters.pull({1: "a bug"})
    assert processed(letters) == (2, 2)
    pushing_again(letters)
    letters.push([4], {2: "no good"})
    assert counter(engine, "pull") == 3, "the lane keeps what it has counted"
    assert processed(letters) == (1, 1)


def test_records_made_pending_again_are_taken_off_in_the_same_transaction(engine: Engine) -> None:
    letters = pulling(engine)
    letters.pull({1: None, 2: None})
    with engine.connect() as connection:
        reset_records(connection, letters.tables, [1, 2, 3])
        connection.rollback()
    assert processed(letters) == (2, 2)
    with engine.begin() as connection:
        reset_records(connection, letters.tables, [1, 3, 4, 99])
    assert processed(letters) == (1, 1)
    rows = letters.rows()
    assert [rows[number].sent for number in (1, 2, 3)] == [None, True, None]


def test_what_is_not_flagged_is_not_counted(engine: Engine) -> None:
    letters = Letters(engine)
    with pytest.raises(NotFlagged):
        letters.push([1, 99])
    with pytest.raises(StoreError):
        letters.push([1, -1])
    assert counter(engine, "push") == 0
    letters.lease = letters.take("a", direction="pull")
    with pytest.raises(NotFlagged):
        letters.pull({1: None, 99: None})
    assert counter(engine, "pull") == 0


def test_an_exact_count_corrects_what_other_programs_changed(engine: Engine) -> None:
    letters = pulling(engine)
    letters.pull({1: None, 2: None, 3: None})
    assert count_exactly(engine, letters.tables, NOW) == (0, True)
    letter = letters.letter
    with engine.begin() as connection:
        connection.execute(delete(letter).where(letter.id == 1))
        connection.execute(update(letter).where(letter.id.in_([4, 5, 6])).values(sent=True, back=True))
    assert processed(letters) == (3, 5)
    assert count_exactly(engine, letters.tables, NOW + timedelta(seconds=1)) == (2, False)
    assert processed(letters) == (5, 5)
    assert count_exactly(engine, letters.tables, NOW + timedelta(seconds=2)) == (0, False)


def test_an_exact_count_keeps_what_was_taken_off_before_the_first_one(engine: Engine) -> None:
    letters = pulling(engine)
    letters.pull({1: None, 2: None})
    with engine.begin() as connection:
        reset_records(connection, letters.tables, [1])
    assert count_exactly(engine, letters.tables, NOW) == (0, True)
    assert processed(letters) == (1, 1)


def test_of_two_exact_counts_at_once_one_corrects(engine: Engine) -> None:
    letters = pulling(engine)
    key = {"service": "letters", "protocol": "letter", "direction": "pull"}
    with engine.begin() as connection:
        connection.execute(insert(counts).values(**key, correction=7, counted_at=NOW))

    once = iter(["UPDATE workmesh_counts SET correction = 0, counted_at = '2020-01-01'"])

    @event.listens_for(engine, "before_cursor_execute")
    def another_count(connection: Any, cursor: Any, statement: str, *more: Any) -> None:
        for correcting in once if statement.startswith("INSERT INTO workmesh_counts") else ():
            cursor.execute(correcting)

    assert count_exactly(engine, letters.tables, utc_now()) == (0, False)
    assert processed(letters) == (0, 0)


def test_corrections_add_up(engine: Engine) -> None:
    letters = Letters(engine)
    for by in (2, -5, 0):
        with engine.begin() as connection:
            add_correction(connection, letters.tables, by)
    assert processed(letters)[0] == -3
