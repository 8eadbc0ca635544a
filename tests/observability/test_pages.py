"""The pages that a run publishes, and the HTML report."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.operations.delivery.refusals import refusing_these
from tests.support.fleet import Fleet
from tests.support.prefect_api import post
from tests.support.scripted_node import API_KEY, scripted_node
from tests.support.shop import write_orders, write_shops
from workmesh_flows.adapters.store.engine import utc_now
from workmesh_flows.errors import UnknownName
from workmesh_flows.flows import service_flows
from workmesh_flows.observability.failed_runs import failed_runs
from workmesh_flows.observability.pages import html_report
from workmesh_flows.status import node_history, service_history

S = "shop.orders"


@pytest.fixture
def _own_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    """A prefix for artifact keys: the server has the default keys from other tests."""
    monkeypatch.setenv("PREFECT_INTEGRATIONS_WORKMESH_ARTIFACT_PREFIX", "pages-test")


def page(api: str, key: str) -> str:
    latest = post(api, "/artifacts/latest/filter", {"artifacts": {"key": {"any_": [key]}}})
    return str(latest[0]["description"])


@pytest.mark.usefixtures("_own_prefix")
def test_runs_publish_pages_with_a_history_and_the_report_has_the_same_content(
    fleet: Fleet, prefect: str, tmp_path: Path
) -> None:
    write_shops(fleet.engine, ["n1", "n1"])
    write_orders(fleet.engine, [1, 2] * 5)
    flows: Any = service_flows(fleet.mesh, S, module=__name__)
    with scripted_node(refusing_these()) as node:
        fleet.register("n1", node.port, API_KEY)
        flows.status()
        flows.push()
        report = html_report(fleet.mesh)
    overview, service = page(prefect, "pages-test-overview"), page(prefect, "pages-test-shop-orders")
    assert (
        "| [shop.orders](../../artifacts/key/pages-test-shop-orders) | 1 | 2 | 0 | 0 | 0 | 10 | 0 |"
        in overview
    )
    assert " | [runs](../../runs?tab=task-runs&task-run-search=n1) |" in overview
    assert re.search(
        r"\| order \| \[n1\]\(../../blocks/block/[0-9a-f-]+\) \| push \|  \| 0 \| 10 \| 0 \|", service
    )
    assert "data:image/png;base64," in service
    assert [int(n) for n in service_history()["pending"]] == [10, 0]
    assert [str(name) for name in node_history()["node"]] == ["n1", "n1"]
    assert '<section id="pages-test-shop-orders">\n<h1>shop.orders</h1>' in report
    assert '<a href="#pages-test-shop-orders">shop.orders</a>' in report
    assert API_KEY not in overview + service + report


@pytest.mark.usefixtures("_own_prefix")
def test_a_failed_run_is_listed_on_the_pages_of_the_next_run(fleet: Fleet, prefect: str) -> None:
    write_shops(fleet.engine, ["n1"])
    flows: Any = service_flows(fleet.mesh, S, module=__name__)
    with scripted_node(refusing_these()) as node:
        fleet.register("n1", node.port, API_KEY)
        with pytest.raises(UnknownName):
            flows.push.with_options(flow_run_name="an odd push")(nodes=["n9"])
        flows.status()
    line = r"- run failed: \*\*\[an odd push\]\(\.\./\.\./runs/flow-run/[-0-9a-f]+\)\*\* at .*: the mesh has no node 'n9'"
    for key in ("overview", "shop-orders"):
        assert re.search(line, page(prefect, f"pages-test-{key}"))
    assert failed_runs(["another"], utc_now()) == []
    assert failed_runs([S], utc_now() + timedelta(hours=1)) == []
