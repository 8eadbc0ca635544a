"""A stopped lane in the UI: the failed run, the event feed, and the automations that send notifications."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.support.fleet import Fleet
from tests.support.prefect_api import latest_run, wait_for_event
from tests.support.scripted_node import API_KEY, Answer, scripted_node
from tests.support.shop import write_orders, write_shops
from tests.ui.browser import chromium_page, shot, show_mesh_events
from workmesh_flows.errors import RunFailed
from workmesh_flows.flows import service_flows
from workmesh_flows.observability.automations import DEAD, NOTIFIED, UNREACHABLE, install


@pytest.fixture
def stopped(prefect: str, fleet: Fleet) -> dict[str, Any]:
    """A run whose only lane stopped because the node refused the key."""
    write_shops(fleet.engine, ["n1"])
    write_orders(fleet.engine, [1] * 3)
    with scripted_node(lambda _: Answer(b"", 403)) as node:
        fleet.register("n1", node.port, API_KEY)
        flows: Any = service_flows(fleet.mesh, "shop.orders", module=__name__)
        with pytest.raises(RunFailed):
            flows.push()
    install()
    run = latest_run(prefect)
    wait_for_event(prefect, "workmesh.lane.stopped", run["id"])
    return run


def test_the_ui_shows_a_stopped_lane_as_a_failed_run_and_an_event_and_lists_the_automations(
    prefect: str, stopped: dict[str, Any]
) -> None:
    with chromium_page(prefect) as page:
        page.goto(f"runs/flow-run/{stopped['id']}?tab=Logs")
        expect(page.get_by_text("push shop.orders").first).to_be_visible()
        expect(page.get_by_text("Failed").first).to_be_visible()
        expect(page.get_by_text("403").first).to_be_visible()
        shot(page, "failed-run")
        show_mesh_events(page)
        about = page.get_by_role("listitem").filter(has_text="workmesh.lane.stopped").first
        expect(about.get_by_text("shop.orders/order/n1/push")).to_be_visible()
        for related in ("n1", "shop.orders", "push shop.orders"):
            expect(about.get_by_text(related, exact=True).first).to_be_visible()
        shot(page, "events")
        page.goto("automations")
        for name in (*(name for name, *_ in NOTIFIED), UNREACHABLE, DEAD):
            expect(page.get_by_text(name, exact=True)).to_be_visible()
        shot(page, "automations", height=1400)
