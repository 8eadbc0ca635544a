"""A real Prometheus scrapes both sides; each query of the dashboard and each alert of the documentation gives data."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from ruamel.yaml import YAML
from sqlalchemy import create_engine

from tests.docs.blocks import ROOT, blocks_of
from tests.support.prometheus import Prometheus, program, running_prometheus
from tests.support.shop import shop_service, write_orders, write_shops
from workmesh_flows.adapters.store.engine import open_engine, utc_now
from workmesh_flows.adapters.store.lanes import acquire_lane
from workmesh_flows.blocks import WorkmeshNode
from workmesh_flows.domain.lane import Lane
from workmesh_flows.inventory.documents import load_inventory
from workmesh_flows.microservice import NodeProcess
from workmesh_flows.operations.delivery.lane_context import LaneContext
from workmesh_flows.operations.delivery.pull import pull_lane
from workmesh_flows.operations.delivery.push import push_lane
from workmesh_flows.operations.probe import probe_and_save
from workmesh_flows.testing import inventory_node, running_node

DASHBOARD = ROOT / "docs" / "assets" / "grafana-dashboard.json"
PAGE = ROOT / "docs" / "metrics.md"
TIMEOUT = 60.0
VARIABLES = {"$service": ".*", "$node": ".*", "$__rate_interval": "10s"}
SEEN = re.compile(r"workmesh_[a-z_]+")


def dashboard_queries() -> list[str]:
    """The queries of all panels, with the values of Grafana's variables."""
    dashboard = json.loads(DASHBOARD.read_text())
    found = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    for name, value in VARIABLES.items():
        found = [query.replace(name, value) for query in found]
    return found


def alerts() -> str:
    """The file of alerts of the documentation."""
    (block,) = (block for block in blocks_of(PAGE) if block.title == "alerts.yml")
    return block.text


@contextmanager
def serving_metrics(folder: Path, url: str, api: str) -> Iterator[str]:
    """`workmesh metrics` in a process of its own; yields its host and port. It must end without an error."""
    environment = {
        **os.environ,
        "PREFECT_API_URL": api,
        "PREFECT_HOME": str(folder / "home"),
        "PREFECT_INTEGRATIONS_WORKMESH_DATABASE_URL": url,
        "PYTHONUNBUFFERED": "1",
    }
    log = folder / "metrics.log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "workmesh_flows.cli", "metrics", "--port", "0", "--cache", "0.5"]
        process = subprocess.Popen(
            [*command, "--mesh", "tests.support.shop_mesh:mesh"],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=output,
        )
    try:
        end = time.monotonic() + TIMEOUT
        while not (found := re.search(r"serving metrics at http://([\d.:]+)/metrics", log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        yield found[1]
    finally:
        process.terminate()
        status = process.wait(30)
    assert (status, log.read_text().count("\n")) == (0, 1), log.read_text()


@contextmanager
def a_busy_mesh(folder: Path) -> Iterator[tuple[str, NodeProcess]]:
    """A mesh with a node that processes records until the end of the block, and one that is down; yields its database."""
    url = f"sqlite:///{folder / 'master.db'}"
    plain = create_engine(url)
    write_shops(plain, ["n1", "n2", None])
    write_orders(plain, [1, 2, 3] * 5)
    plain.dispose()
    engine = open_engine(url)
    with running_node("tests.support.shop_micro:orders") as process:
        for name, port in (("n1", process.port), ("n2", 1)):
            block = WorkmeshNode(
                host="127.0.0.1", port=port, api_key=SecretStr(process.api_key), services=["shop.orders"]
            )
            block.save(name, overwrite=True)
        acquire_lane(
            engine, Lane("shop.orders", "order", "n2"), holder="a run", clock=utc_now, lease_seconds=3_600
        )
        probe_and_save(engine, load_inventory().nodes.values())
        yield url, process
    engine.dispose()


def deliver(url: str, process: NodeProcess, first: int) -> None:
    """Write an order, push it and pull results."""
    service = shop_service()
    engine = open_engine(url)
    write_orders(engine, [1], first=first)
    node = inventory_node(process, "shop.orders")
    context = LaneContext(engine, service, service.protocols[0], node, "a run")
    push_lane(context)
    pull_lane(context)
    engine.dispose()


def has_data(prometheus: Prometheus, query: str) -> bool:
    return any(not math.isnan(value) for value in prometheus.query(query))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_prometheus_scrapes_both_sides_and_every_query_of_the_dashboard_gives_data(
    prefect: str, tmp_path: Path
) -> None:
    program("prometheus")
    queries = dashboard_queries()
    with (
        a_busy_mesh(tmp_path) as (url, node),
        serving_metrics(tmp_path, url, prefect) as exporter,
        running_prometheus(
            tmp_path, {"workmesh": [exporter], "nodes": [node.url.removeprefix("http://")]}, alerts()
        ) as prometheus,
    ):
        missing, end, number = queries, time.monotonic() + TIMEOUT, 100
        while missing:
            assert time.monotonic() < end, f"no data: {missing}"
            deliver(url, node, number)
            number += 1
            missing = [query for query in missing if not has_data(prometheus, query)]
        assert prometheus.query('sum(up{job="workmesh"}) + sum(up{job="nodes"})') == [2]
        assert prometheus.query('workmesh_pending_records{node="n2"}') == [5]
        assert sorted(prometheus.query("workmesh_node_reachable")) == [0, 1]
        processed = prometheus.query('sum(workmesh_microservice_processed_records_total{protocol="order"})')
        assert processed[0] >= 6
        for group in prometheus.get("/rules")["groups"]:
            for rule in group["rules"]:
                assert rule["health"] in {"ok", "unknown"}, rule
        for target in prometheus.get("/targets")["activeTargets"]:
            assert target["lastError"] == ""
        lint(f"http://{exporter}/metrics")
        lint(f"{node.url}/metrics")


def lint(address: str) -> None:
    """Check names and help texts with promtool."""
    text = httpx.get(address).text
    own = [line for line in text.splitlines(keepends=True) if "workmesh_" in line]
    command = [program("promtool"), "check", "metrics"]
    checked = subprocess.run(command, check=False, input="".join(own), text=True, capture_output=True)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_promtool_accepts_the_configuration_and_the_alerts_of_the_documentation(tmp_path: Path) -> None:
    for block in blocks_of(PAGE):
        if block.language == "yaml":
            (tmp_path / block.title).write_text(block.text)
    command = [program("promtool"), "check", "config", "prometheus.yml"]
    checked = subprocess.run(command, check=False, cwd=tmp_path, text=True, capture_output=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "9 rules found" in checked.stdout


def test_the_dashboard_and_the_alerts_name_defined_metrics_only() -> None:
    from workmesh_flows.microservice.metrics import METRICS as OF_NODES
    from workmesh_flows.reporting.metric_definitions import METRICS as OF_MESH

    defined = {each.name for each in (*OF_NODES, *OF_MESH)}
    defined |= {f"{each.name}_bucket" for each in OF_NODES if each.type == "histogram"}
    rules: Any = YAML(typ="safe").load(alerts())
    expressions = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    assert len(expressions) > 5
    named = {name for text in [*dashboard_queries(), *expressions] for name in SEEN.findall(text)}
    assert named - defined == set()
    assert len(dashboard_queries()) > 20
