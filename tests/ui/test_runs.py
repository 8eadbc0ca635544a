"""Runs started from the form of a deployment and executed by a process that serves the mesh; the texts of the forms."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect
from pydantic import SecretStr
from sqlalchemy import create_engine

from tests.support.prefect_api import api_client, latest_run
from tests.support.scripted_node import API_KEY, scripted_node
from tests.support.serving_process import ended, serving
from tests.support.shop import with_push_success, write_orders, write_shops
from tests.ui.browser import chromium_page, read_rows, shot, submit_run
from workmesh_flows.blocks import WorkmeshNode
from workmesh_flows.demo.mesh import mesh
from workmesh_flows.flows.serving import deployments

PREFIX = "ui-runs"
MESH = "tests.support.shop_mesh:mesh"


def test_a_push_from_the_form_sends_to_the_chosen_node_and_shows_its_result(
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
            page.get_by_role("button", name="Add item").first.click()  # to the list of nodes
            page.get_by_text("Select a block...").click()
            expect(page.get_by_role("option", name="n2")).to_be_visible()
            page.get_by_role("option", name="n1").click()
            page.get_by_label("limit").fill("5")
            shot(page, "push-form")
            state = ended(prefect, submit_run(page))
            assert (state["type"], state["message"]) == (
                "COMPLETED",
                "pushed 5 records on 1 lane, 2 not reached",
            )
            page.goto("runs")
            page.get_by_role("link", name="push shop.orders to n1").first.click()  # the newest
            page.get_by_role("tab", name="Details").click()
            expect(page.get_by_text("pushed 5 records on 1 lane, 2 not reached").first).to_be_visible()
            page.get_by_role("tab", name="Artifacts").click()
            shot(page, "run")
            page.get_by_role("heading", name=f"{PREFIX}-shop-orders-push", exact=True).click()
            page.wait_for_url(re.compile(r"/artifacts/artifact/"))
            (lane,) = read_rows(page, "node", "pushed")
            assert (lane["node"], lane["state"], lane["pushed"], lane["not reached"]) == (
                "n1",
                "done",
                "5",
                "2",
            )
            shot(page, "lanes-table")
    assert with_push_success(engine, True) == [1, 2, 3, 4, 5]
    assert not any("push" in path for path in two.paths())
    engine.dispose()
    assert latest_run(prefect)["name"] == "push shop.orders to n1"


@pytest.mark.parametrize(
    "ui", [pytest.param("/v2/", id="the v2 UI, which is the default"), pytest.param("/", id="the v1 UI")]
)
def test_both_uis_show_the_description_of_every_field_of_a_form(prefect: str, ui: str) -> None:
    wanted = {
        made.flow_name: (str(made.apply()), made._parameter_openapi_schema.properties)
        for made in deployments(mesh)
        if str(made.flow_name).endswith((".push", ".replay", ".rebalance", ".drain"))
    }
    assert len(wanted) == 4
    try:
        with chromium_page(prefect) as page:
            for name, (deployment, fields) in wanted.items():
                page.goto(f"{prefect.removesuffix('/api')}{ui}deployments/deployment/{deployment}/run")
                for field in fields.values():
                    expect(page.get_by_text(field["description"], exact=True)).to_be_visible()
                shot(page, f"{str(name).rpartition('.')[2]}-form{'' if ui == '/' else '-v2'}", height=1600)
    finally:
        for deployment, _ in wanted.values():
            api_client.delete(f"{prefect}/deployments/{deployment}").raise_for_status()
