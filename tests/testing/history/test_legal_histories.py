"""Histories that break no guarantee are clean; one falsified line in them is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import TypeVar

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.testing.history.legal_histories import legal_history
from workmesh_flows.testing import (
    EntityMoved,
    Event,
    Guarantee,
    LaneReported,
    RecordAccepted,
    RecordExists,
    RecordState,
    RequestOutcome,
    RequestSent,
    check_history,
)

E = TypeVar("E")
Falsify = Callable[[list[Event], Random], list[Event]]
CHANCE = st.randoms(use_true_random=False)


def of(kind: type[E], events: list[Event]) -> list[E]:
    return [event for event in events if isinstance(event, kind)]


def one_of(found: list[E], chance: Random) -> E:
    assume(found)
    return chance.choice(found)


def changed(events: list[Event], old: Event, *new: Event) -> list[Event]:
    return [other for event in events for other in (new if event is old else (event,))]


def steady_acceptances(events: list[Event]) -> list[RecordAccepted]:
    """Acceptances of records that were written before the first push, and whose owner was never moved."""
    moved = {event.owner for event in of(EntityMoved, events)}
    steady = {
        event.id for event in of(RecordExists, events) if event.written is None and event.owner not in moved
    }
    return [event for event in of(RecordAccepted, events) if event.id in steady]


def swap_two(events: list[Event], chance: Random) -> list[Event]:
    owner = {event.id: event.owner for event in of(RecordExists, events)}
    by_owner = sorted(steady_acceptances(events), key=lambda one: (str(owner[one.id]), one.seq))
    first, second = one_of(
        [two for two in pairwise(by_owner) if owner[two[0].id] == owner[two[1].id]], chance
    )
    return changed(changed(events, first, replace(first, id=second.id)), second, replace(second, id=first.id))


def lose_an_acceptance(events: list[Event], chance: Random) -> list[Event]:
    return changed(events, one_of(steady_acceptances(events), chance))


def lose_a_record(events: list[Event], chance: Random) -> list[Event]:
    return changed(events, one_of(of(RecordState, events), chance))


def lose_a_push(events: list[Event], chance: Random) -> list[Event]:
    state = one_of(of(RecordState, events), chance)
    return changed(events, state, replace(state, push_success=None, push_time=None))


def accept_again(events: list[Event], chance: Random) -> list[Event]:
    one = one_of(steady_acceptances(events), chance)
    last = max(event.seq for event in of(RecordAccepted, events) if event.node == one.node)
    return [*events, replace(one, seq=last + 1)]


def overlap(events: list[Event], chance: Random) -> list[Event]:
    requests = [
        event for event in of(RequestSent, events) if event.direction == "push" and event.node == "n1"
    ]
    first, second = one_of(list(pairwise(requests)), chance)
    return changed(events, first, replace(first, end=second.start + 0.5))


def resume_replaced_sender(events: list[Event], chance: Random) -> list[Event]:
    requests = [
        event
        for event in of(RequestSent, events)
        if event.direction and event.outcome is not RequestOutcome.WITHHELD
    ]
    last = max((one for one in requests if one.node == "n1"), key=lambda one: one.start, default=None)
    assume(
        last is not None
        and last.epoch != 1
        and any(one.epoch != last.epoch for one in requests if one.node == "n1")
    )
    assert last is not None
    return [*events, replace(last, epoch=0, start=1e6, end=1e6, outcome=RequestOutcome.LOST)]


def miscount(events: list[Event], chance: Random) -> list[Event]:
    report = one_of(of(LaneReported, events), chance)
    return changed(events, report, replace(report, selected=report.selected + chance.choice([-1, 1])))


def same_time(events: list[Event], chance: Random) -> list[Event]:
    node = {event.id: event.node for event in steady_acceptances(events)}
    states = sorted(
        (event for event in of(RecordState, events) if event.id in node and event.push_time),
        key=lambda event: (node[event.id], event.push_time or 0),
    )
    first, second = one_of([two for two in pairwise(states) if node[two[0].id] == node[two[1].id]], chance)
    return changed(events, second, replace(second, push_time=first.push_time))


@settings(max_examples=150, deadline=None)
@given(CHANCE)
def test_a_legal_history_is_clean_with_its_lines_in_any_order(chance: Random) -> None:
    events = legal_history(chance)
    assert str(check_history(events, settled=True)).endswith(": clean")
    chance.shuffle(events)
    assert str(check_history(events, settled=True)).endswith(": clean")


@pytest.mark.parametrize(
    ("falsify", "guarantee"),
    [
        (swap_two, Guarantee.ORDERING),
        (lose_an_acceptance, Guarantee.LOSS),
        (lose_a_record, Guarantee.LOSS),
        (lose_a_push, Guarantee.LOSS),
        (accept_again, Guarantee.DUPLICATES),
        (overlap, Guarantee.SINGLE_SENDER),
        (resume_replaced_sender, Guarantee.SINGLE_SENDER),
        (miscount, Guarantee.TOTALS),
        (same_time, Guarantee.PUSH_TIMES),
    ],
)
@settings(max_examples=40, deadline=None)
@given(CHANCE)
def test_one_falsified_line_is_found(falsify: Falsify, guarantee: Guarantee, chance: Random) -> None:
    events = falsify(legal_history(chance), chance)
    assert check_history(events, settled=True).counts[guarantee]
