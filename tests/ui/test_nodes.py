"""Nodes entered in the form of the UI: the saved block, values that the form refuses, and values that it cannot check."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.fleet import Fleet
from tests.support.scripted_node import API_KEY, scripted_node
from tests.support.shop import write_shops
from tests.ui.browser import chromium_page, shot
from workmesh_flows.blocks import WorkmeshNode
from workmesh_flows.cli.exit_status import ExitStatus
from workmesh_flows.flows import service_flows
from workmesh_flows.inventory.documents import load_inventory

ROOT = Path(__file__).parents[2]
SERVICES_AT = 3
"""Index of the first service among the text boxes of the form."""
HOST_ALONE = "the host must be a name or an IP address alone, without scheme, port, path or spaces"


def fill_in(page: Page, name: str, host: str, port: str) -> None:
    page.goto("blocks/catalog/workmesh-node/create")
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Host").fill(host)
    page.get_by_label("Port").fill(port)
    page.get_by_label("API key").fill(API_KEY)
    page.get_by_role("button", name="Add item").first.click()  # of the services
    page.get_by_role("textbox").nth(SERVICES_AT).fill("shop.orders")


def save(page: Page) -> None:
    page.get_by_role("button", name="Save").click()
    page.wait_for_url("**/blocks/block/**")


def printed(fleet: Fleet, *arguments: str) -> str:
    """The output of `workmesh nodes` in a separate process; a node may not work."""
    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            "workmesh_flows.cli",
            "nodes",
            "--mesh",
            "tests.support.shop_mesh:mesh",
            *arguments,
        ],
        cwd=ROOT,
        env={
            **os.environ,
            "PREFECT_API_URL": os.environ.get("PREFECT_API_URL", ""),
            "PREFECT_INTEGRATIONS_WORKMESH_DATABASE_URL": fleet.engine.url.render_as_string(
                hide_password=False
            ),
        },
        check=False,
        capture_output=True,
        text=True,
    )
    assert ended.returncode in {ExitStatus.DONE, ExitStatus.LEFT}, ended.stderr
    return ended.stdout


def test_workmesh_nodes_lists_a_node_that_was_entered_in_the_form(
    prefect: str, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", prefect)
    write_shops(fleet.engine, ["n7", "n7"])
    WorkmeshNode.register_type_and_schema()
    with scripted_node() as running:
        with chromium_page(prefect) as page:
            fill_in(page, "n7", "127.0.0.1", str(running.port))
            page.get_by_label("Max entities, all services").fill("5")
            shot(page, "node-form", height=1450)
            save(page)
            expect(page.get_by_text("n7").first).to_be_visible()
            assert API_KEY not in page.content()
        shown = printed(fleet, "--all")
    node = load_inventory().nodes["n7"]
    assert (node.host, node.port, node.services, node.shared_cap) == (
        "127.0.0.1",
        running.port,
        ("shop.orders",),
        5,
    )
    assert node.api_key.get_secret_value() == API_KEY
    row = next(line.split() for line in shown.splitlines() if line.startswith("n7"))
    assert row[:6] == ["n7", "active", "yes", "2", "2", "0.40"]
    assert str(running.port) in row, "a port is printed without a thousands separator"
    assert API_KEY not in shown


def test_the_form_refuses_an_invalid_port_and_an_invalid_host_is_reported_in_table_and_page(
    prefect: str, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", prefect)
    monkeypatch.setenv("PREFECT_INTEGRATIONS_WORKMESH_ARTIFACT_PREFIX", "ui-nodes")
    write_shops(fleet.engine, [None])
    WorkmeshNode.register_type_and_schema()
    with chromium_page(prefect) as page:
        fill_in(page, "n8", "http://10.0.0.8/", "0")
        page.get_by_role("button", name="Save").click()
        message = page.get_by_label("Port").evaluate("field => field.validationMessage")
        assert "greater than or equal to 1" in message
        page.get_by_label("Port").fill("8080")
        save(page)  # Prefect's form cannot check the host
    inventory = load_inventory()
    assert (list(inventory.nodes), inventory.problems) == ([], {"n8": f"host: {HOST_ALONE}"})
    assert f"n8: host: {HOST_ALONE}" in printed(fleet)
    service_flows(fleet.mesh, "shop.orders", module=__name__).status()
    with chromium_page(prefect) as page:
        page.goto("artifacts/key/ui-nodes-overview")
        expect(page.get_by_text(re.compile("problems? needs? attention"))).to_be_visible()
        expect(page.get_by_text(HOST_ALONE)).to_be_visible()
        shot(page, "node-left-out")
