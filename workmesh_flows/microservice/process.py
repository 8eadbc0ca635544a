"""A node in a process of its own, for demos and tests: start, stop, kill and restart it from Python."""

from __future__ import annotations

import atexit
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Self
from uuid import uuid4

import orjson

from workmesh_flows.errors import StartError
from workmesh_flows.microservice.arrival_log import Arrival, arrivals
from workmesh_flows.microservice.settings import API_KEY

HOST = "127.0.0.1"
START_SECONDS = 20.0
STOP_SECONDS = 45.0
"""Longer than the node waits for its open requests and for the record being processed."""

POLL_SECONDS = 0.02
SHOWN_LINES = 20
LISTENING = re.compile(rb"listens on http://[^ ]*:(\d+)")


class NodeProcess:
    """Serves a module's micro-service on 127.0.0.1 from `start` to `stop`; a context manager does both.

    The first start chooses a free port unless one is given. Port, API key and database file stay the same, so that a
    start after `stop` or `kill` restarts the same node. The node's log is the file `log` beside the database. The
    process can import what this process can, and ends with it, even if this process is killed.
    """

    def __init__(  # noqa: PLR0913 - by keyword, and all but two are optional
        self,
        microservice: str,
        *,
        database: str | Path,
        name: str | None = None,
        api_key: str | None = None,
        port: int = 0,
        import_from: Sequence[str | Path] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`microservice` is ``module:attribute``; `import_from` are additional folders to import it from."""
        self.microservice = microservice
        self.database = Path(database).absolute()
        self.name = name or self.database.stem
        self.api_key = api_key or f"{{{uuid4()}}}".upper()
        self.port = port
        self.log = self.database.with_name(f"{self.database.name}.log")
        path = [str(folder) for folder in import_from] + [folder or str(Path.cwd()) for folder in sys.path]
        # The key is passed in the environment: every user of the machine can read a command line.
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path),
            **(environment or {}),
            API_KEY: self.api_key,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    def __repr__(self) -> str:
        return f"NodeProcess({self.name!r}, {self.microservice!r}, {self.url}, database={self.database})"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The node's address, without a slash at the end; the port is 0 before the first start."""
        return f"http://{HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        """The process id, None while the node is not running."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> Self:
        """Start and wait for the answer to a ping; raises `StartError` with the last log lines if there is none."""
        if self.pid is not None:
            return self
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(  # noqa: S603 - no shell; the interpreter of this process
                self._command(), stdin=subprocess.PIPE, stdout=log, stderr=log, env=self._environment
            )
        atexit.register(self.stop)
        self._wait_for_ping()
        return self

    def stop(self) -> int | None:
        """Send SIGTERM, as a supervisor does; kill the node if it does not stop in time. Returns the exit status."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int | None:
        """Send SIGKILL: the node cannot finish anything; returns the exit status."""
        return self._end(signal.SIGKILL)

    def arrivals(self) -> list[Arrival]:
        """The records that have arrived, in order; also while the node is stopped."""
        return arrivals(self.database)

    def _command(self) -> list[str]:
        module = [
            sys.executable,
            "-m",
            "workmesh_flows.microservice",
            self.microservice,
            "--until-stdin-closes",
        ]
        return [*module, "--host", HOST, "--port", str(self.port), "--database", str(self.database)]

    def _wait_for_ping(self) -> None:
        end = time.monotonic() + START_SECONDS
        while not self._answers_ping():
            if self.pid is None or time.monotonic() > end:
                problem = "does not answer" if self.pid else f"exited with status {self.kill()}"
                self.kill()
                message = f"node {self.name} {problem}; the last lines of its log:\n{self._last_lines()}"
                raise StartError(message)
            time.sleep(POLL_SECONDS)

    def _answers_ping(self) -> bool:
        if (listening := LISTENING.search(self._output())) is None:
            return False
        self.port = int(listening[1])
        connection = HTTPConnection(HOST, self.port, timeout=1)
        try:
            connection.request("POST", "/api/1.0/ping.json", orjson.dumps({"api_key": self.api_key}))
            return b'"success"' in connection.getresponse().read()
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    def _end(self, number: signal.Signals) -> int | None:
        process, self._process = self._process, None
        if process is None:
            return None
        atexit.unregister(self.stop)
        process.send_signal(number)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdin is not None:
            process.stdin.close()
        return process.returncode

    def _output(self) -> bytes:
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read()

    def _last_lines(self) -> str:
        return "\n".join(self._output().decode(errors="replace").splitlines()[-SHOWN_LINES:]) or "(none)"
