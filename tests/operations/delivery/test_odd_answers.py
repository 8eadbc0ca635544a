"""Answers that are odd in one record, or cannot be read because of one: only that record's entity waits."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal

import pytest
from sqlalchemy import Engine

from tests.operations.delivery.lane_runs import (
    PING,
    PUSH,
    QUICK,
    context_on,
    pull,
    pull_stops,
    push,
    push_stops,
    refusing,
    sent,
)
from tests.operations.delivery.parcels import Parcel, parcel_id, parcel_service, parcels, write_parcels
from tests.support.counts import Counts, counts
from tests.support.scripted_node import Answer, Asked, ScriptedNode, scripted_node, success
from tests.support.shop import orders, shop_service, with_push_success, write_orders, write_shops
from workmesh_flows import NodeClient
from workmesh_flows.errors import LaneStopped
from workmesh_flows.operations.delivery.pull import pull_lane
from workmesh_flows.operations.delivery.push import push_lane

UNREADABLE = [
    pytest.param(b"<html>Something went wrong</html>", "is not JSON", id="a page"),
    pytest.param(b'{"status": "succ', "is not JSON", id="half a JSON"),
    pytest.param(b"", "is not JSON", id="an empty answer"),
    pytest.param(b"[" * 100_000, "is not JSON", id="nested too deeply"),
    pytest.param(b'"success"', "without a status", id="JSON that is no envelope"),
]


@pytest.mark.parametrize("batch_size", [None, 10])
@pytest.mark.parametrize(("body", "reported"), UNREADABLE)
def test_a_record_whose_push_gets_an_unreadable_answer_is_found_and_the_others_go_on(
    engine: Engine, body: bytes, reported: str, batch_size: int | None
) -> None:
    write_shops(engine, ["n1"] * 3)
    write_orders(engine, [1, 2, 3] * 4)
    with scripted_node(refusing(lambda number: number == 5, Answer(body))) as node:
        report = push(engine, shop_service(batch_size=batch_size), node.node())
    assert counts(report) == Counts(pushed=9, refused=1, waiting=2)
    assert with_push_success(engine, None) == [8, 11]
    assert reported in (orders(engine)[5].push_error or "")


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        pytest.param(b"not a \\ud83d", "not a \N{REPLACEMENT CHARACTER}", id="half a pair"),
        pytest.param(b"not a caf\xe9", "not a café", id="Latin-1"),
        pytest.param(b"line 1\nline 2\x00", "line 1 line 2", id="control characters"),
    ],
)
def test_the_reason_of_a_refusal_is_read_and_stored_whatever_its_letters(
    engine: Engine, status: bytes, reason: str
) -> None:
    write_shops(engine, ["n1"] * 2)
    write_orders(engine, [1, 2])
    refused = Answer(b'{"status": "' + status + b'", "value": ""}')
    with scripted_node(refusing(lambda number: number == 1, refused)) as node:
        assert counts(push(engine, shop_service(), node.node())) == Counts(pushed=1, refused=1)
    assert orders(engine)[1].push_error == reason


def test_an_unreadable_answer_of_a_node_that_also_fails_the_ping_flags_nothing(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 3)
    pings = iter([success()])

    def script(asked: Asked) -> Answer:
        return next(pings, Answer(b"<html>")) if asked.path == PING else Answer(b"<html>")

    with scripted_node(script) as node:
        stopped = push_stops(engine, shop_service(), node.node())
    assert stopped.transient
    assert "ping.json is not JSON" in str(stopped)
    assert with_push_success(engine, None) == [1, 2, 3]
    assert node.paths() == [PING, PUSH, PING]


Write = Callable[[int], bytes]


@contextmanager
def answering(engine: Engine, result: Write, count: int = 7) -> Iterator[ScriptedNode]:
    """A node that processed parcels; ``result`` is the JSON of each result, by the parcel's number."""
    write_parcels(engine, range(1, count + 1))
    numbers = {str(parcel_id(number)): number for number in range(1, count + 1)}

    def script(asked: Asked) -> Answer:
        if asked.path == "/status.json":
            return success(str(parcel_id(count)))
        if asked.path == "/pull.json":
            results = b", ".join(
                b'"%s": %s' % (key.encode(), result(numbers[key])) for key in asked.body["ids"]
            )
            return Answer(b'{"status": "success", "value": {' + results + b"}}")
        return success()

    with scripted_node(script) as node:
        push(engine, parcel_service(), node.node())
        node.asked.clear()
        yield node


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(b"NaN", id="NaN"),
        pytest.param(b"Infinity", id="infinity"),
        pytest.param(b"-Infinity", id="negative infinity"),
        pytest.param(b'"\\ud83d"', id="half a pair"),
        pytest.param(b'"\xed\xa0\xbd"', id="half a pair as bytes"),
        pytest.param(b'"a\x01b\nc"', id="control characters"),
        pytest.param(b'"a\\u0000b"', id="NUL"),
        pytest.param(b'"caf\xe9"', id="Latin-1"),
        pytest.param(b'"\\ud83d" oops', id="no JSON"),
    ],
)
@pytest.mark.parametrize("field", [b"ratio", b"note"])
def test_an_odd_value_of_one_result_does_not_keep_the_others_from_being_pulled(
    engine: Engine, odd: bytes, field: bytes
) -> None:
    def result(number: int) -> bytes:
        return b'{"%s": %s}' % (field, odd) if number == 3 else b'{"ratio": 1, "note": "fine"}'

    with answering(engine, result) as node:
        report = pull(engine, parcel_service(), node.node())
    assert (report.selected, report.pulled + report.failed) == (7, 7)
    found = parcels(engine)
    assert [number for number, parcel in found.items() if not parcel.pull_success] in ([], [3])
    assert {found[number].note for number in (1, 2, 4, 5, 6, 7)} == {"fine"}


