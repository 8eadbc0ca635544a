"""Pages and tables that runs publish, as the UI shows them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.operations.delivery.refusals import few_attempts, refusing_these
from tests.support.fleet import Fleet
from tests.support.prefect_api import latest_run
from tests.support.scripted_node import API_KEY, scripted_node
from tests.support.shop import write_orders, write_shops
from tests.ui.browser import chromium_page, open_newest, read_rows, shot
from workmesh_flows import Mesh
from workmesh_flows.flows import mesh_flows, service_flows
from workmesh_flows.observability import progress

PREFIX = "ui-pages"


def open_table(page: Page, key: str) -> int:
    page.goto(f"artifacts/key/{PREFIX}-{key}")
    return open_newest(page)


def test_pages_and_tables_of_runs_show_the_right_numbers(
    prefect: str, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_INTEGRATIONS_WORKMESH_ARTIFACT_PREFIX", PREFIX)
    monkeypatch.setattr(progress, "SECONDS", 0.0)
    write_shops(fleet.engine, ["n1", "n1", "n1", "n2"])
    write_orders(fleet.engine, [1, 2] * 8)
    mesh = Mesh([few_attempts(attempts=1)], database=lambda: fleet.engine)
    flows: Any = service_flows(mesh, "shop.orders", module=__name__)
    with scripted_node(refusing_these(3)) as one, scripted_node(refusing_these()) as two:
        fleet.register("n1", one.port, API_KEY)
        fleet.register("n2", two.port, API_KEY)
        flows.push(nodes=["n1"])
        pushed = latest_run(prefect)["id"]
        flows.rebalance()
        flows.status()
        mesh_flows(mesh, module=__name__).drain(["n2"], dry_run=False)
    with chromium_page(prefect) as page:
        page.goto(f"artifacts/key/{PREFIX}-overview")
        page.get_by_role("link", name="shop.orders", exact=True).click()
        expect(page.get_by_role("heading", name="shop.orders", exact=True)).to_be_visible()
        expect(page.get_by_text(re.compile("problems? needs? attention"))).to_be_visible()
        # nodes, entities, unassigned, pending, failed, in flight, processed
        figures = page.locator("table").first.locator("tbody td").all_inner_texts()
        assert figures == ["1", "4", "0", "7", "1", "9", "0"]
        expect(page.get_by_role("img", name="entities held by each node")).to_be_visible()
        shot(page, "service-page")

        assert open_table(page, "parked") == 2, "one of the push, one of the count"
        (parked,) = read_rows(page, "record", "state")
        assert (parked["record"], parked["state"], parked["waiting"]) == ("3", "parked", "6")
        assert parked["reason"] == "no good"

        open_table(page, "plan")
        expect(page.get_by_text("Applied: moved 1 entity.")).to_be_visible()
        (move,) = read_rows(page, "from", "why")
        assert (move["from"], move["to"], move["why"]) == ("n2", "n1", "drain")
        shot(page, "plan")

        open_table(page, "moves")
        (handed,) = read_rows(page, "from", "moved")
        assert (handed["from"], handed["moved"], handed["not moved"]) == ("n2", "1", "0")

        page.goto(f"runs/flow-run/{pushed}?tab=Artifacts")
        page.get_by_role("link", name=re.compile("order to n1: pushed")).click()
        expect(page.get_by_text("Progress: 100").first).to_be_visible()
