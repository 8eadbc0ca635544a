"""Runs that a person starts from the form of a deployment, worked by a process that serves the mesh."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect
from pydantic import SecretStr
from sqlalchemy import create_engine

from tests.support.prefect_api import latest_run
from tests.support.scripted_node import API_KEY, scripted_node
from tests.support.serving_process import ended, serving
from tests.support.shop import with_push_success, write_orders, write_shops
from tests.ui.browser import chromium_page, open_newest, read_rows, shot, submit_run
from workmesh_flows.blocks import WorkmeshNode

PREFIX = "ui-runs"
MESH = "tests.support.shop_mesh:mesh"


def test_a_push_from_the_form_goes_to_the_node_that_was_chosen_and_says_what_it_did(
    prefect: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_INTEGRATIONS_WORKMESH_ARTIFACT_PREFIX", PREFIX)
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    engine = create_engine(url)
    write_shops(engine, ["n1", "n2"])
    write_orders(engine, [1] * 7 + [2] * 4)
    with scripted_node() as one, scripted_node() as two:
        for name, node in (("n1", one), ("n2", two)):
            WorkmeshNode(
                host="127.0.0.1", port=node.port, api_key=SecretStr(API_KEY), services=["shop.orders"]
            ).save(name, overwrite=True)
        with serving(prefect, MESH, url, tmp_path / "home"), chromium_page(prefect) as page:
            page.goto("deployments")
            page.get_by_role("link", name="push", exact=True).click()
            page.get_by_role("button", name="Run", exact=True).click()
            page.get_by_role("menuitem", name="Custom run").click()
            page.get_by_role("button", name="Add item").first.click()  # of the nodes
            page.get_by_text("Select a block...").click()
            expect(page.get_by_role("option", name="n2")).to_be_visible()
            page.get_by_role("option", name="n1").click()
            page.get_by_label("limit").fill("5")
            shot(page, "push-form")
            state = ended(prefect, submit_run(page))
            assert (state["type"], state["message"]) == (
                "COMPLETED",
                "pushed 5 records on 1 lane, 2 still pending",
            )
            page.goto("runs")
            page.get_by_role("link", name="push shop.orders to n1").first.click()  # the latest
            page.get_by_role("tab", name="Details").click()
            expect(page.get_by_text("pushed 5 records on 1 lane, 2 still pending").first).to_be_visible()
            page.get_by_role("tab", name="Artifacts").click()
            shot(page, "run")
            page.get_by_role("heading", name=f"{PREFIX}-shop-orders-push", exact=True).click()
            assert open_newest(page) == 1
            (lane,) = read_rows(page)
            assert (lane["node"], lane["state"], lane["done"], lane["unread"]) == ("n1", "done", "5", "2")
            shot(page, "lanes-table")
    assert with_push_success(engine, True) == [1, 2, 3, 4, 5]
    assert not any("push" in path for path in two.paths())
    engine.dispose()
    assert latest_run(prefect)["name"] == "push shop.orders to n1"
