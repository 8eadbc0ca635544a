"""Where the lanes of a run are processed: in threads of its process, or in processes of a Dask or Ray cluster."""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal, TypeAlias, assert_never

from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from workmesh_flows.domain.service import Mesh
from workmesh_flows.errors import ConfigurationError
from workmesh_flows.settings import PREFIX, WorkmeshSettings

AnyRunner: TypeAlias = TaskRunner[Any]

RAY_OBJECT_BYTES = 100 * 1024 * 1024
"""Ray's shared memory on a local cluster: lanes pass only names and reports, and a container's /dev/shm is small."""


def make_runner(settings: WorkmeshSettings, mesh: Mesh) -> AnyRunner:
    """The task runner that the settings choose; nothing is started or connected yet.

    Raises ConfigurationError if the extra for the task runner is not installed, if an address is set that it cannot
    use, or if other processes cannot load the mesh.
    """
    address, lanes = settings.task_runner_address, settings.lanes_at_once
    if settings.task_runner != "threads":
        _require_picklable(mesh, settings.task_runner)
    match settings.task_runner:
        case "threads":
            if address is not None:
                raise ConfigurationError(
                    f"{PREFIX}TASK_RUNNER_ADDRESS is set, but threads have no address: "
                    f"also set {PREFIX}TASK_RUNNER to dask or ray, or unset the address"
                )
            return ThreadPoolTaskRunner(max_workers=lanes)
        case "dask":
            return _dask_runner(address, lanes)
        case "ray":
            return _ray_runner(address, lanes)
        case other:
            assert_never(other)


def _dask_runner(address: str | None, lanes: int) -> AnyRunner:
    made = _runner_class("dask", "DaskTaskRunner")
    if address is not None:
        return made(address=address)
    # Otherwise Dask logs thirty lines about the start and stop of its processes in each run.
    logging.getLogger("distributed").setLevel(logging.WARNING)
    # One process per core for the lanes' computing, with several threads: a lane mostly waits for its node.
    processes = min(lanes, _cores())
    local = {
        "n_workers": processes,
        "threads_per_worker": -(-lanes // processes),
        "processes": True,
        "dashboard_address": "127.0.0.1:0",  # any free port: two runs on one machine would both want 8787
        # No immediate retry: the lease of a lane whose process died has not expired yet, so the retry would be "busy".
        "scheduler_kwargs": {"allowed_failures": 0},
    }
    return made(cluster_kwargs=local)


def _ray_runner(address: str | None, lanes: int) -> AnyRunner:
    made = _runner_class("ray", "RayTaskRunner")
    if address is not None:
        return made(address=address)
    # Ray runs each lane in its own process. "local": never join a cluster that already runs on this machine.
    local = {
        "address": "local",
        "num_cpus": min(lanes, _cores()),
        "object_store_memory": RAY_OBJECT_BYTES,
        "include_dashboard": False,
    }
    return made(init_kwargs=local)


def _runner_class(extra: Literal["dask", "ray"], name: str) -> Callable[..., AnyRunner]:
    package = f"prefect_{extra}"
    if find_spec(package) is None:
        raise ConfigurationError(
            f"{PREFIX}TASK_RUNNER is {extra}, but {package.replace('_', '-')} is not installed: "
            f"pip install 'workmesh-flows[{extra}]'"
        )
    made: Callable[..., AnyRunner] = getattr(import_module(package), name)
    return made


def _require_picklable(mesh: Mesh, kind: str) -> None:
    try:
        pickle.dumps(mesh)
    except TypeError as error:
        raise ConfigurationError(
            f"{PREFIX}TASK_RUNNER is {kind}, but its processes cannot load the mesh: {error}. Declare the mesh in "
            "a module that is installed on the machines of the cluster, as in my_saas/mesh.py: mesh = Mesh(...)"
        ) from error


def _cores() -> int:
    return os.cpu_count() or 1
