"""What a run publishes: what has changed, and what is ten minutes old."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings
from sqlalchemy import Engine

from workmesh_flows.adapters.store.engine import Clock
from workmesh_flows.adapters.store.published import read_published
from workmesh_flows.observability import publications as tested
from workmesh_flows.observability.publications import publications, server_digest

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """The time of the test, which it changes."""
    time = [NOW]

    def clock_of(_: Engine) -> Clock:
        return lambda: time[0]

    monkeypatch.setattr(tested, "database_clock", clock_of)
    return time


def published(engine: Engine, *, always: bool = False, **contents: object) -> list[str]:
    """The keys that a run with these contents publishes."""
    keys: list[str] = []
    with publications(engine, always=always) as artifacts:
        for key, content in contents.items():
            artifacts.publish(key, content, lambda key=key: keys.append(key))  # type: ignore[misc]
    return keys


def test_only_what_has_changed_is_published_again(engine: Engine) -> None:
    assert published(engine, nodes=[1], services=[1]) == ["nodes", "services"]
    assert published(engine, nodes=[1], services=[1]) == []
    assert published(engine, nodes=[1], services=[2]) == ["services"]
    assert published(engine, nodes=[1], services=[1]) == ["services"]


def test_an_artifact_is_renewed_after_ten_minutes(engine: Engine, clock: list[datetime]) -> None:
    published(engine, nodes=[1])
    clock[0] = NOW + timedelta(minutes=9, seconds=59)
    assert published(engine, nodes=[1]) == []
    clock[0] = NOW + timedelta(minutes=10)
    assert published(engine, nodes=[1]) == ["nodes"]
    assert published(engine, nodes=[1]) == []
    clock[0] = NOW - timedelta(minutes=10)
    assert published(engine, nodes=[1]) == ["nodes"], "a clock was set back"


def test_what_a_run_published_before_it_died_is_published_once_more(engine: Engine) -> None:
    keys: list[str] = []
    dying = publications(engine)
    dying.__enter__().publish("nodes", [1], lambda: keys.append("nodes"))  # killed before it saves the digest
    assert keys == ["nodes"]
    assert published(engine, nodes=[1]) == ["nodes"]
    assert published(engine, nodes=[1]) == []


def test_a_run_that_only_counts_publishes_everything(engine: Engine) -> None:
    published(engine, nodes=[1])
    assert published(engine, always=True, nodes=[1]) == ["nodes"]


def test_each_server_gets_its_own_artifacts(engine: Engine) -> None:
    with temporary_settings({PREFECT_API_URL: "http://one:4200/api"}):
        assert published(engine, nodes=[1]) == ["nodes"]
    with temporary_settings({PREFECT_API_URL: "http://two:4200/api"}):
        assert published(engine, nodes=[1]) == ["nodes"]
    with temporary_settings({PREFECT_API_URL: "http://one:4200/api"}):
        assert published(engine, nodes=[1]) == []


def test_what_was_published_before_an_error_is_not_published_again(engine: Engine) -> None:
    def fail() -> None:
        raise RuntimeError("the server is gone")

    with suppress(RuntimeError), publications(engine) as artifacts:
        artifacts.publish("nodes", 1, lambda: None)
        artifacts.publish("services", 1, fail)
    assert published(engine, nodes=1, services=1) == ["services"]


def test_what_was_published_a_day_ago_is_forgotten(engine: Engine, clock: list[datetime]) -> None:
    with temporary_settings({PREFECT_API_URL: "http://of-a-test:4200/api"}):
        published(engine, nodes=[1])
        server = server_digest()
    clock[0] = NOW + timedelta(days=1, seconds=1)
    published(engine, nodes=[1])
    assert read_published(engine, server) == {}
