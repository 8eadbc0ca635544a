"""From an empty folder to a running mesh: the commands that `workmesh init` prints, and the five of the README, literally."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.prefect_api import api_client, post
from workmesh_flows.scaffold import PORT

ROOT = Path(__file__).parents[2]
OPERATE = (ROOT / "README.md").read_text().partition("## Operate the mesh")[2].partition("\n## ")[0]
FIVE = [
    line.partition("#")[0].strip()
    for line in re.findall(r"```bash\n(.*?)```", OPERATE, flags=re.DOTALL)[0].splitlines()
]
LEADS = 1_000
ENDS = {
    "my-saas-assign": "leads.scoring: assigned 0 entities",
    "my-saas-doctor": "",
    "my-saas-drain": "dry run, nothing was moved: ",
    "my-saas-prune": "deleted nothing from more than 30 days ago",
    "scoring-assign": "assigned 0 entities",
    "scoring-pull": "pulled 0 records on ",
    "scoring-push": "pushed 0 records on 0 lanes, 1 lane has nothing pending",
    "scoring-rebalance": "dry run, nothing was moved: ",
    "scoring-replay": "",
    "scoring-status": "counted",
    "scoring-sync": "assigned 0 entities",
}
"""The start of each run's message once all records are processed."""
PARAMETERS = {"my-saas-drain": {"nodes": ["n1"]}}
"""Required parameters; the other flows have none."""


@dataclass(slots=True)
class Project:
    """The folder that `workmesh init` wrote, and the environment of the commands that run in it."""

    folder: Path
    api: str
    printed: list[str]
    environment: dict[str, str]

    def deployments(self) -> dict[str, str]:
        """The id of each deployment by its name."""
        return {one["name"]: one["id"] for one in post(self.api, "/deployments/filter")}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project in which all printed commands ran; server, node and worker run until the tests end."""
    folder = tmp_path_factory.mktemp("empty") / "my_saas"
    folder.mkdir()
    port, node = _free_port(), _free_port()
    made = Project(folder, f"http://127.0.0.1:{port}/api", [], _environment(folder, port))
    shown = _run(made, "workmesh init").stdout
    made.printed = re.findall(r"^(?:export|pip|prefect|python|workmesh) .*", shown, flags=re.MULTILINE)
    inventory = folder / "nodes.yaml"
    inventory.write_text(inventory.read_text().replace(str(PORT), str(node)))
    running = []
    try:
        for line in made.printed:
            running += _typed(made, line.replace(str(PORT), str(node)))
        yield made
    finally:
        for process in reversed(running):
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(5)
            with suppress(ProcessLookupError):  # a worker waits for the runs that it started: kill them, too
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_init_prints_the_five_commands_of_the_readme(project: Project) -> None:
    assert len(FIVE) == 5
    assert [line for line in project.printed if line in FIVE] == FIVE


def test_runs_of_sync_score_every_lead(project: Project) -> None:
    assert set(project.deployments()) == set(ENDS)
    assert _scored(project) == LEADS


@pytest.mark.slow
@pytest.mark.timeout(400)  # nine runs, each in its own process, while the schedule starts more
def test_the_worker_completes_a_run_of_every_deployed_flow(project: Project) -> None:
    assert _scored(project) == LEADS
    for name, deployment in project.deployments().items():
        state, message = _end(project.api, deployment, PARAMETERS.get(name, {}))
        assert (name, state) == (name, "COMPLETED")
        assert message.startswith(ENDS[name])


def _scored(project: Project) -> int:
    """Run sync until the node has scored all leads, at most 60 s; the schedule runs it, too."""
    deployment = project.deployments()["scoring-sync"]
    end, scored = time.monotonic() + 60, 0
    while scored < LEADS and time.monotonic() < end:
        state, message = _end(project.api, deployment, {})
        assert (state, message[:9]) == ("COMPLETED", "assigned ")
        with closing(sqlite3.connect(project.folder / "saas.db")) as database:
            (scored,) = database.execute(
                "SELECT count(*) FROM lead WHERE score > 0 AND pull_success"
            ).fetchone()
    return scored


def _environment(folder: Path, port: int) -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "WORKMESH_"))
    }
    return kept | {
        "PATH": f"{Path(sys.executable).parent}:{kept['PATH']}",
        "PYTHONPATH": f"{folder}:{ROOT}",  # in place of `pip install -e .`
        "PREFECT_HOME": str(folder.parent / "home"),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_WORKER_QUERY_SECONDS": "1",
    }


def _run(project: Project, command: str) -> subprocess.CompletedProcess[str]:
    ended = subprocess.run(
        shlex.split(command),
        cwd=project.folder,
        env=project.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, f"{command}\n{ended.stdout}{ended.stderr}"
    return ended


def _typed(project: Project, line: str) -> list[subprocess.Popen[bytes]]:
    """Run the line as a shell would; return its process if it runs in the background."""
    if line.startswith("pip install"):
        return []
    if line.startswith("export "):
        name, _, value = line.removeprefix("export ").partition("=")
        project.environment[name] = value
        return []
    background = line.endswith("&") or "worker start" in line
    command, _, log = line.rstrip(" &").replace(" 2>&1", "").partition(" > ")
    if not background:
        _run(project, command)
        return []
    with (project.folder / (log or "worker.log")).open("wb") as output:
        process = subprocess.Popen(
            shlex.split(command),
            cwd=project.folder,
            env=project.environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    if "server start" in command:
        _answering(f"{project.api}/health")
    return [process]


def _answering(address: str) -> None:
    end = time.monotonic() + 90
    while time.monotonic() < end:
        try:
            if api_client.get(address).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise AssertionError(f"nothing answers at {address}")


def _end(api: str, deployment: str, parameters: dict[str, Any]) -> tuple[str, str]:
    """Start a run of the deployment; return the type and the message of its final state."""
    asked = {"state": {"type": "SCHEDULED"}, "parameters": parameters}
    end = time.monotonic() + 60
    run = post(api, f"/deployments/{deployment}/create_flow_run", asked)["id"]
    while time.monotonic() < end:
        state = api_client.get(f"{api}/flow_runs/{run}").raise_for_status().json()["state"]
        if state["type"] in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}:
            return state["type"], state["message"]
        time.sleep(0.3)
    raise AssertionError("the run did not end in 60 s")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
