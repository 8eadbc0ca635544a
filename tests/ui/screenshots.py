"""Takes the screenshots of the documentation: `make screenshots` runs the demo and opens it in a real browser."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

from tests.support.prefect_api import post
from tests.support.serving_process import ended
from tests.ui.browser import WIDTH, chromium_page, open_newest, show_mesh_events, submit_run

PICTURES = Path(__file__).parents[2] / "docs" / "assets" / "ui"
SERVICE = "micro.emails.timeline"
TIMEOUT = 240.0
"""Seconds."""


def main() -> None:
    """Take all screenshots again."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with demo() as api:
        environment = {**os.environ, "PREFECT_API_URL": api}
        command = [sys.executable, "-m", "workmesh_flows.cli", "automations", "install"]
        subprocess.run(command, env=environment, check=True)
        with chromium_page(api) as page:
            take_all(page, api)


@contextmanager
def demo() -> Iterator[str]:
    """Run the demo until its main job is done and it serves its flows; yield the address of its server's API."""
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "workmesh_flows.cli", "demo", "--serve"], stdout=log, stderr=log
        )
        try:
            end = time.monotonic() + TIMEOUT
            while "being served" not in (output := _all(log)):
                if process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(output)
                time.sleep(0.5)
            found = re.search(r"Prefect server is at (\S+)", output)
            assert found
            yield found[1]
        finally:
            process.terminate()
            process.wait(60)


def _all(log: object) -> str:
    return os.pread(log.fileno(), 1 << 20, 0).decode()  # type: ignore[attr-defined]


def take_all(page: Page, api: str) -> None:
    """Take the screenshots in the order in which a user sees the pages."""
    flows = {flow["id"]: flow["name"] for flow in post(api, "/flows/filter")}
    forms = {flows[found["flow_id"]]: found["id"] for found in post(api, "/deployments/filter")}
    page.goto("blocks/catalog/workmesh-node/create")
    page.get_by_label("Name", exact=True).fill("n4")
    page.get_by_label("Host").fill("10.0.0.7")
    page.get_by_label("Port").fill("8080")
    page.get_by_role("button", name="Add item").first.click()
    page.get_by_role("textbox").nth(3).fill(SERVICE)
    take(page, "node-form", 1100)

    page.goto("deployments")
    page.get_by_text(f"{SERVICE}.push").wait_for()
    take(page, "deployments", 900)

    page.goto(f"deployments/deployment/{forms[f'{SERVICE}.push']}/run")
    choose(page, "demo-2")
    page.get_by_label("limit").fill("1000")
    take(page, "push-form", 900)

    page.goto(f"deployments/deployment/{forms['mesh.drain']}/run")
    choose(page, "demo-3")
    page.get_by_label("dry_run").click()
    ended(api, submit_run(page), TIMEOUT)

    (push,) = post(api, "/flow_runs/filter", {"flow_runs": {"name": {"any_": [f"push {SERVICE}"]}}})
    page.goto(f"runs/flow-run/{push['id']}?tab=Details")
    page.get_by_text("pushed 20,000 records").first.wait_for()
    take(page, "run", 1000)

    page.goto("artifacts/key/workmesh-overview")
    page.get_by_role("img", name="entities held by each node").wait_for()
    take(page, "overview", 1150)
    page.goto("artifacts/key/workmesh-micro-emails-timeline")
    page.get_by_role("img", name="backlog and throughput").wait_for()
    take(page, "service", 1400)
    page.goto("artifacts/key/workmesh-plan")
    open_newest(page)
    page.locator("table").first.wait_for()
    take(page, "plan", 900)

    show_mesh_events(page)
    page.get_by_text("workmesh.plan.applied").first.wait_for()
    take(page, "events", 700)
    page.goto("automations")
    page.get_by_text("Workmesh: lane stopped").wait_for()
    take(page, "automations", 1000)


def choose(page: Page, node: str) -> None:
    """Choose one of the nodes that a form offers."""
    page.get_by_role("button", name="Add item").first.click()
    page.get_by_text("Select a block...").click()
    page.get_by_role("option", name=node).click()


def take(page: Page, name: str, height: int) -> None:
    """Save a screenshot with 256 colours, for a small file."""
    page.set_viewport_size({"width": WIDTH, "height": height})
    page.wait_for_timeout(1500)  # until images and charts are drawn again
    picture = Image.open(BytesIO(page.screenshot()))
    path = PICTURES / f"{name}.png"
    picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    sys.stdout.write(f"{path.name}: {path.stat().st_size // 1000} kB\n")


if __name__ == "__main__":
    main()
