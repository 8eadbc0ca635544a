"""Lanes in the processes of a Ray cluster. `make test-ray` installs Ray, whose protobuf conflicts with the benchmarks."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.flows.sample_nodes import (
    check_all_in_order,
    counted,
    sample_nodes,
    wait_until_processed,
    write_assigned,
)
from tests.support.prefect_api import latest_run
from workmesh_flows.demo.mesh import SERVICE, mesh
from workmesh_flows.errors import RunFailed
from workmesh_flows.flows import service_flows
from workmesh_flows.flows.task_runners import make_runner
from workmesh_flows.settings import PREFIX, read_settings

IDLE = ", 8 lanes have nothing pending"
pytestmark = [
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: make test-ray"),
    pytest.mark.timeout(600),
]


@pytest.fixture(autouse=True)
def _on_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}TASK_RUNNER", "ray")


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of the sample's data, set for this process and its child processes."""
    url = f"sqlite:///{tmp_path / 'saas.db'}"
    write_assigned(url)
    monkeypatch.setenv(f"{PREFIX}DATABASE_URL", url)
    return url


@pytest.fixture
def _ray_cluster(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A cluster with the options of a run's own cluster, for several runs."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")  # else Ray sends usage statistics
    ray: Any = import_module("ray")
    made: Any = make_runner(read_settings(), mesh)
    ray.init(**made.init_kwargs)
    yield
    ray.shutdown()


def test_a_run_connects_to_an_existing_ray_cluster_by_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}TASK_RUNNER_ADDRESS", "ray://head:10001")
    made: Any = make_runner(read_settings(), mesh)
    assert (made.address, made.init_kwargs) == ("ray://head:10001", {"namespace": "prefect"})


@pytest.mark.usefixtures("_ray_cluster")
def test_ray_processes_push_and_pull_in_order_and_a_stopped_lane_is_reported(
    prefect: str, database: str, tmp_path: Path
) -> None:
    flows = service_flows(mesh, SERVICE, module=__name__)
    with sample_nodes(tmp_path) as nodes:
        nodes["n2"].kill()
        with pytest.raises(
            RunFailed, match="1 lane failed, 3 skipped:\n  push of delivery, node n2: no conn"
        ):
            flows.push()
        before = sum(counted(database, "push_success").values())
        nodes["n2"].start()
        assert flows.push().message == f"pushed {1200 - before} records on 4 lanes{IDLE}"
        assert latest_run(prefect)["state"]["type"] == "COMPLETED"
        check_all_in_order(database, nodes)
        wait_until_processed(nodes)
        assert flows.pull().message == "pulled 1,200 records on 12 lanes"
    assert sum(counted(database, "pull_success").values()) == 1200
