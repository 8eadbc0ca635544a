"""The site is what others rely on: Prefect's pages link to it, and nodes in other languages implement its contract."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest
from pydantic import SecretStr
from ruamel.yaml import YAML
from sqlalchemy import insert

from tests.docs.blocks import ROOT, blocks_of
from tests.docs.stages import imported
from tests.support.scripted_node import scripted_node, success
from workmesh_flows.adapters.store.engine import make_engine, open_engine
from workmesh_flows.blocks.node import SITE, WorkmeshNode
from workmesh_flows.observability.events import Name
from workmesh_flows.operations.delivery.lane_context import LaneContext
from workmesh_flows.operations.delivery.push import push_lane
from workmesh_flows.scaffold import write_project

KEY = "0f8fad5b-d9cb-469f-a165-70867728950e"
OF_HTTP = {"connection", "content-length", "host", "transfer-encoding"}


def test_the_links_of_the_node_block_lead_to_existing_pages() -> None:
    site = YAML(typ="safe").load((ROOT / "mkdocs.yml").read_text())["site_url"]
    assert site == f"{SITE}/"
    assert str(WorkmeshNode._documentation_url) == f"{site}nodes/"
    assert (ROOT / "docs" / "nodes.md").is_file()
    logo = str(WorkmeshNode._logo_url).removeprefix(site)
    assert (ROOT / "docs" / logo).is_file()


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_a_link_outside_the_site_leads_to_an_existing_file(page: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (ROOT / page).read_text())
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_page_of_events_lists_every_event() -> None:
    page = (ROOT / "docs" / "events.md").read_text()
    assert [name for name in get_args(Name) if f"`{name}`" not in page] == []


def test_contributing_describes_every_room() -> None:
    table = (ROOT / "CONTRIBUTING.md").read_text().partition("| room |")[2].partition("\n\n")[0]
    described = {name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    package = ROOT / "workmesh_flows"
    rooms = {path.parent.name for path in package.glob("*/__init__.py")}
    modules = {path.stem for path in package.glob("*.py")} - {"__init__"}
    assert described == rooms | modules


def test_every_test_that_a_page_names_exists() -> None:
    pages = [ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    named = {name for page in pages for name in re.findall(r"`(test_\w+)`", page.read_text())}
    files = list((ROOT / "tests").rglob("test_*.py"))
    functions = {
        name for file in files for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)
    }
    assert named - functions - {file.stem for file in files} == set()


def test_a_master_sends_the_request_that_the_http_contract_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = next(block for block in blocks_of(ROOT / "docs" / "wire.md") if block.language == "http")
    head, _, body = shown.text.partition("\n\n")
    first, *lines = head.splitlines()
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    monkeypatch.syspath_prepend(str(tmp_path))
    write_project(tmp_path, "my_saas")
    with (
        imported("my_saas.mesh") as project,
        imported("my_saas.models") as models,
        scripted_node(lambda asked: success()) as node,
    ):
        url = f"sqlite:///{tmp_path / 'saas.db'}"
        plain = make_engine(url)
        models.Base.metadata.create_all(plain)
        plain.dispose()
        engine = open_engine(url)
        leads = [
            {
                "account_id": 7,
                "email": f"{name}@example.com",
                "create_time": datetime(2026, 11, 24, 10, 0, second, tzinfo=UTC),
            }
            for second, name in enumerate(("ann", "ben"))
        ]
        with engine.begin() as connection:
            connection.execute(insert(models.Account), [{"id": 7, "name": "seven", "scoring_node": "n1"}])
            connection.execute(insert(models.Lead), leads)
        known = node.node("leads.scoring", api_key=KEY)
        assert known.api_key == SecretStr(KEY)
        push_lane(LaneContext(engine, project.scoring, project.scoring.protocols[0], known, "a test"))
        engine.dispose()
    request = node.asked[-1]
    sent = {name.lower(): value for name, value in request.headers.items() if name.lower() not in OF_HTTP}
    assert first == f"POST {request.path} HTTP/1.1"
    assert set(sent) == set(headers)
    for name in set(sent) - {"idempotency-key", "workmesh-epoch"}:
        assert sent[name] == headers[name]
    assert len(sent["idempotency-key"]) == len(headers["idempotency-key"])
    assert sent["workmesh-epoch"].isdecimal()
    assert request.body == json.loads(body)
