"""The UI as people use it, in a real browser: forms filled in, pages read.

While the browser is open an event loop runs, in which Prefect's own calls would have to be awaited: they come before
and after.
"""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.operations.parking import refusing_these
from tests.prefect.browser import chromium_page, shot
from tests.prefect.conftest import Fleet
from tests.prefect.reading import latest_run
from tests.support.scripted_node import API_KEY, Answer, scripted_node
from tests.support.shop import write_orders, write_shops
from workmesh_flows.blocks import WorkmeshNode
from workmesh_flows.errors import RunFailed
from workmesh_flows.flows import service_flows
from workmesh_flows.inventory import load_inventory

SERVICES_AT = 3
"""The first service, among the boxes for text that the form has."""
KEY = "{7D1D3C52-0C1B-4E7A-8D3F-5B6C7D8E9F01}"


def test_a_node_that_is_entered_in_the_form_is_in_the_inventory(prefect: str) -> None:
    WorkmeshNode.register_type_and_schema()
    with chromium_page(prefect) as page:
        page.goto("blocks/catalog/workmesh-node/create")
        page.get_by_label("Name", exact=True).fill("n7")
        page.get_by_label("Host").fill("10.0.0.7")
        page.get_by_label("Port").fill("8080")
        page.get_by_label("API key").fill(KEY)
        page.get_by_role("button", name="Add item").first.click()  # of the services
        page.get_by_role("textbox").nth(SERVICES_AT).fill("leads.scoring")
        shot(page, "node-form")
        page.get_by_role("button", name="Save").click()
        page.wait_for_url("**/blocks/block/**")
        expect(page.get_by_text("n7").first).to_be_visible()
        shot(page, "node")
        assert KEY not in page.content()
    node = load_inventory().nodes["n7"]
    assert (node.host, node.port, node.services) == ("10.0.0.7", 8080, ("leads.scoring",))
    assert node.api_key.get_secret_value() == KEY


def test_a_service_s_page_has_the_right_numbers_and_is_reached_from_the_mesh_s(
    prefect: str, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_INTEGRATIONS_WORKMESH_ARTIFACT_PREFIX", "ui-test")
    write_shops(fleet.engine, ["n1"])
    write_orders(fleet.engine, [1] * 7)
    with scripted_node(refusing_these()) as node:
        fleet.register("n1", node.port, API_KEY)
        flows: Any = service_flows(fleet.mesh, "shop.orders", module=__name__)
        flows.push(limit=5)
    with chromium_page(prefect) as page:
        page.goto("artifacts/key/ui-test-overview")
        page.get_by_role("link", name="shop.orders", exact=True).click()
        expect(page.get_by_role("heading", name="shop.orders", exact=True)).to_be_visible()
        expect(page.get_by_text("Nothing needs you.")).to_be_visible()
        figures = page.locator("table").first.locator("tbody td").all_inner_texts()
        # nodes, entities, unassigned, pending, failed, in flight, processed
        assert figures == ["1", "1", "0", "2", "0", "5", "0"]
        expect(page.get_by_role("img", name="entities held by each node")).to_be_visible()
        shot(page, "service-page")


def test_a_stopped_lane_shows_as_a_failed_run_with_its_reason(prefect: str, fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1"])
    write_orders(fleet.engine, [1] * 3)
    with scripted_node(lambda _: Answer(b"", 403)) as node:
        fleet.register("n1", node.port, API_KEY)
        flows: Any = service_flows(fleet.mesh, "shop.orders", module=__name__)
        with pytest.raises(RunFailed):
            flows.push()
    run = latest_run(prefect)
    with chromium_page(prefect) as page:
        page.goto(f"runs/flow-run/{run['id']}?tab=Logs")
        expect(page.get_by_text("push shop.orders").first).to_be_visible()
        expect(page.get_by_text("Failed").first).to_be_visible()
        expect(page.get_by_text("403").first).to_be_visible(timeout=20_000)
        shot(page, "failed-run")
