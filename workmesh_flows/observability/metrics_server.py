"""Serving the metrics of a mesh over HTTP, and writing them to a file for node_exporter."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from prometheus_client import exposition
from prometheus_client.openmetrics import exposition as openmetrics
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from workmesh_flows.errors import ConfigurationError

if TYPE_CHECKING:
    from starlette.requests import Request

    from workmesh_flows.observability.metrics_answer import MetricsAnswer

READABLE = 0o644
"""Permissions of the file: node_exporter runs as another user."""


def serve_metrics(answer: MetricsAnswer, host: str, port: int, listening: Callable[[str], None]) -> None:
    """Serve /metrics and /health until SIGTERM or SIGINT; ``listening`` is called with the address.

    Port 0 chooses a free one. Raises ConfigurationError if the port cannot be used.
    """
    with _listen(host, port) as listener:
        config = uvicorn.Config(
            metrics_app(answer), lifespan="off", ws="none", log_config=None, access_log=False
        )
        shown = f"[{host}]" if ":" in host else host
        listening(f"http://{shown}:{listener.getsockname()[1]}/metrics")
        with _stop_without_error():
            uvicorn.Server(config).run(sockets=[listener])


def metrics_app(answer: MetricsAnswer) -> Starlette:
    """The HTTP application: the metrics, and whether this process is alive."""

    async def metrics(request: Request) -> Response:
        wanted = "application/openmetrics-text" in request.headers.get("Accept", "")
        text = await run_in_threadpool(answer.text, as_openmetrics=wanted)
        kind = openmetrics.CONTENT_TYPE_LATEST if wanted else exposition.CONTENT_TYPE_PLAIN_0_0_4
        return Response(text, headers={"Content-Type": kind})

    async def health(_: Request) -> Response:
        return JSONResponse({"alive": True})

    return Starlette(
        routes=[Route("/metrics", metrics), Route("/health", health)],
        middleware=[Middleware(GZipMiddleware, minimum_size=1_000, compresslevel=5)],
    )


def write_metrics(answer: MetricsAnswer, path: Path) -> None:
    """Replace a file by the metrics in one step, so that node_exporter never reads half of them.

    Raises ConfigurationError with the system's reason, and keeps the file.
    """
    text = answer.text(as_openmetrics=False)
    try:
        _replace(path, text)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from error


def _replace(path: Path, content: bytes) -> None:
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    new = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.chmod(READABLE)
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise ConfigurationError(f"cannot listen on {host}, port {port}: {error}") from error


@contextmanager
def _stop_without_error() -> Iterator[None]:
    """Let uvicorn handle the signals, and ignore them when it raises them again after its end."""
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
