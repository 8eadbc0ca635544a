"""The ASGI application of a node, with its database and its worker."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

from workmesh_flows.errors import StartError
from workmesh_flows.microservice.counts import Counts
from workmesh_flows.microservice.database import Database
from workmesh_flows.microservice.endpoints import endpoints
from workmesh_flows.microservice.metrics import NodeCollector, registry
from workmesh_flows.microservice.monitoring import monitoring_routes
from workmesh_flows.microservice.process_lock import ProcessLock
from workmesh_flows.microservice.protocol import Protocol
from workmesh_flows.microservice.settings import Settings
from workmesh_flows.microservice.web import web
from workmesh_flows.microservice.worker import Worker

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.types import Receive, Scope, Send

logger = logging.getLogger(__name__)


class NodeApp:
    """Opens its database and starts its worker in the server's lifespan, or in `start` and `stop`."""

    def __init__(self, name: str, version: str, protocols: Sequence[Protocol], settings: Settings) -> None:
        self.name = name
        self.version = version
        self.protocols = tuple(protocols)
        self.settings = settings
        self._web: Starlette | None = None
        self._open = ExitStack()

    def start(self) -> None:
        """Open the database and start the worker; raises `StartError` if the database is in use or unusable."""
        with ExitStack() as opened:
            path = self.settings.database
            lock = ProcessLock(path)
            opened.callback(lock.release)
            # Separate connections: neither the worker nor a scrape, which counts the queue, delays a push.
            database, worker_database, metrics_database = Database(path), Database(path), Database(path)
            for each in (database, worker_database, metrics_database):
                opened.callback(each.close)
            protocols, counts = {protocol.name: protocol for protocol in self.protocols}, Counts()
            worker = Worker(protocols, worker_database, counts)
            opened.callback(self._stop_worker, worker)
            worker.start()
            handlers = endpoints(self.version, self.protocols, database, on_stored=worker.wake)
            metrics = NodeCollector(
                name=self.name,
                version=self.version,
                protocols=tuple(protocols),
                counts=counts,
                database=metrics_database,
                worker=worker,
            )
            monitoring = monitoring_routes(lambda: worker.state, registry(metrics))
            self._web = web(handlers, self.settings, counts, monitoring)
            self._open = opened.pop_all()

    def stop(self) -> None:
        """Wait for the record being processed, store its result and close; may be called again."""
        self._web = None
        self._open.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve HTTP, or start and stop with the server."""
        if scope["type"] == "lifespan":
            await self._run_lifespan(receive, send)
            return
        if self._web is None:
            raise StartError(not_started(self.name))
        await self._web(scope, receive, send)

    async def _run_lifespan(self, receive: Receive, send: Send) -> None:
        # Starlette's own lifespan would log a StartError with a whole traceback.
        await receive()
        try:
            self.start()
        except StartError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await run_in_threadpool(self.stop)
        await send({"type": "lifespan.shutdown.complete"})

    def _stop_worker(self, worker: Worker) -> None:
        if not worker.stop():
            logger.warning(
                "%s stopped while a record was being processed; it is processed again after the next start",
                self.name,
            )


def not_started(name: str) -> str:
    """The error text for a server that sends requests without the lifespan's start."""
    return f"{name} is not started: the server must run the ASGI lifespan (uvicorn --lifespan on)"
