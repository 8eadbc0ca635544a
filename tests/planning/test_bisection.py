"""A refused batch is bisected down to its bad records; no record of an entity overtakes a refused one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil, log2
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workmesh_flows.planning.bisection import Bisection, Sendable


def batch_of(owners: str, first: int = 0) -> list[Sendable]:
    """One record per letter, which is its owner; ids start at ``first``."""
    return [Sendable(f"record {number}", number, owner) for number, owner in enumerate(owners, start=first)]


@dataclass
class Delivered:
    """The result of a delivery to a node that refuses each part with a bad record as a whole."""

    accepted: list[int] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    waiting: int = 0
    sent: list[list[int]] = field(default_factory=list)
    failing: int = 0
    blocked: set[Any] = field(default_factory=set)

    def deliver(self, batch: Sequence[Sendable], bad: set[int], at_most: int | None = None) -> None:
        bisection = Bisection(batch, self.blocked, at_most=at_most)
        for part in bisection.parts():
            ids = [item.id for item in part]
            self.sent.append(ids)
            if bad.isdisjoint(ids):
                self.accepted += ids
                continue
            self.failing += 1
            if len(part) > 1:
                bisection.split(part)
            else:
                self.refused += ids
                self.blocked.add(part[0].owner)
        self.waiting += bisection.waiting


def deliver(owners: str, bad: set[int], at_most: int | None = None) -> Delivered:
    delivered = Delivered()
    delivered.deliver(batch_of(owners), bad, at_most)
    return delivered


@pytest.mark.parametrize(
    ("owners", "bad", "at_most", "sent", "waiting"),
    [
        pytest.param("", set(), None, [], 0, id="empty"),
        pytest.param("a", set(), None, [[0]], 0, id="one"),
        pytest.param("a", {0}, None, [[0]], 0, id="one bad"),
        pytest.param("abcd", set(), None, [[0, 1, 2, 3]], 0, id="no bad record: one request"),
        pytest.param("abcd", {2}, None, [[0, 1, 2, 3], [0, 1], [2, 3], [2], [3]], 0, id="one bad of four"),
        pytest.param(
            "abcde", {4}, None, [[0, 1, 2, 3, 4], [0, 1, 2], [3, 4], [3], [4]], 0, id="the last of five"
        ),
        pytest.param(
            "aaaa",
            {0},
            None,
            [[0, 1, 2, 3], [0, 1], [0]],
            3,
            id="the first record of an owner blocks the rest",
        ),
        pytest.param(
            "aaaa", {1}, None, [[0, 1, 2, 3], [0, 1], [0], [1]], 2, id="earlier records of the owner are sent"
        ),
        pytest.param(
            "abab", {0}, None, [[0, 1, 2, 3], [0, 1], [0], [1], [3]], 1, id="the other owner continues"
        ),
        pytest.param("ab", {0, 1}, None, [[0, 1], [0], [1]], 0, id="all bad"),
        pytest.param("abcde", set(), 2, [[0, 1], [2, 3], [4]], 0, id="parts within the limit"),
        pytest.param(
            "abcde", {2}, 2, [[0, 1], [2, 3], [2], [3], [4]], 0, id="a bad record in a limited part"
        ),
        pytest.param("abc", set(), 1, [[0], [1], [2]], 0, id="one by one"),
        pytest.param("abc", set(), 3, [[0, 1, 2]], 0, id="limit of exactly the batch"),
        pytest.param("abc", set(), 500, [[0, 1, 2]], 0, id="limit above the batch"),
        pytest.param("abc", set(), 0, [[0, 1, 2]], 0, id="no limit"),
    ],
)
def test_parts_are_sent_in_order(
    owners: str, bad: set[int], at_most: int | None, sent: list[list[int]], waiting: int
) -> None:
    delivered = deliver(owners, bad, at_most)
    assert delivered.sent == sent
    assert delivered.waiting == waiting


def test_an_owner_stays_blocked_in_the_next_batch() -> None:
    delivered = Delivered()
    delivered.deliver(batch_of("ab"), {0})
    delivered.deliver(batch_of("abab", first=2), set())
    assert delivered.sent == [[0, 1], [0], [1], [3, 5]]
    assert (delivered.accepted, delivered.refused, delivered.waiting) == ([1, 3, 5], [0], 2)


def test_a_batch_of_blocked_owners_is_not_sent() -> None:
    bisection = Bisection(batch_of("aaa"), {"a"})
    assert list(bisection.parts()) == []
    assert bisection.waiting == 3


def test_an_owner_blocked_between_two_parts_is_blocked_in_the_next_part() -> None:
    blocked = set[Any]()
    bisection = Bisection(batch_of("abab"), blocked, at_most=2)
    parts = bisection.parts()
    assert [item.id for item in next(parts)] == [0, 1]
    blocked.add("b")  # the node accepted the part without this record
    assert [item.id for item in next(parts)] == [2]
    assert list(parts) == []
    assert bisection.waiting == 1


def test_a_part_of_one_record_cannot_be_split() -> None:
    bisection = Bisection(batch_of("a"), set())
    (part,) = bisection.parts()
    with pytest.raises(ValueError, match="cannot be split"):
        bisection.split(part)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 9, 63, 64, 65, 100, 500, 512])
def test_one_bad_record_is_found_in_a_logarithmic_number_of_refused_requests(count: int) -> None:
    everyone = [Sendable(None, number, number) for number in range(count)]
    for bad in {0, 1, count // 2, count - 2, count - 1} & set(range(count)):
        delivered = Delivered()
        delivered.deliver(everyone, {bad})
        assert delivered.failing <= ceil(log2(count)) + 1
        assert delivered.refused == [bad]
        assert len(delivered.accepted) == count - 1


batches = st.lists(st.text("abc", max_size=24), min_size=1, max_size=3)


@given(batches=batches, bad=st.sets(st.integers(0, 71)), at_most=st.none() | st.integers(1, 30))
def test_order_and_number_of_records_hold_for_any_bad_records(
    batches: list[str], bad: set[int], at_most: int | None
) -> None:
    delivered, everyone = Delivered(), list[Sendable]()
    for owners in batches:
        batch = batch_of(owners, first=len(everyone))
        delivered.deliver(batch, bad, at_most)
        everyone += batch
    decided = delivered.accepted + delivered.refused
    assert len(decided) == len(set(decided)), "no record was decided twice"
    assert len(decided) + delivered.waiting == len(everyone), "every record is accounted for"
    assert bad.isdisjoint(delivered.accepted)
    assert bad.issuperset(delivered.refused)
    for owner in "abc":
        ids = [item.id for item in everyone if item.owner == owner]
        first_bad = next((number for number in ids if number in bad), None)
        before = [number for number in ids if first_bad is None or number < first_bad]
        assert [number for number in delivered.accepted if number in ids] == before, (
            "in order, up to the refused one"
        )
        assert [number for number in delivered.refused if number in ids] == [first_bad][
            : first_bad is not None
        ]
        if first_bad is not None:
            refused_at = delivered.sent.index([first_bad])
            later = {number for part in delivered.sent[refused_at + 1 :] for number in part}
            assert later.isdisjoint(ids), "no record of a blocked owner is sent after the refused one"
    assert all(part == sorted(part) for part in delivered.sent)
    assert at_most is None or all(len(part) <= at_most for part in delivered.sent)
