"""Lanes in threads, or in the processes of a Dask cluster: the same order, results and messages."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed.protocol import pickle as of_dask
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import SecretStr

from tests.flows.dying_mesh import mesh as dying
from tests.flows.sample_nodes import (
    check_all_in_order,
    counted,
    sample_nodes,
    wait_until_processed,
    write_assigned,
)
from tests.support.databases import empty_postgresql
from tests.support.prefect_api import latest_run, latest_table, post
from tests.support.scripted_node import API_KEY, scripted_node
from tests.support.shop import with_push_success, write_orders, write_shops
from tests.test_public_api import MOMENT, RAISED
from workmesh_flows import Mesh, errors
from workmesh_flows.adapters.store.engine import open_engine
from workmesh_flows.blocks import WorkmeshNode
from workmesh_flows.demo.mesh import SERVICE, mesh
from workmesh_flows.domain.reports import PullReport
from workmesh_flows.errors import ConfigurationError, RunFailed
from workmesh_flows.flows import ServiceFlows, service_flows
from workmesh_flows.flows.task_runners import make_runner
from workmesh_flows.settings import PREFIX, read_settings

KIND = f"{PREFIX}TASK_RUNNER"
IDLE = ", 8 lanes have nothing pending"


def travelled(thing: Any) -> Any:
    """The object as a Dask process receives it."""
    sent: Any = of_dask
    return sent.loads(sent.dumps(thing))


def chosen(monkeypatch: pytest.MonkeyPatch, kind: str, **more: str) -> Any:
    monkeypatch.setenv(KIND, kind)
    for name, value in more.items():
        monkeypatch.setenv(f"{PREFIX}{name.upper()}", value)
    return make_runner(read_settings(), mesh)


def test_lanes_run_in_threads_by_default() -> None:
    assert make_runner(read_settings(), Mesh([])) == ThreadPoolTaskRunner(max_workers=32)


def test_an_unknown_task_runner_is_refused_with_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match=f"{KIND}: Input should be 'threads', 'dask' or 'ray'"):
        chosen(monkeypatch, "celery")


def test_an_address_without_a_cluster_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match=f"threads have no address: also set {KIND} to dask or ray"):
        chosen(monkeypatch, "threads", task_runner_address="tcp://scheduler:8786")


@pytest.mark.parametrize("kind", ["dask", "ray"])
def test_a_missing_extra_says_what_to_install(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workmesh_flows.flows.task_runners.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError) as refused:
        chosen(monkeypatch, kind)
    assert f"prefect-{kind} is not installed: pip install 'workmesh-flows[{kind}]'" in str(refused.value)


def test_a_local_dask_cluster_has_a_process_per_core_and_a_thread_for_each_lane(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    local = chosen(monkeypatch, "dask", lanes_at_once="9").cluster_kwargs
    assert local["processes"]
    assert local["n_workers"] == min(os.cpu_count() or 1, 9)
    assert local["n_workers"] * local["threads_per_worker"] >= 9


def test_a_run_connects_to_an_existing_dask_cluster_by_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = chosen(monkeypatch, "dask", task_runner_address="tcp://scheduler:8786")
    assert (runner.address, runner.cluster_kwargs) == ("tcp://scheduler:8786", {})


def test_a_mesh_that_other_processes_cannot_load_is_refused_when_its_flows_are_created(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(KIND, "dask")
    with pytest.raises(ConfigurationError, match=r"cannot load the mesh: .* Declare the mesh in a module"):
        service_flows(Mesh(mesh.services), SERVICE, module=__name__)


def test_a_mesh_declared_in_a_flow_s_file_is_not_pickled_by_prefect_s_temporary_module_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = type(sys)("__prefect_loader_1f2e__")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec("from workmesh_flows import Mesh\nown = Mesh([])", module.__dict__)  # noqa: S102 - as Prefect does
    with pytest.raises(TypeError, match="only if it is an attribute of an importable module"):
        travelled(module.own)


WHOLE = [
    *(error for error, _ in RAISED),
    errors.NodeUnavailable("connection lost", node="n1", retry_at=MOMENT, interrupted=True),
    errors.BatchTooLarge("too large to send", node="n1", unsent=True),
    errors.LaneStopped("it is down", lane="s/p/n", report=PullReport("p", "n", in_flight=2)),
    errors.LaneStopped("it is full", lane="s/p/n", until=MOMENT, asked=True),
]


@pytest.mark.parametrize("error", [pytest.param(error, id=type(error).__name__) for error in WHOLE])
def test_an_error_keeps_all_attributes_on_its_way_from_a_worker(error: errors.WorkmeshError) -> None:
    arrived = travelled(error)
    assert type(arrived) is type(error)
    assert (str(arrived), arrived.args, vars(arrived)) == (str(error), error.args, vars(error))


@pytest.fixture(scope="module")
def database(postgresql_server: str) -> Iterator[str]:
    """The address of the sample's data."""
    with empty_postgresql(postgresql_server) as url:
        write_assigned(url)
        yield url


