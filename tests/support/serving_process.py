"""`workmesh serve` in a process of its own, as on a machine that executes runs started in the UI."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.prefect_api import api_client, post

ROOT = Path(__file__).parents[2]
TIMEOUT = 60.0


@contextmanager
def serving(api: str, mesh: str, url: str, home: Path, **settings: str) -> Iterator[dict[str, str]]:
    """Serve a mesh for the length of a block; yields the ids of its deployments by flow name, and deletes them after."""
    environment = {
        **os.environ,
        "PREFECT_API_URL": api,
        "PREFECT_HOME": str(home),
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        "PREFECT_INTEGRATIONS_WORKMESH_DATABASE_URL": url,
        **settings,
    }
    log = home / "serve.log"
    home.mkdir(exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "workmesh_flows.cli", "serve", "--mesh", mesh],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=output,
        )
    deployments: dict[str, str] = {}
    try:
        end = time.monotonic() + TIMEOUT
        while b"being served" not in log.read_bytes():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.2)
        flows = {flow["id"]: flow["name"] for flow in post(api, "/flows/filter")}
        deployments = {flows[found["flow_id"]]: found["id"] for found in post(api, "/deployments/filter")}
        yield deployments
    finally:
        process.terminate()
        process.wait(30)
        for deployment in deployments.values():
            api_client.delete(f"{api}/deployments/{deployment}").raise_for_status()


def ended(api: str, run: str, seconds: float = TIMEOUT) -> dict[str, str]:
    """Wait for the final state of a run."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        (found,) = post(api, "/flow_runs/filter", {"flow_runs": {"id": {"any_": [run]}}})
        if found["state"]["type"] in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}:
            state: dict[str, str] = found["state"]
            return state
        time.sleep(0.3)
    raise AssertionError(f"the run did not end in {seconds:g} s")
