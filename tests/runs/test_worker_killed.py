"""A worker that is killed during a run, with the process of the run or without it: the next run sends the rest."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.types.entrypoint import EntrypointType

from tests.runs import held_mesh
from tests.runs.held_orders import (
    BATCH,
    FIRST,
    LEASE_SECONDS,
    NODES,
    ROOT,
    HeldOrders,
    held_orders,
    wait_until,
)
from tests.support.prefect_api import post

POOL = "killed-workers"
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def held(prefect: str, tmp_path: Path) -> Iterator[HeldOrders]:
    del prefect
    with held_orders(tmp_path) as orders:
        yield orders


@contextmanager
def worker(held: HeldOrders, api: str) -> Iterator[subprocess.Popen[bytes]]:
    """A running worker of the pool."""
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL]
    environment = {**held.environment, "PREFECT_API_URL": api, "PREFECT_WORKER_QUERY_SECONDS": "1"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def deployed() -> str:
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name=POOL, type="process"), overwrite=True)
    made = held_mesh.push.to_deployment(
        "killed", work_pool_name=POOL, entrypoint_type=EntrypointType.MODULE_PATH, description="Push."
    )
    return str(made.apply())  # type: ignore[union-attr] # typed as if it could be awaited, too


def started_run(api: str, deployment: str) -> str:
    created = post(api, f"/deployments/{deployment}/create_flow_run", {"state": {"type": "SCHEDULED"}})
    return str(created["id"])


def state(api: str, run: str) -> str:
    (found,) = post(api, "/flow_runs/filter", {"flow_runs": {"id": {"any_": [run]}}})
    return str(found["state_type"])


def test_a_worker_killed_with_its_run_leaves_the_rest_to_the_next_run(prefect: str, held: HeldOrders) -> None:
    deployment = deployed()
    with worker(held, prefect) as first:
        killed = started_run(prefect, deployment)
        held.wait_until_held()
        kill(first)
        os.kill(held.process_at_work(), signal.SIGKILL)
    assert held.pushed() == FIRST * BATCH * len(NODES)
    held.go.set()
    time.sleep(LEASE_SECONDS)
    with worker(held, prefect):
        following = started_run(prefect, deployment)
        wait_until("the next run ended", lambda: state(prefect, following) in ENDED)
    assert state(prefect, following) == "COMPLETED"
    assert state(prefect, killed) == "RUNNING"  # until the automation of workmesh marks it
    held.assert_nothing_lost()


def test_a_run_whose_worker_alone_is_killed_ends_as_crashed(prefect: str, held: HeldOrders) -> None:
    """Nobody reads its log any more: Prefect ends it at the next line."""
    deployment = deployed()
    with worker(held, prefect) as first:
        orphaned = started_run(prefect, deployment)
        held.wait_until_held()
        kill(first)
        held.go.set()
        wait_until("it ended", lambda: state(prefect, orphaned) in ENDED)
    assert state(prefect, orphaned) == "CRASHED"
    time.sleep(LEASE_SECONDS)
    with worker(held, prefect):
        following = started_run(prefect, deployment)
        wait_until("the next run ended", lambda: state(prefect, following) in ENDED)
    assert state(prefect, following) == "COMPLETED"
    held.assert_nothing_lost()
