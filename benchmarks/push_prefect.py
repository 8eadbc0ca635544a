"""Push as a flow: the number of task runs, and the speed compared with one mapped task for each record.

``python -m benchmarks.push_prefect DATABASE PORT`` does the work, in a process whose environment names a temporary
home for Prefect; it prints what it counted as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import httpx
from pydantic import SecretStr
from sqlalchemy import Engine

from benchmarks.table import print_line
from benchmarks.world import SERVICE, deal, fill, service
from workmesh_flows import Mesh
from workmesh_flows.adapters.store.engine import make_engine
from workmesh_flows.domain.node import Node

LANES, FEW, MANY, MAPPED = 8, 8_000, 80_000, 2_000


PAGE = 200
"""Largest number of runs in one answer of the API."""
SETTLED = 2.0
"""Seconds without a new task run after which no more is expected."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Task runs by task name, and records per second."""

    tasks: dict[str, int]
    speed: float


def measure(engine: Engine, node: Node) -> None:
    """Print the task runs of two pushes, and both speeds."""
    url = engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "benchmarks.push_prefect", url, str(node.port)]
    with tempfile.TemporaryDirectory(prefix="workmesh-bench-prefect-") as home:
        ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment(home))
    few, many, mapped = (Counted(**counted) for counted in json.loads(ended.stdout.splitlines()[-1]))
    for records, ran in ((FEW, few), (MANY, many)):
        total = sum(ran.tasks.values())
        assert ran.tasks.get("push") == LANES, ran.tasks
        print_line(
            f"task runs of {LANES} lanes, {records:,} records",
            LANES,
            total,
            least=1,
            most=1,
        )
    print_line(f"a flow of {LANES} lanes; one task run per record", mapped.speed, many.speed)


def environment(home: str) -> dict[str, str]:
    """The environment of a process with a Prefect home of its own, and without settings of this one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return kept | {
        "PREFECT_HOME": home,
        "PREFECT_LOGGING_LEVEL": "ERROR",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }


def main(database: str, port: str) -> None:
    """Push few records, push many, and run one task for each record."""
    from benchmarks.push_mapped import push_each
    from workmesh_flows.blocks import WorkmeshNode
    from workmesh_flows.demo.server import prefect_server
    from workmesh_flows.flows import service_flows

    engine = make_engine(database)
    push = service_flows(Mesh([service(500)], database=database), SERVICE, module=__name__).push
    names = [f"n{number}" for number in range(1, LANES + 1)]
    with prefect_server(Path(os.environ["PREFECT_HOME"])) as api:
        for name in names:
            key = SecretStr("a-key")
            WorkmeshNode(host="127.0.0.1", port=int(port), api_key=key, services=[SERVICE]).save(name)
        counted = []
        for records, run in ((FEW, push), (MANY, push), (MAPPED, lambda: push_each(database, int(port)))):
            fill(engine, accounts=200, records=records)
            deal(engine, names)
            began = perf_counter()
            run()
            speed = records / (perf_counter() - began)
            counted.append(Counted(_task_runs(api), speed))
    print(json.dumps([asdict(ran) for ran in counted]))


def _task_runs(api: str) -> dict[str, int]:
    """The task runs of the latest flow run, once no more appear: Prefect records them with a delay."""
    latest = _asked(api, "/flow_runs/filter", {"sort": "START_TIME_DESC", "limit": 1})[0]["id"]
    asked = {"flow_runs": {"id": {"any_": [latest]}}}
    before, total = -1, 0
    while total != before:
        sleep(SETTLED)
        before, total = total, _asked(api, "/task_runs/count", asked)
    if total > PAGE:
        return {"push_one": total}
    return dict(Counter(run["name"].partition(" ")[0] for run in _asked(api, "/task_runs/filter", asked)))


def _asked(api: str, path: str, body: dict[str, Any]) -> Any:  # noqa: ANN401 - any JSON
    return httpx.post(f"{api}{path}", json=body, timeout=30).raise_for_status().json()


if __name__ == "__main__":
    main(*sys.argv[1:])
