"""Two workers of one work pool run the same flow at the same time: one of them runs each lane, nothing is sent twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.types.entrypoint import EntrypointType
from sqlalchemy import Engine, func, select

from tests.flows.gated_micro import GATE
from tests.flows.sample_nodes import NODES, check_all_in_order, sample_nodes, write_assigned
from tests.support.databases import empty_postgresql
from tests.support.prefect_api import post
from workmesh_flows.adapters.store.engine import open_engine
from workmesh_flows.adapters.store.schema import lanes
from workmesh_flows.demo import flows
from workmesh_flows.settings import PREFIX

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
POOL = "two-workers"
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


@contextmanager
def worker(name: str, environment: dict[str, str]) -> Iterator[None]:
    """A worker that runs one flow run at a time."""
    command = [sys.executable, "-m", "prefect", "worker", "start"]
    command += ["--pool", POOL, "--name", name, "--limit", "1"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def wait_until(what: str, ready: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, f"{what}: not in {seconds} s"
        time.sleep(0.2)


def runs(api: str, ids: list[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = post(api, "/flow_runs/filter", {"flow_runs": {"id": {"any_": ids}}})
    return found


def lane_rows(api: str, run: str) -> list[dict[str, Any]]:
    """The lanes table that a run published."""
    wanted = {
        "artifacts": {
            "flow_run_id": {"any_": [run]},
            "key": {"any_": ["workmesh-micro-emails-timeline-push"]},
        }
    }
    (table,) = post(api, "/artifacts/filter", wanted)
    rows: list[dict[str, Any]] = json.loads(table["data"])
    return rows


def both_attempted(api: str, engine: Engine, ids: list[str]) -> bool:
    """Whether the first lane of every node is leased, and each run has found the lanes of the other one busy."""
    with engine.connect() as connection:
        held = connection.scalar(select(func.count()).select_from(lanes).where(lanes.c.holder.is_not(None)))
    # The task of a busy lane ends at once; the tasks of leased lanes are still running.
    wanted = {"flow_runs": {"id": {"any_": ids}}, "task_runs": {"state": {"type": {"any_": ["FAILED"]}}}}
    return (held, len(post(api, "/task_runs/filter", wanted))) == (len(NODES), len(NODES))


def deployed() -> str:
    """Deploy the push flow on a separate work pool; return the deployment's id."""
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name=POOL, type="process"), overwrite=True)
    made: Any = flows.push.to_deployment(
        "two-workers", work_pool_name=POOL, entrypoint_type=EntrypointType.MODULE_PATH, description="Push."
    )
    return str(made.apply())


@pytest.mark.timeout(300)
@pytest.mark.slow
def test_two_workers_share_the_lanes_of_a_service_and_push_each_record_once_in_order(
    prefect: str, postgresql_server: str, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    with ExitStack() as stack:
        url = stack.enter_context(empty_postgresql(postgresql_server))
        write_assigned(url)
        engine = open_engine(url)
        stack.callback(engine.dispose)
        nodes = stack.enter_context(
            sample_nodes(tmp_path, "gated_micro:gated", import_from=[HERE], environment={GATE: str(gate)})
        )
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")},
            "PREFECT_API_URL": prefect,
            "PREFECT_HOME": str(tmp_path / "home"),
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            f"{PREFIX}DATABASE_URL": url,
            f"{PREFIX}READ_TIMEOUT": "240",  # the nodes answer only after the gate opens
        }
        deployment = deployed()
        ids = [
            post(prefect, f"/deployments/{deployment}/create_flow_run", {"state": {"type": "SCHEDULED"}})[
                "id"
            ]
            for _ in range(2)
        ]
        for name in ("first", "second"):
            stack.enter_context(worker(name, environment))
        # The nodes do not answer until both runs have attempted each lane: one run leases it, the other finds it busy.
        wait_until("both runs attempted each lane", lambda: both_attempted(prefect, engine, ids))
        gate.touch()
        wait_until("both runs ended", lambda: all(run["state_type"] in ENDED for run in runs(prefect, ids)))
        ended = runs(prefect, ids)
        check_all_in_order(url, nodes)
        tables = {run["id"]: lane_rows(prefect, run["id"]) for run in ended}
    assert {run["state_type"] for run in ended} == {"COMPLETED"}
    first_lanes = [
        (row["node"], row["state"])
        for rows in tables.values()
        for row in rows
        if row["protocol"] == "delivery"
    ]
    assert sorted(first_lanes) == sorted((node, state) for node in NODES for state in ("busy", "done"))
    assert sum(row["pushed"] for rows in tables.values() for row in rows) == 1200
    for run in ended:
        busy = sum(row["state"] == "busy" for row in tables[run["id"]])
        assert (f"{busy} lane" in run["state"]["message"]) == (busy > 0)
