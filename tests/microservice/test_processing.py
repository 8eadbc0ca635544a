"""The processing of stored records: its order, its results, and failures."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

from tests.microservice.caller import Caller, wait_for
from tests.microservice.conftest import Arrived, Call, NewId, StartNode


def test_records_are_processed_in_order_of_arrival_over_all_protocols(
    shared: Caller, new_id: NewId, arrived: Arrived
) -> None:
    for _ in range(20):
        late, early = new_id(), new_id()
        shared.push({"id": early}, {"id": late})
        shared.push({"key": late}, protocol="open")
    shared.settle()
    log = arrived()
    times = [item.processed_at for item in log if item.processed_at is not None]
    assert len(times) == len(log) == 60
    assert times == sorted(times)


def test_the_status_is_the_latest_record_processed_of_each_protocol(
    start_node: StartNode, call: Call
) -> None:
    caller = call(start_node())
    assert caller.post("delivery/status").value is None
    caller.push({"id": 12}, {"id": 5})
    caller.push({"key": "7"}, protocol="open")
    caller.settle()
    assert caller.post("delivery/status").value == 5
    assert caller.post("open/status").value == "7"
    assert caller.post("odd/status").value is None
    caller.push({"id": "text", "fail": "on purpose"})
    caller.settle()
    assert caller.post("delivery/status").value == "text"


def test_a_pull_returns_results_and_reasons_and_omits_records_that_are_not_ready(
    shared: Caller, new_id: NewId
) -> None:
    good, failed, silent, slow, late = (new_id() for _ in range(5))
    shared.push(
        {"id": good, "result": {"score": 1, "nested": {"é": [1.5, None]}}},
        {"id": failed, "fail": "no such account"},
        {"id": silent, "result": None},
    )
    shared.settle()
    shared.push({"id": slow, "sleep": 0.5}, {"id": late})
    assert shared.post(
        "delivery/pull", ids=[good, str(failed), silent, slow, late, 10**9, "never"]
    ).value == {
        str(good): {"score": 1, "nested": {"é": [1.5, None]}},
        str(failed): f"record {failed}: ValueError: no such account",
        str(silent): {},
    }
    shared.settle()
    assert shared.post("delivery/pull", ids=[late]).value == {str(late): {"of": late}}
    assert shared.post("delivery/pull", ids=[]).value == {}


def test_a_pull_of_thousands_is_answered(shared: Caller, new_id: NewId) -> None:
    ids = [new_id() for _ in range(3000)]
    shared.push(*({"id": number} for number in ids))
    shared.settle()
    value = shared.post("delivery/pull", ids=ids).value
    assert value == {str(number): {"of": number} for number in ids}


def test_a_pull_requires_a_list_of_ids(shared: Caller) -> None:
    for payload in ({}, {"ids": 7}, {"ids": [None]}, {"ids": [True]}, {"ids": [1.5]}, {"ids": {"1": 1}}):
        answer = shared.post("delivery/pull", **payload)
        assert (answer.http, answer.value) == (200, "")
        assert answer.status.startswith("ids must be a list")


def test_after_any_failure_of_a_processing_function_the_next_record_is_processed(
    shared: Caller, new_id: NewId
) -> None:
    long, leaving, odd, unwritable, last = (new_id() for _ in range(5))
    shared.push({"id": long, "fail": "x" * 5000}, {"id": leaving, "exit": True})
    shared.push({"id": odd}, {"id": unwritable, "unwritable": True}, protocol="odd")
    shared.push({"id": last})
    shared.settle()
    value = shared.post("delivery/pull", ids=[long, leaving, last]).value
    assert value[str(long)] == (f"record {long}: ValueError: " + "x" * 2000)[:2000]
    assert value[str(leaving)] == f"record {leaving}: SystemExit: 3"
    assert value[str(last)] == {"of": last}
    odd_ones = shared.post("odd/pull", ids=[odd, unwritable]).value
    expected = "a processing function must return a dict, a dataclass, a pydantic model or None, not int"
    assert odd_ones[str(odd)] == f"record {odd}: TypeError: {expected}"
    expected = "the result 'word' cannot be written as JSON: Type is not JSON serializable: complex"
    assert odd_ones[str(unwritable)] == f"record {unwritable}: TypeError: {expected}"


def test_a_failure_that_json_cannot_encode_is_escaped(shared: Caller, new_id: NewId) -> None:
    at = new_id()
    shared.push({"id": at, "fail": "bad HALF"})
    shared.settle()
    assert shared.post("delivery/pull", ids=[at]).value == {str(at): f"record {at}: ValueError: bad \\ud83d"}


def test_a_slow_record_delays_no_request(shared: Caller, new_id: NewId) -> None:
    shared.settle()
    before = shared.post("delivery/status")
    started = time.monotonic()
    shared.push({"id": new_id(), "sleep": 1}, {"id": new_id()})
    assert shared.post("ping").status == "success"
    assert shared.push({"id": new_id()}).value == {"stored": 1, "known": 0}
    assert shared.post("workload").value == 3
    assert shared.post("delivery/status") == before
    assert time.monotonic() - started < 1
    shared.settle()


def test_results_of_slow_records_appear_before_their_chunk_is_full(shared: Caller, new_id: NewId) -> None:
    shared.settle()
    before = shared.post("delivery/status")
    shared.push(*({"id": new_id(), "sleep": 0.1} for _ in range(12)))
    wait_for(lambda: shared.post("delivery/status") != before)
    assert shared.post("workload").value > 2
    shared.settle()


def test_a_killed_node_processes_the_rest_after_its_restart_with_one_result_for_each_record(
    start_node: StartNode, call: Call, tmp_path: Path
) -> None:
    calls = tmp_path / "calls"
    node = start_node(environment={"CALLS": str(calls)})
    caller = call(node)
    records = [{"id": number, "sleep": 0.001 if number < 300 else 0.005} for number in range(400)]
    caller.push(*records[:300])
    caller.push(*records[300:])
    wait_for(lambda: sum(item.processed_at is not None for item in node.arrivals()) > 100)
    node.kill()
    assert sum(item.processed_at is None for item in node.arrivals()) > 50
    node.start()
    caller = call(node)
    caller.settle()

    log = node.arrivals()
    assert [item.id for item in log] == list(range(400))
    assert [item.result for item in log] == [{"of": number} for number in range(400)]
    assert caller.post("delivery/status").value == 399
    called = [int(line) for line in calls.read_text().splitlines()]
    assert set(called) == set(range(400))
    assert len(called) <= 400 + 200
    steps = [after - before for before, after in pairwise(called) if after != before + 1]
    assert len(steps) <= 1
    assert all(step <= 0 for step in steps), "a record was skipped"


def test_a_stop_waits_for_the_record_being_processed_and_stores_all_results(
    start_node: StartNode, call: Call, tmp_path: Path
) -> None:
    calls = tmp_path / "calls"
    node = start_node(environment={"CALLS": str(calls)})
    call(node).push(*({"id": number, "sleep": 0.2} for number in range(100)))
    wait_for(calls.exists)
    started = time.monotonic()
    assert node.stop() == 0
    assert time.monotonic() - started < 3
    called = calls.read_text().splitlines()
    done = [item.id for item in node.arrivals() if item.processed_at is not None]
    assert done == [int(line) for line in called]
    assert 0 < len(done) < 20
