"""GET /health and GET /metrics, which need no key."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from prometheus_client import REGISTRY, Counter
from starlette.testclient import TestClient

from tests.microservice.caller import wait_for
from tests.microservice.small_service import timeline
from tests.support.scraping import OPENMETRICS, Samples, read_families, read_samples
from workmesh_flows.microservice import MicroService, metrics, worker
from workmesh_flows.microservice.backlog import store_results
from workmesh_flows.microservice.counts import BUCKETS, Counts, ProcessedRecord
from workmesh_flows.microservice.database import Database

KEY = "{5D4A-KEY}"
PREFIX = "workmesh_microservice_"


@contextmanager
def node(folder: Path, microservice: MicroService = timeline) -> Iterator[TestClient]:
    app = microservice.app(api_key=KEY, database=folder / "node.db")
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def push(client: TestClient, *records: dict[str, Any], key: str = KEY) -> str:
    body = {"api_key": key, "deliveries": list(records)}
    status: str = client.post("/api/1.0/delivery/push.json", json=body).json()["status"]
    return status


def delivery(number: int, **more: Any) -> dict[str, Any]:
    return {"id": number, "email": "a@b", "subject": "four", **more}


def scraped(client: TestClient) -> Samples:
    """All samples by name and values of labels; an answer that is not valid OpenMetrics raises ValueError."""
    answer = client.get("/metrics", headers=OPENMETRICS)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    return read_samples(answer.text, PREFIX)


def processed(client: TestClient, number: int) -> Samples:
    """The samples once this number of deliveries is counted as processed."""
    wait_for(lambda: scraped(client)["processed_records_total", "delivery"] == number)
    return scraped(client)


def test_a_node_is_healthy_while_its_worker_runs(tmp_path: Path) -> None:
    with node(tmp_path) as client:
        answer = client.get("/health")
        assert (answer.status_code, answer.json()) == (200, {"alive": True, "worker": "running"})


def test_a_node_is_unhealthy_while_its_worker_cannot_store_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repaired = Event()

    def store(*arguments: Any) -> None:
        if not repaired.is_set():
            raise sqlite3.OperationalError
        store_results(*arguments)

    monkeypatch.setattr(worker, "store_results", store)
    monkeypatch.setattr(worker, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(metrics, "QUEUE_SECONDS", 0)
    with node(tmp_path) as client:
        push(client, delivery(1))
        wait_for(lambda: client.get("/health").status_code == 503)
        assert client.get("/health").json() == {"alive": True, "worker": "failing"}
        samples = scraped(client)
        assert samples["worker_up",] == 0
        assert samples["queue_records", "delivery"] == 1
        assert samples["processed_records_total", "delivery"] == 0, "its result is not stored"
        repaired.set()
        wait_for(lambda: client.get("/health").status_code == 200)
        assert processed(client, 1)["worker_up",] == 1


def test_a_node_is_unhealthy_after_its_worker_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker.Worker, "_run", lambda _: None)
    with node(tmp_path) as client:
        wait_for(lambda: client.get("/health").status_code == 503)
        assert client.get("/health").json() == {"alive": True, "worker": "stopped"}
        assert scraped(client)["worker_up",] == 0


def test_the_metrics_count_processed_and_failed_records_and_their_time(tmp_path: Path) -> None:
    strict = MicroService("micro.strict")

    @strict.protocol("delivery")
    def score(record: dict[str, Any]) -> None:
        if record.get("fails"):
            raise ValueError("a secret of record 2")

    strict.protocol("open")(lambda record: None)
    with node(tmp_path, strict) as client:
        push(client, delivery(1), delivery(2, fails=True), delivery(3))
        samples = processed(client, 3)
        assert samples["failed_records_total", "delivery"] == 1
        assert samples["record_seconds_count", "delivery"] == 3
        assert samples["record_seconds_bucket", "+Inf", "delivery"] == 3
        assert 0 < samples["record_seconds_sum", "delivery"] < 30
        assert samples["processed_records_total", "open"] == 0
        assert samples["info", "micro.strict", "0.0.0"] == 1
        text = client.get("/metrics").text
        assert [word for word in (KEY, KEY.strip("{}"), "secret", "a@b", "four") if word in text] == []


def test_a_time_is_counted_in_the_first_bucket_that_is_not_below_it() -> None:
    counts = Counts()
    times = [0.0, BUCKETS[0], BUCKETS[0] * 1.01, BUCKETS[-1], BUCKETS[-1] * 2]
    counts.add_records(ProcessedRecord("delivery", failed=False, seconds=seconds) for seconds in times)
    assert counts.records("delivery").buckets == [2, 1, *[0] * (len(BUCKETS) - 3), 1, 1]


def test_the_queue_is_counted_in_the_database_and_survives_a_restart_while_counters_start_at_zero(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "QUEUE_SECONDS", 0)
    monkeypatch.setattr(worker, "STOP_SECONDS", 0.05)
    released = Event()
    waiting = MicroService("micro.waiting")

    @waiting.protocol("delivery")
    def wait(record: dict[str, Any]) -> None:
        if record["id"] > 1:
            released.wait()

    with node(tmp_path, waiting) as client:
        push(client, delivery(1))
        processed(client, 1)
        push(client, delivery(2), delivery(3))
        wait_for(lambda: scraped(client)["current_record_seconds",] > 0)
        assert scraped(client)["queue_records", "delivery"] == 2
    with node(tmp_path, waiting) as client:
        samples = scraped(client)
        assert samples["queue_records", "delivery"] == 2
        assert samples["processed_records_total", "delivery"] == 0
        released.set()
        samples = processed(client, 2)
        assert samples["queue_records", "delivery"] == 0
        assert samples["current_record_seconds",] == 0


def test_requests_are_counted_by_endpoint_code_and_status(tmp_path: Path) -> None:
    with node(tmp_path) as client:
        assert push(client, delivery(1)) == "success"
        assert push(client, {"id": 2, "email": "nobody"}) == "record 2: email has no @"
        assert push(client, delivery(3), key="another") == "Wrong api_key"
        assert client.get("/api/1.0/ping.json").json()["status"] == "only POST is answered"
        assert client.post("/metrics").json()["status"] == "only GET is answered"
        for number in range(3):
            client.post(f"/api/1.0/unknown-{number}.json", json={"api_key": KEY})
        found = {key[1:]: value for key, value in scraped(client).items() if key[0] == "requests_total"}
        assert found == {
            ("200", "/api/1.0/delivery/push.json", "success"): 1,
            ("200", "/api/1.0/delivery/push.json", "failure"): 2,
            ("405", "/api/1.0/ping.json", "failure"): 1,
            ("405", "other", "failure"): 1,
            ("404", "other", "failure"): 3,
        }


def test_a_database_that_cannot_be_read_is_a_metric_and_no_failed_scrape(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise sqlite3.OperationalError

    with node(tmp_path) as client:
        assert scraped(client)["database_up",] == 1
        monkeypatch.setattr(metrics, "QUEUE_SECONDS", 0)
        monkeypatch.setattr(Database, "rows", fail)
        samples = scraped(client)
        assert samples["database_up",] == 0
        assert ("queue_records", "delivery") not in samples
        assert samples["worker_up",] == 1


def test_frequent_scrapes_count_the_queue_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = []

    def count(_: Database) -> dict[str, int]:
        counted.append(1)
        return {}

    monkeypatch.setattr(metrics, "workload_by_protocol", count)
    monkeypatch.setattr(metrics, "QUEUE_SECONDS", 3_600)
    with node(tmp_path) as client:
        for _ in range(5):
            scraped(client)
    assert len(counted) == 1


def test_every_defined_metric_is_served_with_its_type_help_and_labels(tmp_path: Path) -> None:
    with node(tmp_path) as client:
        push(client, delivery(1))
        processed(client, 1)
        text = client.get("/metrics", headers=OPENMETRICS).text
    families = read_families(text)
    own = {name for name in families if name.startswith("workmesh")}
    assert own == {found.name.removesuffix("_total").removesuffix("_info") for found in metrics.METRICS}
    for definition in metrics.METRICS:
        family = families[definition.name.removesuffix("_total").removesuffix("_info")]
        assert (family.type, family.documentation) == (definition.type, definition.help)
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(definition.labels)


def test_metrics_of_the_micro_service_itself_are_served_too(tmp_path: Path) -> None:
    counter = Counter("emails_scored", "Made up for this test.")
    try:
        counter.inc(3)
        with node(tmp_path) as client:
            assert scraped(client)["emails_scored_total",] == 3
    finally:
        REGISTRY.unregister(counter)


def test_a_failing_metric_of_the_micro_service_fails_the_scrape_and_shows_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "do-not-repeat-me"

    class Failing:
        def describe(self) -> list[Any]:
            return []

        def collect(self) -> None:
            raise ValueError(secret)

    failing: Any = Failing()
    with node(tmp_path) as client:
        REGISTRY.register(failing)
        try:
            answer = client.get("/metrics")
        finally:
            REGISTRY.unregister(failing)
        assert (answer.status_code, answer.json()["status"]) == (500, "the metrics cannot be read")
        assert client.get("/health").status_code == 200
    assert "/metrics raised ValueError" in caplog.text
    assert secret not in caplog.text + answer.text