def test_an_odd_text_of_a_result_is_stored_in_a_form_that_the_database_takes(engine: Engine) -> None:
    written = {1: b'"\\ud83d!"', 2: b'"a\x01\nb"', 3: b'"caf\xe9"'}
    with answering(engine, lambda number: b'{"note": %s}' % written[number], count=3) as node:
        assert counts(pull(engine, parcel_service(), node.node())) == Counts(pulled=3)
    found = parcels(engine)
    assert [found[n].note for n in (1, 2, 3)] == ["\N{REPLACEMENT CHARACTER}!", "a\x01\nb", "café"]


def test_a_result_that_makes_the_answer_unreadable_is_found_and_asked_for_again(engine: Engine) -> None:
    with answering(engine, lambda number: b"nonsense" if number == 4 else b'{"count": 1}') as node:
        assert counts(pull(engine, parcel_service(), node.node())) == Counts(pulled=6, failed=1)
        assert "is not JSON" in (parcels(engine)[4].pull_error or "")
    assert [parcel.count for _, parcel in sorted(parcels(engine).items())] == [1, 1, 1, None, 1, 1, 1]


@pytest.mark.parametrize("body", [b"<html>", b'"success"'])
def test_a_status_that_cannot_be_read_stops_the_pull_and_flags_nothing(engine: Engine, body: bytes) -> None:
    with answering(engine, lambda number: b"{}") as node:
        node.script = lambda asked: Answer(body) if asked.path == "/status.json" else success()
        assert pull_stops(engine, parcel_service(), node.node()).transient
    assert {parcel.pull_success for parcel in parcels(engine).values()} == {None}


