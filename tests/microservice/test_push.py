"""Pushes: stored records, refused records, and repeated requests."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest

from tests.microservice.caller import Caller
from tests.microservice.conftest import Arrived, Call, NewId
from workmesh_flows.microservice import NodeProcess


def test_records_are_stored_unchanged_in_the_order_of_arrival(
    shared: Caller, new_id: NewId, arrived: Arrived
) -> None:
    first, second = new_id(), new_id()
    odd = {"id": "é\u0000ü", "text": 'quote " and \u2028', "number": 1.5, "none": None, "list": [{"a": []}]}
    shared.post(
        "delivery/push", {"Workmesh-Epoch": "17", "Workmesh-Lane": "s/order"}, delivery={"id": second}
    )
    shared.push({"id": first}, {"id": "b"}, odd)
    shared.post("open/push", open={"key": first})
    log = arrived()
    assert [(item.protocol, item.id) for item in log] == [
        ("delivery", second),
        ("delivery", first),
        ("delivery", "b"),
        ("delivery", odd["id"]),
        ("open", first),
    ]
    assert log[3].record == odd
    assert [item.epoch for item in log] == ["17", None, None, None, None]
    assert all(before.seq < after.seq for before, after in pairwise(log))
    assert all(before.received_at <= after.received_at for before, after in pairwise(log))
    assert log[0].received_at.utcoffset() is not None


def test_the_answer_counts_new_and_known_records(shared: Caller, new_id: NewId) -> None:
    first, second, third = new_id(), new_id(), new_id()
    assert shared.push({"id": first}, {"id": second}).value == {"stored": 2, "known": 0}
    assert shared.push({"id": second}, {"id": third}, {"id": third}).value == {"stored": 1, "known": 2}
    assert shared.push().value == {"stored": 0, "known": 0}


def test_a_record_with_a_known_id_keeps_its_first_content(
    shared: Caller, new_id: NewId, arrived: Arrived
) -> None:
    same = new_id()
    shared.push({"id": same, "text": "first"})
    assert shared.push({"id": same, "text": "second"}).status == "success"
    assert shared.push({"id": str(same), "text": "third"}).status == "success"
    assert [(item.id, item.record["text"]) for item in arrived()] == [(same, "first")]


def test_two_protocols_may_use_the_same_ids(shared: Caller, new_id: NewId) -> None:
    same = new_id()
    shared.push({"id": same})
    assert shared.push({"key": same}, protocol="open").value == {"stored": 1, "known": 0}


def test_a_known_record_is_accepted_again_even_if_the_check_would_now_refuse_it(
    shared: Caller, new_id: NewId
) -> None:
    known, new = new_id(), new_id()
    shared.push({"id": known})
    answer = shared.push({"id": known, "refuse": "too late"}, {"id": new})
    assert answer.value == {"stored": 1, "known": 1}


def test_one_refused_record_refuses_its_batch_and_nothing_is_stored(
    shared: Caller, new_id: NewId, arrived: Arrived
) -> None:
    first, second, third = new_id(), new_id(), new_id()
    answer = shared.push(
        {"id": first}, {"id": second, "refuse": "email has no @"}, {"id": third, "refuse": "neither"}
    )
    assert (answer.http, answer.status, answer.value) == (200, f"record {second}: email has no @", "")
    assert arrived() == []
    assert shared.push({"id": first}, {"id": third}).value == {"stored": 2, "known": 0}


def test_a_long_reason_is_truncated(shared: Caller, new_id: NewId) -> None:
    assert len(shared.push({"id": new_id(), "refuse": "x" * 5000}).status) == 2000


def test_a_reason_that_json_cannot_encode_is_escaped(shared: Caller, new_id: NewId) -> None:
    at = new_id()
    assert shared.push({"id": at, "refuse": "bad HALF"}).status == f"record {at}: bad \\ud83d"


def test_the_reason_success_does_not_become_the_status_success(shared: Caller, new_id: NewId) -> None:
    assert shared.push({"id": new_id(), "refuse": "success"}).status != "success"


@pytest.mark.parametrize(
    ("record", "status"),
    [
        pytest.param({}, "record 2 of 2 needs", id="no id"),
        pytest.param({"id": None}, "record 2 of 2 needs", id="null"),
        pytest.param({"id": True}, "record 2 of 2 needs", id="a boolean"),
        pytest.param({"id": 1.5}, "record 2 of 2 needs", id="a fraction"),
        pytest.param({"id": 2**80}, "record 2 of 2 needs", id="too large for a JSON integer"),
        pytest.param({"id": ""}, "record 2 of 2 needs", id="empty"),
        pytest.param({"id": "x" * 256}, "record 2 of 2 needs", id="too long"),
        pytest.param({"key": 1}, "record 2 of 2 needs", id="the id of another protocol"),
        pytest.param([1], "record 2 of 2 is not a JSON object", id="a list"),
        pytest.param("text", "record 2 of 2 is not a JSON object", id="a text"),
    ],
)
def test_a_record_without_a_valid_id_refuses_its_batch(
    shared: Caller, new_id: NewId, record: Any, status: str
) -> None:
    good = {"id": new_id()}
    answer = shared.push(good, record)
    assert answer.http == 200
    assert answer.status.startswith(status)
    assert shared.push(good).value == {"stored": 1, "known": 0}


def test_a_record_nested_too_deeply_to_be_stored_is_refused(shared: Caller, new_id: NewId) -> None:
    deep: Any = []
    for _ in range(500):
        deep = [deep]
    at = new_id()
    assert shared.push({"id": at, "deep": deep}).status == f"record {at} is nested too deeply"


@pytest.mark.parametrize("number", [-1, 0, 2**63, 2**64 - 1], ids=str)
def test_any_json_integer_is_an_id(shared: Caller, number: int) -> None:
    assert shared.push({"id": number}).value == {"stored": 1, "known": 0}
    shared.settle()
    assert shared.post("delivery/pull", ids=[number]).value == {str(number): {"of": number}}


@pytest.mark.parametrize("payload", [{}, {"delivery": {"id": 1}, "more": 1}], ids=["none", "two"])
def test_a_push_needs_exactly_one_key_beside_the_api_key(shared: Caller, payload: dict) -> None:
    answer = shared.post("delivery/push", **payload)
    assert answer.http == 200
    assert answer.status.startswith("beside api_key one key")


def test_a_repeated_idempotency_key_gets_the_first_answer_and_stores_nothing(
    shared: Caller, new_id: NewId, arrived: Arrived
) -> None:
    one, two, three = new_id(), new_id(), new_id()
    key = {"Idempotency-Key": f"delivery-{one}-{two}"}
    first = shared.push({"id": one}, {"id": two}, headers=key)
    assert first.value == {"stored": 2, "known": 0}
    assert shared.push({"id": one}, {"id": two}, headers=key) == first
    assert shared.push({"id": three}, headers=key) == first
    assert [item.id for item in arrived()] == [one, two]
    assert shared.push({"key": one}, protocol="open", headers=key).value == {"stored": 1, "known": 0}


def test_a_refusal_is_not_saved_as_an_answer(shared: Caller, new_id: NewId) -> None:
    at = new_id()
    key = {"Idempotency-Key": f"refusal-{at}"}
    assert shared.push({"id": at, "refuse": "not yet"}, headers=key).status == f"record {at}: not yet"
    assert shared.push({"id": at}, headers=key).value == {"stored": 1, "known": 0}


def test_an_idempotency_key_too_long_to_be_stored_is_a_bad_request(shared: Caller, new_id: NewId) -> None:
    answer = shared.push({"id": new_id()}, headers={"Idempotency-Key": "x" * 256})
    assert (answer.http, answer.status) == (400, "Idempotency-Key has more than 255 characters")


def test_concurrent_equal_requests_store_their_records_once(
    shared_node: NodeProcess, call: Call, new_id: NewId, arrived: Arrived
) -> None:
    callers = [call(shared_node) for _ in range(8)]
    ids = [new_id() for _ in range(200)]

    def push(caller: Caller) -> Any:
        return caller.push(*({"id": id_} for id_ in ids), headers={"Idempotency-Key": "concurrent"}).value

    with ThreadPoolExecutor(len(callers)) as threads:
        values = list(threads.map(push, callers))
    assert values == [{"stored": 200, "known": 0}] * 8
    assert [item.id for item in arrived()] == ids
