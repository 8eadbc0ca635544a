"""A push of a sender that was replaced is rejected; its lane is that of the header, or the endpoint's path."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

import pytest

from tests.microservice.caller import Caller
from tests.microservice.conftest import Arrived, NewId
from tests.microservice.senders import sender, stale

LARGEST = 2**63 - 1


@pytest.fixture
def lane(new_id: NewId) -> str:
    """A lane that no other test uses."""
    return f"micro.scripted/lane-{new_id()}"


def test_a_push_under_a_lower_epoch_is_rejected_and_stores_nothing(
    shared: Caller, new_id: NewId, lane: str, arrived: Arrived
) -> None:
    first, second, third = new_id(), new_id(), new_id()
    shared.push({"id": first}, headers=sender(7, lane))
    assert shared.push({"id": second}, {"id": third}, headers=sender(5, lane)) == stale(7, 5)
    assert [(item.id, item.epoch) for item in arrived()] == [(first, "7")]
    assert shared.push({"id": second}, headers=sender(7, lane)).value == {"stored": 1, "known": 0}


def test_a_push_under_an_equal_or_higher_epoch_is_accepted(
    shared: Caller, new_id: NewId, lane: str, arrived: Arrived
) -> None:
    for epoch in (0, 0, 5, 5, 6, 40, LARGEST, LARGEST):
        assert shared.push({"id": new_id()}, headers=sender(epoch, lane)).status == "success"
    assert [item.epoch for item in arrived()] == ["0", "0", "5", "5", "6", "40", str(LARGEST), str(LARGEST)]
    assert shared.push({"id": new_id()}, headers=sender(LARGEST - 1, lane)) == stale(LARGEST, LARGEST - 1)


def test_epochs_are_compared_as_numbers(shared: Caller, new_id: NewId, lane: str, arrived: Arrived) -> None:
    assert shared.push({"id": new_id()}, headers=sender(9, lane)).status == "success"
    assert shared.push({"id": new_id()}, headers=sender("010", lane)).status == "success"
    assert shared.push({"id": new_id()}, headers=sender("0" * 5000 + "9", lane)) == stale(10, 9)
    assert [item.epoch for item in arrived()] == ["9", "10"]


def test_two_lanes_to_one_endpoint_have_separate_epochs(shared: Caller, new_id: NewId, lane: str) -> None:
    assert shared.push({"id": new_id()}, headers=sender(9, lane)).status == "success"
    assert shared.push({"id": new_id()}, headers=sender(2, f"{lane}b")).status == "success"
    assert shared.push({"id": new_id()}, headers=sender(1, f"{lane}b")) == stale(2, 1)
    assert shared.push({"id": new_id()}, headers=sender(8, lane)) == stale(9, 8)


def test_a_lane_to_two_endpoints_has_one_epoch(shared: Caller, new_id: NewId, lane: str) -> None:
    shared.push({"id": new_id()}, headers=sender(9, lane))
    assert shared.push({"key": new_id()}, protocol="open", headers=sender(8, lane)) == stale(9, 8)


@pytest.mark.parametrize("unnamed", [None, ""], ids=["absent", "empty"])
def test_without_a_lane_each_endpoint_has_its_own_epoch(
    shared: Caller, new_id: NewId, unnamed: str | None, lane: str
) -> None:
    high = new_id() + 1000  # higher than what other tests sent here
    assert shared.push({"key": new_id()}, protocol="open", headers=sender(high, unnamed)).status == "success"
    assert shared.push({"id": new_id()}, protocol="odd", headers=sender(0, unnamed)).status == "success"
    assert shared.push({"key": new_id()}, protocol="open", headers=sender(3, lane)).status == "success"
    assert shared.push({"key": new_id()}, protocol="open", headers=sender(3, unnamed)) == stale(high, 3)


def test_a_stale_sender_is_refused_before_its_records_are_judged(
    shared: Caller, new_id: NewId, lane: str
) -> None:
    shared.push({"id": new_id()}, headers=sender(7, lane))
    assert shared.push({"id": new_id(), "refuse": "bad"}, headers=sender(5, lane)) == stale(7, 5)
    assert shared.push({"no": "id"}, headers=sender(5, lane)) == stale(7, 5)
    assert shared.push(headers=sender(5, lane)) == stale(7, 5)


def test_a_stale_sender_is_told_so_even_if_the_node_has_all_its_records(
    shared: Caller, new_id: NewId, lane: str
) -> None:
    known = {"id": new_id()}
    shared.push(known, headers=sender(5, lane))
    shared.push({"id": new_id()}, headers=sender(7, lane))
    assert shared.push(known, headers=sender(5, lane)) == stale(7, 5)


def test_a_request_that_was_answered_before_is_refused_to_a_stale_sender(
    shared: Caller, new_id: NewId, lane: str
) -> None:
    record, key = {"id": new_id()}, {"Idempotency-Key": lane}
    first = shared.push(record, headers=sender(5, lane) | key)
    assert shared.push(record, headers=sender(7, lane) | key) == first, "the new sender repeats the old one's"
    assert shared.push(record, headers=sender(5, lane) | key) == stale(7, 5)
    assert shared.push(record, headers=sender(7, lane) | key) == first


def test_a_new_sender_whose_first_batch_is_refused_replaces_the_old_one(
    shared: Caller, new_id: NewId, lane: str, arrived: Arrived
) -> None:
    assert shared.push({"id": new_id(), "refuse": "bad"}, headers=sender(7, lane)).http == 200
    assert shared.push({"id": new_id()}, headers=sender(5, lane)) == stale(7, 5)
    assert arrived() == []


@pytest.mark.parametrize(
    "epoch",
    [
        pytest.param("", id="empty"),
        pytest.param("seven", id="a word"),
        pytest.param("-1", id="negative"),
        pytest.param("+7", id="a plus sign"),
        pytest.param("7.0", id="a fraction"),
        pytest.param("1e3", id="an exponent"),
        pytest.param("1_000", id="an underscore"),
        pytest.param("0x7", id="hexadecimal"),
        pytest.param("7 7", id="a blank inside"),
        pytest.param("7, 7", id="a list"),
        pytest.param("NaN", id="not a number"),
        pytest.param(str(LARGEST + 1), id="one too many"),
        pytest.param("9" * 5000, id="more digits than Python reads"),
        pytest.param("²", id="a superscript"),
    ],
)
def test_an_epoch_that_is_not_an_integer_is_a_bad_request(
    shared: Caller, new_id: NewId, lane: str, arrived: Arrived, epoch: str
) -> None:
    body = {"api_key": shared.api_key, "delivery": {"id": new_id()}}
    headers = {"Workmesh-Epoch": epoch.encode("latin-1"), "Workmesh-Lane": lane.encode()}
    answer = shared.send("POST", "/api/1.0/delivery/push.json", json=body, headers=headers)
    assert answer.status_code == 400
    assert answer.json() == {"status": f"Workmesh-Epoch must be an integer from 0 to {LARGEST}", "value": ""}
    assert arrived() == []
    assert shared.push({"id": new_id()}, headers=sender(0, lane)).status == "success"


def test_an_epoch_that_is_sent_twice_is_a_bad_request(shared: Caller, new_id: NewId) -> None:
    body = {"api_key": shared.api_key, "delivery": {"id": new_id()}}
    headers = [("Workmesh-Epoch", "7"), ("Workmesh-Epoch", "5")]
    assert shared.send("POST", "/api/1.0/delivery/push.json", json=body, headers=headers).status_code == 400


@pytest.mark.parametrize(
    "given", ["delivery", "/api/1.0/delivery/push.json", "a b/c", "a/", f"a/{'b' * 999}"]
)
def test_an_invalid_lane_is_a_bad_request(shared: Caller, new_id: NewId, given: str) -> None:
    answer = shared.push({"id": new_id()}, headers=sender(1, given))
    assert answer.http == 400
    assert answer.status.startswith("Workmesh-Lane must be <service>/<protocol>")


@pytest.mark.parametrize(
    "name",
    [
        lambda lane: quote(f"mïcro é,;/{lane}", safe="/"),
        lambda lane: f"{'s' * 200}/{lane}".ljust(401, "x"),
    ],
    ids=["percent-encoded", "of the longest names"],
)
def test_every_lane_name_of_a_master_is_accepted(
    shared: Caller, new_id: NewId, lane: str, name: Callable[[str], str]
) -> None:
    named = name(lane)
    assert shared.push({"id": new_id()}, headers=sender(4, named)).status == "success"
    assert shared.push({"id": new_id()}, headers=sender(3, named)) == stale(4, 3)


def test_a_push_without_an_epoch_is_accepted_at_any_time(
    shared: Caller, new_id: NewId, lane: str, arrived: Arrived
) -> None:
    shared.push({"id": new_id()}, headers=sender(7, lane))
    assert shared.push({"id": new_id()}, headers={"Workmesh-Lane": lane}).status == "success"
    assert shared.push({"id": new_id()}).status == "success"
    assert [item.epoch for item in arrived()] == ["7", None, None]
    assert shared.push({"id": new_id()}, headers=sender(6, lane)) == stale(7, 6), (
        "the highest epoch is unchanged"
    )


@pytest.mark.parametrize("endpoint", ["ping", "version", "workload", "delivery/status", "delivery/pull"])
def test_only_a_push_checks_the_epoch(shared: Caller, new_id: NewId, lane: str, endpoint: str) -> None:
    shared.push({"id": new_id()}, headers=sender(7, lane))
    payload: dict[str, list[int]] = {"ids": []} if endpoint == "delivery/pull" else {}
    for headers in (sender(5, lane), sender("seven", "no lane"), sender(9, lane)):
        assert shared.post(endpoint, headers, **payload).status == "success"
    assert shared.push({"id": new_id()}, headers=sender(8, lane)).status == "success"


def test_without_the_key_no_epoch_is_saved_or_returned(shared: Caller, new_id: NewId, lane: str) -> None:
    shared.push({"id": new_id()}, headers=sender(7, lane))
    key, shared.api_key = shared.api_key, "wrong"
    for epoch in (5, 9, "seven"):
        assert shared.push({"id": new_id()}, headers=sender(epoch, lane)).status == "Wrong api_key"
    shared.api_key = key
    assert shared.push({"id": new_id()}, headers=sender(7, lane)).status == "success"
