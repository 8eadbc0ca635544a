"""Records that fail at their node, as the UI shows them, and their replay from the form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from pydantic import SecretStr
from sqlalchemy import Engine, create_engine

from tests.microservice.caller import wait_for
from tests.support.serving_process import ended, serving
from tests.support.shop import shop_service, write_orders, write_shops
from tests.ui.browser import chromium_page, open_newest, shot, submit_run
from workmesh_flows import Mesh
from workmesh_flows.blocks import WorkmeshNode
from workmesh_flows.flows import service_flows
from workmesh_flows.microservice import NodeProcess

PREFIX = "ui-failed"
MESH = "tests.support.shop_mesh:mesh"
ORDERS, FAILED = 500, 20


@pytest.fixture
def node(prefect: str, tmp_path: Path) -> Iterator[NodeProcess]:
    """A node with a bug as long as the file `bug` exists; `effects` lists the orders that it has processed."""
    del prefect
    (tmp_path / "bug").touch()
    environment = {"BUG": str(tmp_path / "bug"), "EFFECTS": str(tmp_path / "effects")}
    with NodeProcess(
        "tests.operations.delivery.buggy_orders:orders",
        database=tmp_path / "n1.db",
        environment=environment,
    ) as process:
        WorkmeshNode(
            host="127.0.0.1",
            port=process.port,
            api_key=SecretStr(process.api_key),
            services=["shop.orders"],
        ).save("n1", overwrite=True)
        yield process


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """The orders of two shops."""
    made = create_engine(f"sqlite:///{tmp_path / 'shop.db'}")
    write_shops(made, ["n1", "n1"])
    write_orders(made, [1, 2] * (ORDERS // 2))
    yield made
    made.dispose()


def test_failed_records_are_replayed_from_the_form_of_the_service_s_page(
    prefect: str, engine: Engine, node: NodeProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_INTEGRATIONS_WORKMESH_ARTIFACT_PREFIX", PREFIX)
    mesh = Mesh([shop_service(batch_size=100)], database=lambda: engine)
    flows: Any = service_flows(mesh, "shop.orders", module=__name__)
    with serving(prefect, MESH, str(engine.url), tmp_path / "home"):
        flows.push()
        wait_for_node(node)
        flows.pull()
        (tmp_path / "bug").unlink()
        with chromium_page(prefect) as page:
            open_service(page)
            expect(page.get_by_text(f"the node could not process {FAILED} of its records")).to_be_visible()
            expect(page.get_by_text("a bug of today's deployment").first).to_be_visible()
            assert figures(page) == ["1", "2", "0", "0", "20", "20", "480"]
            shot(page, "failed-records", height=1800)
            page.goto(f"artifacts/key/{PREFIX}-overview")
            expect(page.get_by_text(f"the node could not process {FAILED} of its records")).to_be_visible()
            shot(page, "failed-records-overview", height=1400)

            open_service(page)
            page.get_by_role("link", name="replay", exact=True).first.click()  # in the line that asks for it
            page.get_by_label("failed").click()
            shot(page, "replay-failed-form", height=1400)
            replay = submit_run(page)
            state = ended(prefect, replay)
            assert (state["type"], state["message"]) == (
                "COMPLETED",
                f"replayed {FAILED} records; pushed {FAILED} records on 1 lane",
            )
            page.goto(f"runs/flow-run/{replay}?tab=Details")
            expect(page.get_by_text("replay failed records of shop.orders").first).to_be_visible()
            expect(page.get_by_text(f"replayed {FAILED} records").first).to_be_visible()
            page.goto(f"artifacts/key/{PREFIX}-parked")
            open_newest(page)
            expect(page.get_by_text("No record is refused or failed.")).to_be_visible()
            shot(page, "replayed-list")
        wait_for_node(node)
        flows.pull()
        with chromium_page(prefect) as page:
            open_service(page)
            assert figures(page) == ["1", "2", "0", "0", "0", "0", "500"]
            expect(page.get_by_text("the node could not process")).to_have_count(0)
            expect(page.get_by_role("heading", name="Refused and failed records")).to_have_count(0)
            shot(page, "replayed-records", height=1400)
    effects = Counter((tmp_path / "effects").read_text().split())
    assert Counter(effects.values()) == {1: ORDERS}


def wait_for_node(node: NodeProcess) -> None:
    wait_for(lambda: all(arrival.processed_at for arrival in node.arrivals()))


def open_service(page: Page) -> None:
    page.goto(f"artifacts/key/{PREFIX}-shop-orders")
    expect(page.get_by_role("heading", name="shop.orders", exact=True)).to_be_visible()


def figures(page: Page) -> list[str]:
    """Nodes, entities, unassigned, pending, failed, in flight and processed, as the page shows them."""
    return page.locator("table").first.locator("tbody td").all_inner_texts()
