"""The ASGI application of a node, and what lives as long as it serves."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

from workmesh_flows.errors import StartError
from workmesh_flows.microservice.database import Database
from workmesh_flows.microservice.endpoints import endpoints
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
    """Opens its database and starts its worker with the server's lifespan, or by `start` and `stop`."""

    def __init__(self, name: str, version: str, protocols: Sequence[Protocol], settings: Settings) -> None:
        self.name = name
        self.version = version
        self.protocols = tuple(protocols)
        self.settings = settings
        self._web: Starlette | None = None
        self._open = ExitStack()

    def start(self) -> None:
        """Raises `StartError` if the database is in use or cannot be used."""
        with ExitStack() as opened:
            path = self.settings.database
            exclusive = ProcessLock(path)
            opened.callback(exclusive.release)
            database, workers_own = Database(path), Database(path)
            opened.callback(database.close)
            opened.callback(workers_own.close)
            worker = Worker({protocol.name: protocol for protocol in self.protocols}, workers_own)
            opened.callback(self._stop_worker, worker)
            worker.start()
            points = endpoints(self.version, self.protocols, database, stored=worker.wake)
            self._web = web(points, self.settings)
            self._open = opened.pop_all()

    def stop(self) -> None:
        """Waits for the record in hand, stores what was done and closes; may be called again."""
        self._web = None
        self._open.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve HTTP, or follow the server's start and stop."""
        if scope["type"] == "lifespan":
            await self._follow(receive, send)
            return
        if self._web is None:
            raise StartError(not_started(self.name))
        await self._web(scope, receive, send)

    async def _follow(self, receive: Receive, send: Send) -> None:
        # Starlette's own lifespan would answer a StartError with a whole traceback.
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
            logger.warning("%s left a record behind in processing, to run again at the next start", self.name)


def not_started(name: str) -> str:
    """What to say to a server that sends requests without having announced its start."""
    return f"{name} is not started: the server must run the ASGI lifespan (uvicorn --lifespan on)"
