"""The metrics of a node: their definitions, and their values for each scrape."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from threading import Lock
from time import monotonic
from typing import NamedTuple

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from workmesh_flows.microservice.backlog import workload_by_protocol
from workmesh_flows.microservice.counts import BUCKETS, Counts
from workmesh_flows.microservice.database import Database
from workmesh_flows.microservice.exceptions import log_crash
from workmesh_flows.microservice.worker import Worker, WorkerState

QUEUE_SECONDS = 1.0
"""The queue is counted at most once in this time, since callers of the metrics need no key."""


class Definition(NamedTuple):
    """A metric: its name as Prometheus stores it, its type, its labels, and its help text."""

    name: str
    type: str
    labels: tuple[str, ...]
    help: str


INFO = Definition(
    "workmesh_microservice_info", "info", ("name", "version"), "The micro-service; the value is 1."
)
WORKER_UP = Definition(
    "workmesh_microservice_worker_up",
    "gauge",
    (),
    "Whether the worker processes records: 0 if its thread has ended or cannot read or write the database.",
)
DATABASE_UP = Definition(
    "workmesh_microservice_database_up",
    "gauge",
    (),
    "Whether the queue could be counted; if not, workmesh_microservice_queue_records is missing.",
)
QUEUE = Definition(
    "workmesh_microservice_queue_records",
    "gauge",
    ("protocol",),
    "Accepted records that are not processed yet, from the database; workload.json returns their sum.",
)
CURRENT = Definition(
    "workmesh_microservice_current_record_seconds",
    "gauge",
    (),
    "Time that the record being processed has taken so far; 0 between records.",
)
PROCESSED = Definition(
    "workmesh_microservice_processed_records_total",
    "counter",
    ("protocol",),
    "Records processed since the process started, including those that failed.",
)
FAILED = Definition(
    "workmesh_microservice_failed_records_total",
    "counter",
    ("protocol",),
    "Records whose processing failed, since the process started.",
)
SECONDS = Definition(
    "workmesh_microservice_record_seconds",
    "histogram",
    ("protocol",),
    "Time that the processing of a record took, of the records processed since the process started.",
)
REQUESTS = Definition(
    "workmesh_microservice_requests_total",
    "counter",
    ("endpoint", "code", "status"),
    "Requests since the process started, by path (other: an unknown one), HTTP code, and status: success or failure.",
)
METRICS = (INFO, WORKER_UP, DATABASE_UP, QUEUE, CURRENT, PROCESSED, FAILED, SECONDS, REQUESTS)
"""All metrics of a node, in the order of its answer."""


def registry(collector: NodeCollector) -> CollectorRegistry:
    """The metrics of a node, followed by those of its process and those that the micro-service defines itself."""
    found = CollectorRegistry()
    found.register(collector)
    found.register(REGISTRY)
    return found


class NodeCollector(Collector):
    """Reads the metrics of a node when they are asked for."""

    def __init__(  # noqa: PLR0913 - by keyword
        self,
        *,
        name: str,
        version: str,
        protocols: Sequence[str],
        counts: Counts,
        database: Database,
        worker: Worker,
    ) -> None:
        self._name, self._version, self._protocols = name, version, protocols
        self._counts, self._database, self._worker = counts, database, worker
        self._lock = Lock()
        self._queue: Mapping[str, int] | None = None
        self._queue_read = float("-inf")

    def describe(self) -> Iterator[Metric]:
        """Nothing: the registry need not collect to learn the names."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        yield InfoMetricFamily(
            INFO.name.removesuffix("_info"), INFO.help, {"name": self._name, "version": self._version}
        )
        yield _gauge(WORKER_UP, self._worker.state is WorkerState.RUNNING)
        queue = self._count_queue()
        yield _gauge(DATABASE_UP, queue is not None)
        if queue is not None:
            waiting = GaugeMetricFamily(QUEUE.name, QUEUE.help, labels=QUEUE.labels)
            for protocol in dict.fromkeys((*self._protocols, *queue)):
                waiting.add_metric([protocol], queue.get(protocol, 0))
            yield waiting
        yield _gauge(CURRENT, self._worker.current_seconds)
        yield from self._processed()
        requests = CounterMetricFamily(REQUESTS.name, REQUESTS.help, labels=REQUESTS.labels)
        for (endpoint, code, status), number in sorted(self._counts.requests().items()):
            requests.add_metric([endpoint, str(code), status], number)
        yield requests

    def _processed(self) -> Iterator[Metric]:
        processed = CounterMetricFamily(PROCESSED.name, PROCESSED.help, labels=PROCESSED.labels)
        failed = CounterMetricFamily(FAILED.name, FAILED.help, labels=FAILED.labels)
        seconds = HistogramMetricFamily(SECONDS.name, SECONDS.help, labels=SECONDS.labels)
        for protocol in self._protocols:
            records = self._counts.records(protocol)
            processed.add_metric([protocol], records.processed)
            failed.add_metric([protocol], records.failed)
            bounds = [*(str(bound) for bound in BUCKETS), "+Inf"]
            buckets = list(zip(bounds, accumulate(records.buckets), strict=True))
            seconds.add_metric([protocol], buckets, records.seconds)
        yield from (processed, failed, seconds)

    def _count_queue(self) -> Mapping[str, int] | None:
        """The queue by protocol, at most QUEUE_SECONDS old; None if the database cannot be read."""
        with self._lock:
            if monotonic() - self._queue_read >= QUEUE_SECONDS:
                try:
                    self._queue = workload_by_protocol(self._database)
                except sqlite3.Error as error:
                    log_crash("counting the queue for the metrics", error)
                    self._queue = None
                self._queue_read = monotonic()
            return self._queue


def _gauge(definition: Definition, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(definition.name, definition.help, value)
