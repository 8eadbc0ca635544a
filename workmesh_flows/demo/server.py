"""A Prefect server for the demo, started if none is configured."""

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
from prefect.logging.handlers import APILogWorker
from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings

from workmesh_flows.errors import ConfigurationError

START_SECONDS = 90.0
STOP_SECONDS = 10.0


@contextmanager
def prefect_server(home: Path) -> Iterator[str]:
    """The API address of the configured server, or of a server that runs for the length of the block."""
    if configured := get_current_settings().api.url:
        yield configured
        return
    server = ServerProcess(home)
    try:
        server.start()
        with temporary_settings({PREFECT_API_URL: server.api}):
            yield server.api
            APILogWorker.drain_all(timeout=STOP_SECONDS)  # the last log lines, while the server still runs
    finally:
        server.stop()


class ServerProcess:
    """A Prefect server with its database in ``home``; after a restart it has the same port and data."""

    def __init__(self, home: Path) -> None:
        self.home, self._port = home, _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def api(self) -> str:
        """The address of the server's API."""
        return f"http://127.0.0.1:{self._port}/api"

    def start(self) -> None:
        """Start the server; raises ConfigurationError with its last log lines if it does not answer."""
        environment = {
            **os.environ,
            "PREFECT_HOME": str(self.home),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_UI_API_URL": self.api,
            "PREFECT_LOGGING_SERVER_LEVEL": "WARNING",
        }
        command = [sys.executable, "-m", "prefect", "server", "start"]
        command += ["--host", "127.0.0.1", "--port", str(self._port)]
        log = self.home / "server.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C must reach only the demo, whose clean-up needs the server
            )
        _wait(f"{self.api}/health", self._process, log)

    def stop(self) -> None:
        """Terminate the server; kill it if it has not ended after `STOP_SECONDS`."""
        if (process := self._process) is not None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """Kill the server at once (SIGKILL)."""
        if (process := self._process) is not None:
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
    raise ConfigurationError("the Prefect server did not start; its last log lines:\n" + "\n".join(last))


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
