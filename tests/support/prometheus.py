"""A real Prometheus for tests: Debian's package, or the programs that PROMETHEUS and PROMTOOL name.

Without it, tests are skipped, but fail in CI.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

START_SECONDS = 30.0


def program(name: str) -> str:
    """The path of ``prometheus`` or ``promtool``."""
    found = os.environ.get(name.upper()) or shutil.which(name)
    if found is None:
        missing = f"{name} not found: install Debian's package prometheus, or set {name.upper()}"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return found


class Prometheus:
    """A running server."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=f"{url}/api/v1", timeout=10)

    def ready(self) -> bool:
        try:
            return self._client.get("/status/runtimeinfo").is_success
        except httpx.TransportError:
            return False

    def query(self, expression: str) -> list[float]:
        """The present values of an expression; raises AssertionError for one that is not valid."""
        answer = self._client.get("/query", params={"query": expression}).json()
        assert answer["status"] == "success", answer
        return [float(each["value"][1]) for each in answer["data"]["result"]]

    def get(self, path: str) -> Any:
        return self._client.get(path).json()["data"]

    def close(self) -> None:
        self._client.close()


@contextmanager
def running_prometheus(
    folder: Path, targets: Mapping[str, Sequence[str]], rules: str
) -> Iterator[Prometheus]:
    """Scrape these addresses every second, by the name of their job, for the length of a block."""
    server = program("prometheus")
    jobs = [{"job_name": name, "static_configs": [{"targets": list(at)}]} for name, at in targets.items()]
    (folder / "rules.yml").write_text(rules)
    interval = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    configuration = {"global": interval, "scrape_configs": jobs, "rule_files": ["rules.yml"]}
    (folder / "prometheus.yml").write_text(json.dumps(configuration))  # JSON is YAML
    port = free_port()
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                server,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
    made = Prometheus(f"http://127.0.0.1:{port}")
    try:
        end = time.monotonic() + START_SECONDS
        while not made.ready():
            log_text = (folder / "prometheus.log").read_text()
            assert process.poll() is None, log_text
            assert time.monotonic() < end, log_text
            time.sleep(0.1)
        yield made
    finally:
        made.close()
        process.terminate()
        process.wait(30)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