def test_a_function_gets_exact_numbers(engine: Engine) -> None:
    numbers = {"long": 2**64 + 1, "exact": "0.1234567890123456789", "short": 0.1}
    body = json.dumps({"status": "success", "value": numbers}).replace('"0.', "0.").replace('789"', "789")
    got: list[dict[str, object]] = []

    def fetch(parcel: Parcel, node: NodeClient) -> None:
        got.append(node.post("/numbers.json", {}))

    with answering(engine, lambda number: b"{}", count=1) as node:
        script = node.script
        node.script = lambda asked: Answer(body.encode()) if "numbers" in asked.path else script(asked)
        pull(engine, parcel_service(fetch=fetch), node.node())
    assert got == [{"long": 2**64 + 1, "exact": Decimal("0.1234567890123456789"), "short": 0.1}]
    assert isinstance(got[0]["short"], float)


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity"])
def test_a_number_that_is_not_finite_is_a_failed_result_on_every_database(
    engine: Engine, number: bytes
) -> None:
    with answering(engine, lambda _: b'{"ratio": ' + number + b"}", count=1) as node:
        report = pull(engine, parcel_service(), node.node())
    assert counts(report) == Counts(failed=1)
    assert list(report.reasons.values()) == ["the result does not fit ratio: it is not a finite number"]
    assert parcels(engine)[1].ratio is None


LONG = b'{"count": 1, "note": "ok", "more": "%s"}' % (b"x" * 1_000)
SMALL = replace(QUICK, max_answer_bytes=4_000)


def test_results_that_are_too_long_together_are_pulled_in_parts(engine: Engine) -> None:
    with answering(engine, lambda number: LONG, count=25) as node:
        lane = context_on(engine, parcel_service(), node.node(), limits=SMALL)
        assert counts(pull_lane(lane)) == Counts(pulled=25)
    sizes = [len(asked.body["ids"]) for asked in node.asked if asked.path == "/pull.json"]
    assert sizes == [10, 5, 3, 2, 5, 3, 2, 3, 3, 3, 1, 3, 2], "too long answers are met once in a run"


def test_a_single_result_that_is_too_long_fails_its_record_and_the_others_are_pulled(engine: Engine) -> None:
    with answering(engine, lambda number: LONG * 5 if number == 4 else b'{"count": 1}', count=25) as node:
        lane = context_on(engine, parcel_service(), node.node(), limits=SMALL)
        assert counts(pull_lane(lane)) == Counts(pulled=24, failed=1)
        assert parcels(engine)[4].pull_error == (
            "the answer of /pull.json is longer than 4,000 bytes; let the node answer less, or raise max_answer_bytes"
        )
    sizes = [len(asked.body["ids"]) for asked in node.asked if asked.path == "/pull.json"]
    assert sizes[-2:] == [10, 5], "the other parts keep their usual size"


def test_too_long_answers_to_a_push_are_avoided_with_smaller_batches(engine: Engine) -> None:
    """As of a node that answers with what it received."""
    write_shops(engine, ["n1"] * 3)
    write_orders(engine, [1, 2, 3] * 8)

    def script(asked: Asked) -> Answer:
        return success("x" * 1_000 * len(asked.body.get("orders", [])))

    with scripted_node(script) as node:
        lane = context_on(engine, shop_service(batch_size=10), node.node(), limits=SMALL)
        assert counts(push_lane(lane)) == Counts(pushed=24)
    assert [len(batch) for batch in sent(node.asked)] == [10, 5, 3, 2, 5, 3, 2, 3, 3, 3, 1, 3, 1]


def test_a_record_whose_push_gets_a_too_long_answer_is_refused_with_advice(engine: Engine) -> None:
    write_shops(engine, ["n1"] * 3)
    write_orders(engine, [1, 2, 3] * 4)
    with scripted_node(refusing(lambda number: number == 5, success("x" * 5_000))) as node:
        lane = context_on(engine, shop_service(), node.node(), limits=SMALL)
        assert counts(push_lane(lane)) == Counts(pushed=9, refused=1, waiting=2)
    assert (orders(engine)[5].push_error or "").endswith(
        "let the node answer less, or raise max_answer_bytes"
    )


def test_a_too_long_answer_to_a_status_request_stops_the_pull(engine: Engine) -> None:
    with answering(engine, lambda number: b"{}") as node:
        node.script = lambda asked: success("x" * 5_000)
        with pytest.raises(LaneStopped, match="longer than 4,000 bytes") as stopped:
            pull_lane(context_on(engine, parcel_service(), node.node(), limits=SMALL))
    assert stopped.value.transient
