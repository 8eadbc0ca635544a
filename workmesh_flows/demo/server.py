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
from prefect.logging.handlers import APILogWorker
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
    server = ServerProcess(home)
    try:
        server.start()
        with temporary_settings({PREFECT_API_URL: server.api}):
            yield server.api
            APILogWorker.drain_all(timeout=STOP_SECONDS)  # while there is somebody to send the last lines to
    finally:
        server.stop()


class ServerProcess:
    """A Prefect server whose database is in ``home``; started again, it has the port and the data that it had."""

    def __init__(self, home: Path) -> None:
        self.home, self._port = home, _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def api(self) -> str:
        """The address of its API."""
        return f"http://127.0.0.1:{self._port}/api"

    def start(self) -> None:
        """Return once it answers; raises ConfigurationError with its last lines if it does not."""
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
            self._process = (
                subprocess.Popen(  # in a session of its own: Ctrl-C is for the demo, which still needs it
                    command,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            )
        _wait(f"{self.api}/health", self._process, log)

    def stop(self) -> None:
        """End it, and kill it if that takes too long."""
        if (process := self._process) is not None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """SIGKILL: it gets no chance to finish anything."""
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
    raise ConfigurationError("the Prefect server did not start; its last lines:\n" + "\n".join(last))


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
