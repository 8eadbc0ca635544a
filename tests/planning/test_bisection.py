"""A refused batch is split until the culprits stand alone; nothing of an owner overtakes what was refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil, log2
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workmesh_flows.planning.batching import Bisection, Sendable


def batch_of(owners: str, first: int = 0) -> list[Sendable]:
    """One record an owner's letter, ids from ``first`` on."""
    return [Sendable(f"record {number}", number, owner) for number, owner in enumerate(owners, start=first)]


@dataclass
class Delivered:
    """What a delivery did, where a node refuses a part as a whole if it holds a bad record."""

    accepted: list[int] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    left: int = 0
    sent: list[list[int]] = field(default_factory=list)
    failing: int = 0
    held: set[Any] = field(default_factory=set)

    def deliver(self, batch: Sequence[Sendable], bad: set[int], at_most: int | None = None) -> None:
        bisection = Bisection(batch, self.held, at_most=at_most)
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
                self.held.add(part[0].owner)
        self.left += bisection.left


def deliver(owners: str, bad: set[int], at_most: int | None = None) -> Delivered:
    delivered = Delivered()
    delivered.deliver(batch_of(owners), bad, at_most)
    return delivered


@pytest.mark.parametrize(
    ("owners", "bad", "at_most", "sent", "left"),
    [
        pytest.param("", set(), None, [], 0, id="nothing"),
        pytest.param("a", set(), None, [[0]], 0, id="one"),
        pytest.param("a", {0}, None, [[0]], 0, id="one bad"),
        pytest.param("abcd", set(), None, [[0, 1, 2, 3]], 0, id="all well: one request"),
        pytest.param("abcd", {2}, None, [[0, 1, 2, 3], [0, 1], [2, 3], [2], [3]], 0, id="one bad of four"),
        pytest.param(
            "abcde", {4}, None, [[0, 1, 2, 3, 4], [0, 1, 2], [3, 4], [3], [4]], 0, id="the last of five"
        ),
        pytest.param(
            "aaaa", {0}, None, [[0, 1, 2, 3], [0, 1], [0]], 3, id="the first of an owner holds the rest"
        ),
        pytest.param(
            "aaaa", {1}, None, [[0, 1, 2, 3], [0, 1], [0], [1]], 2, id="what came before it goes through"
        ),
        pytest.param(
            "abab", {0}, None, [[0, 1, 2, 3], [0, 1], [0], [1], [3]], 1, id="the other owner goes on"
        ),
        pytest.param("ab", {0, 1}, None, [[0, 1], [0], [1]], 0, id="all bad"),
        pytest.param("abcde", set(), 2, [[0, 1], [2, 3], [4]], 0, id="no part over the limit"),
        pytest.param("abcde", {2}, 2, [[0, 1], [2, 3], [2], [3], [4]], 0, id="bad within the limit"),
        pytest.param("abc", set(), 1, [[0], [1], [2]], 0, id="one by one"),
        pytest.param("abc", set(), 3, [[0, 1, 2]], 0, id="limit reached"),
        pytest.param("abc", set(), 500, [[0, 1, 2]], 0, id="limit beyond the batch"),
        pytest.param("abc", set(), 0, [[0, 1, 2]], 0, id="no limit"),
    ],
)
def test_parts_are_sent_in_order(
    owners: str, bad: set[int], at_most: int | None, sent: list[list[int]], left: int
) -> None:
    delivered = deliver(owners, bad, at_most)
    assert delivered.sent == sent
    assert delivered.left == left


def test_an_owner_stays_held_in_the_next_batch() -> None:
    delivered = Delivered()
    delivered.deliver(batch_of("ab"), {0})
    delivered.deliver(batch_of("abab", first=2), set())
    assert delivered.sent == [[0, 1], [0], [1], [3, 5]]
    assert (delivered.accepted, delivered.refused, delivered.left) == ([1, 3, 5], [0], 2)


def test_a_batch_of_held_owners_is_not_sent_at_all() -> None:
    bisection = Bisection(batch_of("aaa"), {"a"})
    assert list(bisection.parts()) == []
    assert bisection.left == 3


def test_an_owner_that_is_held_while_a_part_waits_is_held_from_there_on() -> None:
    held = set[Any]()
    bisection = Bisection(batch_of("abab"), held, at_most=2)
    parts = bisection.parts()
    assert [item.id for item in next(parts)] == [0, 1]
    held.add("b")  # the node took the part, but for this one
    assert [item.id for item in next(parts)] == [2]
    assert list(parts) == []
    assert bisection.left == 1


def test_one_record_cannot_be_split() -> None:
    bisection = Bisection(batch_of("a"), set())
    (part,) = bisection.parts()
    with pytest.raises(ValueError, match="cannot be split"):
        bisection.split(part)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 9, 63, 64, 65, 100, 500, 512])
def test_one_bad_record_is_found_in_few_failing_requests(count: int) -> None:
    everyone = [Sendable(None, number, number) for number in range(count)]
    for bad in {0, 1, count // 2, count - 2, count - 1} & set(range(count)):
        delivered = Delivered()
        delivered.deliver(everyone, {bad})
        assert delivered.failing <= ceil(log2(count)) + 1
        assert delivered.refused == [bad]
        assert len(delivered.accepted) == count - 1


batches = st.lists(st.text("abc", max_size=24), min_size=1, max_size=3)


@given(batches=batches, bad=st.sets(st.integers(0, 71)), at_most=st.none() | st.integers(1, 30))
def test_whatever_is_bad_order_and_number_are_kept(
    batches: list[str], bad: set[int], at_most: int | None
) -> None:
    delivered, everyone = Delivered(), list[Sendable]()
    for owners in batches:
        batch = batch_of(owners, first=len(everyone))
        delivered.deliver(batch, bad, at_most)
        everyone += batch
    settled = delivered.accepted + delivered.refused
    assert len(settled) == len(set(settled)), "no record was settled twice"
    assert len(settled) + delivered.left == len(everyone), "every record is accounted for"
    assert bad.isdisjoint(delivered.accepted)
    assert bad.issuperset(delivered.refused)
    for owner in "abc":
        ids = [item.id for item in everyone if item.owner == owner]
        first_bad = next((number for number in ids if number in bad), None)
        well = [number for number in ids if first_bad is None or number < first_bad]
        assert [number for number in delivered.accepted if number in ids] == well, (
            "in order, up to the refused one"
        )
        assert [number for number in delivered.refused if number in ids] == [first_bad][
            : first_bad is not None
        ]
        if first_bad is not None:
            refused_at = delivered.sent.index([first_bad])
            later = {number for part in delivered.sent[refused_at + 1 :] for number in part}
            assert later.isdisjoint(ids), "nothing of a held owner is sent after its refused record"
    assert all(part == sorted(part) for part in delivered.sent)
    assert at_most is None or all(len(part) <= at_most for part in delivered.sent)
