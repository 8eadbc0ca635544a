"""A node as a process of its own, for demos and tests: start, stop, kill and start it again from Python."""

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
"""Longer than the node itself gives its requests and the record in hand."""

POLL_SECONDS = 0.02
LAST_LINES = 20
LISTENS = re.compile(rb"listens on http://[^ ]*:(\d+)")


class NodeProcess:
    """A micro-service of a module, serving on 127.0.0.1 from `start` to `stop`; a context manager does both.

    The port is free and chosen at the first start unless given, and stays; so do the api key and the database
    file, so that a start after `stop` or `kill` is a node that comes back. What the node logs is in `log`,
    beside the database. The process imports what this one can, and ends with it, even if this one is killed.
    """

    def __init__(  # noqa: PLR0913 - by name, and all but two may be left out
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
        """`microservice` is module:attribute; `import_from` are more folders to import it from."""
        self.microservice = microservice
        self.database = Path(database).absolute()
        self.name = name or self.database.stem
        self.api_key = api_key or f"{{{uuid4()}}}".upper()
        self.port = port
        self.log = self.database.with_name(f"{self.database.name}.log")
        path = [str(folder) for folder in import_from] + [folder or str(Path.cwd()) for folder in sys.path]
        # The key goes by environment: a command line can be read by every user of the machine.
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
        """Without a slash at the end; the port is 0 before the first start."""
        return f"http://{HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> Self:
        """Return once a ping is answered; raises `StartError` with the node's last lines if none comes."""
        if self.pid is not None:
            return self
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(  # noqa: S603 - no shell, our own interpreter
                self._command(), stdin=subprocess.PIPE, stdout=log, stderr=log, env=self._environment
            )
        atexit.register(self.stop)
        self._wait_for_ping()
        return self

    def stop(self) -> int | None:
        """End it as a supervisor would, and kill it if that takes too long; gives the exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int | None:
        """SIGKILL: the node gets no chance to finish anything."""
        return self._end(signal.SIGKILL)

    def arrivals(self) -> list[Arrival]:
        """What came in so far, in order; also while the node is down."""
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
        while not self._pings():
            if self.pid is None or time.monotonic() > end:
                state = "does not answer" if self.pid else f"ended with code {self.kill()}"
                self.kill()
                message = f"node {self.name} {state}; its last lines:\n{self._last_lines()}"
                raise StartError(message)
            time.sleep(POLL_SECONDS)

    def _pings(self) -> bool:
        if (said := LISTENS.search(self._output())) is None:
            return False
        self.port = int(said[1])
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
        return "\n".join(self._output().decode(errors="replace").splitlines()[-LAST_LINES:]) or "(none)"
