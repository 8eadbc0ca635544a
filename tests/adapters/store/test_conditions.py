from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from time import sleep

from sqlalchemy import Engine, insert

from workmesh_flows.adapters.store.conditions import (
    MOST_REPORTED,
    ConditionChanges,
    Kind,
    all_conditions,
    compare_conditions,
    save_changes,
)
from workmesh_flows.adapters.store.schema import conditions

NOW = datetime(2026, 11, 1, tzinfo=UTC)
LANE: Kind = "lane stopped"


def reported(
    engine: Engine, holding: dict[str, str], looked_at: list[str] | None = None
) -> tuple[list[str], list[str]]:
    """The subjects that started and that are resolved; the changes are saved as reported."""
    found = compare_conditions(
        engine, LANE, holding, lambda subject: looked_at is None or subject in looked_at
    )
    save_changes(engine, found, NOW)
    return sorted(found.started), sorted(found.resolved)


def test_a_condition_is_reported_once_when_it_starts_and_once_when_it_is_resolved(engine: Engine) -> None:
    assert reported(engine, {"a": "unreachable", "b": "unreachable"}) == (["a", "b"], [])
    assert reported(engine, {"a": "still unreachable", "b": "unreachable"}) == ([], [])
    assert reported(engine, {"b": "unreachable"}) == ([], ["a"])
    assert reported(engine, {"a": "unreachable again", "b": "unreachable"}) == (["a"], [])
    assert reported(engine, {}) == ([], ["a", "b"])
    assert reported(engine, {}) == ([], [])


def test_a_condition_with_a_new_reason_is_saved_with_its_start_time_and_not_reported_again(
    engine: Engine,
) -> None:
    reported(engine, {"a": "no connection", "b": "no connection"})
    later = compare_conditions(engine, LANE, {"a": "Wrong api_key", "b": "no connection"})
    assert (later.started, later.resolved) == ({}, {})
    save_changes(engine, later, NOW + timedelta(hours=1))
    saved = {condition.subject: (condition.since, condition.detail) for condition in all_conditions(engine)}
    assert saved == {"a": (NOW, "Wrong api_key"), "b": (NOW, "no connection")}
    assert compare_conditions(engine, LANE, {"a": "Wrong api_key", "b": "no connection"}).changed == {}


def test_a_run_resolves_only_conditions_that_it_knows_about(engine: Engine) -> None:
    reported(engine, {"a": "unreachable", "b": "unreachable"})
    assert reported(engine, {}, ["a", "c"]) == ([], ["a"])
    assert reported(engine, {}, []) == ([], [])


def test_a_resolved_condition_has_the_saved_detail(engine: Engine) -> None:
    reported(engine, {"a": "no connection"})
    assert compare_conditions(engine, LANE, {}).resolved == {"a": "no connection"}


def test_a_condition_that_was_not_saved_is_reported_again(engine: Engine) -> None:
    assert compare_conditions(engine, LANE, {"a": "unreachable"}).started == {"a": "unreachable"}
    assert compare_conditions(engine, LANE, {"a": "unreachable"}).started == {"a": "unreachable"}


def test_conditions_of_different_kinds_are_independent(engine: Engine) -> None:
    reported(engine, {"n1": "unreachable"})
    assert list(compare_conditions(engine, "node unreachable", {"n1": "unreachable"}).started) == ["n1"]


def test_two_runs_may_save_the_same_changes(engine: Engine) -> None:
    found = compare_conditions(engine, LANE, {"a": "unreachable"})
    save_changes(engine, found, NOW)
    save_changes(engine, found, NOW)
    resolved = ConditionChanges(LANE, {}, {"a": "unreachable"})
    save_changes(engine, resolved, NOW)
    save_changes(engine, resolved, NOW)
    assert reported(engine, {}) == ([], [])


def test_two_runs_may_save_the_same_changes_at_the_same_time(engine: Engine) -> None:
    found = compare_conditions(engine, LANE, {"a": "unreachable", "b": "unreachable"})
    with engine.connect() as other, ThreadPoolExecutor(1) as pool:
        row = {"kind": LANE, "subject": "a", "since": NOW, "detail": "unreachable"}
        other.execute(insert(conditions), [row])
        waiting = pool.submit(save_changes, engine, found, NOW)
        sleep(0.3)
        assert not waiting.done(), "it waits for the other one to commit"
        other.commit()
        waiting.result(timeout=20)
    assert reported(engine, {"a": "unreachable", "b": "unreachable"}) == (["b"], []), (
        "a change that was not saved is reported again"
    )
    assert reported(engine, {"a": "unreachable", "b": "unreachable"}) == ([], [])


def test_many_conditions_are_reported_in_portions_and_none_is_dropped(engine: Engine) -> None:
    many = {f"record {number:04}": "bad" for number in range(2 * MOST_REPORTED + 5)}
    portions = [len(reported(engine, many)[0]) for _ in range(4)]
    assert portions == [MOST_REPORTED, MOST_REPORTED, 5, 0]
