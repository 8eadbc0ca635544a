"""The one thread of a node that processes records, strictly in the order they arrived."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from threading import Event, Thread
from time import monotonic

import orjson

from workmesh_flows.errors import RecordRefused
from workmesh_flows.microservice.backlog import ProcessingResult, Waiting, next_waiting, settle
from workmesh_flows.microservice.database import Database
from workmesh_flows.microservice.exceptions import log_crash, reason_of
from workmesh_flows.microservice.protocol import Protocol

logger = logging.getLogger(__name__)

CHUNK_RECORDS = 200
CHUNK_SECONDS = 0.5
"""Results are stored after so many records or so long, so that slow records are seen soon too."""

RETRY_SECONDS = 1.0
STOP_SECONDS = 30.0


class Worker:
    """Works from `start` to `stop`; asleep while nothing waits, until `wake`."""

    def __init__(self, protocols: Mapping[str, Protocol], database: Database) -> None:
        self._protocols = protocols
        self._database = database
        self._awake = Event()
        self._stopping = Event()
        # A daemon, so that a processing function that hangs cannot keep a stopped node alive.
        self._thread = Thread(target=self._run, name="workmesh-worker", daemon=True)

    def start(self) -> None:
        """Takes up what an earlier process left, too."""
        self._thread.start()

    def wake(self) -> None:
        """Something was stored; to be called after its commit."""
        self._awake.set()

    def stop(self) -> bool:
        """Wait for the record in hand, not for the backlog; False if it took too long and was left behind."""
        self._stopping.set()
        self._awake.set()
        self._thread.join(STOP_SECONDS)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            self._awake.clear()  # before looking, so that a push after the look wakes the wait below
            if self._stopping.is_set():
                return
            try:
                worked = self._work_a_chunk()
            except Exception as error:  # noqa: BLE001 - a full disk, say: this thread must outlive it
                kind = type(error).__name__
                logger.warning("the worker fails, next try in %s s: %s: %s", RETRY_SECONDS, kind, error)
                self._stopping.wait(RETRY_SECONDS)
                continue
            if not worked:
                self._awake.wait()

    def _work_a_chunk(self) -> bool:
        """Process, then store all results in one transaction; after a crash in between it runs again."""
        outcomes: list[ProcessingResult] = []
        names = tuple(self._protocols)
        end = monotonic() + CHUNK_SECONDS
        seq = 0
        while len(outcomes) < CHUNK_RECORDS and monotonic() < end and not self._stopping.is_set():
            waiting = next_waiting(self._database, names, after=seq)
            if waiting is None:
                break
            outcomes.append(self._outcome(waiting))
            seq = waiting.seq
        if outcomes:
            settle(self._database, outcomes)
        return bool(outcomes)

    def _outcome(self, waiting: Waiting) -> ProcessingResult:
        process = self._protocols[waiting.protocol].process
        try:
            result = process(orjson.loads(waiting.body))
            return ProcessingResult(waiting.seq, result=_as_json(result))
        except RecordRefused as refused:
            return ProcessingResult(waiting.seq, error=reason_of(refused))
        except BaseException as error:  # noqa: BLE001 - not even a sys.exit() may end this thread
            log_crash(f"processing record number {waiting.seq} of protocol {waiting.protocol}", error)
            return ProcessingResult(waiting.seq, error=reason_of(error))


def _as_json(result: object) -> str:
    if result is None:
        return "{}"
    if not isinstance(result, dict):
        message = f"a processing function gives a dict or None, not {type(result).__name__}"
        raise TypeError(message)
    return orjson.dumps(result).decode()
