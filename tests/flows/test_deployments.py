"""The repository's own deployments, deployed as described in prefect.yaml. (test_operating lets a worker run such.)"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from prefect.flows import load_flow_from_entrypoint
from typer.testing import CliRunner

from tests.support.prefect_api import api_client, post
from workmesh_flows.cli import app

ROOT = Path(__file__).parents[2]
ACTIONS = ("assign", "push", "pull", "sync", "replay", "rebalance", "status")


def test_all_flows_are_deployed_and_load_from_their_entrypoints(
    prefect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("PREFECT_API_URL", prefect)
    assert CliRunner().invoke(app, ["setup"]).exit_code == 0
    subprocess.run([sys.executable, "-m", "prefect", "deploy", "--all", "--no-prompt"], check=True)
    deployments = {deployment["name"]: deployment for deployment in post(prefect, "/deployments/filter")}
    try:
        assert set(deployments) == {
            *(f"timeline-{action}" for action in ACTIONS),
            "mesh-assign",
            "mesh-doctor",
            "mesh-drain",
            "mesh-prune",
        }
        for deployment in deployments.values():
            flow = api_client.get(f"{prefect}/flows/{deployment['flow_id']}").json()["name"]
            assert load_flow_from_entrypoint(deployment["entrypoint"]).name == flow
            assert deployment["work_pool_name"] == "workmesh"
            assert "workmesh" in deployment["tags"]
        (schedule,) = deployments["timeline-sync"]["schedules"]
        assert (schedule["slug"], schedule["active"]) == ("each-quarter-of-an-hour", True)
        (weekly,) = deployments["mesh-prune"]["schedules"]
        assert (weekly["slug"], weekly["schedule"]["cron"]) == ("every-sunday", "30 3 * * 0")
    finally:
        for deployment in deployments.values():  # with the runs that its schedule has planned
            api_client.delete(f"{prefect}/deployments/{deployment['id']}").raise_for_status()
