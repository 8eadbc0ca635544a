"""A Prefect server of the demo's own, where none is configured."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings

from workmesh_flows.errors import ConfigurationError

START_SECONDS = 90.0
STOP_SECONDS = 10.0


@contextmanager
def prefect_server(home: Path) -> Iterator[str]:
    """The address of the configured server's API, or of a server that lives as long as the block."""
    if configured := get_current_settings().api.url:
        yield configured
        return
    port = _free_port()
    address = f"http://127.0.0.1:{port}"
    environment = {
        **os.environ,
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_UI_API_URL": f"{address}/api",
        "PREFECT_LOGGING_SERVER_LEVEL": "WARNING",
    }
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    log = home / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # in a session of its own: Ctrl-C is for the demo, which still needs it
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        _wait(f"{address}/api/health", process, log)
        with temporary_settings({PREFECT_API_URL: f"{address}/api"}):
            yield f"{address}/api"
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(health: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx.get(health, timeout=2).is_success:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    last = log.read_text(errors="replace").strip().splitlines()[-5:]
    raise ConfigurationError("the Prefect server did not start; its last lines:\n" + "\n".join(last))


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
