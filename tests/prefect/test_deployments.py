"""The repository's own deployments, deployed and run as the comment in prefect.yaml says."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
from sqlalchemy import create_engine

from tests.prefect.reading import post
from workmesh_flows.demo.data import write_sample

ROOT = Path(__file__).parents[2]


def test_all_flows_deploy_and_a_worker_runs_one_to_its_end(prefect: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'saas.db'}"
    engine = create_engine(url)
    write_sample(engine, accounts=5, records=50)
    engine.dispose()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")},
        "PREFECT_API_URL": prefect,
        "PREFECT_HOME": str(tmp_path / "home"),
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "PREFECT_INTEGRATIONS_WORKMESH_DATABASE_URL": url,
    }

    def run(*command: str) -> None:
        subprocess.run([sys.executable, "-m", *command], cwd=ROOT, env=environment, check=True)

    run("workmesh_flows.cli", "setup")
    run("prefect", "deploy", "--all", "--no-prompt")
    deployments = {deployment["name"]: deployment for deployment in post(prefect, "/deployments/filter")}
    actions = ("assign", "push", "pull", "sync", "replay", "rebalance", "status")
    assert set(deployments) == {*(f"timeline-{action}" for action in actions), "mesh-assign", "mesh-drain"}
    status = deployments["timeline-status"]["id"]
    created = post(prefect, f"/deployments/{status}/create_flow_run", {"state": {"type": "SCHEDULED"}})
    worker = subprocess.Popen(
        [sys.executable, "-m", "prefect", "worker", "start", "--pool", "workmesh", "--run-once"],
        cwd=ROOT,
        env=environment,
    )
    try:
        state = _final_state(prefect, created["id"])
    finally:
        worker.terminate()
        worker.wait(30)
        for deployment in deployments.values():  # and the runs that its schedule has planned
            httpx.delete(f"{prefect}/deployments/{deployment['id']}").raise_for_status()
    assert (state["type"], state["message"]) == ("COMPLETED", "counted")


def _final_state(api: str, run: str) -> dict[str, str]:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        (found,) = post(api, "/flow_runs/filter", {"flow_runs": {"id": {"any_": [run]}}})
        if found["state"]["type"] in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}:
            state: dict[str, str] = found["state"]
            return state
        time.sleep(0.5)
    raise AssertionError("the run did not end in 60 s")
