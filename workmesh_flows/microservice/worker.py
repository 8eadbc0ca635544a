"""The only thread of a node that processes records, in the order of their arrival."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from enum import StrEnum
from threading import Event, Thread
from time import monotonic

import orjson

from workmesh_flows.errors import RecordRefused
from workmesh_flows.microservice.backlog import PendingRecord, ProcessingResult, next_pending, store_results
from workmesh_flows.microservice.counts import Counts, ProcessedRecord
from workmesh_flows.microservice.database import Database
from workmesh_flows.microservice.exceptions import log_crash, reason_of
from workmesh_flows.microservice.protocol import Protocol
from workmesh_flows.microservice.result_json import result_as_json

logger = logging.getLogger(__name__)

CHUNK_RECORDS = 200
CHUNK_SECONDS = 0.5
"""Results are stored after CHUNK_RECORDS records or CHUNK_SECONDS, so that results of slow records appear soon too."""


class WorkerState(StrEnum):
    """Whether the worker processes records."""

    RUNNING = "running"
    FAILING = "failing"
    """Its database fails: it cannot read records or store results, and retries."""
    STOPPED = "stopped"


RETRY_SECONDS = 1.0
STOP_SECONDS = 30.0


class Worker:
    """Processes records from `start` to `stop`; while the backlog is empty, it sleeps until `wake`."""

    def __init__(self, protocols: Mapping[str, Protocol], database: Database, counts: Counts) -> None:
        self._protocols = protocols
        self._database = database
        self._counts = counts
        self._failing = False
        self._record_start: float | None = None
        self._awake = Event()
        self._stopping = Event()
        # A daemon thread, so that a processing function that hangs cannot keep a stopped node alive.
        self._thread = Thread(target=self._run, name="workmesh-worker", daemon=True)

    @property
    def state(self) -> WorkerState:
        """Whether records are being processed; a worker without records is running, too."""
        if not self._thread.is_alive():
            return WorkerState.STOPPED
        return WorkerState.FAILING if self._failing else WorkerState.RUNNING

    @property
    def current_seconds(self) -> float:
        """Seconds since the processing of the current record started; 0 between records."""
        start = self._record_start
        return 0.0 if start is None else monotonic() - start

    def start(self) -> None:
        """Start; the backlog of an earlier process is processed too."""
        self._thread.start()

    def wake(self) -> None:
        """Call it after the commit of new records."""
        self._awake.set()

    def stop(self) -> bool:
        """Wait for the record being processed, not for the backlog; returns False if it took too long."""
        self._stopping.set()
        self._awake.set()
        self._thread.join(STOP_SECONDS)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            self._awake.clear()  # before reading the backlog, so that a later push wakes the wait below
            if self._stopping.is_set():
                return
            try:
                processed = self._process_chunk()
            except Exception as error:  # noqa: BLE001 - such as a full disk; this thread must go on
                kind = type(error).__name__
                self._failing = True
                logger.warning("the worker failed and retries in %s s: %s: %s", RETRY_SECONDS, kind, error)
                self._stopping.wait(RETRY_SECONDS)
                continue
            self._failing = False
            if not processed:
                self._awake.wait()

    def _process_chunk(self) -> bool:
        """Process records, then store their results in one transaction; a crash in between processes them again."""
        results: list[ProcessingResult] = []
        processed: list[ProcessedRecord] = []
        names = tuple(self._protocols)
        end = monotonic() + CHUNK_SECONDS
        seq = 0
        while len(results) < CHUNK_RECORDS and monotonic() < end and not self._stopping.is_set():
            pending = next_pending(self._database, names, after=seq)
            if pending is None:
                break
            start = self._record_start = monotonic()
            result = self._process(pending)
            self._record_start = None
            results.append(result)
            failed = result.error is not None
            processed.append(ProcessedRecord(pending.protocol, failed, monotonic() - start))
            seq = pending.seq
        if results:
            store_results(self._database, results)
            self._counts.add_records(processed)
        return bool(results)

    def _process(self, pending: PendingRecord) -> ProcessingResult:
        process = self._protocols[pending.protocol].process
        record = f"record {pending.id}"
        try:
            result = process(orjson.loads(pending.body))
            return ProcessingResult(pending.seq, result=result_as_json(result))
        except RecordRefused as refused:
            return ProcessingResult(pending.seq, error=reason_of(refused, record))
        except BaseException as error:  # noqa: BLE001 - not even sys.exit() may end this thread
            log_crash(f"processing {record} of protocol {pending.protocol}", error)
            return ProcessingResult(pending.seq, error=reason_of(error, record))
