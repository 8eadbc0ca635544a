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


def told(
    engine: Engine, holding: dict[str, str], looked_at: list[str] | None = None
) -> tuple[list[str], list[str]]:
    """What is news, as subjects; and it is kept as told."""
    found = compare_conditions(
        engine, LANE, holding, lambda subject: looked_at is None or subject in looked_at
    )
    save_changes(engine, found, NOW)
    return sorted(found.started), sorted(found.resolved)


def test_each_condition_is_news_when_it_begins_and_when_it_is_over(engine: Engine) -> None:
    assert told(engine, {"a": "away", "b": "away"}) == (["a", "b"], [])
    assert told(engine, {"a": "still away", "b": "away"}) == ([], [])
    assert told(engine, {"b": "away"}) == ([], ["a"])
    assert told(engine, {"a": "away again", "b": "away"}) == (["a"], [])
    assert told(engine, {}) == ([], ["a", "b"])
    assert told(engine, {}) == ([], [])


def test_what_goes_on_for_another_reason_is_no_news_but_kept_with_the_time_it_began(engine: Engine) -> None:
    told(engine, {"a": "no connection", "b": "no connection"})
    later = compare_conditions(engine, LANE, {"a": "Wrong api_key", "b": "no connection"})
    assert (later.started, later.resolved) == ({}, {})
    save_changes(engine, later, NOW + timedelta(hours=1))
    kept = {condition.subject: (condition.since, condition.detail) for condition in all_conditions(engine)}
    assert kept == {"a": (NOW, "Wrong api_key"), "b": (NOW, "no connection")}
    assert compare_conditions(engine, LANE, {"a": "Wrong api_key", "b": "no connection"}).changed == {}


def test_a_run_speaks_only_of_what_it_looked_at(engine: Engine) -> None:
    told(engine, {"a": "away", "b": "away"})
    assert told(engine, {}, ["a", "c"]) == ([], ["a"])
    assert told(engine, {}, []) == ([], [])


def test_what_is_over_is_told_with_what_was_said_when_it_began(engine: Engine) -> None:
    told(engine, {"a": "no connection"})
    assert compare_conditions(engine, LANE, {}).resolved == {"a": "no connection"}


def test_what_was_not_kept_as_told_is_told_again(engine: Engine) -> None:
    assert compare_conditions(engine, LANE, {"a": "away"}).started == {"a": "away"}
    assert compare_conditions(engine, LANE, {"a": "away"}).started == {"a": "away"}


def test_kinds_do_not_mix(engine: Engine) -> None:
    told(engine, {"n1": "away"})
    assert list(compare_conditions(engine, "node unreachable", {"n1": "away"}).started) == ["n1"]


def test_two_runs_that_tell_the_same_both_end_well(engine: Engine) -> None:
    found = compare_conditions(engine, LANE, {"a": "away"})
    save_changes(engine, found, NOW)
    save_changes(engine, found, NOW)
    resolved = ConditionChanges(LANE, {}, {"a": "away"})
    save_changes(engine, resolved, NOW)
    save_changes(engine, resolved, NOW)
    assert told(engine, {}) == ([], [])


def test_two_runs_that_tell_the_same_at_the_same_moment_both_end_well(engine: Engine) -> None:
    found = compare_conditions(engine, LANE, {"a": "away", "b": "away"})
    with engine.connect() as other, ThreadPoolExecutor(1) as pool:
        row = {"kind": LANE, "subject": "a", "since": NOW, "detail": "away"}
        other.execute(insert(conditions), [row])
        waiting = pool.submit(save_changes, engine, found, NOW)
        sleep(0.3)
        assert not waiting.done(), "it waits for the other one to commit"
        other.commit()
        waiting.result(timeout=20)
    assert told(engine, {"a": "away", "b": "away"}) == (["b"], []), "what was not kept is told again"
    assert told(engine, {"a": "away", "b": "away"}) == ([], [])


def test_a_flood_comes_in_portions_and_nothing_of_it_is_dropped(engine: Engine) -> None:
    many = {f"record {number:04}": "bad" for number in range(2 * MOST_REPORTED + 5)}
    portions = [len(told(engine, many)[0]) for _ in range(4)]
    assert portions == [MOST_REPORTED, MOST_REPORTED, 5, 0]
