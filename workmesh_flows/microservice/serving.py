"""Serving a micro-service in this process until a signal stops it."""

from __future__ import annotations

import logging
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import uvicorn

from workmesh_flows.errors import StartError
from workmesh_flows.microservice.connections import bounded_protocol
from workmesh_flows.microservice.declaration import MicroService

logger = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS = 75
"""Longer than a master keeps an idle connection, so that the node never closes one that is about to be used."""

GRACE_SECONDS = 10
"""Time for open requests to finish after a signal."""

BACKLOG = 2048


def serve(  # noqa: PLR0913 - the options of the command line
    microservice: MicroService,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    api_key: str | None = None,
    database: str | Path | None = None,
    body_limit: int | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then return; port 0 chooses a free port, which is logged.

    Omitted settings are read from the environment, see `MicroService.app`. Raises `StartError`.
    """
    app = microservice.app(api_key=api_key, database=database, body_limit=body_limit)
    with closing(_listen(host, port)) as listener:
        config = uvicorn.Config(
            app,
            http=bounded_protocol(app.settings.request_seconds, app.settings.max_connections),
            ws="none",
            lifespan="off",  # started and stopped below, however the server ends
            log_config=None,
            log_level="warning",
            access_log=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        server = uvicorn.Server(config)
        with _stop_on_signals(server):
            app.start()
            try:
                logger.info("%s listens on http://%s:%d", microservice.name, host, listener.getsockname()[1])
                server.run(sockets=[listener])
            finally:
                app.stop()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Name TCP: only then asyncio switches off Nagle's algorithm, which would delay each answer by 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        listener.close()
        message = f"cannot listen on {host}, port {port}: {error}"
        raise StartError(message) from error
    return listener


@contextmanager
def _stop_on_signals(server: uvicorn.Server) -> Iterator[None]:
    """Stop normally on a signal, also before the server has started, and when uvicorn raises it again after its end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_: object) -> None:
        server.should_exit = True

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
