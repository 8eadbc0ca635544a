"""Results that a node gives, and the values that are written to columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine

from tests.operations.delivery.lane_runs import pull, pull_stops, push
from tests.operations.delivery.parcels import Parcel, parcel_id, parcel_service, parcels, utc, write_parcels
from tests.support.counts import Counts, counts
from tests.support.scripted_node import API_KEY, Answer, Asked, ScriptedNode, scripted_node, success
from workmesh_flows import NodeClient, RecordRefused

WHOLE = {
    "seen_at": "2026-03-01T14:30:00.250+02:00",
    "seen_on": "2026-03-01",
    "local_time": "2026-03-01T14:30:00+02:00",
    "price": "12.50",
    "ticket": "{F47AC10B-58CC-4372-A567-0E02B2C3D479}",
    "count": 7,
    "ratio": 0.5,
    "fragile": True,
    "note": "ok",
}
NODE_ERROR = "the node had no time"


def letter_case(record_id: UUID) -> str:
    return str(record_id).upper()


@contextmanager
def processed(
    engine: Engine, results: dict[int, Any], *, written: Callable[[UUID], str] = str
) -> Iterator[ScriptedNode]:
    """A node that has these results of parcels, by number."""
    write_parcels(engine, results)
    by_id = {str(parcel_id(number)): result for number, result in results.items()}
    latest = parcel_id(max(results))

    def script(asked: Asked) -> Answer:
        if asked.path == "/status.json":
            return success(written(latest))
        if asked.path == "/pull.json":
            return success({written(UUID(key)): by_id[key] for key in asked.body["ids"]})
        return success()

    with scripted_node(script) as node:
        push(engine, parcel_service(), node.node())
        yield node


def test_results_are_converted_to_what_their_columns_hold(engine: Engine) -> None:
    with processed(engine, {1: WHOLE, 2: {}, 3: dict.fromkeys(WHOLE)}) as node:
        assert counts(pull(engine, parcel_service(), node.node())) == Counts(pulled=3)
    parcel = parcels(engine)[1]
    assert utc(parcel.seen_at) == datetime(2026, 3, 1, 12, 30, 0, 250_000, tzinfo=UTC)
    assert parcel.seen_on == date(2026, 3, 1)
    assert parcel.local_time == datetime(2026, 3, 1, 12, 30), "a column without zones keeps UTC"  # noqa: DTZ001
    assert parcel.price == Decimal("12.50")
    assert parcel.ticket == UUID("f47ac10b-58cc-4372-a567-0e02b2c3d479")
    assert (parcel.count, parcel.ratio, parcel.fragile, parcel.note) == (7, 0.5, True, "ok")
    assert parcels(engine)[3].price is None


def test_a_time_without_a_zone_is_taken_to_be_utc(engine: Engine) -> None:
    with processed(engine, {1: {"seen_at": "2026-03-01T12:00:00"}}) as node:
        pull(engine, parcel_service(), node.node())
    assert utc(parcels(engine)[1].seen_at) == datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "written", [letter_case, lambda record_id: f"{{{record_id}}}", lambda record_id: record_id.hex]
)
def test_a_uuid_may_come_back_in_another_spelling(engine: Engine, written: Callable[[UUID], str]) -> None:
    with processed(engine, {1: {"count": 1}, 2: {"count": 2}}, written=written) as node:
        assert counts(pull(engine, parcel_service(), node.node())) == Counts(pulled=2)
    assert [parcel.count for _, parcel in sorted(parcels(engine).items())] == [1, 2]


def test_a_uuid_that_is_refused_in_another_spelling_is_the_one_that_is_flagged(engine: Engine) -> None:
    write_parcels(engine, [1])
    with scripted_node(lambda asked: success({"refused": {letter_case(parcel_id(1)): "no"}})) as node:
        assert counts(push(engine, parcel_service(), node.node())) == Counts(refused=1)
    assert parcels(engine)[1].push_error == "no"


@pytest.mark.parametrize("latest", [7, "parcel-7", None])
def test_a_latest_record_that_is_no_uuid_pulls_nothing(engine: Engine, latest: object) -> None:
    with processed(engine, {1: WHOLE}) as node:
        node.script = lambda asked: success(latest)
        if latest is None:
            assert pull(engine, parcel_service(), node.node()).selected == 0
        else:
            assert "which is no id of parcel" in str(pull_stops(engine, parcel_service(), node.node()))


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        pytest.param(NODE_ERROR, NODE_ERROR, id="a text is why it failed"),
        pytest.param({"count": "many"}, "the result does not fit count: ", id="a text for a number"),
        pytest.param({"count": 1.5}, "the result does not fit count: ", id="half a number"),
        pytest.param({"count": 2**63}, "", id="a number that no column keeps"),
        pytest.param({"price": "cheap"}, "the result does not fit price: ", id="a text for an amount"),
        pytest.param({"ticket": "42"}, "the result does not fit ticket: ", id="a text for a UUID"),
        pytest.param({"seen_at": "yesterday"}, "the result does not fit seen_at: ", id="a text for a time"),
        pytest.param({"note": 5}, "the result does not fit note: ", id="a number for a text"),
        pytest.param({"note": {"a": 1}}, "the result does not fit note: ", id="an object for a text"),
        pytest.param([1, 2], "", id="a list"),
    ],
)
def test_a_result_that_does_not_fit_fails_its_record_and_the_others_go_on(
    engine: Engine, result: object, reason: str
) -> None:
    with processed(engine, {1: WHOLE, 2: result, 3: WHOLE}) as node:
        report = pull(engine, parcel_service(), node.node())
    assert counts(report) == Counts(pulled=2, failed=1)
    found = parcels(engine)
    assert [found[n].pull_success for n in (1, 2, 3)] == [True, False, True]
    assert (found[2].pull_error or "").startswith(reason)
    assert found[2].pull_error
    assert found[2].pull_time is not None
    assert found[2].count is None


def test_a_result_the_database_refuses_fails_its_record_and_the_others_go_on(engine: Engine) -> None:
    results = {number: {"count": number} for number in range(1, 8)} | {4: {"note": "much too long for ten"}}
    if engine.dialect.name == "sqlite":  # takes a text of any length
        results[4] = {"count": 2**63}
    with processed(engine, results) as node:
        report = pull(engine, parcel_service(), node.node())
    assert counts(report) == Counts(pulled=6, failed=1)
    assert (parcels(engine)[4].pull_error or "").startswith("the result does not fit")


def test_a_failed_pull_is_retried_and_may_succeed(engine: Engine) -> None:
    with processed(engine, {1: NODE_ERROR, 2: WHOLE}) as node:
        assert counts(pull(engine, parcel_service(), node.node())) == Counts(pulled=1, failed=1)
        script = node.script
        node.script = lambda asked: (
            success({key: {"count": 5} for key in asked.body["ids"]})
            if asked.path == "/pull.json"
            else script(asked)
        )
        assert counts(pull(engine, parcel_service(), node.node())) == Counts(pulled=1)
    parcel = parcels(engine)[1]
    assert (parcel.pull_success, parcel.pull_error, parcel.count) == (True, None, 5)


def test_result_keys_without_a_declared_column_are_ignored(engine: Engine) -> None:
    with processed(engine, {1: {"count": 3, "pull_success": False, "surprise": 1}}) as node:
        assert counts(pull(engine, parcel_service(), node.node())) == Counts(pulled=1)
    assert (parcels(engine)[1].count, parcels(engine)[1].pull_success) == (3, True)


Fetch = Callable[[Any, NodeClient], Any]


def by_function(fetch: Fetch, *, batch_size: int | None = None) -> Any:
    return parcel_service(fetch=fetch, batch_size=batch_size)


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ({"colour": "red"}, "the result names 'colour', which is no column of Parcel"),
        ({"depot": 1}, "the result names 'depot', which is no column of Parcel"),
        ({"metadata": 1}, "the result names 'metadata', which is no column of Parcel"),
        ({"pull_success": True}, "the result names 'pull_success', which is the id or a flag"),
        ({"id": str(parcel_id(9))}, "the result names 'id', which is the id or a flag"),
        ([1], "the result is a list, not values by column"),
        ("no luck", "no luck"),
    ],
)
def test_a_function_that_returns_what_cannot_be_written_fails_its_record(
    engine: Engine, result: object, reason: str
) -> None:
    def fetch(parcel: Parcel, node: NodeClient) -> Any:
        return result if parcel.number == 2 else {"count": parcel.number}

    with processed(engine, {1: {}, 2: {}, 3: {}}) as node:
        assert counts(pull(engine, by_function(fetch), node.node())) == Counts(pulled=2, failed=1)
    found = parcels(engine)
    assert found[2].pull_error == reason
    assert (found[1].count, found[2].count, found[3].count) == (1, None, 3)


def test_a_function_of_a_record_may_write_nothing(engine: Engine) -> None:
    with processed(engine, {1: {}, 2: {}}) as node:
        assert counts(pull(engine, by_function(lambda parcel, node: None), node.node())) == Counts(pulled=2)
    assert {parcel.pull_success for parcel in parcels(engine).values()} == {True}


def test_a_function_of_a_record_that_raises_fails_that_record(engine: Engine) -> None:
    def fetch(parcel: Parcel, node: NodeClient) -> dict[str, Any]:
        if parcel.number == 1:
            raise RecordRefused("not this one")
        return {"count": {3: 30}[parcel.number]}

    with processed(engine, {1: {}, 2: {}, 3: {}}) as node:
        report = pull(engine, by_function(fetch), node.node())
    assert counts(report) == Counts(pulled=1, failed=2)
    assert [parcels(engine)[n].pull_error for n in (1, 2, 3)] == [
        "not this one",
        "the function raised KeyError: 2",
        None,
    ]


def test_a_function_of_several_records_gives_values_by_id(engine: Engine) -> None:
    sizes = []

    def fetch(page: list[Parcel], node: NodeClient) -> dict[Any, Any]:
        sizes.append(len(page))
        results: dict[Any, Any] = {parcel.id: {"count": parcel.number} for parcel in page}
        return results | {parcel_id(2): "too late", parcel_id(5): None, parcel_id(99): {"count": 0}}

    with processed(engine, {number: dict[str, Any]() for number in range(1, 6)}) as node:
        report = pull(engine, by_function(fetch, batch_size=3), node.node())
    assert sizes == [3, 2]
    assert counts(report) == Counts(pulled=4, failed=1)
    assert [parcels(engine)[n].count for n in range(1, 6)] == [1, None, 3, 4, None]


def test_a_function_of_several_records_that_leaves_ids_out_leaves_them_pending(engine: Engine) -> None:
    with processed(engine, {1: {}, 2: {}, 3: {}}) as node:
        service = by_function(lambda page, node: {str(parcel_id(2)): {"count": 2}}, batch_size=10)
        assert counts(pull(engine, service, node.node())) == Counts(pulled=1, in_flight=2)
        service = by_function(lambda page, node: None, batch_size=10)
        assert counts(pull(engine, service, node.node())) == Counts(pulled=2)


def test_a_function_of_several_records_that_raises_fails_only_the_record_at_fault(engine: Engine) -> None:
    def fetch(page: list[Parcel], node: NodeClient) -> dict[Any, Any]:
        return {parcel.id: {"count": 100 // (parcel.number - 6)} for parcel in page}

    with processed(engine, {number: dict[str, Any]() for number in range(1, 11)}) as node:
        report = pull(engine, by_function(fetch, batch_size=10), node.node())
    assert counts(report) == Counts(pulled=9, failed=1)
    assert (parcels(engine)[6].pull_error or "").startswith("the function raised ZeroDivisionError")


def test_a_function_of_several_records_that_returns_a_wrong_type_stops_the_lane(engine: Engine) -> None:
    with processed(engine, {1: {}, 2: {}}) as node:
        stopped = pull_stops(engine, by_function(lambda page, node: "done", batch_size=10), node.node())
    assert "it returned a str; it must return None, or values by id" in str(stopped)
    assert {parcel.pull_success for parcel in parcels(engine).values()} == {None}


def test_a_result_that_crashes_the_node_is_found_and_the_others_are_pulled(engine: Engine) -> None:
    poison = str(parcel_id(4))
    with processed(engine, {number: {"count": 1} for number in range(1, 8)}) as node:
        script = node.script
        node.script = lambda asked: Answer(code=500) if poison in asked.body.get("ids", []) else script(asked)
        report = pull(engine, parcel_service(), node.node())
    assert counts(report) == Counts(pulled=6, failed=1)
    assert (parcels(engine)[4].pull_error or "").startswith("the node crashes on it")


def test_more_ids_than_a_node_takes_at_once_are_asked_for_in_parts(engine: Engine) -> None:
    with processed(engine, {number: {"count": 1} for number in range(1, 8)}) as node:
        script = node.script
        node.script = lambda asked: Answer(code=413) if len(asked.body.get("ids", [])) > 2 else script(asked)
        assert counts(pull(engine, parcel_service(), node.node())) == Counts(pulled=7)


def test_the_key_in_a_node_s_reason_reaches_neither_column_nor_report(engine: Engine) -> None:
    echo = f"bad call {API_KEY}, again {API_KEY.strip('{}').lower()}"
    with processed(engine, {1: echo, 2: {}}) as node:
        service = parcel_service()
        report = pull(engine, service, node.node())
    errors = [parcel.pull_error for parcel in parcels(engine).values()]
    assert report.failed == 1
    assert "bad call ***, again ***" in errors
    assert API_KEY.strip("{}").lower() not in f"{errors} {report.reasons}".lower()
