"""What a node has counted since its process started: requests and processed records, for its metrics."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from threading import Lock

BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Upper bounds in seconds of the histogram of processing times; the last bucket has no bound."""

OTHER = "other"
"""The endpoint of requests to unknown paths: a caller must not be able to add labels."""


@dataclass(frozen=True)
class ProcessedRecord:
    """A record whose result is stored: whether processing failed, and how long it took."""

    protocol: str
    failed: bool
    seconds: float


@dataclass
class ProcessedRecords:
    """The processed records of one protocol; ``buckets`` has one number more than there are bounds."""

    processed: int = 0
    failed: int = 0
    seconds: float = 0.0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))


class Counts:
    """Numbers since the start of the process; several threads may add to them and read them."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._requests = Counter[tuple[str, int, str]]()
        self._records: defaultdict[str, ProcessedRecords] = defaultdict(ProcessedRecords)

    def add_request(self, endpoint: str, code: int, status: str) -> None:
        """Count an answer: its endpoint, its HTTP code, and whether its status is success or failure."""
        with self._lock:
            self._requests[endpoint, code, status] += 1

    def add_records(self, records: Iterable[ProcessedRecord]) -> None:
        """Count records after their results were stored."""
        with self._lock:
            for record in records:
                total = self._records[record.protocol]
                total.processed += 1
                total.failed += record.failed
                total.seconds += record.seconds
                total.buckets[bisect_left(BUCKETS, record.seconds)] += 1

    def requests(self) -> dict[tuple[str, int, str], int]:
        """Number of answers by endpoint, HTTP code and status."""
        with self._lock:
            return dict(self._requests)

    def records(self, protocol: str) -> ProcessedRecords:
        """The processed records of a protocol."""
        with self._lock:
            total = self._records[protocol]
            return ProcessedRecords(total.processed, total.failed, total.seconds, list(total.buckets))
