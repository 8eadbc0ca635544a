"""Flags of a batch: one transaction, which checks the lane."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import (
    Engine,
    String,
    Text,
)

from tests.adapters.store.letters import NOW, Letters
from tests.adapters.store.worlds import START, at
from workmesh_flows.adapters.store.pullable_records import reading_pullable
from workmesh_flows.adapters.store.values import as_utc
from workmesh_flows.errors import LaneLost, StoreError, StoreUnavailable
from workmesh_flows.planning.push_times import push_times


def test_a_batch_is_flagged_with_the_lanes_latest_push_time(engine: Engine) -> None:
    letters = Letters(engine)
    letters.push([1, 2, 3], {4: "no good", 5: "neither"})
    rows = letters.rows()
    assert [rows[number].sent for number in range(1, 7)] == [True, True, True, False, False, None]
    assert [rows[number].sent_error for number in range(1, 7)] == [
        None,
        None,
        None,
        "no good",
        "neither",
        None,
    ]
    assert [as_utc(rows[number].sent_at) for number in (1, 2, 3)] == push_times(NOW, None, 3)
    assert as_utc(rows[4].sent_at) == NOW
    assert rows[6].sent_at is None
    assert letters.lane().last_push_time == NOW + timedelta(microseconds=2)


def test_a_batch_without_a_pushed_record_leaves_the_push_time(engine: Engine) -> None:
    letters = Letters(engine)
    letters.push([], {1: "no good"})
    assert letters.lane().last_push_time is None
    assert letters.rows()[1].sent is False


def test_an_empty_batch_writes_nothing(engine: Engine) -> None:
    letters = Letters(engine)
    letters.push([])
    assert {row.sent for row in letters.rows().values()} == {None}


def test_a_record_that_was_refused_may_be_pushed_later(engine: Engine) -> None:
    letters = Letters(engine)
    letters.push([], {1: "no good"})
    letters.push([1])
    assert (letters.rows()[1].sent, letters.rows()[1].sent_error) == (True, None)


@pytest.mark.parametrize("aware", [True, False], ids=["aware", "naive"])
def test_push_times_strictly_increase_and_are_read_back_as_they_were_written(
    engine: Engine, aware: bool
) -> None:
    """Microseconds across the border of a second, in this batch and the next ones."""
    letters, last = Letters(engine, aware=aware, count=30), None
    written: list[datetime] = []
    for first in range(1, 31, 10):
        times = push_times(NOW, last, 10)
        letters.push(list(range(first, first + 10)))
        last = letters.lane().last_push_time
        assert last == times[-1]
        written += times
    rows = letters.rows()
    assert [as_utc(rows[number].sent_at) for number in range(1, 31)] == written
    assert all(before < after for before, after in pairwise(written))
    with reading_pullable(engine, letters.tables, "n1") as reader:
        for number in (1, 3, 17, 30):
            found = reader.pushed_at(number)
            assert found == (written[number - 1], True)
            upto = [item.id for page in reader.pages(upto=written[number - 1], size=7) for item in page]
            assert upto == list(range(1, number + 1))
            assert reader.count(upto=written[number - 1]) == number


def test_a_failure_in_the_middle_leaves_nothing_of_the_batch(engine: Engine) -> None:
    letters = Letters(engine)
    with pytest.raises(StoreError) as raised:
        letters.push([1, -1, 2], {3: "no good"})
    assert not isinstance(raised.value, StoreUnavailable)
    assert "not_minus_1" in str(raised.value)
    assert {row.sent for row in letters.rows().values()} == {None}
    assert letters.lane().last_push_time is None
    letters.push([1, 2], {3: "no good"})


def lose(letters: Letters) -> None:
    """Another run acquires the lane after its lease has expired."""
    letters.take("b", NOW + timedelta(minutes=1))


def test_a_run_that_lost_its_lane_flags_nothing(engine: Engine) -> None:
    letters = Letters(engine)
    lose(letters)
    with pytest.raises(LaneLost):
        letters.push([1, 2], {3: "no good"})
    with pytest.raises(LaneLost):
        letters.pull({1: {"score": 1}, 2: "failed", 3: None})
    assert {(row.sent, row.back, row.score) for row in letters.rows().values()} == {(None, None, None)}
    assert (letters.lane().holder, letters.lane().last_push_time) == ("b", None)


@pytest.mark.parametrize(
    ("kind", "length"), [(String(20), 20), (String(5_000), 2_000), (Text(), 2_000), (String(), 2_000)]
)
def test_an_error_text_is_cut_to_its_column_and_to_2000_characters(
    engine: Engine, kind: Any, length: int
) -> None:
    letters = Letters(engine, error=kind)
    letters.push([], {1: "ä😀" * 5_000, 2: "short"})
    letters.pull({3: "ä😀" * 5_000})
    rows = letters.rows()
    assert rows[1].sent_error == ("ä😀" * 5_000)[:length]
    assert rows[2].sent_error == "short"
    assert rows[3].back_error == ("ä😀" * 5_000)[:2_000]


@pytest.mark.parametrize(
    ("written", "stored"),
    [("a\0b", "a b"), ("a\ud800b", "a?b"), ("'; DROP TABLE letter; --%s", None), ("", "")],
)
def test_an_error_text_may_hold_any_character(engine: Engine, written: str, stored: str | None) -> None:
    """A text that cannot be stored would stop the lane in every run: the same record is sent first again."""
    letters = Letters(engine, error=String(100))
    letters.push([], {1: written})
    assert letters.pull({2: written}) == {}
    rows = letters.rows()
    assert rows[1].sent_error == rows[2].back_error == (written if stored is None else stored)


def test_a_batch_of_many_is_one_transaction(engine: Engine) -> None:
    letters = Letters(engine, count=2_000)
    letters.push(list(range(1, 2_001)))
    found = letters.rows()
    assert sum(row.sent is True for row in found.values()) == 2_000
    assert as_utc(found[2_000].sent_at) == at(0) - START + NOW + timedelta(microseconds=1_999)