@pytest.fixture(scope="module")
def dask_cluster(database: str) -> Iterator[str]:
    """The address of a cluster of two processes, with the options of a run's own cluster."""
    from distributed import LocalCluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(
            f"{PREFIX}DATABASE_URL", database
        )  # in the environment of the processes, as on other machines
        local = chosen(patch, "dask", lanes_at_once="8").cluster_kwargs | {"n_workers": 2}
        started: Any = LocalCluster
        with started(**local) as cluster:
            yield cluster.scheduler_address


def how_it_failed(flows: ServiceFlows) -> tuple[str, str]:
    """The total of a push that fails, and which lanes failed and why."""
    with pytest.raises(RunFailed) as failed:
        flows.push()
    why, _, total = str(failed.value).partition("\nTotal: ")
    return total.partition(". ")[0], why


@pytest.mark.timeout(300)
@pytest.mark.slow
def test_dask_processes_push_and_pull_in_order_and_report_a_stopped_lane_as_threads_do(
    database: str, prefect: str, dask_cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{PREFIX}DATABASE_URL", database)
    in_threads: ServiceFlows = service_flows(mesh, SERVICE, module=__name__)
    monkeypatch.setenv(KIND, "dask")
    monkeypatch.setenv(f"{KIND}_ADDRESS", dask_cluster)
    on_dask: ServiceFlows = service_flows(mesh, SERVICE, module=__name__)
    with sample_nodes(tmp_path) as nodes:
        nodes["n2"].kill()
        done, why = how_it_failed(on_dask)
        assert why.startswith("1 lane failed, 3 skipped:\n  push of delivery, node n2: no connection")
        assert how_it_failed(in_threads) == (f"pushed 0 records on 4 lanes{IDLE}", why)
        nodes["n2"].start()
        before = sum(counted(database, "push_success").values())
        assert done == f"pushed {before} records on 12 lanes"
        assert on_dask.push().message == f"pushed {1200 - before} records on 4 lanes{IDLE}"
        run = latest_run(prefect)["id"]
        check_all_in_order(database, nodes)
        wait_until_processed(nodes)
        assert on_dask.pull().message == "pulled 1,200 records on 12 lanes"
    assert sum(counted(database, "push_success").values()) == 1200
    assert sum(counted(database, "pull_success").values()) == 1200
    rows = latest_table(prefect, "workmesh-micro-emails-timeline-pull")
    assert {row["state"] for row in rows} == {"done"}
    assert sum(row["pushed"] for row in rows) == 1200
    logged = post(prefect, "/logs/filter", {"logs": {"flow_run_id": {"any_": [run]}}, "limit": 200})
    assert any(line["task_run_id"] for line in logged), (
        "the run's log has the log lines of lanes in other processes"
    )


@pytest.mark.timeout(300)
@pytest.mark.slow
def test_a_lane_whose_process_dies_fails_the_run_by_name(
    prefect: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'master.db'}"
    monkeypatch.setenv(f"{PREFIX}DATABASE_URL", url)
    monkeypatch.setenv(KIND, "dask")
    engine = open_engine(url)
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 20)
    with scripted_node() as node:
        WorkmeshNode(
            host="127.0.0.1", port=node.port, api_key=SecretStr(API_KEY), services=["shop.orders"]
        ).save("n1")
        with pytest.raises(
            RunFailed, match="order, node n1: its worker process exited before the lane finished"
        ):
            service_flows(dying, "shop.orders", module=__name__).push()
    assert with_push_success(engine, True) == []
    assert latest_run(prefect)["state"]["type"] == "FAILED"
    engine.dispose()
